import json
import shutil
import tomllib
import zipfile

import keras
import numpy as np
import pytest
from autoencoder_toy import IDS, TENSOR_MAP

import regreveal.models
from regreveal.errors import InputError
from regreveal.models import zoo
from regreveal.models.embedding import embed, reconstruct
from regreveal.models.model_folder import load_model, read_model_json, sha256, trained_tensor_map
from regreveal.store.tensors import TensorStore

STEP = {
    "folder": "registration/toy",
    "method": "Homography",
    "input": {"path": "toy/wave"},
    "output": {"path": "toy/wave"},
}


@pytest.fixture
def zoo_model(model_folder, tmp_path, monkeypatch):
    """A zoo of one model, toy_wave, whose autoencoder is not stored."""
    folder = tmp_path / "zoo" / "toy_wave"
    folder.mkdir(parents=True)
    facts = read_model_json(model_folder)
    for name in ("encoder.keras", "decoder.keras"):
        shutil.copyfile(model_folder / name, folder / name)
    facts["sha256"] = {name: sha256(folder / name) for name in ("encoder.keras", "decoder.keras")}
    facts |= {"trained_on": [], "validated_on": [], "registrations": []}
    (folder / "model.json").write_text(json.dumps(facts))
    monkeypatch.setattr(zoo, "zoo_folder", lambda: tmp_path / "zoo")
    return folder


def change_facts(folder, **facts):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_a_model_is_loaded_by_name_or_folder_and_gives_its_own_latents(
    zoo_model, model_folder, store
):
    tensors = TENSOR_MAP.load(store, IDS)
    expected = load_model(model_folder, "encoder").predict(tensors, verbose=0)
    for name in ("zoo:toy_wave", zoo_model, model_folder):
        model = regreveal.models.load(name)
        assert model.tensor_map == TENSOR_MAP
        np.testing.assert_allclose(model.embed(tensors), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            model.reconstruct(tensors), reconstruct(model_folder, tensors), rtol=1e-5, atol=1e-5
        )


def test_an_autoencoder_that_is_not_stored_is_made_of_its_halves(zoo_model, model_folder, store):
    tensors = TENSOR_MAP.load(store, IDS[:9])
    np.testing.assert_allclose(
        reconstruct(zoo_model, tensors), reconstruct(model_folder, tensors), rtol=1e-5, atol=1e-5
    )


def test_nobody_of_a_store_was_learned_from(zoo_model, store):
    embedded = embed(zoo.find_model("zoo:toy_wave"), store, IDS)
    assert embedded.unseen_ids() == IDS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("toy_wav", r"no model 'toy_wav' in the zoo; did you mean 'toy_wave'\?.*toy_wave"),
        ("nothing", r"no model 'nothing' in the zoo \(there are: toy_wave\)"),
        ("../zoo/toy_wave", "no model"),
        ("/etc", "no model"),
        ("", "no model"),
        ("toy_wave/.", "no model"),
    ],
)
def test_only_names_of_the_zoo_are_found(zoo_model, name, message):
    with pytest.raises(InputError, match=message):
        regreveal.models.load(f"zoo:{name}")


@pytest.mark.parametrize("file", ["encoder.keras", "decoder.keras"])
def test_a_changed_file_is_refused_before_it_is_loaded(zoo_model, file, monkeypatch):
    other = "decoder.keras" if file == "encoder.keras" else "encoder.keras"
    shutil.copyfile(zoo_model / other, zoo_model / file)
    loaded = []
    load = keras.saving.load_model
    monkeypatch.setattr(
        keras.saving, "load_model", lambda path, **named: loaded.append(path) or load(path, **named)
    )
    with pytest.raises(InputError, match=rf"{file}: SHA-256 is .* model.json says .*changed"):
        regreveal.models.load("zoo:toy_wave")
    assert zoo_model / file not in loaded


def test_a_file_that_is_not_listed_is_refused(zoo_model, model_folder, store):
    shutil.copyfile(model_folder / "autoencoder.keras", zoo_model / "autoencoder.keras")
    with pytest.raises(InputError, match="autoencoder.keras: SHA-256"):
        reconstruct(zoo_model, TENSOR_MAP.load(store, IDS[:2]))


def test_a_file_that_is_cut_short_is_refused(model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    with zipfile.ZipFile(folder / "encoder.keras") as whole:
        config = whole.read("config.json")
    with zipfile.ZipFile(folder / "encoder.keras", "w") as file:
        file.writestr("config.json", config)
    with pytest.raises(InputError, match=r"encoder.keras: cannot be loaded safely \(.+\)$"):
        regreveal.models.load(folder)


def test_a_description_of_something_else_is_refused(zoo_model):
    (zoo_model / "model.json").write_text("{}")
    with pytest.raises(InputError, match=r"model.json: no 'tensor_map' in it; expected that of"):
        regreveal.models.load("zoo:toy_wave")


def test_a_model_with_code_in_it_is_refused_in_one_line(model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    inputs = keras.Input((45, 2))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(folder / "encoder.keras")
    with pytest.raises(InputError, match="cannot be loaded safely") as refused:
        regreveal.models.load(folder)
    assert "\n" not in str(refused.value)
    assert "lambda" in str(refused.value).lower()


def test_an_encoder_of_another_shape_than_declared_is_refused(zoo_model):
    declared = read_model_json(zoo_model)["tensor_map"] | {"shape": [50, 2]}
    change_facts(zoo_model, tensor_map=declared)
    with pytest.raises(InputError, match=r"takes tensors of shape \(45, 2\).*\(50, 2\)"):
        regreveal.models.load("zoo:toy_wave")


@pytest.mark.parametrize("shape", [(3, 44, 2), (3, 45), (45, 2), (0, 45, 2)])
def test_tensors_of_another_shape_are_refused(zoo_model, shape):
    with pytest.raises(InputError, match=r"takes toy.wave, tensors of shape \(n, 45, 2\)"):
        regreveal.models.load("zoo:toy_wave").embed(np.zeros(shape))


def test_tensors_that_are_not_finite_are_refused(zoo_model):
    tensors = np.zeros((3, 45, 2))
    tensors[1, 4] = np.nan
    with pytest.raises(InputError, match="in row 1"):
        regreveal.models.load("zoo:toy_wave").embed(tensors)


@pytest.mark.parametrize(
    ("shape", "units", "message"),
    [
        ((45, 2), "uV", "is in uV; toy.wave declares mV"),
        ((46, 2), "mV", r"has shape \(46, 2\); toy.wave declares \(45, 2\)"),
    ],
)
def test_a_store_of_other_units_or_shape_is_refused(zoo_model, tmp_path, shape, units, message):
    store = TensorStore(tmp_path / "store")
    store.write("toy/wave", np.ones((2, *shape), np.float32), ["a", "b"], units=units)
    with pytest.raises(InputError, match=message):
        embed(zoo_model, store, ["a", "b"])


def write_registered(folder, source):
    store = TensorStore(folder)
    store.write("toy/wave", np.ones((2, 45, 2), np.float32), ["a", "b"], units="mV", source=source)
    return store


def test_a_store_that_is_not_registered_as_the_model_needs_is_refused(zoo_model, tmp_path):
    change_facts(zoo_model, registrations=[STEP])
    zoo.check_registered(zoo_model, write_registered(tmp_path / "moved", "Homography"))
    with pytest.raises(InputError, match="not registered by Homography.*zoo register toy_wave"):
        zoo.check_registered(zoo_model, write_registered(tmp_path / "as taken", "simulated"))


def test_a_store_that_lacks_what_registration_makes_is_refused(zoo_model, tmp_path):
    change_facts(zoo_model, registrations=[STEP | {"output": {"path": "toy/moved"}}])
    with pytest.raises(InputError, match="takes 'toy/moved', which Homography makes of it"):
        zoo.check_registered(zoo_model, write_registered(tmp_path / "store", "simulated"))


def test_every_model_of_the_zoo_is_whole_small_and_holds_no_ids():
    for name in zoo.zoo_names():
        folder = zoo.zoo_folder() / name
        facts = read_model_json(folder)
        there = {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert set(there) == {*facts["sha256"], "README.md", "model.json"}, name
        assert {"recipe.toml", "full_size.toml"} <= set(there), name
        for file, listed in facts["sha256"].items():
            assert sha256(there[file]) == listed, f"{name}/{file}"
        assert sum(path.stat().st_size for path in there.values()) <= 5e6, name
        assert facts["trained_on"] == facts["validated_on"] == [], name
        assert facts["learned_from"]["seed"] != facts["evaluation"]["seed"], name
        assert trained_tensor_map(facts).channelled_shape, name


def test_a_model_of_the_zoo_loads_and_reconstructs():
    names = zoo.zoo_names()
    if not names:
        pytest.skip("no model is in the zoo yet")
    for name in names[:: max(1, len(names) // 3)]:
        model = zoo.load(f"zoo:{name}")
        tensors = np.random.default_rng(0).normal(size=(2, *model.tensor_map.channelled_shape))
        tensors = model.tensor_map.normalize(tensors.astype(np.float32))
        assert model.embed(tensors).shape == (2, model.facts["latent_size"])
        assert model.reconstruct(tensors).shape == tensors.shape


def test_every_recipe_is_an_experiment_of_that_model():
    from regreveal.experiment.experiment_file import load_experiment
    from regreveal.experiment.preflight import check_names

    for name in zoo.zoo_names():
        folder = zoo.zoo_folder() / name
        for file in ("recipe.toml", "full_size.toml"):
            check_names(load_experiment(folder / file))
        recipe = tomllib.loads((folder / "recipe.toml").read_text())
        assert recipe["seed"] == read_model_json(folder)["learned_from"]["seed"]
        maps = {arm["tensor_map"] for arm in recipe["arms"].values()}
        assert read_model_json(folder)["tensor_map"]["name"] in maps
