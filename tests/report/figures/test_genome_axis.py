"""Chromosomes in order, crowds thinned without losing a hit, labels apart."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from regreveal.report.figures.genome_axis import (
    ALWAYS_DRAWN,
    CELLS_ACROSS,
    CELLS_UP,
    Genome,
    spread,
    thin,
)

SCANS = st.integers(0, 2**32 - 1).map(lambda seed: _scan(np.random.default_rng(seed)))


def _scan(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    count = int(rng.integers(1, 3000))
    neg_log10_p = rng.exponential(rng.uniform(0.2, 4), count)
    neg_log10_p[rng.random(count) < 0.05] = np.nan
    return rng.choice(rng.uniform(0, 3e9, 50), count), neg_log10_p


@settings(deadline=None, max_examples=100)
@given(SCANS)
def test_thinning_never_drops_a_hit_and_never_keeps_an_untested_variant(scan):
    x, neg_log10_p = scan
    kept = thin(x, neg_log10_p)
    assert set(np.flatnonzero(neg_log10_p >= ALWAYS_DRAWN)) <= set(kept)
    assert np.isfinite(neg_log10_p[kept]).all()
    assert (np.diff(kept) > 0).all()


@settings(deadline=None, max_examples=100)
@given(SCANS)
def test_a_variant_is_dropped_only_beside_another_that_is_drawn_all_but_on_top_of_it(scan):
    x, neg_log10_p = scan
    kept = thin(x, neg_log10_p)
    width = np.ptp(x) / (CELLS_ACROSS - 1)
    height = ALWAYS_DRAWN / (CELLS_UP - 1)
    for row in np.setdiff1d(np.flatnonzero(np.isfinite(neg_log10_p)), kept):
        beside = np.abs(x[kept] - x[row]) <= width
        level = np.abs(neg_log10_p[kept] - neg_log10_p[row]) <= height
        assert (beside & level).any()


def test_thinning_leaves_few_of_a_crowd():
    rng = np.random.default_rng(1)
    kept = thin(rng.uniform(0, 3e9, 1_000_000), rng.exponential(0.43, 1_000_000))
    assert len(kept) < 400_000


def test_chromosomes_stand_in_order_end_to_end():
    names = ["X", "10", "2", "1", "22"]
    table = pd.DataFrame({"chromosome": names, "position": [5, 100, 50, 80, 10]})
    genome = Genome([table])
    assert genome.chromosomes == ["1", "2", "10", "22", "X"]
    x = genome.x(table.assign(place=1))
    order = [names.index(name) for name in genome.chromosomes]
    assert (np.diff(x[order]) > 0).all()
    assert x[names.index("2")] - genome.starts[1] == pytest.approx(50)


def test_a_genome_reaches_as_far_as_the_longest_table():
    short = pd.DataFrame({"chromosome": ["1", "2"], "position": [10, 10]})
    long = pd.DataFrame({"chromosome": ["1", "2"], "position": [100, 200]})
    genome = Genome([short, long])
    assert genome.end - genome.starts[1] == 200


def test_without_variants_there_are_no_chromosomes():
    empty = pd.DataFrame({"chromosome": pd.Categorical([]), "position": np.empty(0)})
    genome = Genome([empty])
    assert genome.chromosomes == []
    assert genome.end == 0
    assert len(genome.starts) == len(genome.centres) == len(genome.x(empty)) == 0
    table = pd.DataFrame({"chromosome": ["2"], "position": [10]})
    assert Genome([empty, table]).chromosomes == ["2"]


def test_names_like_numbers_and_categories_are_the_same_chromosomes():
    words = pd.DataFrame({"chromosome": ["1", "2", "2"], "position": [10, 20, 30]})
    numbers = words.astype({"chromosome": int})
    categories = words.astype({"chromosome": "category"})
    genome = Genome([words])
    assert (genome.x(numbers) == genome.x(words)).all()
    assert (genome.x(categories) == genome.x(words)).all()


PLACES = st.lists(st.floats(0, 100), min_size=1, max_size=20).map(sorted).map(np.array)


@given(PLACES)
def test_labels_stand_apart_and_inside(places):
    moved = spread(places, 4.0, 0.0, 100.0)
    assert (np.diff(moved) >= 4.0 - 1e-9).all()
    assert moved.min() >= -1e-9
    assert moved.max() <= 100 + 1e-9


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(20, 80), min_size=2, max_size=6).map(sorted).map(np.array))
def test_labels_move_no_more_than_they_must(places):
    moved = spread(places, 5.0, 0.0, 100.0)
    apart = {"type": "ineq", "fun": lambda y: np.diff(y) - 5.0}
    best = minimize(
        lambda y: np.sum((y - places) ** 2),
        places + 5.0 * np.arange(len(places)),
        constraints=[apart],
        bounds=[(0, 100)] * len(places),
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert np.sum((moved - places) ** 2) <= best.fun + 1e-4
