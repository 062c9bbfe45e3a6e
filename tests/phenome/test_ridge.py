import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.preprocessing import StandardScaler

from regreveal.phenome.ridge import (
    LOGISTIC_PENALTIES,
    RIDGE_PENALTIES,
    fit_ridge,
    fit_ridge_logistic,
)


def _people(n, k, seed, noise=1.0):
    generator = np.random.default_rng(seed)
    latents = generator.normal(size=(n, k)) * generator.exponential(size=k) + 3
    target = latents @ generator.normal(size=k) / np.sqrt(k) + noise * generator.normal(size=n)
    return latents, target


def _standardised(latents):
    """Clip at three standard deviations of the normal of the same 90 %, then standardise."""
    median = np.median(latents, axis=0)
    reach = 3 * np.ptp(np.percentile(latents, [5, 95], axis=0), axis=0) / (2 * 1.6448536269514722)
    return StandardScaler().fit_transform(np.clip(latents, median - reach, median + reach))


@pytest.mark.parametrize(("n", "k", "noise"), [(80, 5, 0.1), (200, 30, 3.0), (40, 60, 1.0)])
def test_ridge_is_that_of_leave_one_out_cross_validation(n, k, noise):
    latents, target = _people(n, k, seed=n, noise=noise)
    oracle = RidgeCV(alphas=n * RIDGE_PENALTIES).fit(_standardised(latents), target)
    fit = fit_ridge(latents, target)
    assert fit.penalty == pytest.approx(oracle.alpha_)
    np.testing.assert_allclose(fit.coefficients[1:], oracle.coef_, rtol=1e-7, atol=1e-9)
    assert fit.coefficients[0] == pytest.approx(oracle.intercept_)


@pytest.mark.parametrize(("n", "k"), [(300, 6), (60, 80)])
def test_logistic_coefficients_are_those_of_the_penalty_it_reports(n, k):
    latents, target = _people(n, k, seed=1)
    outcome = target > np.quantile(target, 0.7)
    fit = fit_ridge_logistic(latents, outcome)
    oracle = LogisticRegression(C=1 / fit.penalty, tol=1e-12, max_iter=10_000)
    oracle.fit(_standardised(latents), outcome)
    np.testing.assert_allclose(fit.coefficients[1:], oracle.coef_[0], atol=1e-5)
    assert fit.coefficients[0] == pytest.approx(oracle.intercept_[0], abs=1e-5)


@pytest.mark.parametrize("noise", [0.3, 1.0, 5.0])
def test_logistic_penalty_is_near_the_best_of_true_leave_one_out_fits(noise):
    latents, target = _people(60, 10, seed=3, noise=noise)
    outcome = target > np.median(target)
    standardised = _standardised(latents)

    def left_out_deviance(penalty):
        total = 0.0
        for i in range(60):
            others = np.arange(60) != i
            model = LogisticRegression(C=1 / penalty, max_iter=1000)
            model.fit(standardised[others], outcome[others])
            total -= model.predict_log_proba(standardised[[i]])[0, int(outcome[i])]
        return total

    deviances = [left_out_deviance(60 * penalty) for penalty in LOGISTIC_PENALTIES]
    chosen = left_out_deviance(fit_ridge_logistic(latents, outcome).penalty)
    assert chosen <= 1.02 * min(deviances)


def test_a_constant_latent_changes_nothing():
    latents, target = _people(100, 4, seed=5)
    with_constant = np.column_stack([latents[:, :2], np.full(100, 1e6 / 3), latents[:, 2:]])
    for fit_model, outcome in ((fit_ridge, target), (fit_ridge_logistic, target > 0)):
        plain, padded = fit_model(latents, outcome), fit_model(with_constant, outcome)
        np.testing.assert_allclose(
            padded.predict(with_constant), plain.predict(latents), rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("fit_model", [fit_ridge, fit_ridge_logistic])
def test_somebody_far_out_counts_as_no_more_than_somebody_at_the_bounds(fit_model):
    latents, target = _people(100, 4, seed=9, noise=0.3)
    outcome = target > np.median(target)
    fit = fit_model(latents, outcome)
    beyond = np.where(fit.coefficients[1:] > 0, fit.high, fit.low)
    farther = beyond + 1e3 * np.sign(fit.coefficients[1:])
    assert fit.predict(farther[None]) == pytest.approx(fit.predict(beyond[None]))
    # And in fitting: the others' predictions hardly follow one of them who is sent away.
    moved = latents.copy()
    moved[0] = 1e6
    change = fit_model(moved, outcome).predict(latents[1:]) - fit.predict(latents[1:])
    assert np.std(change) < 0.3 * np.std(fit.predict(latents[1:]))


def test_a_latent_that_is_the_same_for_all_but_a_few_is_still_used():
    latents = np.zeros((200, 2))
    latents[:8, 0] = np.linspace(1, 2, 8)
    latents[:, 1] = np.random.default_rng(9).normal(size=200)
    fit = fit_ridge(latents, 5 * latents[:, 0])
    assert fit.coefficients[1] > 0.5


def test_ridge_influence_is_the_derivative_by_a_participants_weight():
    latents, target = _people(50, 4, seed=6)
    fit = fit_ridge(latents, target)
    design = fit.design(latents)
    penalty = np.diag(np.append(0, np.full(4, fit.penalty)))
    gradient = np.array([0.3, -1.0, 2.0, 0.5, 0.1])

    def refit(weights):
        hessian = (design * weights[:, None]).T @ design + penalty
        return gradient @ np.linalg.solve(hessian, design.T @ (weights * target))

    np.testing.assert_allclose(
        fit.influence(latents, gradient), _differences(refit, 50), rtol=1e-4, atol=1e-7
    )


def test_logistic_influence_is_the_derivative_by_a_participants_weight():
    latents, target = _people(60, 3, seed=7)
    outcome = target > np.median(target)
    fit = fit_ridge_logistic(latents, outcome)
    design = fit.design(latents)
    penalty = np.append(0, np.full(3, fit.penalty))
    gradient = np.array([0.3, -1.0, 2.0, 0.5])

    def refit(weights):
        coefficients = fit.coefficients
        for _ in range(5):
            p = expit(design @ coefficients)
            hessian = (design * (weights * p * (1 - p))[:, None]).T @ design + np.diag(penalty)
            score = design.T @ (weights * (outcome - p)) - penalty * coefficients
            coefficients = coefficients + np.linalg.solve(hessian, score)
        return gradient @ coefficients

    np.testing.assert_allclose(
        fit.influence(latents, gradient), _differences(refit, 60), rtol=1e-3, atol=1e-6
    )


def _differences(function, n, size=1e-4):
    """Central differences of a function of n weights, about weights of one."""
    directions = size * np.eye(n)
    return [(function(1 + d) - function(1 - d)) / (2 * size) for d in directions]
