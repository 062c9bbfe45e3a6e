import numpy as np
import pytest
from scipy import integrate, stats

from regreveal.genetics.winners_curse import corrected_noncentrality, replication_power


def test_the_correction_makes_the_selected_statistic_likeliest():
    degrees, threshold = 10, 1e-4
    limit = stats.chi2.isf(threshold, degrees)
    for chi2 in (limit + 3, limit + 12, limit + 60):
        noncentrality = corrected_noncentrality(chi2, degrees, threshold)

        def likelihood(value, chi2=chi2):
            density = stats.ncx2(degrees, value).pdf
            passed, _ = integrate.quad(density, limit, limit + 600, limit=200)
            return density(chi2) / passed

        best = likelihood(noncentrality)
        others = [max(noncentrality + step, 1e-6) for step in (-1, 1)]
        assert all(best >= likelihood(other) for other in others)


def test_far_beyond_the_threshold_nothing_is_corrected():
    # The likeliest noncentrality of an unselected statistic is about chi2 - degrees + 1.
    noncentrality = corrected_noncentrality(400.0, 10, 5e-8)
    assert noncentrality == pytest.approx(400 - 10 + 1, abs=1.0)


@pytest.mark.parametrize("size", [45, 90])
def test_what_replicates_lies_between_cautious_and_hopeful_power(size):
    rng = np.random.default_rng(0)
    degrees, threshold, level = 12, 5e-8, 0.005
    effect = np.zeros(degrees)
    effect[0] = np.sqrt(size)
    limit = stats.chi2.isf(threshold, degrees)
    found = effect + rng.standard_normal((20_000, degrees))
    found = found[(found**2).sum(axis=1) > limit][:250]
    others = effect + rng.standard_normal(found.shape)
    chi2 = (found**2).sum(axis=1)
    joint, direction = replication_power(
        -stats.chi2.logsf(chi2, degrees) / np.log(10),
        np.full(len(found), degrees),
        threshold,
        1.0,
        level,
        degrees,
    )
    passed = ((others**2).sum(axis=1) > stats.chi2.isf(level, degrees)).mean()
    along = (others * found).sum(axis=1) / np.sqrt(chi2)
    passed_along = (along > stats.norm.isf(level)).mean()
    assert joint.cautious.mean() - 0.05 <= passed <= joint.hopeful.mean() + 0.05
    assert direction.cautious.mean() - 0.05 <= passed_along <= direction.hopeful.mean() + 0.05
    assert passed_along >= passed
