import inspect
import json

import numpy as np
import pandas as pd
import pytest
from bed_reader import to_bed
from scipy import stats
from typer.testing import CliRunner

from regreveal.cli.main import app
from regreveal.cli.participants import read_participant_list
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
    return invoke("gwas", data, embedding, data / "out", *more)


def regenie_inputs(data, embedding, *more):
    return invoke("regenie-inputs", data, embedding, data / "step1", *more)


def invoke(command, data, embedding, out, *more):
    options = {"embedding": data / embedding, "genotypes": data / "genome.bed", "out": out}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return CliRunner().invoke(app, [command, *arguments, *map(str, more)])


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
    from regreveal.genetics.gwas import GENOME_WIDE, MINIMUM_COUNT

    defaults = {name: each.default for name, each in inspect.signature(gwas).parameters.items()}
    assert defaults["minimum_count"] == MINIMUM_COUNT
    assert defaults["threshold"] == GENOME_WIDE


def test_regenie_gets_the_latents_that_are_tested(data):
    """Predictions of other numbers than those tested would be worth nothing."""
    result = regenie_inputs(data, "known.parquet", "--transform", "rint")
    assert result.exit_code == 0, result.output
    assert "340 participants, 3 phenotypes" in result.output
    written = pd.read_csv(data / "step1/phenotypes.txt", sep=" ")
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
    assert "among 200 sampled participants are 100 pairs of first-degree" in result.output
    assert "lambda GC is" in result.output
    (tmp_path / "ids.txt").write_text("nowhere")
    result = gwas(tmp_path, "latents.parquet", "--include", tmp_path / "ids.txt")
    assert "among 200 sampled participants are 100 pairs of first-degree" in result.output
    assert "lambda GC" not in result.output
    assert "none of 1000 variants could be tested" in str(result.exception)


@pytest.mark.parametrize(
    "lines",
    [
        "person-{i}",
        "family-{i}\tperson-{i}",
        "family-{i} person-{i} and more",
    ],
)
def test_lists_say_who_is_analysed(data, lines):
    def write(name, numbers):
        text = "\n".join(["# a list", *(lines.format(i=i) for i in numbers), ""])
        (data / name).write_text(text)
        return data / name

    keep = write("keep.txt", range(100, 502))
    remove = write("remove.txt", [*range(100, 150), 1000])
    result = gwas(data, "unknown.parquet", "--keep", keep, "--remove", remove)
    assert result.exit_code == 0, result.output
    assert "250 participants, 30 of 30 variants tested" in result.output
    assert "left out      50  in the --remove list\n" in result.output
    assert "left out     100  not in the --keep list\n" in result.output
    assert "102 of the 402 participants in the --keep list are not in the emb" in result.output
    assert "1 of the 51 participants in the --remove list are not in the emb" in result.output
    step1 = regenie_inputs(data, "unknown.parquet", "--keep", keep, "--remove", remove)
    assert step1.exit_code == 0, step1.output
    assert "250 participants" in step1.output
    written = pd.read_csv(data / "step1/phenotypes.txt", sep=" ")
    assert set(written["IID"]) == {f"person-{i}" for i in range(150, 400)}


def test_a_header_says_that_the_first_column_has_the_ids(tmp_path):
    (tmp_path / "list.txt").write_text("#IID SEX\nperson-1 2\n\nperson-2 1\n")
    assert read_participant_list(tmp_path / "list.txt") == {"person-1", "person-2"}
    (tmp_path / "list.txt").write_text("#FID IID SEX\nf person-1 2\nf person-2 1\n")
    assert read_participant_list(tmp_path / "list.txt") == {"person-1", "person-2"}


def test_lists_that_cannot_be_used_are_told_of(data):
    (data / "all.txt").write_text("\n".join(f"person-{i}" for i in range(400)))
    (data / "others.txt").write_text("somebody\n")
    (data / "empty.txt").write_text("# nobody\n")
    for option, name, told in (
        ("--remove", "all.txt", "no participant is left of 400 (in the --remove list: 400)"),
        ("--keep", "others.txt", "no participant is left of 400 (not in the --keep list: 400)"),
        ("--keep", "empty.txt", "empty.txt: no participants in it"),
        ("--remove", "missing.txt", "missing.txt: no such file"),
        ("--remove", "known.parquet", "known.parquet: not a text file"),
    ):
        result = gwas(data, "unknown.parquet", option, data / name)
        assert isinstance(result.exception, InputError), result.output
        assert told in str(result.exception)


def test_options_go_by_the_names_that_other_programs_have(data):
    people = [f"person-{i}" for i in range(400)]
    age = pd.DataFrame({"sample_id": people, "age": range(400)})
    age.to_csv(data / "age.tsv", sep="\t", index=False)
    variants = open_genotypes(data / "genome.bed").variants["variant_id"]
    (data / "ids.txt").write_text("\n".join(variants[3:9]))
    told = []
    for names in (
        "--covariates --include --min-maf --min-mac --max-missing --min-info --region",
        "--covar --extract --maf --mac --geno --info --chr",
    ):
        values = data / "age.tsv", data / "ids.txt", 0.1, 30, 0.2, 0.3, "1:1-8000"
        options = [text for pair in zip(names.split(), values, strict=True) for text in pair]
        result = gwas(data, "unknown.parquet", *options, "--max-maf", 0.4, "--threshold", 0.5)
        assert result.exit_code == 0, result.output
        told.append(json.loads((data / "out/gwas.json").read_text())["settings"])
    assert told[0] == told[1]
    assert told[0]["covariates"] == ["age"]
    assert told[0]["threshold"] == 0.5
    assert told[0]["filter"] == {
        "minimum_maf": 0.1,
        "maximum_maf": 0.4,
        "minimum_mac": 30,
        "minimum_info": 0.3,
        "maximum_missing": 0.2,
        "regions": 1,
        "include": 6,
        "autosomes": 22,
    }
    assert (data / "out/manhattan.pdf").exists()


def test_a_threshold_makes_loci_of_what_is_below_it(data):
    assert "0 loci" in gwas(data, "unknown.parquet").output
    result = gwas(data, "unknown.parquet", "--threshold", 0.9)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(data / "out/manova.tsv.gz", sep="\t")
    loci = pd.read_csv(data / "out/loci.tsv", sep="\t")
    strongest = table.loc[table["neg_log10_p_corrected"].idxmax(), "variant_id"]
    assert strongest in set(loci["variant_id"])
    for wrong in ("0", "1.5", "nan"):
        result = gwas(data, "unknown.parquet", "--threshold", wrong)
        assert "--threshold" in str(result.exception)


def test_a_file_of_regions_must_be_there_and_a_chromosome_is_no_file(data, monkeypatch):
    monkeypatch.chdir(data)
    for name in ("typo.bed", "regions/typo", "typo.bed.gz"):
        result = gwas(data, "unknown.parquet", "--region", name)
        assert isinstance(result.exception, InputError)
        assert f"{name}: no such file" in str(result.exception)
    (data / "1").write_text("a file that has the name of a chromosome")
    assert "30 of 30 variants tested" in gwas(data, "unknown.parquet", "--region", "1").output
    (data / "some.bed").write_text("1 999 3000\n")
    result = gwas(data, "unknown.parquet", "--region", "some.bed")
    assert "3 of 30 variants tested" in result.output


@pytest.mark.parametrize(
    "options", [["--region", "2"], ["--maf", "0.45"], ["--min-p", "--minimum-count", "500"]]
)
def test_nothing_tested_is_told_with_counts_and_without_plots(data, options):
    assert gwas(data, "unknown.parquet").exit_code == 0
    result = gwas(data, "unknown.parquet", *options)
    assert result.exit_code == 1
    assert isinstance(result.exception, InputError)
    assert "none of 30 variants could be tested" in str(result.exception)
    assert "\n" not in str(result.exception)
    assert "left out      30  variants: " in result.output
    assert "400 participants, 0 of 30 variants tested" in result.output
    summary = json.loads((data / "out/gwas.json").read_text())
    assert summary["variants"]["tested"] == 0
    assert summary["lambda_gc"] is None
    assert (data / "out/loci.tsv").exists()
    assert not list((data / "out").glob("*.p[nd][gf]"))


def test_participants_who_lack_something_are_told(data):
    age = pd.DataFrame({"sample_id": [f"person-{i}" for i in range(370)], "age": range(370)})
    age.loc[:9, "age"] = np.nan
    age.to_csv(data / "age.tsv", sep="\t", index=False)
    embedding = Embedding.read(data / "unknown.parquet")
    ids = [*embedding.sample_ids[:-1], "not genotyped"]
    Embedding(ids, embedding.select(embedding.sample_ids)).write(data / "other.parquet")
    for command in (gwas, regenie_inputs):
        result = command(data, "other.parquet", "--covar", data / "age.tsv")
        assert result.exit_code == 0, result.output
        assert "left out       1  without genotypes\n" in result.output
        assert "left out      29  without covariates\n" in result.output
        assert "left out      10  missing covariate values\n" in result.output
        assert "360 participants" in result.output


def test_regenie_inputs_takes_the_files_that_gwas_takes(data):
    for suffix in ("bed", "bim", "fam"):
        (data / f"more.{suffix}").write_bytes((data / f"genome.{suffix}").read_bytes())
    result = regenie_inputs(data, "known.parquet", "--genotypes", data / "more.bed")
    assert result.exit_code == 0, result.output
    assert "340 participants, 3 phenotypes" in result.output
