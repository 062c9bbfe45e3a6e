"""Variants in linkage disequilibrium, for tests."""

import numpy as np


def with_r2(dosage, r2, rng):
    """Copy a variant, replacing people at random until the correlation is about √r²."""
    copy = dosage.copy()
    chosen = rng.random(len(dosage)) < 1 - np.sqrt(r2)
    copy[chosen] = rng.permutation(dosage)[chosen]
    return copy


def linked_variants(rng, count, n):
    """Make variants in LD: each either new or a noisy copy of one before it."""
    dosages = np.empty((count, n), np.int8)
    for row in range(count):
        fresh = rng.binomial(2, rng.uniform(0.05, 0.95), n)
        if row and rng.random() < 0.7:
            kept = rng.random(n) < rng.uniform(0.3, 1)
            fresh = np.where(kept, dosages[rng.integers(row)], fresh)
        dosages[row] = fresh
    dosages[rng.random(dosages.shape) < 0.01] = -1
    return dosages
