"""The zoo's commands, on a run that is made by hand and evaluated on a hundred simulated ECGs."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from regreveal.cli.main import app
from regreveal.errors import InputError
from regreveal.experiment.experiment_file import parse_experiment
from regreveal.experiment.zoo import pack as zoo_pack
from regreveal.experiment.zoo.card import write_card
from regreveal.experiment.zoo.pack import only_arm
from regreveal.models import zoo
from regreveal.models.autoencoder import build_autoencoder
from regreveal.models.model_folder import read_model_json, write_model
from regreveal.models.state import TrainingState
from regreveal.registration import QRSAlignment
from regreveal.simulation.ecg import phantom
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map

EXPERIMENT = """
title = "Small"
seed = 5
[data.simulate]
participants = 100
variants = 500
[autoencoder]
latent_size = 3
steps = 1
[arms.native]
tensor_map = "ecg.rest_10s"
[arms.aligned]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }
[arms.cine]
tensor_map = "cardiac.lax_4ch_small"
[arms.ecg_fused]
after = "aligned"
tensor_map = "ecg.median"
fusion = "heart"
[arms.cine_fused]
tensor_map = "cardiac.lax_4ch_small"
fusion = "heart"
[arms.skeleton]
tensor_map = "dxa.skeleton"
[fusions.heart]
latent_size = 3
warm_start = ["aligned", "cine"]
[comparisons.ecg]
baseline = "native"
against = "aligned"
[probes]
targets = ["age"]
"""
IDS = [f"P{number:06d}" for number in range(1, 101)]


def run(*arguments: object, status: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """What a run leaves of the arm `aligned`, its network untrained."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    splits = pd.DataFrame({"sample_id": IDS, "split": "train", "fold": 0})
    splits.to_parquet(folder / "splits.parquet")
    tensor_map = find_tensor_map("ecg.median")
    ecg, _ = phantom(5, np.random.default_rng(0))
    QRSAlignment(sampling_rate=500).fit(ecg).save(folder / "arms" / "aligned" / "registration")
    parameters = {
        "tensor_map": dataclasses.asdict(tensor_map),
        "latent_size": 3,
        "steps": 200,
        "batch_size": 16,
        "warm_start": ["ecg.median"],
        "seed": 5,
        "trained_on": IDS[:80],
        "validated_on": IDS[80:],
    }
    row = {"epoch": 1, "loss": 1.0, "validation_loss": 1.0}
    models = build_autoencoder(tensor_map.channelled_shape, 3, channels=8, growth=4, seed=5)
    write_model(
        models,
        TrainingState(parameters, 1.0, 1.0, [row], models.autoencoder.get_weights()),
        folder / "arms" / "aligned" / "model",
    )
    return folder


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def packed(run_folder, scratch, tmp_path_factory):
    """A zoo of one model."""
    folder = tmp_path_factory.mktemp("zoo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo_pack, "EVALUATION", {"participants": 100, "variants": 500, "seed": 6})
        zoo_pack.pack(
            run_folder, "aligned", folder / "beat", shows="A beat.", scratch=scratch, full_size=""
        )
    return folder


@pytest.fixture
def only_zoo(packed, monkeypatch):
    monkeypatch.setattr(zoo, "zoo_folder", lambda: packed)
    return packed


def test_a_packed_model_says_all_of_itself_and_names_nobody(packed):
    text = (packed / "beat" / "model.json").read_text()
    assert not any(sample_id in text for sample_id in IDS)
    facts = json.loads(text)
    assert facts["learned_from"] == {
        "biobank": "simulated",
        "participants": 100,
        "variants": 500,
        "seed": 5,
        "trained_on": 80,
        "validated_on": 20,
    }
    assert facts["trained_on"] == []
    figures = facts["figures"]
    assert figures["participants"] + figures["not_registered"] == 100
    assert set(figures["probes"]) >= {"heart_rate", "r_amplitude"}
    assert all(score["low"] <= score["r2"] <= score["high"] for score in figures["probes"].values())


def test_explained_variance_is_that_of_the_people_evaluated_on(packed, scratch):
    (registered,) = (scratch / "registered").iterdir()
    store, tensor_map = TensorStore(registered / "registered"), find_tensor_map("ecg.median")
    tensors = tensor_map.load(store, store.sample_ids("ecg/median"))
    drawn = zoo.load(packed / "beat").reconstruct(tensors)
    expected = 1 - np.mean((drawn - tensors) ** 2) / np.mean((tensors - tensors.mean(axis=0)) ** 2)
    found = read_model_json(packed / "beat")["figures"]["explained_variance"]
    assert found == pytest.approx(expected, abs=1e-4)


def test_the_card_says_what_it_takes_gives_and_reaches(packed):
    card = (packed / "beat" / "README.md").read_text()
    facts = read_model_json(packed / "beat")
    for text in (
        "`ecg.median`",
        "600 × 12, in mV",
        "QRSAlignment of `ecg.rest_10s`",
        "zoo check beat",
        "200 steps of 16. The networks of `ecg.median` started from autoencoders that had been",
        "not\nfor patients",
        *facts["sha256"].values(),
        f"| heart_rate | {facts['figures']['probes']['heart_rate']['r2']:.3f}",
    ):
        assert text in card or text.replace("\n", " ") in card, text


def test_list_and_show(only_zoo):
    assert "ecg.median" in run("zoo", "list").output
    assert "A beat." in run("zoo", "show", "beat").output
    assert "A beat." in run("zoo", "show", "zoo:beat").output
    with pytest.raises(InputError, match="did you mean 'beat'"):
        run("zoo", "show", "beet")


def test_a_card_goes_into_a_file_as_it_is_and_an_empty_zoo_says_so(only_zoo, tmp_path, monkeypatch):
    assert run("zoo", "show", "beat").output == (only_zoo / "beat" / "README.md").read_text()
    monkeypatch.setattr(zoo, "zoo_folder", lambda: tmp_path)
    assert "holds no model yet" in run("zoo", "list").output
    with pytest.raises(InputError, match=r"no model 'beat' in the zoo \(there are: none\)"):
        run("zoo", "check", "beat")


def test_a_card_says_whom_the_model_beside_it_was_evaluated_on(packed, tmp_path):
    facts = read_model_json(packed / "beat")
    write_card(tmp_path, facts, facts | {"name": "other"})
    card = (tmp_path / "README.md").read_text()
    people = facts["figures"]["participants"]
    assert f"beside those of other (of the {people} people whom that one can take)" in card


def test_check_agrees_with_the_card_and_says_where_it_does_not(only_zoo, scratch, tmp_path):
    assert "agree within 0.01" in run("zoo", "check", "beat", "--out", scratch).output
    path = only_zoo / "beat" / "model.json"
    before = path.read_text()
    facts = json.loads(before)
    facts["figures"]["probes"]["heart_rate"]["r2"] += 0.02
    path.write_text(json.dumps(facts))
    try:
        result = run("zoo", "check", "beat", "--out", scratch, status=1)
    finally:
        path.write_text(before)
    assert result.output.count("differs") == 1


def test_register_then_embed_by_name(only_zoo, scratch, tmp_path):
    store, out = scratch / "ecg" / "tensors", tmp_path / "out"
    with pytest.raises(InputError, match="zoo register beat"):
        run("embed", "--model", "zoo:beat", "--store", store, "--out", tmp_path / "e.parquet")
    run("zoo", "register", "beat", "--store", store, "--out", out)
    result = run(
        "embed",
        "--model",
        "zoo:beat",
        "--store",
        out / "registered",
        "--out",
        tmp_path / "e.parquet",
    )
    assert "trained on simulated people (seed 5)" in result.output
    embedding = Embedding.read(tmp_path / "e.parquet")
    assert embedding.unseen_ids() == embedding.sample_ids
    assert embedding.latents.shape[1] == 3


def test_a_registration_that_was_changed_is_refused(only_zoo, scratch, tmp_path):
    folder = tmp_path / "beat"
    shutil.copytree(only_zoo / "beat", folder)
    path = folder / "registration" / "aligned" / "registration.json"
    path.write_text(path.read_text().replace("500", "501"))
    from regreveal.experiment.zoo.evaluation import register

    with pytest.raises(InputError, match=r"registration.json: SHA-256"):
        register(folder, TensorStore(scratch / "ecg" / "tensors"), tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "--name", "beat"], "no arm 'nothing'"),
        (["native", "--name", "beat"], "encoder.keras: no such file; finish the run first"),
        (["aligned", "--name", "../beat"], "--name is '../beat'"),
    ],
)
def test_what_cannot_be_packed_leaves_nothing(run_folder, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        run("zoo", "pack", run_folder, *arguments, "--to", tmp_path / "zoo")
    assert not list(tmp_path.glob("**/*.keras"))


def test_a_model_to_compare_with_that_is_none_of_a_zoo_is_named(run_folder, tmp_path):
    trained = run_folder / "arms" / "aligned" / "model"
    arguments = ["aligned", "--name", "beat", "--to", tmp_path / "zoo", "--baseline", trained]
    with pytest.raises(InputError, match="model: has no figures; expected"):
        run("zoo", "pack", run_folder, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["register", "beat", "--store", "store", "--out"],
        ["check", "beat", "--out"],
        ["pack", "run", "aligned", "--name", "beat", "--to"],
    ],
)
def test_a_file_where_a_folder_is_to_be_is_named(only_zoo, tmp_path, arguments):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="file: is a file; expected a folder"):
        run("zoo", *arguments, file)


def test_models_of_real_people_are_not_packed(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    real = EXPERIMENT.replace(
        "[data.simulate]\nparticipants = 100\nvariants = 500", "[data]\nfolder = 'x'"
    )
    (folder / "experiment.toml").write_text(real)
    with pytest.raises(InputError, match="not simulated"):
        run("zoo", "pack", folder, "aligned", "--name", "beat", "--to", tmp_path / "zoo")


def test_people_learned_from_are_not_evaluated_on(run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo_pack, "EVALUATION", {"participants": 100, "variants": 500, "seed": 5})
    with pytest.raises(InputError, match="has learned from the simulated people of seed 5"):
        run("zoo", "pack", run_folder, "aligned", "--name", "beat", "--to", tmp_path / "zoo")


@pytest.mark.parametrize(
    ("arm", "arms", "fusions"),
    [
        ("native", ["native"], []),
        ("aligned", ["aligned"], []),
        ("cine_fused", ["aligned", "cine", "ecg_fused", "cine_fused"], ["heart"]),
    ],
)
def test_a_recipe_holds_the_arm_and_what_it_needs_and_nothing_else(arm, arms, fusions):
    recipe = parse_experiment(only_arm(EXPERIMENT, arm), "recipe")
    whole = parse_experiment(EXPERIMENT, "whole")
    assert list(recipe.arms) == arms
    assert list(recipe.fusions) == fusions
    assert recipe.arms[arm] == whole.arms[arm]
    assert (recipe.seed, recipe.data, recipe.splits) == (whole.seed, whole.data, whole.splits)
    assert not recipe.comparisons
    assert recipe.probes is None


def test_every_model_is_an_arm_of_the_training_and_of_the_papers_table():
    from model_zoo.build import MODELS, PAPER, ZOO
    from regreveal.experiment.preflight import check_names

    names = [model.name for model in MODELS]
    assert len(set(names)) == len(names)
    training = (ZOO / "train.toml").read_text()
    for number, model in enumerate(MODELS):
        assert model.baseline is None or model.baseline in names[:number]
        small = parse_experiment(only_arm(training, model.arm), model.name)
        full = parse_experiment(only_arm(PAPER.read_text(), model.paper_arm), model.name)
        for experiment in (small, full):
            check_names(experiment)
        assert small.arms[model.arm].gives_latents == full.arms[model.paper_arm].gives_latents
        assert (small.arms[model.arm].fusion is None) == (full.arms[model.paper_arm].fusion is None)
    trained = parse_experiment(training, "train.toml").arms
    assert set(trained) == {model.arm for model in MODELS}
