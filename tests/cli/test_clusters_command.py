import json

import numpy as np
import pandas as pd
import pytest
import typer
from bed_reader import to_bed
from typer.testing import CliRunner

from regreveal.cli.clusters import clusters
from regreveal.errors import InputError
from regreveal.store.embedding import Embedding

app = typer.Typer()
app.command()(clusters)

PEOPLE, SIZE = 700, 6
IDS = [f"p{i}" for i in range(PEOPLE)]
NAMES = [f"rs{i}" for i in range(8)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six variants of two directions in `good`, of none in `bad`, and two that nobody asks for."""
    folder = tmp_path_factory.mktemp("clusters")
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, 0.4, (PEOPLE, 8)).astype(float)
    directions = np.linalg.qr(rng.standard_normal((SIZE, 2)))[0].T
    effects = 0.5 * np.vstack([directions[[0, 0, 0, 1, 1, 1]], np.zeros((2, SIZE))])
    age = rng.standard_normal(PEOPLE)
    latents = rng.standard_normal((PEOPLE, SIZE)) + dosages @ effects + age[:, None]
    Embedding(IDS, latents, {"trained_on": IDS[:40]}).write(folder / "good.parquet")
    Embedding(IDS, rng.standard_normal((PEOPLE, SIZE))).write(folder / "bad.parquet")
    positions = [10_000_000 * (i + 1) for i in range(8)]
    properties = {"iid": IDS, "fid": IDS, "chromosome": ["1"] * 8, "bp_position": positions}
    properties |= {"sid": NAMES, "allele_1": ["G"] * 8, "allele_2": ["A"] * 8}
    to_bed(folder / "genome.bed", dosages, properties=properties)
    pd.DataFrame({"sample_id": IDS, "age": age}).to_csv(folder / "age.tsv", sep="\t", index=False)
    loci = pd.DataFrame({"row": range(6), "variant_id": NAMES[:6], "position": positions[:6]})
    loci = loci.assign(chromosome="1", start=loci["position"], end=loci["position"], ref="A")
    loci = loci.assign(alt="G", neg_log10_p_corrected=9.0, nearest_gene=[f"G{i}" for i in range(6)])
    loci.to_csv(folder / "loci.tsv", sep="\t", index=False)
    loci.iloc[3:5].to_csv(folder / "fewer.tsv", sep="\t", index=False)
    (folder / "list.txt").write_text("\n".join([*NAMES[:6], "rs99"]) + "\n")
    (folder / "none.txt").write_text("rs98\nrs99\n")
    return folder


def invoke(data, *options):
    arguments = ["--genotypes", str(data / "genome.bed"), "--bootstraps", "5"]
    return CliRunner().invoke(app, [*arguments, *map(str, options)])


def test_lead_variants_of_a_gwas_are_clustered_drawn_and_told(data, tmp_path):
    result = invoke(
        data, "--embedding", data / "good.parquet", "--loci", data / "loci.tsv",
        "--covariates", data / "age.tsv", "--out", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "clusters.tsv", sep="\t")
    assert table.groupby("cluster")["gene"].agg(",".join).tolist() in (
        ["G0,G1,G2", "G3,G4,G5"], ["G3,G4,G5", "G0,G1,G2"],
    )  # fmt: skip
    told = json.loads((tmp_path / "clusters.json").read_text())
    assert told["participants"] == PEOPLE - 40
    assert not told["signed"]
    assert (tmp_path / "clusters.png").stat().st_size > 5000
    assert "seen in training or validation" in result.output
    assert "660 participants, 6 variants, 2 clusters" in result.output


def test_a_list_of_variants_is_clustered_and_unknown_ones_are_counted(data, tmp_path):
    result = invoke(
        data, "--embedding", data / "good.parquet", "--variants", data / "list.txt",
        "--height", 0.9, "--signed", "--out", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "1 listed ids are not in the genotypes" in result.output
    told = json.loads((tmp_path / "clusters.json").read_text())
    assert (told["variants"], told["height"], told["signed"]) == (6, 0.9, True)


def test_several_embeddings_are_compared_on_one_lead_for_each_place(data, tmp_path):
    result = invoke(
        data, "--embedding", f"one={data / 'good.parquet'}", "--embedding",
        data / "bad.parquet", "--loci", data / "loci.tsv", "--loci", data / "fewer.tsv",
        "--permutations", 99, "--out", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    agreement = pd.read_csv(tmp_path / "cluster_agreement.tsv", sep="\t").iloc[0]
    assert (agreement["baseline"], agreement["against"]) == ("one", "bad")
    assert agreement["variants"] == 6
    assert (tmp_path / "one-bad.png").is_file()
    assert (tmp_path / "bad" / "clusters.tsv").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --loci or --variants"),
        (["--loci", "loci.tsv", "--variants", "list.txt"], "give either --loci or --variants"),
        (["--variants", "none.txt"], "none of its 2 variants is in genome.bed, whose ids"),
        (["--loci", "moved.tsv"], "lead variant 'rs0' is not in row 3 of genome.bed"),
        (["--loci", "empty.tsv"], "no loci, so there is nothing to cluster"),
        (["--loci", "loci.tsv", "--height", "3"], "height 3.0; expected a distance above 0"),
    ],
)
def test_what_cannot_be_clustered_is_said_in_one_line(data, tmp_path, options, message):
    loci = pd.read_csv(data / "loci.tsv", sep="\t")
    loci.assign(row=loci["row"] + 3).to_csv(data / "moved.tsv", sep="\t", index=False)
    loci.iloc[:0].to_csv(data / "empty.tsv", sep="\t", index=False)
    options = [data / option if "." in option else option for option in options]
    result = invoke(data, "--embedding", data / "good.parquet", *options, "--out", tmp_path)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_table_of_something_else_is_no_table_of_loci(data, tmp_path):
    result = invoke(
        data, "--embedding", data / "good.parquet", "--loci", data / "age.tsv",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert isinstance(result.exception, InputError)
    assert "age.tsv: no column 'row'" in str(result.exception)
    assert not (tmp_path / "out").exists()
