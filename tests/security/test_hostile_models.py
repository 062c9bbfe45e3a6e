"""A Keras file from anywhere runs no code, reads no other file, and ends in one line."""

import json
import resource
import zipfile

import h5py
import keras
import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.models.model_folder import (
    check_hash,
    load_model,
    read_model_json,
    trained_tensor_map,
)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Content of an honest encoder's file, by member."""
    path = tmp_path_factory.mktemp("model") / "encoder.keras"
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs)).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def load(members, tmp_path):
    """Load an encoder some of whose members are changed."""

    def load_changed(**changed):
        (tmp_path / "model.json").write_text('{"tensor_map": {}, "latent_size": 2, "seed": 1}')
        contents = members | {name.replace("__", "."): text for name, text in changed.items()}
        path = tmp_path / "encoder.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return load_model(tmp_path, "encoder")

    return load_changed


def with_layer(members, **fields):
    config = json.loads(members["config.json"])
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Dense":
            layer.update(fields)
    return json.dumps(config)


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def refused(caught):
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("keras.utils", "get_file"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.layers", "TFSMLayer"),
    ],
)
def test_what_is_no_layer_is_never_called(load, members, module, name):
    layer = {"module": module, "class_name": name, "registered_name": None, "config": {}}
    with pytest.raises(InputError, match="cannot be loaded safely") as caught:
        load(config__json=with_layer(members, **layer))
    refused(caught)


def test_functions_and_lambdas_as_activations_are_refused(load, members):
    layer = next(
        one
        for one in json.loads(members["config.json"])["config"]["layers"]
        if one["class_name"] == "Dense"
    )["config"]
    code = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
    for activation in (function("os", "system"), function("builtins", "eval"), code):
        with pytest.raises(InputError, match="cannot be loaded safely") as caught:
            load(config__json=with_layer(members, config=layer | {"activation": activation}))
        refused(caught)


def test_a_vocabulary_in_another_file_is_not_read(load, members, tmp_path):
    (tmp_path / "secret").write_text("a password\n")
    layer = {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "registered_name": None,
        "build_config": None,
        "config": {"name": "x", "vocabulary": str(tmp_path / "secret"), "dtype": "string"},
    }
    with pytest.raises(InputError, match="cannot be loaded safely") as caught:
        load(config__json=with_layer(members, **layer))
    assert "password" not in refused(caught)


def with_kernel(members, folder, write):
    path = folder / "weights.h5"
    path.write_bytes(members["model.weights.h5"])
    with h5py.File(path, "a") as file:
        names = []
        file.visit(names.append)
        (kernel,) = (name for name in names if name.endswith("dense/vars/0"))
        del file[kernel]
        write(file, kernel)
    return path.read_bytes()


@pytest.mark.parametrize("place", ["external storage", "external link", "virtual", "promise"])
def test_weights_are_of_the_file_alone(load, members, tmp_path, place):
    (tmp_path / "raw").write_bytes(np.full(8, 7, "f4").tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["kernel"] = np.full((4, 2), 9, "f4")

    def write(file, kernel):
        if place == "external storage":
            elsewhere = [(str(tmp_path / "raw"), 0, 32)]
            file.create_dataset(kernel, (4, 2), "f4", external=elsewhere)
        elif place == "external link":
            file[kernel] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/kernel")
        elif place == "virtual":
            layout = h5py.VirtualLayout((4, 2), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "kernel", (4, 2))
            file.create_virtual_dataset(kernel, layout)
        else:
            file.create_dataset(kernel, (1 << 40, 2), "f4", chunks=(1 << 18, 2))

    with pytest.raises(InputError, match="cannot be loaded safely") as caught:
        load(**{"model.weights.h5": with_kernel(members, tmp_path, write)})
    refused(caught)
    ones = with_kernel(members, tmp_path, lambda f, name: f.__setitem__(name, np.ones((4, 2))))
    kernel = load(**{"model.weights.h5": ones}).layers[-1].kernel
    assert keras.ops.all(kernel == 1)


@pytest.mark.parametrize("units", [1 << 24, 1 << 31, 1 << 50, 1 << 70])
def test_layers_larger_than_the_file_are_refused_before_they_are_made(load, members, units):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    layer = {"name": "dense", "units": units}
    with pytest.raises(InputError, match="cannot be loaded safely") as caught:
        load(config__json=with_layer(members, config=layer, build_config=None))
    refused(caught)
    with keras.StatelessScope():
        pass  # at its end, Keras fills what it has yet to fill
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert load().count_params() == 10


@pytest.mark.parametrize("config", ["[" * 200_000, "[]", "{}", b"\xff"])
def test_a_description_that_is_none_is_refused(load, config):
    with pytest.raises(InputError, match="cannot be loaded safely") as caught:
        load(config__json=config)
    refused(caught)


@pytest.mark.parametrize("name", ["../slipped", "assets/../../slipped", "/slipped"])
def test_a_member_for_elsewhere_is_refused(load, name):
    with pytest.raises(InputError, match="a member that leads out of it"):
        load(**{name: "x"})


def test_a_file_that_inflates_is_refused_before_it_does(load):
    with pytest.raises(InputError, match="unpacks to 80 MB"):
        load(assets=bytes(80 << 20))


def test_hashes_are_of_files_in_the_folder(tmp_path):
    (tmp_path / "outside").write_text("x")
    for file in ("../outside", str(tmp_path / "outside"), "a/../../outside"):
        with pytest.raises(InputError, match="which is outside the folder"):
            check_hash(tmp_path / "model", file, {})


@pytest.mark.parametrize("text", ["5", "[]", '"tensor_map"', "[" * 200_000, "{", '{"seed": 1}'])
def test_facts_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(InputError, match="model.json"):
        read_model_json(tmp_path)


@pytest.mark.parametrize("fields", [5, {}, {"shape": 3, "normalize": {}}, {"normalize": 1}])
def test_a_tensor_map_that_is_none_is_refused(fields):
    with pytest.raises(InputError, match="'tensor_map' is not one"):
        trained_tensor_map({"tensor_map": fields})
