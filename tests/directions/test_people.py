import numpy as np
import pytest

from regreveal.directions.people import MOST, agreement, ends_of


def test_ends_are_five_percent_each_and_at_least_twenty():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(1000)
    ends = ends_of(scores, rng)
    assert (len(ends.low), len(ends.high)) == (50, 50)
    assert scores[ends.low].max() <= np.quantile(scores, 0.05)
    assert scores[ends.high].min() >= np.quantile(scores, 0.95)
    assert ends.high_score == pytest.approx(scores[ends.high].mean())
    few = ends_of(scores[:40], rng)
    assert sorted([*few.low, *few.high]) == list(range(40))


def test_of_very_many_some_are_drawn_from_the_whole_end():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(20_000)
    ends = ends_of(scores, rng)
    assert len(ends.high) == len(set(ends.high)) == MOST
    whole_end = np.sort(scores)[-1000:]
    assert ends.high_score == pytest.approx(whole_end.mean(), abs=0.1)


def test_agreement_is_one_for_the_same_map_whatever_its_size():
    change = np.random.default_rng(0).standard_normal((4, 5))
    assert agreement(change / 2, change) == pytest.approx((1, 0.5))
    assert agreement(-change, change) == pytest.approx((-1, 1))
    assert agreement(change * 0, change) == (0, 0)
