from fractions import Fraction
from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.genetics.genotypes.variant_quality import dosage_info, hwe_exact

# Imputation quality


def test_quality_is_the_variance_over_that_of_certain_genotypes():
    rng = np.random.default_rng(0)
    dosages = rng.beta(0.4, 1, (20, 400)) * 2
    dosages[rng.random(dosages.shape) < 0.1] = np.nan
    dosages = dosages.astype(np.float32)
    p = np.nanmean(dosages.astype(float), axis=1) / 2
    expected = np.nanvar(dosages.astype(float), axis=1) / (2 * p * (1 - p))
    np.testing.assert_allclose(dosage_info(dosages), expected, rtol=1e-12)


def test_certain_genotypes_blurred_to_a_known_degree():
    # Means of genotypes given data that explain a share r² of their variance.
    rng = np.random.default_rng(1)
    genotypes = rng.binomial(2, 0.3, (1, 400_000))
    for r2 in (0.2, 0.9):
        known = rng.random(genotypes.shape) < r2
        dosages = np.where(known, genotypes, 0.6).astype(np.float32)
        assert dosage_info(dosages)[0] == pytest.approx(r2, abs=0.01)


def test_hard_calls_have_full_quality_in_either_type():
    calls = np.array([[0, 1, 2, -1], [0, 0, 0, 0], [-1, -1, -1, -1]], dtype=np.int8)
    as_dosages = np.where(calls < 0, np.nan, calls).astype(np.float32)
    np.testing.assert_array_equal(dosage_info(calls), [1, 1, np.nan])
    np.testing.assert_array_equal(dosage_info(as_dosages), [1, 1, np.nan])


# Hardy-Weinberg equilibrium


def enumerated_p(n_het, n_hom1, n_hom2):
    """Exact p in whole-number arithmetic, from the ways to pair up the alleles."""
    n, rarer = n_het + n_hom1 + n_hom2, n_het + 2 * n_hom1
    ways = {
        het: comb(n, het) * comb(n - het, (rarer - het) // 2) * 2**het
        for het in range(rarer % 2, min(rarer, 2 * n - rarer) + 1, 2)
    }
    return float(
        Fraction(sum(way for way in ways.values() if way <= ways[n_het]), sum(ways.values()))
    )


@settings(max_examples=300, deadline=None)
@given(counts=st.tuples(*[st.integers(0, 60)] * 3))
def test_the_exact_test_is_that_of_enumeration(counts):
    assert hwe_exact(*counts)[0] == pytest.approx(enumerated_p(*counts), rel=1e-12)


def test_the_exact_test_of_all_small_samples():
    counts = [(h, a, n - h - a) for n in range(13) for h in range(n + 1) for a in range(n - h + 1)]
    expected = [enumerated_p(*row) for row in counts]
    np.testing.assert_allclose(hwe_exact(*np.array(counts).T), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("n_het", "n_hom1", "n_hom2"),
    [
        (95_700, 6_050, 298_250),  # near equilibrium
        (198_000, 101_000, 101_000),
        (90_000, 8_000, 302_000),  # p about 1e-280
        (12, 3, 399_985),
    ],
)
def test_the_exact_test_of_400_000_people(n_het, n_hom1, n_hom2):
    # Every number of heterozygotes, from the fewest up, with 30 digits and exponents without end.
    n, rarer = n_het + n_hom1 + n_hom2, n_het + 2 * n_hom1
    with mpmath.workdps(30):
        likelihood, value = {}, mpmath.mpf(1)
        for het in range(rarer % 2, rarer + 1, 2):
            likelihood[het] = value
            value *= (rarer - het) * (2 * n - rarer - het)
            value /= (het + 2) * (het + 1)
        limit = likelihood[n_het] * (1 + mpmath.mpf(10) ** -20)
        tail = sum(value for value in likelihood.values() if value <= limit)
        expected = float(tail / sum(likelihood.values()))
    assert hwe_exact(n_het, n_hom1, n_hom2)[0] == pytest.approx(expected, rel=1e-10)


def test_far_from_equilibrium_p_is_nought():
    np.testing.assert_array_equal(hwe_exact([0, 400_000], [200_000, 0], [200_000, 0]), [0.0, 0.0])
