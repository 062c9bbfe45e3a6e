"""Latents and genotypes of a few variants, and what statsmodels makes of them."""

import numpy as np
from statsmodels.multivariate.manova import MANOVA

CODINGS = ("genotype", "additive")
FREQUENCIES = (0.05, 0.12, 0.3, 0.5, 0.8, 0.95)


def simulate(n=300, k=8, c=3, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    dosages = np.stack([rng.binomial(2, f, n) for f in FREQUENCIES]).astype(np.int8)
    dosages[:, :6] = [0, 0, 1, 1, 2, 2]  # every genotype is seen, so that statsmodels can fit
    dosages[rng.random(dosages.shape) < missing] = -1
    covariates = rng.standard_normal((n, c)) if c else None
    latents = rng.standard_normal((n, k)) + 3
    latents[:, 0] += 0.3 * dosages[2]
    if c:
        latents[:, -1] += covariates[:, 0]
    return latents, covariates, dosages


def design_of(dosage, coding):
    columns = [dosage == 1, dosage == 2] if coding == "genotype" else [dosage]
    return np.column_stack(columns).astype(float)


def statsmodels_pillai(latents, design, covariates):
    constant = np.ones((len(latents), 1))
    exog = np.hstack([design, constant] + ([] if covariates is None else [covariates]))
    contrast = np.eye(design.shape[1], exog.shape[1])
    table = MANOVA(latents, exog).mv_test([("genotype", contrast)]).results["genotype"]["stat"]
    return table.loc["Pillai's trace", ["Value", "F Value", "Num DF", "Den DF"]].astype(float)
