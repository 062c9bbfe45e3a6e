"""A small run whose latents come from a cycle's phases and from a fusion, killed and resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regreveal.experiment.fusions import retrieval
from regreveal.experiment.run import run_experiment
from regreveal.models.embedding import embed
from regreveal.store.cohort import read_splits, read_table
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore

ALONE = """
title = "Phases and a fusion in little"
seed = 3

[data.simulate]
participants = 120
variants = 500

[splits]
train = 0.3
validation = 0.1
analysis = 0.6

[autoencoder]
latent_size = 4
steps = 10
batch_size = 16

[arms.cine]
tensor_map = "cardiac.lax_4ch_small"

[arms.ecg]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }
"""
LATENTS = """
[arms.cycle]
tensor_map = "cardiac.lax_4ch_small"

[arms.cycle.registration]
method = "DeepCycle"
input = "cardiac.lax_4ch_small"
parameters = { steps = 60, batch_size = 8 }

[arms.cine_fused]
tensor_map = "cardiac.lax_4ch_small"
fusion = "heart"

[arms.ecg_fused]
tensor_map = "ecg.median"
after = "ecg"
fusion = "heart"

[fusions.heart]
averaging = 0.5
schedule = "constant"
steps_per_epoch = 2
latent_size = 4
steps = 10
batch_size = 16
warm_start = ["cine"]

[comparisons.cycle]
baseline = "cine_fused"
against = "cycle"

[probes]
targets = ["ejection_fraction", "cycle.phase_locking"]
"""
EXPERIMENT = ALONE + LATENTS
FUSED = ("cine_fused", "ecg_fused")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "latents.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory, experiment) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "latents"
    run_experiment(experiment, folder)
    return folder


def test_phases_are_the_embedding_of_those_for_whom_there_are_any(run):
    quality = read_table(run / "arms/cycle/qc.parquet")
    embedding = Embedding.read(run / "arms/cycle/embedding.parquet")
    assert embedding.latents.shape[1] == 16
    splits = read_splits(run / "splits.parquet")["split"]
    assert set(splits[embedding.sample_ids]) == {"analysis"}
    assert quality.loc[embedding.sample_ids, "ok"].all()
    seen = {*embedding.metadata["trained_on"], *embedding.metadata["validated_on"]}
    assert set(splits[list(seen)]) == {"train", "validation"}
    assert embedding.unseen_ids() == embedding.sample_ids
    compared = read_table(run / "comparisons/cycle/participants.parquet").index
    assert set(compared) == set(embedding.sample_ids)


@pytest.mark.parametrize("arm", ["cycle", *FUSED])
def test_the_model_folder_of_an_arm_gives_its_embedding_from_one_modality(run, arm):
    embedding = Embedding.read(run / f"arms/{arm}/embedding.parquet")
    ids = embedding.sample_ids[:5]
    folder = run / ("arms/ecg/registered" if arm == "ecg_fused" else "data/tensors")
    again = embed(run / f"arms/{arm}/model", TensorStore(folder), ids)
    np.testing.assert_allclose(again.latents, embedding.select(ids), rtol=1e-3, atol=1e-3)


def test_a_fusion_learns_from_whoever_has_a_modality(run):
    splits = read_splits(run / "splits.parquet")["split"]
    models = [json.loads((run / f"arms/{arm}/model/model.json").read_text()) for arm in FUSED]
    everyone = set(splits.index[splits == "train"])
    assert all(set(model["trained_on"]) == everyone for model in models)
    for model in models:
        asked = {"averaging": 0.5, "schedule": "constant", "precision": "float32"}
        assert model["plan"].items() >= asked.items()
        assert model["steps_per_epoch"] == 2
    store = TensorStore(run / "arms/ecg/registered")
    assert everyone >= set(store.sample_ids("ecg/median")) & everyone


def test_retrieval_is_told_both_ways_of_the_same_pairs(run):
    table = pd.read_csv(run / "fusions/heart/retrieval.tsv", sep="\t")
    assert table[["from", "to"]].to_numpy().tolist() == [[*FUSED], [*FUSED[::-1]]]
    both = set.intersection(
        *(set(Embedding.read(run / f"arms/{arm}/embedding.parquet").sample_ids) for arm in FUSED)
    )
    assert table["pairs"].tolist() == [len(both)] * 2
    assert (table["top_1"] <= table["top_10"]).all()


def test_everybody_is_retrieved_from_themselves_and_by_chance_otherwise():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((400, 8))
    assert retrieval(latents, 3 * latents) == [1, 1]
    # The opposite of one's own latents is the farthest there is.
    assert retrieval(latents, -latents)[0] == 0
    at_random = [retrieval(latents, rng.standard_normal((400, 8))) for _ in range(20)]
    np.testing.assert_allclose(np.mean(at_random, axis=0), [1 / 400, 10 / 400], rtol=0.35)


def test_the_report_tells_of_both(run):
    page = (run / "report.html").read_text()
    for told in (
        "Retrieval of one modality by another",
        "DropFuse (heart)",
        "4 in cine_fused and 16",
    ):
        assert told in page, told


def test_a_run_killed_again_and_again_ends_like_one_that_was_not(run, experiment, tmp_path, capsys):
    folder = shutil.copytree(run, tmp_path / "killed")
    without = tmp_path / "without.toml"
    without.write_text(ALONE)
    run_experiment(without, folder)
    assert not (folder / "fusions/heart/registration").exists()
    assert not (folder / "arms/cycle/latents.parquet").exists()
    code = "import sys; from regreveal.experiment.run import run_experiment as r; r(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(experiment), str(folder)]
    for awaited in ("arms/cycle/fit registration", "fusions/heart/train"):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith(f"{awaited} …"):
                break
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    capsys.readouterr()
    run_experiment(experiment, folder)
    lines = capsys.readouterr().err.splitlines()
    assert "arms/cine/train: done before" in lines
    assert "arms/cycle/register: done before" in lines
    for arm in ("cycle", *FUSED):
        one, other = (Embedding.read(f / f"arms/{arm}/embedding.parquet") for f in (run, folder))
        assert one.sample_ids == other.sample_ids
        np.testing.assert_allclose(one.latents, other.latents, rtol=1e-3, atol=1e-3)
    for table in ("splits.parquet", "dropped.tsv", "comparisons/cycle/participants.parquet"):
        assert (folder / table).read_bytes() == (run / table).read_bytes()
    one, other = (pd.read_csv(f / "comparisons/cycle/probes.tsv", sep="\t") for f in (run, folder))
    pd.testing.assert_frame_equal(one, other, rtol=1e-2, atol=1e-2)
