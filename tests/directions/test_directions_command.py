import json

import numpy as np
import pandas as pd
import pytest
import typer
from bed_reader import to_bed
from linear_toy import IDS, N
from typer.testing import CliRunner

from regreveal.cli.directions import directions
from regreveal.errors import InputError
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding

app = typer.Typer()
app.command()(directions)


@pytest.fixture(scope="module")
def files(toy, tmp_path_factory):
    """What a user has: an embedding, genotypes, phenotypes and covariates."""
    folder = tmp_path_factory.mktemp("files")
    seen = {"trained_on": IDS[:20]}
    Embedding(IDS, toy.embedding.latents, seen).write(folder / "embedding.parquet")
    dosages = toy.variables[0].numbers.to_numpy()
    told = {"iid": IDS, "sid": ["rs1", "rs2"], "allele_1": ["C", "T"], "allele_2": ["A", "A"]}
    to_bed(folder / "genome.bed", np.column_stack([dosages, dosages]), properties=told)
    write_table(toy.cohort.rename_axis("sample_id"), folder / "cohort.tsv")
    smoking = (np.arange(N) % 3 == 0).astype(int)
    phenotypes = pd.DataFrame({"sample_id": IDS, "smoking": smoking, "rare": np.arange(N) == 30})
    write_table(phenotypes.astype({"rare": int}), folder / "phenotypes.tsv")
    return folder


def run(toy, files, out, **options):
    arguments = {
        "embedding": files / "embedding.parquet",
        "model": toy.model.folder,
        "store": toy.model.store.path,
        "out": out,
        **options,
    }
    words = [
        word
        for name, value in arguments.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_variants_and_phenotypes_are_decoded_together_with_figures(toy, files, tmp_path):
    result = run(
        toy,
        files,
        tmp_path,
        genotypes=files / "genome.bed",
        variants="rs1",
        phenotypes=files / "phenotypes.tsv",
        columns="smoking,rare",
        covariates=files / "cohort.tsv",
        steps="-2,0,2",
    )
    assert result.exit_code == 0, result.output
    assert "not decoded: rare: fewer than 20 participants differ from the others" in result.output
    assert "2 directions, 280 participants" in result.output
    assert "seen in training or validation" in result.output
    table = pd.read_csv(tmp_path / "directions.tsv", sep="\t")
    assert table["kind"].tolist() == ["variant", "phenotype", "phenotype"]
    assert table["unit"].tolist() == ["C allele", "case", "case"]
    assert json.loads((tmp_path / "directions.json").read_text())["units"] == "mV"
    with np.load(tmp_path / "01.npz") as arrays:
        assert arrays["steps"].tolist() == [-2, 0, 2]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["01.png", "02.png"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "give --variants or --columns"),
        ({"variants": "rs1"}, "--variants with --genotypes"),
        ({"genotypes": "genome.bed", "variants": "rs9"}, "0 variants have the id 'rs9'"),
        ({"phenotypes": "phenotypes.tsv", "columns": "height"}, "no column 'height'"),
        ({"phenotypes": "phenotypes.tsv", "columns": "rare", "steps": "3,1"}, "--steps: '3,1'"),
        ({"phenotypes": "phenotypes.tsv", "columns": "rare", "steps": "a"}, "expected numbers"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(toy, files, tmp_path, options, told):
    paths = {name: files / options[name] for name in ("genotypes", "phenotypes") if name in options}
    with pytest.raises(InputError, match=told):
        run(toy, files, tmp_path, **{**options, **paths})
    assert not list(tmp_path.iterdir())


def test_model_that_did_not_make_the_embedding_is_refused(toy, files, tmp_path):
    Embedding(IDS, toy.embedding.latents, {"model": "0" * 64}).write(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="its encoder is another than the one that made"):
        run(
            toy,
            files,
            tmp_path / "out",
            embedding=tmp_path / "other.parquet",
            phenotypes=files / "phenotypes.tsv",
            columns="smoking",
        )
