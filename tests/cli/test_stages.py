"""The chain of single commands, on a handful of simulated recordings."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from regreveal.cli.main import app
from regreveal.errors import InputError
from regreveal.registration import stage
from regreveal.simulation.ecg import phantom
from regreveal.store.cohort import read_splits
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore

PARTICIPANTS = 30


def run(*arguments: object):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Thirty strips, of which the first two are flat, and a cohort."""
    folder = tmp_path_factory.mktemp("chain")
    ecg, _ = phantom(PARTICIPANTS, np.random.default_rng(0))
    ecg[:2] = 0
    ids = [f"p{i}" for i in range(PARTICIPANTS)]
    TensorStore(folder / "tensors").write("ecg/rest_10s", ecg, ids, units="mV", sampling_rate=500)
    pd.DataFrame({"sample_id": ids, "age": 50}).to_csv(folder / "cohort.tsv", sep="\t", index=False)
    return folder


@pytest.fixture(scope="module")
def splits(folder):
    path = folder / "splits.tsv"
    shares = {"--train": 0.4, "--validation": 0.2, "--analysis": 0.4}
    options = [text for share in shares.items() for text in share]
    result = run("split", "--cohort", folder / "cohort.tsv", *options, "--out", path)
    assert "12 train, 6 validation, 12 analysis" in result.output
    return path


def register_options(folder, out, *more):
    maps = ["--from", "ecg.rest_10s", "--to", "ecg.median"]
    return "register", "QRSAlignment", "--store", folder / "tensors", *maps, "--out", out, *more


@pytest.fixture(scope="module")
def aligned(folder, splits):
    return folder / "aligned", run(
        *register_options(folder, folder / "aligned", "--splits", splits)
    )


@pytest.fixture(scope="module")
def model(folder, splits, aligned):
    store, out = aligned[0] / "registered", folder / "model"
    sizes = ["--latent-size", 2, "--steps", 2, "--batch-size", 4]
    run("train", "ecg.median", "--store", store, "--splits", splits, "--out", out, *sizes)
    return out


def test_split_divides_the_cohort_and_never_again(folder, splits):
    made = read_splits(splits)
    assert sorted(made.index) == sorted(f"p{i}" for i in range(PARTICIPANTS))
    before = splits.read_bytes()
    with pytest.raises(InputError, match="is there already"):
        run("split", "--cohort", folder / "cohort.tsv", "--seed", 2, "--out", splits)
    assert splits.read_bytes() == before


def test_the_seed_decides_the_split_in_any_format(folder, tmp_path):
    def split(name, seed):
        out = tmp_path / name
        run("split", "--cohort", folder / "cohort.tsv", "--seed", seed, "--out", out)
        return read_splits(out)

    first = split("first.tsv", 3)
    for name in ("same.parquet", "same.csv"):
        pd.testing.assert_frame_equal(split(name, 3), first)
    assert not split("other.tsv", 4).equals(first)


def test_register_tells_who_was_left_out_and_why(aligned):
    out, result = aligned
    assert "28 of 30 registered" in result.output
    assert "left out       2  all leads flat\n" in result.output
    assert len(TensorStore(out / "registered").sample_ids("ecg/median")) == 28


def test_register_learns_from_training_participants_only(folder, splits, tmp_path, monkeypatch):
    learned_from = []
    fit = stage.fit_registration

    def watched(method, parameters, store, tensor_map, sample_ids, *rest):
        learned_from.extend(sample_ids)
        fit(method, parameters, store, tensor_map, sample_ids, *rest)

    monkeypatch.setattr(stage, "fit_registration", watched)
    run(*register_options(folder, tmp_path, "--splits", splits))
    split = read_splits(splits)["split"]
    assert sorted(learned_from) == sorted(split.index[split == "train"])


def test_register_deletes_no_earlier_result(folder, aligned):
    registered = TensorStore(aligned[0] / "registered")
    before = registered.read("ecg/median")
    with pytest.raises(InputError, match="already holds a registration; choose another folder"):
        run(*register_options(folder, aligned[0]))
    with pytest.raises(InputError, match="already holds a registration; choose another folder"):
        run(*register_options(folder, aligned[0], "--store", registered.path))
    np.testing.assert_array_equal(TensorStore(registered.path).read("ecg/median"), before)


@pytest.mark.parametrize("parameters", ["{", "[500]", "500"])
def test_parameters_must_be_names_and_values(folder, tmp_path, parameters):
    with pytest.raises(InputError, match="--parameters is"):
        run(*register_options(folder, tmp_path / "out", "--parameters", parameters))
    assert not (tmp_path / "out").exists()


def test_train_and_embed_give_latents_that_know_whom_the_model_has_seen(
    folder, splits, aligned, model
):
    store = aligned[0] / "registered"
    result = run("embed", "--model", model, "--store", store, "--out", folder / "embedding.parquet")
    assert "28 participants" in result.output
    embedding = Embedding.read(folder / "embedding.parquet")
    assert embedding.latents.shape == (28, 2)
    split = read_splits(splits)["split"]
    unseen = set(split.index[split == "analysis"]) & set(embedding.sample_ids)
    assert set(embedding.unseen_ids()) == unseen
    facts = json.loads((model / "model.json").read_text())
    assert len(facts["trained_on"]) + len(facts["validated_on"]) == 28 - len(unseen)


def test_train_and_embed_name_a_store_without_the_tensor(folder, splits, model, tmp_path):
    store, out = folder / "tensors", tmp_path / "out"
    message = r"no tensor 'ecg/median' \(there are: ecg/rest_10s\)"
    with pytest.raises(InputError, match=message):
        run("train", "ecg.median", "--store", store, "--splits", splits, "--out", out)
    with pytest.raises(InputError, match=message):
        run("embed", "--model", model, "--store", store, "--out", out)
    assert not out.exists()
