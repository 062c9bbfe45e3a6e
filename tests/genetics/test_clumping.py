"""Clumping by LD: right, and the same whatever fits into memory at a time."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regreveal.genetics import clumping
from regreveal.genetics.clumping import INDEPENDENT_R2, LD_WINDOW, LEAD_R2, clump

from .linkage import linked_variants, with_r2

NEARBY = np.array([1000, 2000, 3000])


def test_ld_is_the_squared_correlation_of_dosages_and_ignores_allele_order():
    rng = np.random.default_rng(2)
    lead = rng.binomial(2, 0.3, 1000).astype(np.int8)
    copy = 2 - with_r2(lead, 0.9, rng)
    alone = rng.binomial(2, 0.3, 1000).astype(np.int8)
    copy[:20] = -1
    independent, lead_of = clump(np.stack([lead, copy, alone]).astype(np.int8).__getitem__, NEARBY)
    assert list(independent) == [True, False, True]
    assert list(lead_of) == [0, 0, 2]


def test_a_variant_in_weak_ld_is_independent_but_no_lead():
    rng = np.random.default_rng(4)
    lead = rng.binomial(2, 0.3, 2000).astype(np.int8)
    weak = with_r2(lead, 0.3, rng)
    assert 0.1 < np.corrcoef(lead, weak)[0, 1] ** 2 < 0.6
    alone = rng.binomial(2, 0.3, 2000).astype(np.int8)
    independent, lead_of = clump(np.stack([lead, weak, alone]).__getitem__, NEARBY)
    assert list(independent) == [True, True, True]
    assert list(lead_of) == [0, 0, 2]


def all_at_once(dosages, positions, covariates=None):
    """Clump with all correlations in memory, in double precision."""
    values = np.where(dosages < 0, np.nan, dosages).astype(float)
    mean = np.nanmean(values, axis=1, keepdims=True)
    centred = np.where(np.isnan(values), 0, values - mean)
    if covariates is not None:
        design = np.column_stack([np.ones(len(covariates)), covariates])
        centred = centred - (design @ np.linalg.lstsq(design, centred.T, rcond=None)[0]).T
    r2 = np.nan_to_num(np.atleast_2d(np.corrcoef(centred)) ** 2)
    r2[np.abs(positions[:, None] - positions) > LD_WINDOW] = 0
    np.fill_diagonal(r2, 1)
    independent, leads = [], []
    for row in range(len(dosages)):
        if (r2[row, independent] < INDEPENDENT_R2).all():
            independent.append(row)
            if (r2[row, leads] < LEAD_R2).all():
                leads.append(row)
    return np.isin(np.arange(len(dosages)), independent), np.array(leads)[
        np.argmax(r2[:, leads], axis=1)
    ]


@settings(deadline=None, max_examples=60)
@example(seed=48696, span=300_000, rows=(1, 1, 1), fractional=False, adjusted=False)  # one variant
@given(
    seed=st.integers(0, 2**32 - 1),
    span=st.sampled_from([300_000, 3_000_000, 30_000_000]),
    rows=st.tuples(*[st.integers(1, 20)] * 3),
    fractional=st.booleans(),
    adjusted=st.booleans(),
)
def test_the_result_does_not_depend_on_what_fits_into_memory(
    seed, span, rows, fractional, adjusted
):
    rng = np.random.default_rng(seed)
    n, held, chunk, kept = 240, *rows
    dosages = linked_variants(rng, int(rng.integers(1, 70)), n)
    positions = rng.integers(1, span, len(dosages))
    covariates = rng.standard_normal((n, 2)) if adjusted else None
    given_as = dosages
    if fractional:
        given_as = np.where(dosages < 0, np.float32(np.nan), dosages.astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clumping, "_HELD_VALUES", held * n)
        patch.setattr(clumping, "_CHUNK_VALUES", chunk * n)
        patch.setattr(clumping, "_KEPT_BYTES", kept * n)
        independent, lead_of = clump(given_as.__getitem__, positions, covariates)
    expected_independent, expected_lead_of = all_at_once(dosages, positions, covariates)
    assert (independent == expected_independent).all()
    assert (lead_of == expected_lead_of).all()


def test_no_more_genotypes_are_asked_for_at_a_time_than_fit(monkeypatch):
    n = 100
    monkeypatch.setattr(clumping, "_HELD_VALUES", 5 * n)
    monkeypatch.setattr(clumping, "_CHUNK_VALUES", 8 * n)
    monkeypatch.setattr(clumping, "_KEPT_BYTES", 20 * n)
    dosages = linked_variants(np.random.default_rng(3), 200, n)
    asked = []

    def read(rows):
        asked.append(len(rows))
        return dosages[rows]

    clump(read, np.arange(1, 201) * 1000)
    assert max(asked) <= 8


def test_what_fits_is_read_once():
    dosages = linked_variants(np.random.default_rng(3), 200, 100)
    asked = []

    def read(rows):
        asked.extend(rows.tolist())
        return dosages[rows]

    clump(read, np.arange(1, 201) * 1000)
    # The first once more, to see how many participants there are.
    assert sorted(asked) == [0, *range(200)]


def test_stretches_too_far_apart_to_be_linked_are_read_one_after_the_other(monkeypatch):
    n, stretches, each = 100, 12, 20
    # All genotypes of a stretch fit into memory, those of the chromosome do not.
    monkeypatch.setattr(clumping, "_KEPT_BYTES", each * n)
    monkeypatch.setattr(clumping, "_HELD_VALUES", 5 * n)
    rng = np.random.default_rng(8)
    dosages = linked_variants(rng, stretches * each, n)
    starts = np.repeat(np.arange(stretches) * (LD_WINDOW + 500_000), each)
    order = rng.permutation(len(dosages))
    positions = (starts + np.tile(np.arange(1, each + 1) * 1000, stretches))[order]
    asked = []

    def read(rows):
        asked.extend(rows.tolist())
        return dosages[order][rows]

    clump(read, positions)
    assert sorted(asked) == [0, *range(len(dosages))]
