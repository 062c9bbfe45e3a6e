import inspect
import json

import numpy as np
import pytest
from bed_reader import to_bed
from typer.testing import CliRunner

from regreveal.cli.main import app
from regreveal.errors import InputError
from regreveal.store.cohort import make_splits, write_table
from regreveal.store.embedding import Embedding


@pytest.fixture
def data(tmp_path):
    """Genotypes and latents of 400: 40 to train, 20 for validation, 340 to analyse."""
    generator = np.random.default_rng(0)
    ids = [f"person-{i}" for i in range(400)]
    to_bed(
        tmp_path / "genome.bed",
        generator.binomial(2, 0.3, (400, 30)).astype(float),
        properties={"iid": ids, "chromosome": ["1"] * 30, "bp_position": np.arange(1, 31) * 1000},
    )
    splits = make_splits(ids, {"train": 0.1, "validation": 0.05, "analysis": 0.85}, seed=1)
    write_table(splits, tmp_path / "splits.tsv")
    groups = splits.groupby("split")["sample_id"].agg(list)
    seen = {"trained_on": groups["train"], "validated_on": groups["validation"]}
    latents = generator.normal(size=(400, 3))
    Embedding(ids, latents, seen).write(tmp_path / "known.parquet")
    Embedding(ids, latents).write(tmp_path / "unknown.parquet")
    Embedding(groups["train"], latents[:40], seen).write(tmp_path / "trained.parquet")
    return tmp_path


def gwas(data, embedding, *more):
    options = {"embedding": data / embedding, "genotypes": data / "genome.bed", "out": data / "out"}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return CliRunner().invoke(app, ["gwas", *arguments, *map(str, more)])


@pytest.mark.parametrize(
    ("embedding", "with_splits", "left_out"),
    [
        ("known.parquet", False, "60  seen in training or validation by the model of 'latents'"),
        ("known.parquet", True, "60  not an analysis participant"),
        ("unknown.parquet", True, "60  not an analysis participant"),
    ],
)
def test_gwas_leaves_out_those_the_model_has_seen(data, embedding, with_splits, left_out):
    result = gwas(data, embedding, *(["--splits", data / "splits.tsv"] if with_splits else []))
    assert result.exit_code == 0, result.output
    participants = json.loads((data / "out/gwas.json").read_text())["participants"]
    assert participants["analysed"] == 340
    assert participants["seen_in_training"] == 0
    assert f"left out      {left_out}\n" in result.output


def test_latents_of_unknown_origin_are_all_tested(data):
    result = gwas(data, "unknown.parquet")
    assert "400 participants, 30 of 30 variants tested" in result.output
    assert "left out" not in result.output


def test_nobody_left_is_an_error_that_counts(data):
    result = gwas(data, "trained.parquet")
    assert isinstance(result.exception, InputError)
    assert "no participant is left of 40 (seen in training or validation" in str(result.exception)
    assert not (data / "out").exists()


def test_the_command_and_the_library_test_the_same_groups_by_default():
    from regreveal.cli.gwas import gwas
    from regreveal.genetics.gwas import MINIMUM_COUNT

    assert inspect.signature(gwas).parameters["minimum_count"].default == MINIMUM_COUNT
