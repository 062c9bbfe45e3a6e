import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture
from scipy import ndimage

from regreveal.ingest.field_of_view import background, fit_shape, to_frames, to_voxel_size

sizes = st.lists(st.integers(1, 9), min_size=2, max_size=3)


@given(have=sizes, data=st.data())
def test_every_voxel_that_stays_keeps_its_place_about_the_centre(have, data):
    want = data.draw(st.lists(st.integers(1, 9), min_size=len(have), max_size=len(have)))
    pixels = np.arange(1, np.prod(have) + 1, dtype=np.float32).reshape(have)
    fitted = fit_shape(pixels, want)
    assert fitted.pixels.shape == tuple(want)
    assert [c - p for c, p in zip(fitted.cropped, fitted.padded, strict=True)] == [
        h - w for h, w in zip(have, want, strict=True)
    ]
    kept_from, kept_to = [], []
    for h, w in zip(have, want, strict=True):
        kept_from.append(slice((h - w) // 2, (h - w) // 2 + w) if h > w else slice(None))
        kept_to.append(slice((w - h) // 2, (w - h) // 2 + h) if w > h else slice(None))
    np.testing.assert_array_equal(fitted.pixels[tuple(kept_to)], pixels[tuple(kept_from)])


def test_padding_has_the_value_of_the_images_own_background():
    body = np.full((20, 10), -1000, np.float32)
    body[5:15, 3:7] = 40
    padded = fit_shape(body, (24, 16)).pixels
    assert background(body, 2) == -1000
    assert (padded == -1000).sum() == 24 * 16 - 40
    white = np.full((20, 10), 252, np.float32)
    white[5:15, 3:7] = 30
    assert fit_shape(white, (22, 10)).pixels[0, 0] == 252


def test_a_chest_that_fills_the_image_is_padded_with_black_not_with_its_own_grey(shared_data):
    chest = np.asarray(Picture.open(shared_data / "radiograph/00000001_000.png"))
    padded = fit_shape(chest, (640, 400)).pixels
    assert set(np.unique(padded[:64])) == {background(chest, 2)}
    assert background(chest, 2) < 20


def test_tissue_that_is_cut_off_is_measured_and_air_is_not():
    rng = np.random.default_rng(0)
    head = np.abs(rng.normal(0, 5, (40, 40, 60))).astype(np.float32)
    head[10:30, 10:30, 10:50] += 200
    assert fit_shape(head, (24, 24, 44)).tissue_cut == 0
    assert fit_shape(head, (40, 40, 20)).tissue_cut == pytest.approx(0.5)
    assert fit_shape(head, (50, 50, 60)).tissue_cut == 0
    assert fit_shape(255 - head, (40, 40, 20)).tissue_cut == pytest.approx(0.5)


def test_a_cines_frames_are_never_cropped():
    cine = np.random.default_rng(0).normal(size=(12, 10, 7)).astype(np.float32)
    fitted = fit_shape(cine, (8, 14))
    assert fitted.pixels.shape == (8, 14, 7)
    assert (fitted.cropped, fitted.padded) == ((4, 0), (0, 4))
    np.testing.assert_array_equal(fitted.pixels[:, 2:12], cine[2:10])


def test_resampling_keeps_a_smooth_image_in_its_place():
    def blob(shape, size):
        place = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, size, strict=True)]
        x, y = np.meshgrid(*place, indexing="ij")
        return np.exp(-((x - 7) ** 2 + (y + 4) ** 2) / (2 * 15**2)).astype(np.float32)

    fine = blob((120, 90), (1, 1))
    coarse = to_voxel_size(fine, (1, 1), (3, 2))
    assert coarse.shape == (40, 45)
    np.testing.assert_allclose(coarse, blob((40, 45), (3, 2)), atol=0.02)
    finer = to_voxel_size(coarse, (3, 2), (1, 1))
    np.testing.assert_allclose(
        ndimage.center_of_mass(finer), ndimage.center_of_mass(fine), atol=0.1
    )


def test_resampling_to_larger_voxels_does_not_fold_fine_stripes_over():
    stripes = np.tile(np.array([0.0, 100.0], np.float32), 60)[None].repeat(40, 0)
    coarse = to_voxel_size(stripes, (1, 1), (1, 4.1))
    assert np.abs(coarse - 50).max() < 12


def test_frames_are_resampled_around_the_beat():
    def beat(frames):
        phase = 2 * np.pi * np.arange(frames) / frames
        return np.broadcast_to(np.cos(phase) + np.sin(2 * phase), (2, 3, frames))

    resampled = to_frames(beat(40).astype(np.float32), 50)
    assert resampled.shape == (2, 3, 50)
    # Linear interpolation of the second harmonic of 40 frames is off by (4 pi / 40)² / 8 at most.
    np.testing.assert_allclose(resampled, beat(50), atol=0.02)
    doubled = to_frames(beat(25).astype(np.float32), 50)
    np.testing.assert_array_equal(doubled[..., ::2], beat(25).astype(np.float32))
