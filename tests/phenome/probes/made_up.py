"""Participants that tests of probes make up."""

import numpy as np
import pandas as pd

from regreveal.store.cohort import make_splits


def ids_of(n):
    return pd.Index([f"person-{i}" for i in range(n)], name="sample_id")


def folds_of(n, seed=0):
    splits = make_splits(ids_of(n), {"train": 0.0, "validation": 0.0, "analysis": 1.0}, seed)
    return splits.set_index("sample_id")["fold"]


def draw_cohort(n, seed, dimensions=4, signal=1.0):
    """Latents, and a number they carry: a series indexed by sample id."""
    generator = np.random.default_rng(seed)
    latents = generator.normal(size=(n, dimensions))
    number = signal * latents[:, 0] + generator.normal(size=n)
    return latents, pd.Series(number, index=ids_of(n), name="heart_rate")
