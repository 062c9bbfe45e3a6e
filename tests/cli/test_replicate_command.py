import json

import numpy as np
import pandas as pd
import pytest
import typer
from bed_reader import to_bed
from typer.testing import CliRunner

from regreveal.cli.replicate import replicate
from regreveal.errors import InputError
from regreveal.store.embedding import Embedding

app = typer.Typer()
app.command()(replicate)

PEOPLE = [f"p{i}" for i in range(900)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One variant of twenty moves the latents; the first hundred people were learned from."""
    folder = tmp_path_factory.mktemp("replicate")
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, 0.4, (900, 20)).astype(float)
    latents = rng.standard_normal((900, 4))
    latents[:, 1] += 0.8 * dosages[:, 3]
    Embedding(PEOPLE, latents, {"trained_on": PEOPLE[:100]}).write(folder / "latents.parquet")
    positions = [2_000_000 * (i + 1) for i in range(20)]
    properties = {"iid": PEOPLE, "fid": PEOPLE, "chromosome": ["1"] * 20}
    properties |= {"bp_position": positions, "sid": [f"rs{i}" for i in range(20)]}
    to_bed(folder / "genome.bed", dosages, properties=properties)
    splits = pd.DataFrame({"sample_id": PEOPLE, "split": "analysis", "fold": np.arange(900) % 5})
    splits.to_parquet(folder / "splits.parquet")
    genes = {"chromosome": ["1"], "start": [7_900_000], "end": [8_100_000], "gene": ["HERE"]}
    pd.DataFrame(genes).to_csv(folder / "genes.tsv", sep="\t", index=False)
    return folder


def invoke(data, out, *options):
    arguments = ["--embedding", data / "latents.parquet", "--genotypes", data / "genome.bed"]
    return CliRunner().invoke(app, [*map(str, [*arguments, "--out", out, *options])])


def test_loci_replicate_between_halves_of_those_nobody_learned_from(data, tmp_path):
    result = invoke(
        data, tmp_path, "--coding", "additive", "--splits", data / "splits.parquet",
        "--genes", data / "genes.tsv", "--seed", 5,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = "halves of 400 and 400 participants, 1 loci found in either, of 1 tested 1 replicated"
    assert told in result.output.replace("\n", " ")
    leads = pd.read_csv(tmp_path / "leads.tsv", sep="\t")
    assert set(leads["nearest_gene"]) == {"HERE"}
    assert leads["discovery"].tolist() == [1, 2]
    assert json.loads((tmp_path / "replication.json").read_text())["seed"] == 5


def test_a_threshold_that_is_no_p_value_is_refused(data, tmp_path):
    result = invoke(data, tmp_path, "--threshold", 2)
    assert isinstance(result.exception, InputError)
    assert "--threshold 2.0: expected a p-value" in str(result.exception)
