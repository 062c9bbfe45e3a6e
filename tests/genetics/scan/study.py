"""A small study whose GWAS the tests of this folder make, and what came of it."""

import json

import numpy as np
import pandas as pd

from regreveal.genetics.gwas import run_gwas
from regreveal.store.embedding import Embedding
from tests.genetics.conftest import write_bed

PEOPLE = [f"p{i}" for i in range(300)]
MEN = np.arange(300) % 2 == 0
ALL_OUTPUTS = {
    "per_dimension": True,
    "regenie_tables": True,
    "criteria": ("wilks",),
    "minimum_p": True,
}


def bim(chromosome, position):
    rows = np.arange(len(position))
    return pd.DataFrame(
        {
            "chromosome": chromosome,
            "variant_id": [f"rs{row}" for row in rows],
            "centimorgan": 0,
            "position": position,
            "alt": "A",
            "ref": "C",
        }
    )


def write_study(folder, dosages, variants, latents):
    bed = write_bed(folder / "odd.bed", dosages, PEOPLE, variants)
    Embedding(PEOPLE, latents).write(folder / "odd.parquet")
    return folder / "odd.parquet", bed


def gwas(study, name="out", **options):
    folder, bed, _ = study
    options = {"sex_column": "sex", "covariate_columns": ["age"], "block_size": 16} | options
    return run_gwas(
        folder / "embedding.parquet", bed, folder / "covariates.tsv", folder / name, **options
    )


def read(path):
    return pd.read_csv(path, sep="\t", dtype={"chromosome": str})


def published(folder):
    """Bytes of every file of a finished run, but for the time it took."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
    summary = json.loads(files.pop("gwas.json"))
    del summary["seconds"]
    return files | {"gwas.json": summary}
