import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from statsmodels.stats.proportion import proportion_confint

from regreveal.phenome.probes.calibration import calibration_curve, calibration_line


def _people(n, seed, slope=1.0, shift=0.0):
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(size=n) - 1
    return generator.random(n) < expit(shift + slope * log_odds), log_odds


def test_the_line_is_that_of_statsmodels():
    positive, log_odds = _people(300, seed=1, slope=0.6, shift=0.4)
    binomial = sm.families.Binomial()
    slope = sm.GLM(positive.astype(float), sm.add_constant(log_odds), family=binomial).fit()
    in_the_large = sm.GLM(
        positive.astype(float), np.ones(300), family=binomial, offset=log_odds
    ).fit()
    expected = in_the_large.params[0], slope.params[1]
    assert calibration_line(positive, log_odds) == pytest.approx(expected, rel=1e-6)


def test_predictions_that_are_right_have_intercept_zero_and_slope_one():
    positive, log_odds = _people(100_000, seed=2)
    assert calibration_line(positive, log_odds) == pytest.approx((0, 1), abs=0.03)
    bold = calibration_line(positive, 2 * log_odds)
    assert bold[1] == pytest.approx(0.5, abs=0.02)


def test_there_is_no_slope_where_predictions_separate_or_do_not_vary():
    positive = np.arange(40) < 10
    for separating in (np.where(positive, 2.0, -2.0), np.where(positive, -2.0, 2.0)):
        separating = separating + np.linspace(-1, 1, 40)
        assert np.isnan(calibration_line(positive, separating)[1])
    touching = np.concatenate([np.linspace(1, 2, 10), np.linspace(-1, 1, 30)])
    assert np.isnan(calibration_line(positive, touching)[1])
    assert np.isnan(calibration_line(positive, -touching)[1])
    intercept, slope = calibration_line(positive, np.zeros(40))
    assert intercept == pytest.approx(logit(0.25))
    assert np.isnan(slope)


def test_the_curve_compares_predicted_with_observed_shares():
    positive, log_odds = _people(5000, seed=3)
    curve = calibration_curve(positive, expit(log_odds))
    assert curve["n"].sum() == 5000
    assert curve["predicted"].is_monotonic_increasing
    assert ((curve["low"] < curve["predicted"]) & (curve["predicted"] < curve["high"])).mean() > 0.7
    cases = np.rint(curve["observed"] * curve["n"])
    np.testing.assert_allclose(
        np.transpose(proportion_confint(cases, curve["n"], method="wilson")),
        curve[["low", "high"]],
    )


def test_no_bin_of_the_curve_has_fewer_than_five_of_either():
    for seed, cases in ((4, 12), (5, 31), (6, 90)):
        generator = np.random.default_rng(seed)
        positive = np.arange(100) < cases
        curve = calibration_curve(positive, generator.random(100) + 0.5 * positive)
        found = curve["observed"] * curve["n"]
        assert found.min() > 4.5
        assert (curve["n"] - found).min() > 4.5
        assert curve["n"].sum() == 100
