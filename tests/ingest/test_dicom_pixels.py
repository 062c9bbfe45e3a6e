import io
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as Pillow
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from regreveal.errors import InputError
from regreveal.ingest.dicom_files import open_datasets, owner, reading
from regreveal.ingest.dicom_pixels import grey, spacing


def of_pydicom(name):
    return Path(get_testdata_file(name, download=False))


def opened(path):
    [(where, _, dataset)] = open_datasets([(path.name, path)], path)
    return where, dataset


def grey_of(path):
    where, dataset = opened(path)
    with reading(where):
        return grey(where, dataset)


def image(stored, **tags):
    """A dataset with unsigned or signed pixels as numpy lays them out, through bytes and back."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4.5.6"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * stored.itemsize
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    if stored.ndim == 3:
        dataset.NumberOfFrames = len(stored)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.HighBit = tags.get("HighBit", dataset.BitsStored - 1)
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    dataset["PixelData"].VR = "OW" if stored.itemsize > 1 else "OB"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    [(_, _, read)] = open_datasets([("a.dcm", file.getvalue())], Path("a.dcm"))
    return read


def grey_image(stored, **tags):
    with reading("a.dcm"):
        return grey("a.dcm", image(stored, **tags))


@pytest.fixture(scope="module")
def mr_small():
    raw = pydicom.dcmread(of_pydicom("MR_small.dcm")).PixelData
    return np.frombuffer(raw, dtype="<i2").reshape(1, 64, 64)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_padded.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
    ],
)
def test_one_image_reads_alike_in_every_transfer_syntax(name, mr_small):
    values = grey_of(of_pydicom(name))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, mr_small)


def test_rescale_slope_and_intercept_are_applied_and_padding_is_dark():
    path = of_pydicom("CT_small.dcm")
    dataset = pydicom.dcmread(path)
    raw = np.frombuffer(dataset.PixelData, dtype="<i2").reshape(1, 128, 128)
    assert (float(dataset.RescaleSlope), float(dataset.RescaleIntercept)) == (1, -1024)
    np.testing.assert_array_equal(grey_of(path), raw - 1024.0)
    assert spacing(dataset) == pytest.approx((0.661468, 0.661468))


def test_a_deflated_file_is_read():
    path = of_pydicom("image_dfl.dcm")
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    unpacked = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    raw = np.frombuffer(unpacked[-512 * 512 :], np.uint8).reshape(1, 512, 512)
    np.testing.assert_array_equal(grey_of(path), raw)


def test_rgb_becomes_its_luminance():
    path = of_pydicom("SC_rgb_small_odd.dcm")
    raw = np.frombuffer(pydicom.dcmread(path).PixelData[:27], np.uint8).reshape(1, 3, 3, 3)
    red, green, blue = np.moveaxis(raw.astype(float), -1, 0)
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    np.testing.assert_allclose(grey_of(path), expected, rtol=1e-6)
    # The same image in the other byte order.
    big_endian = of_pydicom("SC_rgb_small_odd_big_endian.dcm")
    np.testing.assert_allclose(grey_of(big_endian), expected, rtol=1e-6)


@pytest.mark.parametrize("by_plane", [0, 1])
def test_colours_are_read_by_pixel_and_by_plane(by_plane):
    rgb = np.random.default_rng(1).integers(0, 256, (3, 4, 2), dtype="u1")  # Plane by plane.
    dataset = image(rgb[0], SamplesPerPixel=3, PhotometricInterpretation="RGB")
    dataset.PlanarConfiguration = by_plane
    dataset.PixelData = (rgb if by_plane else np.moveaxis(rgb, 0, -1)).tobytes()
    expected = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    np.testing.assert_allclose(grey("a.dcm", dataset)[0], expected, rtol=1e-6)


def test_ybr_becomes_its_first_channel():
    path = of_pydicom("SC_ybr_full_422_uncompressed.dcm")
    raw = np.frombuffer(pydicom.dcmread(path).PixelData, np.uint8).reshape(100, 50, 4)
    # Two pixels share their chroma: Y1 Y2 Cb Cr.
    np.testing.assert_array_equal(grey_of(path), raw[..., :2].reshape(1, 100, 100))


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
    ],
)
def test_jpeg_in_ybr_is_what_pillow_makes_grey(name):
    path = of_pydicom(name)
    frame = next(
        pydicom.encaps.generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1)
    )
    expected = Pillow.open(io.BytesIO(frame))
    expected.draft("L", expected.size)
    np.testing.assert_allclose(grey_of(path)[0], np.asarray(expected.convert("L")), atol=1)


def test_a_palette_is_looked_up():
    path = of_pydicom("examples_palette.dcm")
    dataset = pydicom.dcmread(path)
    assert dataset.RedPaletteColorLookupTableDescriptor == [256, 0, 16]
    index = np.frombuffer(dataset.PixelData, np.uint8).reshape(1, 350, 800)
    tables = [
        np.frombuffer(dataset[f"{colour}PaletteColorLookupTableData"].value, "<u2").astype(float)
        for colour in ("Red", "Green", "Blue")
    ]
    expected = 0.299 * tables[0] + 0.587 * tables[1] + 0.114 * tables[2]
    np.testing.assert_allclose(grey_of(path), expected[index], rtol=1e-6)


@given(
    stored=st.sampled_from(["u1", "i1", "<u2", "<i2"]).flatmap(
        lambda dtype: hnp.arrays(dtype, st.tuples(st.integers(1, 5), st.integers(1, 5)))
    ),
)
def test_pixels_of_any_whole_type_are_read_as_they_are(stored):
    np.testing.assert_array_equal(grey_image(stored)[0], stored)


@given(stored=hnp.arrays("<u2", (3, 4), elements=st.integers(0, 4095)))
def test_twelve_bits_are_read_whatever_the_other_four_hold(stored):
    overlaid = stored | 0xA000
    np.testing.assert_array_equal(grey_image(overlaid, BitsStored=12)[0], stored)
    signed = np.where(stored < 2048, stored.astype(int), stored.astype(int) - 4096)
    values = grey_image(overlaid, BitsStored=12, PixelRepresentation=1)
    np.testing.assert_array_equal(values[0], signed)


@pytest.mark.parametrize(
    ("dtype", "bits", "turned"),
    [("u1", 8, 255), ("<u2", 12, 4095), ("<u2", 16, 65535), ("<i2", 12, -1), ("<i2", 16, -1)],
)
def test_monochrome1_is_turned_over_within_its_range(dtype, bits, turned):
    rng = np.random.default_rng(0)
    low = -(1 << bits - 1) if dtype == "<i2" else 0
    stored = rng.integers(low, low + (1 << bits), (6, 5)).astype(dtype)
    tags = {"BitsStored": bits, "RescaleSlope": 0.5, "RescaleIntercept": 10}
    bright = grey_image(stored, **tags)
    np.testing.assert_array_equal(bright[0], stored * 0.5 + 10)
    dark = grey_image(stored, PhotometricInterpretation="MONOCHROME1", **tags)
    np.testing.assert_array_equal(dark[0], (turned - stored.astype(float)) * 0.5 + 10)


def test_turning_the_tag_over_turns_a_real_image_over(mr_small):
    where, dataset = opened(of_pydicom("MR_small.dcm"))
    dataset.PhotometricInterpretation = "MONOCHROME1"
    with reading(where):
        np.testing.assert_array_equal(grey(where, dataset), -1.0 - mr_small)


def test_a_modality_lookup_table_is_used():
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4, 10, 16], "US"
    table.add_new("LUTData", "US", [0, 100, 400, 900])
    stored = np.array([[9, 10, 11], [12, 13, 14]], dtype="<u2")
    expected = [[0, 0, 100], [400, 900, 900]]
    values = grey_image(stored, ModalityLUTSequence=[table])
    np.testing.assert_array_equal(values[0], expected)
    dark = grey_image(stored, ModalityLUTSequence=[table], PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(dark[0], 900 - np.array(expected))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "tags",
    [
        {"PixelPaddingValue": -2000},
        {"PixelPaddingValue": 65536 - 2000},
        {"PixelPaddingValue": -2100, "PixelPaddingRangeLimit": -1900},
        {"PixelPaddingValue": -1900, "PixelPaddingRangeLimit": -2100},
    ],
)
def test_padding_gets_the_darkest_value_of_the_image_proper(photometric, tags):
    stored = np.array([[-2000, -50, 7], [90, -2000, 3]], dtype="<i2")
    if tags["PixelPaddingValue"] > 0:
        # Written as an unsigned number although pixels are signed.
        dataset = image(stored, PhotometricInterpretation=photometric)
        dataset.add_new("PixelPaddingValue", "US", tags["PixelPaddingValue"])
        values = grey("a.dcm", dataset)[0]
    else:
        values = grey_image(stored, PhotometricInterpretation=photometric, **tags)[0]
    plain = grey_image(stored, PhotometricInterpretation=photometric)[0]
    padded = stored == -2000
    np.testing.assert_array_equal(values[~padded], plain[~padded])
    assert (values[padded] == plain[~padded].min()).all()


def test_padding_that_no_pixel_can_have_is_no_padding():
    stored = np.array([[48, 3]], dtype="u1")  # 48 are the lowest eight bits of -2000.
    dataset = image(stored)
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    np.testing.assert_array_equal(grey("a.dcm", dataset)[0], stored)


def test_every_frame_has_its_own_slope():
    stored = np.arange(12, dtype="<u2").reshape(3, 2, 2)
    frames = []
    for slope in (1.0, 2.0, 0.5):
        transformation, group = Dataset(), Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, -1
        group.PixelValueTransformationSequence = [transformation]
        frames.append(group)
    values = grey_image(stored, PerFrameFunctionalGroupsSequence=frames)
    expected = stored * np.array([1.0, 2.0, 0.5])[:, None, None] - 1
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"PixelSpacing": [0.5, 0.25], "ImagerPixelSpacing": [9, 9]}, (0.5, 0.25)),
        ({"ImagerPixelSpacing": [0.6, 0.3]}, (0.6, 0.3)),
        ({"ExposedArea": [80, 90]}, None),  # Millimetres or centimetres: nobody knows.
        ({"PixelSpacing": [0, 0.5]}, None),
        ({}, None),
    ],
)
def test_pixel_spacing_is_taken_from_where_it_is(tags, expected):
    assert spacing(image(np.zeros((3, 4), "u1"), **tags)) == expected


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "compression not supported: JPEG-LS Lossless"),
        ("SC_rgb_jpeg_gdcm.dcm", "compression not supported: JPEG Lossless"),
        ("JPGExtended.dcm", "compression not supported: JPEG Extended"),
        ("MR_truncated.dcm", "truncated pixel data: 99.2% of it is there"),
        ("waveform_ecg.dcm", "no image"),
        ("test-SR.dcm", "no image"),
        ("rtplan.dcm", "no image"),
        ("no_meta.dcm", "unreadable file: InvalidDicomError"),
        ("badVR.dcm", "unreadable file: ValueError"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(name, found):
    with pytest.raises(InputError, match=rf"{name}: {found}") as caught:
        grey_of(of_pydicom(name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "unusable rescale slope"),
        ({"PhotometricInterpretation": "HSV"}, "photometric interpretation not supported: HSV"),
        ({"PhotometricInterpretation": "Surname^X"}, "not supported: none that exists"),
        ({"PhotometricInterpretation": "RGB"}, "RGB of 1 samples"),
        ({"Rows": 0}, "no image: 1 frames of 0 × 4"),
        ({"NumberOfFrames": -3}, "no image: -3 frames"),
        ({"Rows": 4}, "truncated pixel data: 75.0%"),
        ({"HighBit": 14, "BitsStored": 12}, "not in the lowest bits"),
    ],
)
def test_tags_that_make_no_sense_are_refused(tags, found):
    with pytest.raises(InputError, match=f"a.dcm: .*{found}"):
        grey_image(np.zeros((3, 4), "<u2"), **tags)


@pytest.mark.parametrize("frames", [1, 2**31 - 1])
@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"])
def test_hostile_sizes_are_refused_without_memory(name, frames):
    where, dataset = opened(of_pydicom(name))
    dataset.Rows = dataset.Columns = 65535
    dataset.NumberOfFrames = frames
    tracemalloc.start()
    with pytest.raises(InputError, match="image too large: .* 65535 × 65535 pixels"):
        grey(where, dataset)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_hostile_length_of_an_element_costs_no_memory(tmp_path):
    content = of_pydicom("MR_small.dcm").read_bytes()
    pixels = b"\xe0\x7f\x10\x00OW\x00\x00"
    assert content.count(pixels + (8192).to_bytes(4, "little")) == 1
    path = tmp_path / "a.dcm"
    content = content.replace(pixels + b"\x00\x20\x00\x00", pixels + b"\xf0\xff\xff\xff")
    path.write_bytes(content[:-4000])
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a\.dcm: truncated pixel data"):
        grey_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("claimed", [None, 0, 1 << 30])
def test_a_deflated_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch, claimed):
    monkeypatch.setattr("regreveal.ingest.dicom_files.LARGEST_FILE", 1 << 22)
    dataset = image(np.zeros((3, 4), "u1"), TextValue="x" * (1 << 24))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    if claimed is not None:  # A header that lies about where it ends.
        content = bytearray(path.read_bytes())
        content[140:144] = claimed.to_bytes(4, "little")
        path.write_bytes(content)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(InputError, match=r"a\.dcm: image too large: a deflated file"):
        grey_of(path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1234567_20158_2_0.zip", ("1234567", 2)),
        ("1234567_20158_3_0", ("1234567", 3)),
        (
            "1234567_20158_2_0/1.2.840.113619.2.110.210419.20150101101010.1.2.12.1.dcm",
            ("1234567", 2),
        ),
        ("anna/1.2.840.113619.2.110.210419.20150101101010.1.2.12.1.dcm", ("anna", None)),
        ("left_hip.dcm", ("left_hip", None)),
    ],
)
def test_the_sample_id_is_from_the_name(tmp_path, source, expected):
    assert owner(tmp_path / source) == expected


def test_a_uid_is_no_sample_id(tmp_path):
    with pytest.raises(InputError, match="no sample id"):
        owner(tmp_path / "1.2.840.113619.2.110" / "1.2.840.113619.2.110.2104.20150101.1.2.dcm")
