import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from regreveal.brain_atlas import Region, label_mask
from regreveal.errors import InputError
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import Standardize, TensorMap, find_tensor_map, list_tensor_maps


@pytest.fixture
def store(tmp_path) -> TensorStore:
    store = TensorStore(tmp_path / "store")
    store.write("site/scan", np.full((2, 4, 3), 5.0), ["a", "b"], units="mm")
    return store


def declared(**changes) -> TensorMap:
    parameters = {
        "name": "site.scan",
        "path": "site/scan",
        "shape": (4, 3),
        "units": "mm",
        "modality": "site",
        "description": "A scan.",
        "normalize": Standardize(1.0, 2.0),
    }
    return TensorMap(**(parameters | changes))


def test_the_maps_of_the_paper_have_their_shapes():
    assert find_tensor_map("ecg.rest_10s").shape == (5000, 12)
    assert find_tensor_map("ecg.median").shape == (600, 12)


def test_every_declared_map_says_what_it_is():
    for tensor_map in list_tensor_maps():
        assert tensor_map.description.endswith(".")
        assert tensor_map.name.startswith(f"{tensor_map.modality}.")


@pytest.fixture
def site_folder(tmp_path, monkeypatch):
    """Make a working directory that is not on the path, as that of an installed command is not."""
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != Path.cwd()]
    monkeypatch.setattr(sys, "path", elsewhere)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "site_maps"]:
        del sys.modules[name]


def test_a_site_adds_a_modality_as_one_file_in_its_working_directory(site_folder):
    package = site_folder / "site_maps"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "retina.py").write_text(
        "from regreveal.tensormap import TensorMap\n"
        "left = TensorMap('retina.left', 'retina/left', (8, 8, 3), 'grey', 'retina', 'Left.')\n"
    )
    path_before = sys.path[:]
    assert find_tensor_map("retina.left", "site_maps").shape == (8, 8, 3)
    assert sys.path == path_before
    sys.modules.pop("site_maps.retina")
    (package / "retina.py").write_text(
        "from regreveal.tensormap import TensorMap\n"
        "right = TensorMap('retina.left', 'retina/left', (8, 8, 3), 'grey', 'retina', 'Left.')\n"
    )
    with pytest.raises(InputError, match=r"expected 'retina\.right'"):
        list_tensor_maps("site_maps")


def test_what_lies_in_the_working_directory_does_not_hide_what_is_installed(
    site_folder, monkeypatch
):
    (site_folder / "tensormaps").mkdir()
    (site_folder / "tensormaps" / "ecg.py").write_text("raise RuntimeError\n")
    for name in ("tensormaps", "tensormaps.ecg"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert find_tensor_map("ecg.median").shape == (600, 12)


@pytest.mark.parametrize(
    ("code", "told"),
    [("import no_such_library", "no_such"), ("PULSE = undefined", "NameError: name 'undefined'")],
)
def test_a_package_that_lacks_something_says_what(site_folder, code, told):
    """It is the site's to repair, and no defect of RegReveal."""
    package = site_folder / "site_maps"
    package.mkdir()
    (package / "retina.py").write_text(f"{code}\n")
    with pytest.raises(InputError, match=rf"site_maps\.retina.* cannot be imported .*{told}"):
        list_tensor_maps("site_maps")


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("json.decoder", "'json.decoder' is a single module"),
        ("", "expected a name such as site_maps"),
        ("../site", "expected a name such as site_maps"),
    ],
)
def test_what_is_no_package_is_named(package, message):
    with pytest.raises(InputError, match=message):
        list_tensor_maps(package)


def test_unknown_maps_and_packages_are_named():
    with pytest.raises(InputError, match=r"no tensor map 'ecg\.nothing'.*ecg\.rest_10s"):
        find_tensor_map("ecg.nothing")
    with pytest.raises(InputError, match="'no_such_package' cannot be imported"):
        find_tensor_map("ecg.median", "no_such_package")


def test_loading_normalises_and_the_inverse_undoes_it(store):
    tensor_map = declared()
    loaded = tensor_map.load(store, ["b"])
    np.testing.assert_array_equal(loaded, np.full((1, 4, 3), 2.0, np.float32))
    np.testing.assert_array_equal(
        tensor_map.normalize.inverse(loaded), store.read("site/scan", "b")
    )


def test_normalisation_can_differ_by_channel():
    standardize = Standardize((0.0, 1.0), (1.0, 2.0))
    np.testing.assert_array_equal(standardize(np.array([[3.0, 3.0]])), [[3.0, 1.0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"shape": (4, 2)}, r"shape \(4, 3\); site.scan declares"), ({"units": "cm"}, "is in mm")],
)
def test_tensors_other_than_declared_are_refused(store, changes, message):
    with pytest.raises(InputError, match=message):
        declared(**changes).load(store, ["a"])
    with pytest.raises(InputError, match=message):
        declared(**changes).check_stored(store)


def test_a_tensor_that_is_not_there_is_named(store):
    declared().check_stored(store)
    with pytest.raises(InputError, match=r"no tensor 'site/none' \(there are: site/scan\)"):
        declared(path="site/none").check_stored(store)


def test_values_that_are_not_finite_name_the_participant(store):
    tensors = np.zeros((2, 4, 3))
    tensors[1, 2, 0] = np.nan
    store.write("site/broken", tensors, ["c", "d"], units="mm")
    with pytest.raises(InputError, match="participant 'd' has values that are not finite"):
        declared(path="site/broken").load(store, ["c", "d"])


@pytest.fixture
def brains(tmp_path) -> TensorStore:
    store = TensorStore(tmp_path / "brains")
    volumes = np.random.default_rng(1).integers(1, 255, (2, 30, 36, 30), dtype=np.uint8)
    store.write("brain/t1_mni_6mm", volumes, ["a", "b"], units="intensity", voxel_size=(6, 6, 6))
    return store


def test_a_region_is_its_box_of_the_stored_brain_with_0_outside_it(brains):
    tensor_map = find_tensor_map("brain.cerebellum_6mm")
    tensor_map.check_stored(brains)
    read = tensor_map.read(brains, ["b"])
    assert read.shape == (1, *tensor_map.shape, 1)
    expected = np.where(
        label_mask(("cerebellar_grey", "cerebellar_white"), 6),
        brains.read("brain/t1_mni_6mm", ["b"])[0],
        0,
    )
    box = tuple(
        slice(first, first + count)
        for first, count in zip(tensor_map.region.corner, tensor_map.shape, strict=True)
    )
    np.testing.assert_array_equal(read[0, ..., 0], expected[box])
    assert read.sum() == expected.sum()  # the box holds all of the region


@pytest.mark.parametrize("millimetres", [1, 6])
@pytest.mark.parametrize("part", ["cerebellum", "cerebellum_grey", "cerebellum_white"])
def test_the_box_of_a_declared_region_fits_it(millimetres, part):
    tensor_map = find_tensor_map(f"brain.{part}" + ("_6mm" if millimetres == 6 else ""))
    assert tensor_map.region.voxel_size_mm == millimetres
    places = np.argwhere(label_mask(tensor_map.region.labels, millimetres))
    assert tuple(places.min(axis=0)) == tensor_map.region.corner
    assert tuple(np.ptp(places, axis=0) + 1) == tensor_map.shape


def test_a_region_expects_the_whole_brain_in_the_store(brains):
    whole = find_tensor_map("brain.cerebellum_6mm")
    assert whole.stored_shape == (30, 36, 30)
    cut = np.zeros((1, *whole.shape), np.uint8)
    brains.write("brain/cut", cut, ["c"], units="intensity")
    with pytest.raises(InputError, match=r"declares \(30, 36, 30\)"):
        replace(whole, path="brain/cut").read(brains, ["c"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corner": (20, 30, 25)}, "not within the grid"),
        ({"corner": (0, 20, 15)}, "holds nothing of the region"),
        ({"labels": ("cerebelum",)}, "no brain label 'cerebelum'"),
    ],
)
def test_a_region_that_cannot_be_is_refused(brains, changes, message):
    tensor_map = find_tensor_map("brain.cerebellum_6mm")
    wrong = replace(tensor_map, region=replace(tensor_map.region, **changes))
    with pytest.raises(InputError, match=message):
        wrong.read(brains, ["a"])


def test_a_region_may_come_from_an_atlas_of_ones_own(brains, tmp_path):
    import nibabel

    # On another grid than the brains: 3 mm, turned round, label 7 in the front half.
    atlas = np.zeros((64, 76, 64), np.int16)
    affine = np.diag([-3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (94.5, -130.5, -76.5)
    atlas[:, 38:] = 7
    nibabel.save(nibabel.Nifti1Image(atlas, affine), tmp_path / "atlas.nii.gz")
    tensor_map = replace(
        find_tensor_map("brain.t1_mni_6mm"),
        region=Region((7,), (0, 0, 0), 6, str(tmp_path / "atlas.nii.gz")),
    )
    inside = tensor_map.read(brains, ["a"])[0, ..., 0] > 0
    y = -123 + 6 * np.arange(36)
    np.testing.assert_array_equal(inside, np.broadcast_to((y > -18)[:, None], inside.shape))


def test_a_region_comes_back_from_the_description_of_a_model():
    from regreveal.models.model_folder import trained_tensor_map

    for name in ("brain.cerebellum", "brain.t1_mni", "ecg.median"):
        tensor_map = find_tensor_map(name)
        description = json.loads(json.dumps({"tensor_map": asdict(tensor_map)}))
        assert trained_tensor_map(description) == tensor_map
