"""The files of a small study."""

import numpy as np
import pandas as pd
import pytest

from regreveal.store.embedding import Embedding
from tests.genetics.conftest import write_bed
from tests.genetics.scan.study import MEN, PEOPLE, bim


@pytest.fixture
def study(tmp_path):
    """Make files of 300 people: 200 variants on four chromosomes, two of them with an effect."""
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, rng.uniform(0.15, 0.5, 200)[:, None], (200, 300)).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.01] = -1
    chromosome = np.repeat(["1", "2", "10", "X"], 50)
    haploid = np.ix_(chromosome == "X", MEN)
    dosages[haploid] = 2 * (dosages[haploid] > 0)
    latents = rng.standard_normal((300, 4))
    latents[:, 0] += 1.2 * dosages[60] + MEN
    latents[:, 1] += 1.2 * dosages[160]
    bed = write_bed(
        tmp_path / "genome.bed",
        dosages,
        PEOPLE,
        bim(chromosome, 5_000_000 + 10_000 * np.arange(200)),
    )
    Embedding(PEOPLE, latents).write(tmp_path / "embedding.parquet")
    covariates = pd.DataFrame(
        {"age": rng.normal(60, 8, 300), "sex": np.where(MEN, "male", "female")},
        index=pd.Index(PEOPLE, name="sample_id"),
    )
    covariates.to_csv(tmp_path / "covariates.tsv", sep="\t")
    return tmp_path, bed, covariates
