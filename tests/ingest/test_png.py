import numpy as np
import pytest
from PIL import Image as Picture

from regreveal.errors import InputError
from regreveal.ingest import png

GREY = np.random.default_rng(0).integers(0, 256, (9, 7)).astype(np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_grey_is_the_same_in_every_mode(tmp_path, mode):
    picture = Picture.fromarray(GREY).convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(17)
    picture.save(tmp_path / "7.png")
    [image] = png.read(tmp_path / "7.png")
    np.testing.assert_array_equal(image.pixels, GREY)
    assert (image.sample_id, image.kind, image.series, image.voxel_size) == ("7", "dxa", "", None)


def test_sixteen_bits_are_kept(tmp_path):
    deep = np.arange(0, 65536, 1000, dtype=np.uint16).reshape(11, 6)
    Picture.fromarray(deep).save(tmp_path / "a.png")
    np.testing.assert_array_equal(png.read(tmp_path / "a.png")[0].pixels, deep)


def test_black_and_white_is_0_and_255(tmp_path):
    Picture.fromarray(GREY > 127).save(tmp_path / "a.png")
    np.testing.assert_array_equal(png.read(tmp_path / "a.png")[0].pixels, 255.0 * (GREY > 127))


def test_colours_become_luminance(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    for mode in ("RGB", "P"):
        Picture.fromarray(colours).convert(mode).save(tmp_path / "a.png")
        np.testing.assert_allclose(
            png.read(tmp_path / "a.png")[0].pixels, [[76.245, 149.685, 29.07]], rtol=1e-6
        )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1000012_20158_2_0.png", ("1000012", 2, "")),
        ("P7/dxa_11.png", ("P7", None, "11")),
        ("1000012_20158_3_0/series_5.png", ("1000012", 3, "5")),
        ("v1.2/dxa_2.png", ("v1.2", None, "2")),
        ("7.png", ("7", None, "")),
    ],
)
def test_names_tell_participant_visit_and_series(tmp_path, name, expected):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    Picture.fromarray(GREY).save(tmp_path / name)
    [image] = png.read(tmp_path / name)
    assert (image.sample_id, image.visit, image.series) == expected


def write_frames(folder, numbers):
    folder.mkdir()
    paths = []
    for number in numbers:
        paths.append(folder / f"frame_{number}.png")
        Picture.fromarray(np.full((4, 5), number, np.uint8)).save(paths[-1])
    return paths


def test_frames_are_put_in_the_order_of_their_numbers(tmp_path):
    paths = write_frames(tmp_path / "P7", [10, 9, 11, 8])
    [image] = png.read_frames(paths)
    assert image.pixels.shape == (4, 5, 4)
    np.testing.assert_array_equal(image.pixels[0, 0], [8, 9, 10, 11])
    assert (image.sample_id, image.kind) == ("P7", "cardiac")


def test_a_missing_frame_or_one_of_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match="P7: missing frame: 3 frames numbered 0 to 3"):
        png.read_frames(write_frames(tmp_path / "P7", [0, 1, 3]))
    paths = write_frames(tmp_path / "P8", [0, 1])
    Picture.fromarray(GREY).save(paths[1])
    with pytest.raises(InputError, match="P8: unreadable file: frames differ in size"):
        png.read_frames(paths)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(tmp_path, share):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (90, 70)).astype(np.uint8)
    Picture.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert png.recognises(path)
    with pytest.raises(InputError, match=r"a\.png: unreadable file") as caught:
        png.read(path)
    assert "\n" not in str(caught.value)


def test_damaged_pixels_are_refused(tmp_path):
    path = tmp_path / "a.png"
    Picture.fromarray(GREY).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"a\.png: unreadable file"):
        png.read(path)


def test_a_picture_that_unpacks_to_gigabytes_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Picture.new("1", (12_000, 12_000)).save(path)
    with pytest.raises(InputError, match=r"a\.png: unreadable file: 12000 × 12000 pixels"):
        png.read(path)
