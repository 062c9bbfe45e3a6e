import gzip
import itertools
import struct
import tracemalloc
import zipfile

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.ingest import nifti

FSL_1MM = np.array([[-1, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1.0]])
FSL_2MM = np.array([[-2, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1.0]])
RAS = np.random.default_rng(0).integers(0, 1000, (5, 6, 7)).astype(np.int16)


def write(path, values, affine=None, code=1, **header):
    affine = np.diag([1.0, 1, 1, 1]) if affine is None else affine
    image = nibabel.Nifti1Image(values, affine)
    image.set_sform(affine, code)
    image.set_qform(None, 0)
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("axes", itertools.permutations(range(3)))
@pytest.mark.parametrize("signs", itertools.product([1, -1], repeat=3))
def test_any_axes_on_disk_become_the_same_volume_in_ras(tmp_path, axes, signs):
    stored, affine = RAS.transpose(axes), np.zeros((4, 4))
    for axis, (world, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[world, axis] = sign * (world + 1.0)
        stored = np.flip(stored, axis) if sign < 0 else stored
    affine[3, 3] = 1
    [image] = nifti.read(write(tmp_path / "7.nii.gz", stored, affine))
    np.testing.assert_array_equal(image.pixels, RAS)
    assert image.voxel_size == (1.0, 2.0, 3.0)
    assert (image.sample_id, image.kind, image.series, image.flags) == ("7", "brain", "native", ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    slope=st.floats(0.01, 100),
    intercept=st.floats(-1000, 1000),
    endian=st.sampled_from("<>"),
    kind=st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"]),
)
def test_slope_and_intercept_are_honoured_in_every_type_and_byte_order(
    tmp_path, slope, intercept, endian, kind
):
    stored = np.arange(120).reshape(4, 5, 6).astype(endian + kind)
    header = nibabel.Nifti1Header(endianness=endian)
    header.set_data_dtype(stored.dtype)
    header.set_data_shape(stored.shape)
    header.set_sform(np.eye(4), 1)
    header["scl_slope"], header["scl_inter"] = slope, intercept
    header["vox_offset"], header["magic"] = 352, b"n+1"
    path = tmp_path / "a.nii"
    path.write_bytes(header.binaryblock + b"\0" * 4 + stored.tobytes(order="F"))
    expected = stored.astype(np.float64) * np.float32(slope) + np.float32(intercept)
    pixels = nifti.read(path)[0].pixels
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, expected, rtol=1e-5, atol=1e-3)


def test_nifti_2_reads_like_nifti_1(tmp_path):
    nibabel.save(nibabel.Nifti2Image(RAS, np.eye(4)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(nifti.read(tmp_path / "a.nii.gz")[0].pixels, RAS)


@pytest.mark.parametrize(
    ("affine", "shape"), [(FSL_1MM, (182, 218, 182)), (FSL_2MM, (91, 109, 91))]
)
def test_a_volume_on_fsls_grid_is_in_mni_space_with_x_to_the_right(tmp_path, affine, shape):
    left_half = np.zeros(shape, np.uint8)
    left_half[shape[0] // 2 + 1 :] = 1  # FSL stores x from right to left.
    [image] = nifti.read(write(tmp_path / "a.nii.gz", left_half, affine, code=4))
    assert (image.series, image.flags) == ("mni", ())
    assert image.pixels[0].all()
    assert not image.pixels[-1].any()
    [image] = nifti.read(write(tmp_path / "a.nii.gz", left_half, affine, code=2))
    assert image.series == "mni"
    assert image.flags == ("on the MNI152 grid, though its header does not say so",)


def test_a_volume_beside_fsls_grid_is_native_whatever_its_code(tmp_path):
    moved = FSL_2MM.copy()
    moved[0, 3] += 1
    path = write(tmp_path / "a.nii", np.eye(91)[:, :, None].repeat(91, 2), FSL_2MM, code=4)
    assert nifti.read(path)[0].series == "native"
    path = write(tmp_path / "a.nii", np.ones((91, 109, 91), np.uint8), moved, code=4)
    assert nifti.read(path)[0].series == "native"


def test_an_oblique_volume_is_flagged_and_not_interpolated(tmp_path):
    turn = np.deg2rad(12)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    [image] = nifti.read(write(tmp_path / "a.nii", RAS, affine))
    np.testing.assert_array_equal(image.pixels, RAS)
    assert image.flags == ("oblique: 12°",)


def test_metres_and_microns_become_millimetres(tmp_path):
    for unit, scale in ((1, 0.001), (3, 1000)):
        path = write(tmp_path / "a.nii", RAS, np.diag([scale, scale, scale, 1]), xyzt_units=unit)
        assert nifti.read(path)[0].voxel_size == (1.0, 1.0, 1.0)


def test_a_single_volume_of_four_dimensions_is_that_volume(tmp_path):
    [image] = nifti.read(write(tmp_path / "a.nii", RAS[..., None]))
    np.testing.assert_array_equal(image.pixels, RAS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 5, 6, 3), np.int16), "more than one volume: 3 volumes"),
        (np.zeros((4, 5), np.int16), "no volume: 4 × 5 voxels"),
        (np.zeros((4, 5, 6), np.complex64), "no grey values"),
    ],
)
def test_what_is_no_volume_is_refused_in_one_line(tmp_path, values, message):
    path = write(tmp_path / "a.nii", values)
    with pytest.raises(InputError, match=rf"a\.nii: {message}") as caught:
        nifti.read(path)
    assert "\n" not in str(caught.value)


SFORM_CODE, SROW_X = 254, 280  # Where they are in the header (nifti1.h).


@pytest.mark.parametrize(
    ("at", "changed", "message"),
    [
        (SFORM_CODE, struct.pack("<h", 0), "orientation unknown: neither qform nor sform"),
        (SROW_X, struct.pack("<f", 0), "orientation unknown: its affine has no inverse"),
        (SROW_X, struct.pack("<f", np.nan), "orientation unknown: its affine has no inverse"),
        (SROW_X, struct.pack("<f", 500), "voxels of 500 × 1 × 1 mm; expected 0.1 to 30 mm"),
    ],
)
def test_a_volume_whose_place_cannot_be_known_is_refused(tmp_path, at, changed, message):
    path = write(tmp_path / "a.nii", RAS)
    content = path.read_bytes()
    path.write_bytes(content[:at] + changed + content[at + len(changed) :])
    with pytest.raises(InputError, match=rf"a\.nii: .*{message}"):
        nifti.read(path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_file_is_refused(tmp_path, share, suffix):
    path = write(tmp_path / f"a{suffix}", np.random.default_rng(0).normal(size=(20, 20, 20)))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert nifti.recognises(path)
    with pytest.raises(InputError, match=r"a\.nii.*: unreadable file"):
        nifti.read(path)


def test_compressed_values_that_were_damaged_are_never_passed_on(tmp_path, capfd):
    rng = np.random.default_rng(2)
    path = write(tmp_path / "a.nii.gz", RAS)
    content = path.read_bytes()
    for _ in range(200):
        changed = bytearray(content)
        changed[rng.integers(10, len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(changed))
        try:
            pixels = nifti.read(path)[0].pixels
        except InputError:
            continue
        np.testing.assert_array_equal(pixels, RAS)
    assert capfd.readouterr() == ("", "")


def test_dimensions_that_ask_for_terabytes_allocate_nothing(tmp_path):
    path = write(tmp_path / "a.nii", RAS)
    content = bytearray(path.read_bytes())
    struct.pack_into("<4h", content, 40, 3, 32767, 32767, 32767)
    for name, changed in (("a.nii", bytes(content)), ("b.nii.gz", gzip.compress(bytes(content)))):
        (tmp_path / name).write_bytes(changed)
        tracemalloc.start()
        with pytest.raises(InputError, match="a volume of 32767 × 32767 × 32767 voxels"):
            nifti.read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 5e6
        tracemalloc.stop()


@pytest.mark.parametrize("offset", [1e30, -5.0, np.nan])
def test_data_that_start_nowhere_are_refused(tmp_path, offset):
    path = write(tmp_path / "a.nii", RAS)
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 108, offset)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"a\.nii: unreadable file"):
        nifti.read(path)


def test_other_files_are_not_recognised(tmp_path):
    for name, content in (("a.nii", b"text"), ("b.gz", gzip.compress(b"x" * 600)), ("c", b"")):
        (tmp_path / name).write_bytes(content)
        assert not nifti.recognises(tmp_path / name)


def test_damaged_headers_end_in_one_clear_error(tmp_path, capfd):
    rng = np.random.default_rng(5)
    content = write(tmp_path / "a.nii", RAS).read_bytes()
    messages = []
    for _ in range(300):
        changed = bytearray(content)
        for at in rng.integers(4, 344, size=rng.choice([1, 3, 20])):
            changed[at] = rng.integers(256)
        (tmp_path / "b.nii").write_bytes(bytes(changed))
        try:
            [image] = nifti.read(tmp_path / "b.nii")
            assert image.pixels.ndim == 3
        except InputError as error:
            messages.append(str(error))
    assert messages
    assert all(len(message.splitlines()) == 1 for message in messages)
    assert capfd.readouterr() == ("", "")


def in_zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def volumes(tmp_path):
    head = RAS.astype(np.int16)
    mni = np.zeros((91, 109, 91), np.uint8)
    mni[40:60, 40:60, 40:60] = 1
    return {
        "head": write(tmp_path / "h.nii.gz", head).read_bytes(),
        "brain": write(tmp_path / "b.nii.gz", head // 2).read_bytes(),
        "mni": write(tmp_path / "m.nii.gz", mni, FSL_2MM, code=4).read_bytes(),
    }


def test_uk_biobanks_zip_gives_the_volume_that_was_asked_for(tmp_path, volumes):
    path = in_zip(
        tmp_path / "1000012_20252_2_0.zip",
        {
            "T1/T1.nii.gz": volumes["head"],
            "T1/T1_brain.nii.gz": volumes["brain"],
            "T1/T1_brain_mask.nii.gz": b"not looked at",
            "T1/T1_brain_to_MNI.nii.gz": volumes["mni"],
            "T1/transforms/T1_to_MNI_linear.mat": b"1 0 0 0",
            "T1/T1_first/T1_first_all_fast_firstseg.nii.gz": b"not looked at",
        },
    )
    assert nifti.recognises(path)
    [native] = nifti.read(path, "native")
    assert (native.sample_id, native.visit, native.member) == ("1000012", 2, "T1/T1.nii.gz")
    np.testing.assert_array_equal(native.pixels, RAS)
    [mni] = nifti.read(path, "mni")
    assert (mni.series, mni.member) == ("mni", "T1/T1_brain_to_MNI.nii.gz")
    assert [image.series for image in nifti.read(path)] == ["native", "mni"]


def test_the_brain_alone_is_taken_where_the_head_is_not_there(tmp_path, volumes):
    path = in_zip(tmp_path / "a.zip", {"T1/T1_brain.nii.gz": volumes["brain"]})
    [image] = nifti.read(path, "native")
    assert image.member == "T1/T1_brain.nii.gz"
    assert image.flags == ("brain alone: the whole head is not there",)
    with pytest.raises(InputError, match=r"no such volume: no T1/T1_brain_to_MNI\.nii\.gz in the"):
        nifti.read(path, "mni")


def test_a_scan_that_uk_biobank_found_useless_is_refused(tmp_path, volumes):
    path = in_zip(tmp_path / "a.zip", {"T1/unusable/T1.nii.gz": volumes["head"]})
    with pytest.raises(InputError, match="found useless by UK Biobank"):
        nifti.read(path, "native")


def test_a_volume_that_is_not_in_the_space_its_name_says_is_refused(tmp_path, volumes):
    path = in_zip(tmp_path / "a.zip", {"T1/T1_brain_to_MNI.nii.gz": volumes["head"]})
    with pytest.raises(InputError, match="not in the space its name says"):
        nifti.read(path, "mni")


def test_a_real_label_map_reads_as_nibabels_own_canonical_volume(shared_data):
    path = shared_data / "brain/synthseg_labels/training_seg_01.nii.gz"
    [image] = nifti.read(path)
    canonical = nibabel.as_closest_canonical(nibabel.load(path))
    np.testing.assert_array_equal(image.pixels, np.asarray(canonical.dataobj))
    assert nibabel.aff2axcodes(canonical.affine) == ("R", "A", "S")
    assert image.voxel_size == pytest.approx((1, 1, 1), abs=1e-3)
