import numpy as np
import pandas as pd
import pytest

from regreveal.phenome.probes.differences import ProbeDifference
from regreveal.phenome.probes.families import Families, corrected_p


def _differences(influence, shifts=None):
    """Differences whose influence is given, about zero or about `shifts` standard errors."""
    from scipy.stats import norm

    found = []
    for column, moved in enumerate(influence.T):
        error = np.sqrt(np.sum(moved**2))
        z = 0.0 if shifts is None else shifts[column]
        found.append(ProbeDifference(z * error, np.nan, np.nan, error, 2 * norm.sf(abs(z))))
    return found


def _influence(n, t, correlation, seed):
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(n, 1))
    values = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * generator.normal(
        size=(n, t)
    )
    return values - values.mean(axis=0)


def test_of_independent_differences_the_correction_is_nearly_bonferronis():
    influence = _influence(800, 10, 0.0, seed=1)
    shifts = np.array([3.0, *np.zeros(9)])
    corrected = corrected_p(_differences(influence, shifts), influence)
    assert corrected[0] == pytest.approx(10 * 0.0027, rel=0.25)
    assert (corrected[1:] > 0.9).all()


def test_what_goes_together_is_corrected_less_and_what_is_the_same_not_at_all():
    shifts = np.full(10, 2.5)
    apart, together, same = (
        corrected_p(_differences(influence, shifts), influence)[0]
        for influence in (
            _influence(500, 10, 0.0, seed=2),
            _influence(500, 10, 0.8, seed=2),
            np.repeat(_influence(500, 1, 0.0, seed=2), 10, axis=1),
        )
    )
    assert same < together < apart
    assert same == pytest.approx(0.0124, rel=0.3)


def test_steps_go_down_and_never_back():
    influence = _influence(300, 6, 0.3, seed=3)
    shifts = np.array([4.5, 2.4, -3.2, 0.4, -1.0, 2.0])
    corrected = corrected_p(_differences(influence, shifts), influence)
    by_size = np.argsort(-np.abs(shifts))
    assert (np.diff(corrected[by_size]) >= 0).all()
    # After larger ones have been told apart, fewer are left to correct for.
    alone = corrected_p(_differences(influence[:, 3:4], shifts[3:4]), influence[:, 3:4])
    assert corrected[3] == pytest.approx(alone[0], abs=0.02)


def test_under_the_null_any_is_called_different_in_five_percent():
    called, generator = 0, np.random.default_rng(4)
    for seed in range(200):
        # With a heavy tail, and the estimate drawn with the influence that is told of it.
        values = _influence(200, 8, 0.5, seed) * generator.exponential(size=(200, 1))
        noise = values + generator.normal(0, 0.5, values.shape)
        shifts = (noise * generator.choice([-1, 1], size=(200, 1))).sum(axis=0)
        centred = noise - noise.mean(axis=0)
        shifts /= np.sqrt(np.sum(centred**2, axis=0))
        called += corrected_p(_differences(centred, shifts), centred, bootstraps=399).min() < 0.05
    assert 2 <= called <= 19  # 10 expected; outside in 1 of 200 such tests


def test_what_is_not_scored_and_what_is_identical_does_not_count():
    influence = _influence(300, 3, 0.0, seed=5)
    influence[:, 2] = 0
    differences = _differences(influence, [3.0, 0.0, 0.0])
    nothing = ProbeDifference(np.nan, np.nan, np.nan, np.nan, np.nan)
    identical = ProbeDifference(0.0, 0.0, 0.0, 0.0, 1.0)
    found = corrected_p([differences[0], nothing, identical], influence)
    assert found[0] == pytest.approx(0.0027, rel=0.6)
    assert np.isnan(found[1])
    assert found[2] == 1


def test_each_family_is_corrected_by_itself_in_the_order_of_its_rows():
    influence = _influence(300, 4, 0.0, seed=6)
    differences = _differences(influence, [2.5, 0.1, 2.5, 0.1])
    families = Families()
    for family, column in (("a", 0), ("b", 2), ("a", 1), ("b", 3)):
        families.add(family, differences[column], influence[:, column])
    rows = pd.DataFrame(columns=["q_value", "p_corrected"], index=range(4))
    corrected = families.correct(rows)
    assert corrected.loc[0, "p_corrected"] == pytest.approx(2 * 0.0124, rel=0.3)
    assert corrected.loc[0, "q_value"] == pytest.approx(2 * differences[0].p)
    assert corrected.loc[[2, 3], "p_corrected"].min() > 0.5
