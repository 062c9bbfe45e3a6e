import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.registration.reference import find_column, median_participant, read_reference
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

SCAN = TensorMap("site.scan", "site/scan", (4, 3), "grey", "site", "A.", spatial_dimensions=2)


@pytest.fixture
def store(tmp_path) -> TensorStore:
    """Five images; that of p3 is blank."""
    images = np.random.default_rng(0).random((5, 4, 3), np.float32)
    images[3] = 7
    store = TensorStore(tmp_path / "store")
    store.write("site/scan", images, [f"p{i}" for i in range(5)], units="grey")
    return store


def test_the_exemplar_has_the_median_of_those_who_may_be_chosen(store):
    bmi = pd.Series({"p0": 20.0, "p1": 31.0, "p2": 26.0, "p4": np.nan, "other": 90.0})
    assert median_participant(bmi, store, SCAN, ["p0", "p1", "p2", "p4", "other"]) == "p2"


def test_a_participant_whose_image_is_blank_is_no_exemplar(store):
    bmi = pd.Series({"p0": 20.0, "p3": 26.0, "p1": 31.5})
    assert median_participant(bmi, store, SCAN, ["p0", "p1", "p3"]) == "p1"
    with pytest.raises(InputError, match="none of 1 participants has"):
        median_participant(bmi.rename("bmi"), store, SCAN, ["p3"])


def test_an_image_of_something_else_is_no_exemplar(tmp_path):
    rng = np.random.default_rng(3)
    rows, columns = np.indices((12, 10))
    discs = [
        (np.hypot(rows - rng.normal(5.5, 0.3), columns - 4.5) < rng.uniform(3, 4))
        + 0.1 * rng.standard_normal((12, 10))
        for _ in range(31)
    ]
    images = np.array(discs, np.float32)
    images[11] = rows % 4 < 2  # stripes
    store = TensorStore(tmp_path / "store")
    ids = [f"p{i:02}" for i in range(31)]
    store.write("site/scan", images, ids, units="grey")
    scan = TensorMap("site.scan", "site/scan", (12, 10), "grey", "site", "A.", spatial_dimensions=2)
    height = pd.Series(np.arange(31.0), ids)
    height[["p11", "p15", "p16"]] = 15, 11, 15.5  # the median, and next to it
    assert median_participant(height, store, scan, ids) == "p16"
    # Of fewer than twenty it is not known what they look like.
    few = height[["p05", "p11", "p29"]]
    assert median_participant(few, store, scan, ids) == "p11"


def test_a_column_is_looked_for_in_every_table_and_must_be_of_numbers():
    tables = [pd.DataFrame({"height": [1.0]}), pd.DataFrame({"bmi": [2.0], "sex": ["male"]})]
    assert find_column("bmi", tables).tolist() == [2.0]
    with pytest.raises(InputError, match=r"no column 'weight'.*height, bmi, sex"):
        find_column("weight", tables)
    with pytest.raises(InputError, match="'sex' holds no numbers"):
        find_column("sex", tables)


def test_a_reference_is_read_from_every_format_with_an_axis_of_channels(tmp_path):
    import cv2
    import nibabel

    image = np.random.default_rng(1).integers(0, 255, (4, 3)).astype(np.uint8)
    np.save(tmp_path / "reference.npy", image)
    cv2.imwrite(str(tmp_path / "reference.png"), image)
    for name in ("reference.npy", "reference.png"):
        read = read_reference(tmp_path / name, (4, 3, 1))
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read[..., 0], image)

    volume = np.random.default_rng(2).random((3, 4, 5)).astype(np.float32)
    flipped = nibabel.Nifti1Image(volume[::-1], np.diag([-1.0, 1, 1, 1]))
    nibabel.save(flipped, tmp_path / "reference.nii.gz")
    read = read_reference(tmp_path / "reference.nii.gz", (3, 4, 5, 1))
    np.testing.assert_array_equal(read[..., 0], volume)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, "no such file"),
        ("reference.txt", b"1 2 3", r"expected .npy, .nii, .nii.gz or .png"),
        ("reference.png", b"not a picture", "not a readable image"),
        ("reference.npy", b"not an array", "not a readable image"),
        ("reference.nii.gz", b"not a volume", "not a readable image"),
    ],
)
def test_a_reference_that_cannot_be_read_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_reference(tmp_path / name, (4, 3, 1))


def test_a_reference_of_another_dimension_or_a_blank_one_is_refused(tmp_path):
    path = tmp_path / "reference.npy"
    for image, message in (
        (np.arange(24.0).reshape(2, 3, 4), "expected 2 dimensions of space and 1 channels"),
        (np.ones((4, 3)), "blank image"),
        (np.full((4, 3), np.nan), "not finite"),
    ):
        np.save(path, image)
        with pytest.raises(InputError, match=message):
            read_reference(path, (4, 3, 1))
