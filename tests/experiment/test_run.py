import contextlib
import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.experiment.experiment_file import parse_experiment
from regreveal.experiment.run import compared_with, run_demo, run_experiment
from regreveal.store.cohort import read_splits, read_table
from regreveal.store.embedding import Embedding

# The demo in little: the same tables of the experiment file, and too small to find anything.
EXPERIMENT = """
title = "The demo in little"
seed = 3

[data.simulate]
participants = 240
variants = 1000

[splits]
train = 0.2
validation = 0.1
analysis = 0.7

[autoencoder]
latent_size = 4
steps = 20
batch_size = 16

[arms.native]
tensor_map = "ecg.rest_10s"

[arms.registered]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }

[comparisons.alignment]
baseline = "native"
against = "registered"

[probes]
targets = ["qrs_duration", "sex", "registered.heart_rate"]

[gwas]
coding = "additive"
covariates = ["age", "sex", "pc_1"]

[phewas]
covariates = ["age", "sex"]

[clusters]
bootstraps = 5

[replication]

[recurrence]
arms = ["registered"]
seeds = 1

[directions]
"""

ARMS = ("native", "registered")
TEXTS = {".tsv", ".json", ".csv", ".toml", ".html", ".tex", ".gz", ".pdf"}
WORD = re.compile(r"[A-Za-z0-9]+")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "little.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, experiment) -> tuple[Path, str]:
    """A run, and what was logged meanwhile."""
    folder, log = tmp_path_factory.mktemp("runs") / "little", io.StringIO()
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        assert run_experiment(experiment, folder) == folder / "report.html"
    return folder, log.getvalue()


@pytest.fixture(scope="module")
def run(finished) -> Path:
    return finished[0]


@pytest.fixture
def copy(run, tmp_path) -> Path:
    """A copy of the run that may be changed; files are replaced whole, so links do."""
    return shutil.copytree(run, tmp_path / "copy", copy_function=os.link)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a run but the manifest and what it draws."""
    left_out = {"manifest.json", "report.html"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in left_out and "figures" not in path.parts
    }


def test_every_part_of_the_run_folder_is_there(run):
    compared = run / "comparisons" / "alignment"
    for path in (
        run / "experiment.toml",
        run / "dropped.tsv",
        run / "arms/native/model/encoder.keras",
        run / "arms/registered/qc.parquet",
        compared / "probes.tsv",
        compared / "probe_differences.tsv",
        compared / "native/gwas/manova.tsv.gz",
        compared / "registered/gwas/loci.tsv",
        compared / "registered/phewas/phewas.tsv",
        compared / "registered/directions/directions.tsv",
        compared / "oracle/loci.tsv",
        compared / "truth.tsv",
        compared / "shared_loci.tsv",
        compared / "native/replication/summary.tsv",
        compared / "registered/recurrence.tsv",
        run / "table2.tsv",
        run / "table2.tex",
        run / "report.html",
    ):
        assert path.is_file(), path
    assert (run / "experiment.toml").read_text() == EXPERIMENT


def test_both_arms_learn_from_and_are_judged_on_the_same_people(run):
    splits = read_splits(run / "splits.parquet")["split"]
    models = [json.loads((run / f"arms/{a}/model/model.json").read_text()) for a in ARMS]
    assert models[0]["trained_on"] == models[1]["trained_on"]
    assert set(splits[models[0]["trained_on"]]) == {"train"}
    assert set(splits[models[0]["validated_on"]]) == {"validation"}
    participants = read_table(run / "comparisons/alignment/participants.parquet").index
    assert set(splits[participants]) == {"analysis"}
    for arm in ARMS:
        embedded = Embedding.read(run / f"arms/{arm}/embedding.parquet").sample_ids
        assert set(participants) <= set(embedded)
    scored = pd.read_csv(run / "comparisons/alignment/probes.tsv", sep="\t")
    counts = scored.pivot_table(index="target", columns="arm", values="n")
    assert (counts["native"] == counts["registered"]).all()


def test_those_who_could_not_be_registered_are_counted_and_in_neither_arm(run):
    quality = read_table(run / "arms/registered/qc.parquet")
    failed = quality.index[~quality["ok"]]
    dropped = pd.read_csv(run / "dropped.tsv", sep="\t")
    assert dropped.loc[dropped["stage"] == "registration", "count"].sum() == len(failed)
    for arm in ARMS:
        embedded = Embedding.read(run / f"arms/{arm}/embedding.parquet").sample_ids
        assert not set(failed) & set(embedded)


def test_participants_are_named_where_a_stage_needs_them_and_nowhere_else(finished):
    folder, log = finished
    ids = set(read_splits(folder / "splits.parquet").index)
    naming = {
        path.relative_to(folder).parts[-2:]
        for path in folder.rglob("*")
        if path.suffix in TEXTS and "data" not in path.parts and ids & words_of(path)
    }
    # Whom a model learned from must never be analysed by it.
    assert naming == {("model", "model.json")}
    assert log
    assert not ids & set(WORD.findall(log))
    assert not re.search(r"\b(19|20)\d\d-\d\d-\d\d", log)


def words_of(path: Path) -> set[str]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if path.suffix == ".pdf":  # its words are in packed streams
        starts = [found.end() for found in re.finditer(rb"[^d]stream\r?\n", content)]
        content = b"".join(zlib.decompressobj().decompress(content[at:]) for at in starts)
    return set(WORD.findall(re.sub(r"base64,[^\"]*", "", content.decode("latin1"))))


def test_a_finished_run_is_not_run_again(run, experiment, capsys):
    before = contents(run)
    run_experiment(experiment, run)
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.endswith("done before") for line in lines)
    assert contents(run) == before


def test_only_what_a_change_touches_is_run_again(copy, tmp_path, capsys):
    changed = tmp_path / "changed.toml"
    changed.write_text(EXPERIMENT.replace('"sex", "registered', '"registered'))
    run_experiment(changed, copy)
    again = [line for line in capsys.readouterr().err.splitlines() if line.endswith(" …")]
    assert again == ["comparisons/alignment/probes …", "table2 …", "report …"]


def test_a_run_killed_again_and_again_ends_like_one_that_was_not(run, tmp_path):
    # Of the analyses, what the last of the stages killed is for.
    experiment, folder = tmp_path / "killed.toml", tmp_path / "killed"
    until = EXPERIMENT.index("[probes]")
    experiment.write_text(
        EXPERIMENT[:until] + '[gwas]\n[recurrence]\narms = ["registered"]\nseeds = 1\n'
    )
    code = "import sys; from regreveal.experiment.run import run_experiment as r; r(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(experiment), str(folder)]
    awaited_ones = "arms/registered/register", "arms/native/train", "arms/registered/seeds/4/train"
    for awaited in awaited_ones:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith(f"{awaited} …"):
                break
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    run_experiment(experiment, folder)
    latents = [Embedding.read(f / "arms/native/embedding.parquet").latents for f in (run, folder)]
    np.testing.assert_allclose(latents[0], latents[1], rtol=1e-3, atol=1e-3)
    for name in ("splits.parquet", "arms/registered/qc.parquet", "dropped.tsv"):
        assert (folder / name).read_bytes() == (run / name).read_bytes()


def test_an_arm_is_trained_again_with_another_seed_and_all_else_the_same(run):
    models = [run / "arms/registered/model", run / "arms/registered/seeds/4/model"]
    told = [json.loads((model / "model.json").read_text()) for model in models]
    assert [each.pop("seed") for each in told] == [3, 4]
    for same in ("trained_on", "validated_on", "steps", "latent_size", "batch_size"):
        assert told[0][same] == told[1][same]
    embeddings = [Embedding.read(model.parent / "embedding.parquet") for model in models]
    assert embeddings[0].sample_ids == embeddings[1].sample_ids
    assert np.abs(embeddings[0].latents - embeddings[1].latents).max() > 0.01
    assert not (run / "arms/native/seeds").exists()
    compared = run / "comparisons/alignment/registered"
    summary = json.loads((compared / "recurrence.json").read_text())
    assert summary["seeds"] == [3, 4]
    loci = pd.read_csv(compared / "seeds/4/gwas/loci.tsv", sep="\t")
    assert summary["loci"]["4"] == len(loci)


def test_halves_are_of_the_comparison_s_participants(run):
    compared = run / "comparisons/alignment"
    people = len(read_table(compared / "participants.parquet"))
    for arm in ARMS:
        told = json.loads((compared / arm / "replication/replication.json").read_text())
        assert sum(told["participants"].values()) == people
        assert told["seed"] == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"ecg.median"', '"ecg.mean"', "arms.registered: no tensor map 'ecg.mean'"),
        ('"QRSAlignment"', '"QRSAlinment"', "arms.registered: no registration 'QRSAlinment'"),
        (
            'method = "QRSAlignment"',
            'method = "QRSAlignment", parameters = { speed = 3 }',
            "arms.registered: QRSAlignment: .*speed.* parameters: sampling_rate",
        ),
    ],
)
def test_unknown_names_are_errors_before_anything_is_made(tmp_path, old, new, message):
    path = tmp_path / "typo.toml"
    path.write_text(EXPERIMENT.replace(old, new))
    with pytest.raises(InputError, match=message):
        run_experiment(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_turning_a_comparison_round_turns_its_differences_round(copy, tmp_path):
    turned = tmp_path / "turned.toml"
    turned.write_text(
        EXPERIMENT.replace('baseline = "native"', 'baseline = "registered"').replace(
            'against = "registered"', 'against = "native"'
        )
    )
    table = copy / "comparisons/alignment/probe_differences.tsv"
    before = pd.read_csv(table, sep="\t")
    run_experiment(turned, copy)
    after = pd.read_csv(table, sep="\t")
    assert set(after["arm"]) == {"native"}
    np.testing.assert_allclose(after["difference"], -before["difference"], atol=1e-9)


def test_an_analysis_no_longer_asked_for_leaves_nothing_behind(copy, tmp_path):
    fewer = tmp_path / "fewer.toml"
    fewer.write_text(EXPERIMENT[: EXPERIMENT.index("[gwas]")])
    run_experiment(fewer, copy)
    compared = copy / "comparisons/alignment"
    assert (compared / "probes.tsv").exists()
    assert not (compared / "truth.tsv").exists()
    assert not (compared / "native/gwas").exists()


def test_arms_compared_by_way_of_another_share_their_participants():
    chain = EXPERIMENT.replace(
        "[comparisons.alignment]",
        '[arms.other]\ntensor_map = "ecg.median"\n'
        'registration = { method = "QRSAlignment", input = "ecg.rest_10s" }\n'
        '[comparisons.second]\nbaseline = "registered"\nagainst = "other"\n'
        "[comparisons.alignment]",
    )
    chained = parse_experiment(chain, "chain.toml")
    for arm in ("native", "registered", "other"):
        assert compared_with(chained, arm) == ["native", "other", "registered"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('covariates = ["age", "sex", "pc_1"]', 'covariates = ["agee"]', "gwas: .* 'agee'"),
        ('covariates = ["age", "sex"]', 'covariates = ["agee"]', "phewas: .* 'agee'"),
    ],
)
def test_an_unknown_covariate_is_named_before_anything_is_registered(
    tmp_path, run, old, new, message
):
    """On data that are there already, so that nothing but the check takes time."""
    path = tmp_path / "typo.toml"
    text = EXPERIMENT.replace(old, new).replace("participants = 240\nvariants = 1000\n", "")
    path.write_text(text.replace("[data.simulate]", f'[data]\nfolder = "{run / "data"}"'))
    with pytest.raises(InputError, match=message):
        run_experiment(path, tmp_path / "out")
    assert not (tmp_path / "out" / "arms").exists()


def test_a_site_whose_bim_is_missing_is_told_so(tmp_path, run):
    data = tmp_path / "data"
    shutil.copytree(run / "data", data)
    (data / "genotypes/genome.bim").unlink()
    path = tmp_path / "site.toml"
    text = EXPERIMENT.replace("participants = 240\nvariants = 1000\n", "")
    path.write_text(text.replace("[data.simulate]", f'[data]\nfolder = "{data}"'))
    with pytest.raises(InputError, match=r"genome\.bim"):
        run_experiment(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("qrs_duraton", "no column 'qrs_duraton'"),
        ("native.heart_rate", "'native.heart_rate': this arm has no registration"),
    ],
)
def test_an_unknown_probe_target_is_named_and_a_finished_run_left_as_it_is(
    run, tmp_path, target, message
):
    path = tmp_path / "typo.toml"
    path.write_text(EXPERIMENT.replace("qrs_duration", target))
    files = [run / name for name in ("experiment.toml", "settings.json", "manifest.json")]
    before = [file.read_text() for file in files]
    with pytest.raises(InputError, match=message):
        run_experiment(path, run)
    assert [file.read_text() for file in files] == before


def test_an_unknown_figure_of_a_registration_is_named_with_those_there_are(run, tmp_path):
    path = tmp_path / "typo.toml"
    path.write_text(EXPERIMENT.replace("qrs_duration", "registered.heartrate"))
    with pytest.raises(InputError, match="has no figure 'heartrate'"):
        run_experiment(path, run)


def test_data_that_are_not_there_are_named(tmp_path):
    path = tmp_path / "elsewhere.toml"
    path.write_text(
        EXPERIMENT.replace("[data.simulate]", '[data]\nfolder = "/nowhere"').replace(
            "participants = 240\nvariants = 1000\n", ""
        )
    )
    with pytest.raises(InputError, match="/nowhere: no folder 'tensors'"):
        run_experiment(path, tmp_path / "out")


def test_the_demo_knows_its_experiment_wherever_it_is_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "regreveal.experiment.run.run_experiment", lambda file, out, seed: (file.read_text(), seed)
    )
    text, seed = run_demo(tmp_path / "out", seed=5)
    assert "[data.simulate]" in text
    assert seed == 5
