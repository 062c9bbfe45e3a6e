import inspect
import json

import numpy as np
import pandas as pd
import pytest
from bed_reader import to_bed
from scipy import stats
from typer.testing import CliRunner

from regreveal.cli.main import app
from regreveal.errors import InputError
from regreveal.genetics.genotypes import open_genotypes
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


def test_regenie_gets_the_latents_that_are_tested(data):
    """Predictions of other numbers than those tested would be worth nothing."""
    out = data / "step1"
    result = CliRunner().invoke(
        app,
        ["regenie-inputs", "--embedding", str(data / "known.parquet"), "--genotypes",
         str(data / "genome.bed"), "--out", str(out), "--transform", "rint"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "340 participants, 3 phenotypes" in result.output
    written = pd.read_csv(out / "phenotypes.txt", sep=" ")
    assert list(written.columns) == ["FID", "IID", "latent_0", "latent_1", "latent_2"]
    embedding = Embedding.read(data / "known.parquet")
    ranks = pd.DataFrame(embedding.select(written["IID"])).rank().to_numpy()
    expected = stats.norm.ppf((ranks - 3 / 8) / (340 + 1 / 4))
    np.testing.assert_allclose(written.iloc[:, 2:], expected, atol=1e-8)
    family = pd.read_csv(data / "genome.fam", sep=r"\s+", header=None, dtype=str)
    assert list(written["FID"].astype(str)) == list(family.set_index(1)[0].loc[written["IID"]])


def test_every_option_reaches_the_scan(data):
    (data / "known.tsv").write_text("chromosome\tposition\n1\t3000\n")
    pd.DataFrame({"sample_id": [f"person-{i}" for i in range(400)], "age": range(400)}).to_csv(
        data / "age.tsv", sep="\t", index=False
    )
    variants = open_genotypes(data / "genome.bed").variants["variant_id"]
    (data / "ids.txt").write_text("\n".join([*variants[3:6], "elsewhere"]))
    result = gwas(
        data, "unknown.parquet", "--covariates", data / "age.tsv", "--include", data / "ids.txt",
        "--region", "1:1-5500", "--min-maf", "0.01", "--max-missing", "0.5", "--hwe", "1e-300",
        "--criteria", "wilks,roy", "--min-p", "--per-dimension", "--regenie", "--top", "0.99999",
        "--dtype", "float64", "--coding", "additive", "--known", data / "known.tsv",
        "--build", "GRCh38", "--threads", "1", "--exclude", data / "known.tsv",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    summary = json.loads((data / "out/gwas.json").read_text())
    assert summary["variants"]["tested"] == 2
    assert summary["variants"]["listed_never_found"] == 1
    assert "left out       3  variants: not in list\n" in result.output
    assert "left out      25  variants: outside regions\n" in result.output
    assert "warning: 1 listed ids are not in the genotypes" in result.output
    table = pd.read_csv(data / "out/manova.tsv.gz", sep="\t")
    assert {"wilks", "roy_neg_log10_p", "min_p_dimension"} <= set(table)
    names = sorted(path.name for path in (data / "out/dimensions").iterdir())
    assert names[:4] == [
        "latent_0.regenie.gz",
        "latent_0.tsv.gz",
        "latent_0.tsv.gz-meta.yaml",
        "latent_0.tsv.gz.tbi",
    ]
    assert "GRCh38" in (data / "out/dimensions/latent_0.tsv.gz-meta.yaml").read_text()


def test_relatives_are_warned_of(tmp_path):
    generator = np.random.default_rng(1)
    one = generator.binomial(2, 0.4, (100, 1000))
    people = np.vstack([one, one])  # everybody has a twin
    ids = [f"person-{i}" for i in range(200)]
    to_bed(
        tmp_path / "genome.bed",
        people.astype(float),
        properties={
            "iid": ids,
            "chromosome": np.repeat(np.arange(1, 11).astype(str), 100),
            "bp_position": np.tile(np.arange(1, 101) * 1_000_000, 10),
        },
    )
    Embedding(ids, generator.normal(size=(200, 3))).write(tmp_path / "latents.parquet")
    result = gwas(tmp_path, "latents.parquet")
    assert result.exit_code == 0, result.output
    assert "have 100 pairs of first-degree relatives" in result.output
