import h5py
import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.ingest import ml4h_images

RNG = np.random.default_rng(0)
DXA = RNG.integers(0, 256, (12, 9)).astype(np.uint8)
CINE = RNG.integers(0, 900, (8, 7, 50)).astype(np.float32)
LAX = "ukb_cardiac_mri/cine_segmented_lax_4ch"


@pytest.fixture
def write(tmp_path):
    def write_file(datasets, name="1000012.hd5"):
        with h5py.File(tmp_path / name, "w") as file:
            for path, values in datasets.items():
                file[path] = values
        return tmp_path / name

    return write_file


def test_each_dxa_is_a_series_by_the_last_number_of_its_name(write):
    path = write({"ukb_dxa/dxa_1_11/instance_0": DXA, "ukb_dxa/dxa_1_2/instance_0": DXA[::-1]})
    assert ml4h_images.recognises(path)
    images = ml4h_images.read(path, "dxa")
    assert [(image.series, image.sample_id) for image in images] == [
        ("2", "1000012"),
        ("11", "1000012"),
    ]
    np.testing.assert_array_equal(images[1].pixels, DXA)
    assert images[1].flags == ("grey values as stored: they may be inverted",)


def test_a_dxa_one_level_deeper_or_with_a_channel_reads_alike(write):
    deeper = {"ukb_dxa/1_11/11/instance_0": DXA, "ukb_dxa/dxa_1_12/instance_0": DXA[..., None]}
    for image in ml4h_images.read(write(deeper), "dxa"):
        np.testing.assert_array_equal(image.pixels, DXA)


def test_the_first_of_several_instances_is_used_and_flagged(write):
    datasets = {f"ukb_dxa/dxa_1_11/instance_{k}": DXA + k for k in (10, 2, 1)}
    [image] = ml4h_images.read(write(datasets), "dxa")
    np.testing.assert_array_equal(image.pixels, DXA + 1)
    assert "later recordings left out" in image.flags


def test_brain_slices_are_stacked_by_number_and_left_as_stored(write):
    head = RNG.normal(size=(6, 5, 12)).astype(np.float32)
    slices = {f"ukb_brain_mri/T1/axial_{i}/instance_0": head[..., i] for i in range(12)}
    [image] = ml4h_images.read(write(slices), "brain")
    np.testing.assert_array_equal(image.pixels, head)
    assert (image.series, image.member, image.voxel_size) == ("native", "T1", None)
    assert "left and right not known" in image.flags
    [whole] = ml4h_images.read(write({"ukb_brain_mri/T1/instance_0": head}, "b.hd5"), "brain")
    np.testing.assert_array_equal(whole.pixels, head)


def test_a_brain_on_the_template_is_turned_to_ras(write):
    brain = np.zeros((182, 218, 182), np.uint8)
    brain[0] = 1  # FSL stores x from right to left, so this is the right.
    path = write({"ukb_brain_mri/T1_brain_to_MNI/instance_0": brain})
    [image] = ml4h_images.read(path, "brain")
    assert (image.series, image.voxel_size, image.flags) == ("mni", (1.0, 1.0, 1.0), ())
    assert image.pixels[-1].all()
    assert not image.pixels[:-1].any()


def test_a_missing_slice_and_another_grid_are_refused(write):
    plane = np.ones((182, 218), np.uint8)
    slices = {f"ukb_brain_mri/T1/axial_{i}/instance_0": plane for i in (0, 1, 3)}
    with pytest.raises(InputError, match="missing slice or frame: 3 numbered 0 to 3"):
        ml4h_images.read(write(slices), "brain")
    slices = {f"ukb_brain_mri/T1_brain_to_MNI/axial_{i}/instance_0": plane for i in (0, 1)}
    with pytest.raises(InputError, match="not on the MNI152 grid: 182 × 218 × 2 voxels"):
        ml4h_images.read(write(slices), "brain")


@pytest.mark.parametrize(
    "datasets",
    [
        {f"{LAX}/instance_0": CINE},
        {f"{LAX}/2/instance_0": CINE},
        {f"{LAX}/{t + 1}/instance_0": CINE[..., t] for t in range(50)},
        {f"{LAX}/2/{t + 1}/instance_0": CINE[..., t] for t in range(50)},
        {f"{LAX}/2/frame_{t}": CINE[..., t] for t in range(50)},
    ],
    ids=["whole", "of a visit", "frame by frame", "frame by frame of a visit", "frames as data"],
)
def test_every_layout_of_a_cine_is_the_same_cine(write, datasets):
    [image] = ml4h_images.read(write(datasets), "cardiac")
    np.testing.assert_array_equal(image.pixels, CINE)
    assert (image.series, image.flags) == ("cine_segmented_lax_4ch", ())


def test_the_earliest_visit_of_a_cine_is_used_and_flagged(write):
    [image] = ml4h_images.read(
        write({f"{LAX}/3/instance_0": -CINE, f"{LAX}/2/instance_0": CINE}), "cardiac"
    )
    np.testing.assert_array_equal(image.pixels, CINE)
    assert image.flags == ("later recordings left out",)


def test_pixel_spacing_and_other_views_are_told_apart(write):
    path = write(
        {
            f"{LAX}/2/instance_0": CINE,
            "ukb_cardiac_mri/cine_segmented_lax_2ch/2/instance_0": CINE,
            "ukb_cardiac_mri/cine_segmented_lax_4ch_annotated_1/instance_0": CINE[..., 0],
            "mri_pixel_width_cine_segmented_lax_4ch": 1.8,
            "mri_pixel_height_cine_segmented_lax_4ch": 1.7,
        }
    )
    by_series = {image.series: image for image in ml4h_images.read(path, "cardiac")}
    assert set(by_series) == {"cine_segmented_lax_2ch", "cine_segmented_lax_4ch"}
    assert by_series["cine_segmented_lax_4ch"].voxel_size == (1.8, 1.7)
    assert by_series["cine_segmented_lax_2ch"].voxel_size is None


def test_a_lost_frame_is_refused(write):
    datasets = {f"{LAX}/{t + 1}/instance_0": CINE[..., t] for t in range(50) if t != 20}
    with pytest.raises(InputError, match="missing slice or frame: 49 numbered 1 to 50"):
        ml4h_images.read(write(datasets), "cardiac")


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({f"{LAX}/2/instance_0": CINE}, r"1000012\.hd5: no dxa image: none known in /ukb_dxa"),
        ({"ukb_dxa/dxa_1_11/instance_0": "text"}, "is no dataset of 1 to"),
        ({"ukb_dxa/dxa_1_11/note": DXA}, "no recording in /ukb_dxa/dxa_1_11"),
        ({"ukb_dxa": DXA}, "no dxa image"),
    ],
)
def test_a_file_without_the_image_is_refused(write, datasets, message):
    with pytest.raises(InputError, match=message) as caught:
        ml4h_images.read(write(datasets), "dxa")
    assert "\n" not in str(caught.value)


def test_a_size_that_asks_for_terabytes_is_refused_unread(write):
    path = write({"ukb_dxa/dxa_1_2/instance_0": DXA})
    with h5py.File(path, "a") as file:
        file.create_dataset("ukb_dxa/dxa_1_11/instance_0", (2**20, 2**20), "f4", chunks=(64, 64))
    with pytest.raises(InputError, match="is no dataset of 1 to"):
        ml4h_images.read(path, "dxa")


def test_a_truncated_file_is_refused(write):
    path = write({f"{LAX}/2/instance_0": CINE})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert ml4h_images.recognises(path)
    with pytest.raises(InputError, match=r"1000012\.hd5: unreadable file"):
        ml4h_images.read(path, "cardiac")


def test_other_hdf5_is_not_recognised(write):
    assert not ml4h_images.recognises(write({"tensor": [1.0]}, "a.h5"))
    assert not ml4h_images.recognises(write({"ukb_ecg_rest/strip_I/instance_0": [1.0]}, "b.h5"))


def test_the_first_scan_of_a_series_is_used_and_flagged(write):
    scans = {"ukb_dxa/dxa_2_11/instance_0": -DXA, "ukb_dxa/dxa_1_11/instance_0": DXA}
    [image] = ml4h_images.read(write(scans), "dxa")
    np.testing.assert_array_equal(image.pixels, DXA)
    assert image.flags[0] == "later recordings left out"


@pytest.mark.parametrize("link", ["another file", "this file", "values elsewhere", "virtual"])
def test_what_lies_in_another_file_is_never_read(write, tmp_path, link):
    secret = write({"secret": DXA}, "secret.h5")
    (tmp_path / "raw").write_bytes(DXA.tobytes())
    path = write({"ukb_dxa/dxa_1_2/instance_0": DXA})
    with h5py.File(path, "a") as file:
        group = file.create_group("ukb_dxa/dxa_1_11")
        if link == "another file":
            group["instance_0"] = h5py.ExternalLink(str(secret), "/secret")
        elif link == "this file":
            group["instance_0"] = h5py.SoftLink("/ukb_dxa/dxa_1_2/instance_0")
        elif link == "values elsewhere":
            elsewhere = [(str(tmp_path / "raw"), 0, DXA.size)]
            group.create_dataset("instance_0", DXA.shape, "u1", external=elsewhere)
        else:
            layout = h5py.VirtualLayout(DXA.shape, "u1")
            layout[:] = h5py.VirtualSource(str(secret), "secret", DXA.shape)
            group.create_virtual_dataset("instance_0", layout)
    with pytest.raises(InputError, match="unsafe file|is no dataset"):
        ml4h_images.read(path, "dxa")


@pytest.mark.parametrize("kind", ["dxa", "brain", "cardiac"])
@pytest.mark.parametrize("name", ["instance_0", "1"])
def test_a_group_that_holds_itself_is_refused(write, kind, name):
    series = {"dxa": "dxa_1_11", "brain": "T1", "cardiac": "cine_segmented_lax_4ch"}[kind]
    path = write({})
    with h5py.File(path, "a") as file:
        group = file.create_group(f"{ml4h_images.GROUPS[kind]}/{series}")
        group[name] = group
    with pytest.raises(InputError, match="without end|layout not known"):
        ml4h_images.read(path, kind)


def test_a_brain_without_its_head_is_flagged(write):
    brain = RNG.normal(size=(6, 5, 12)).astype(np.float32)
    for names, flagged in ((("T1_brain",), True), (("T1", "T1_brain"), False)):
        path = write({f"ukb_brain_mri/{name}/instance_0": brain for name in names})
        [image] = ml4h_images.read(path, "brain")
        assert (image.member, "brain alone: the whole head is not there" in image.flags) == (
            names[0],
            flagged,
        )
