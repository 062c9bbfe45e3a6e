import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.preprocessing import StandardScaler

from regreveal.phenome.probes.cross_validation import cross_validate_logistic
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.ridge import (
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


def _ridge(predictors, target, fitted=None):
    fitted = np.ones(len(predictors), bool) if fitted is None else fitted
    return fit_ridge(predictors.rotate(fitted), target[:, None], fitted)


def _logistic(predictors, outcome, fitted=None):
    fitted = np.ones(len(predictors), bool) if fitted is None else fitted
    return fit_ridge_logistic(predictors, outcome, fitted)


def _predicted(fits):
    return fits.predict(slice(None))[:, 0]


@pytest.mark.parametrize(("n", "k", "noise"), [(80, 5, 0.1), (200, 30, 3.0), (40, 60, 1.0)])
def test_ridge_is_that_of_leave_one_out_cross_validation(n, k, noise):
    latents, target = _people(n, k, seed=n, noise=noise)
    oracle = RidgeCV(alphas=n * RIDGE_PENALTIES).fit(_standardised(latents), target)
    fits = _ridge(Predictors(latents), target)
    assert fits.penalties == pytest.approx([oracle.alpha_])
    np.testing.assert_allclose(fits.coefficients[1:, 0], oracle.coef_, rtol=1e-7, atol=1e-9)
    assert fits.coefficients[0, 0] == pytest.approx(oracle.intercept_)


def test_several_numbers_at_once_are_fitted_as_each_alone_and_to_those_chosen_only():
    latents, target = _people(90, 8, seed=2)
    targets = np.column_stack([target, latents[:, 0], np.random.default_rng(3).normal(size=90)])
    for fitted in (np.arange(90) % 5 != 2, np.arange(90) % 3 == 1):
        predictors = Predictors(latents)
        together = fit_ridge(predictors.rotate(fitted), targets, fitted)
        for column in range(3):
            oracle = RidgeCV(alphas=fitted.sum() * RIDGE_PENALTIES)
            oracle.fit(predictors.design[fitted, 1:], targets[fitted, column])
            assert together.penalties[column] == pytest.approx(oracle.alpha_)
            expected = oracle.predict(predictors.design[~fitted, 1:])
            np.testing.assert_allclose(together.predict(~fitted)[:, column], expected, rtol=1e-8)


@pytest.mark.parametrize(("n", "k"), [(300, 6), (60, 80)])
def test_logistic_coefficients_are_those_of_the_penalty_it_reports(n, k):
    latents, target = _people(n, k, seed=1)
    outcome = target > np.quantile(target, 0.7)
    fits = _logistic(Predictors(latents), outcome)
    oracle = LogisticRegression(C=1 / fits.penalties[0], tol=1e-12, max_iter=10_000)
    oracle.fit(_standardised(latents), outcome)
    np.testing.assert_allclose(fits.coefficients[1:, 0], oracle.coef_[0], atol=1e-5)
    assert fits.coefficients[0, 0] == pytest.approx(oracle.intercept_[0], abs=1e-5)


def test_a_warm_start_ends_where_a_cold_one_does():
    latents, target = _people(200, 10, seed=4)
    outcome = target > np.quantile(target, 0.8)
    predictors = Predictors(latents)
    first, second = (np.arange(200) % 5 != fold for fold in (0, 1))
    warm = fit_ridge_logistic(
        predictors, outcome, second, start=fit_ridge_logistic(predictors, outcome, first)
    )
    cold = fit_ridge_logistic(predictors, outcome, second)
    assert warm.penalties == pytest.approx(cold.penalties)
    np.testing.assert_allclose(warm.coefficients, cold.coefficients, atol=1e-7)


@pytest.mark.parametrize("seed", [19, 29, 38])
def test_a_fold_knows_nothing_of_the_fit_of_the_one_before(seed):
    # Of these people the deviance has several minima: a search that began at the penalty of the
    # fold before, which was fitted to those held out now, would end in another one.
    generator = np.random.default_rng(seed)
    latents = generator.normal(size=(126, 24))
    outcome = 0.5 * latents[:, 0] + generator.normal(size=126) > 1
    fold = np.empty(126, int)
    fold[np.argsort(outcome, kind="stable")] = np.arange(126) % 5
    predictors = Predictors(latents)
    found, floors = cross_validate_logistic(predictors, outcome[:, None], fold)
    for held_out in (fold == name for name in range(5)):
        alone = fit_ridge_logistic(predictors, outcome, ~held_out)
        expected = alone.predict(held_out)
        np.testing.assert_allclose(found.predicted[held_out], expected, atol=1e-6)
    assert np.isnan(floors).all()


def test_covariates_are_not_penalised_and_leave_one_out_counts_them():
    latents, target = _people(70, 20, seed=8, noise=3.0)
    covariates = np.random.default_rng(9).normal(size=(70, 2)) * [1, 30] + [5, 0]
    target = target + covariates @ [3.0, 0.2]
    predictors = Predictors(latents, covariates)
    free = np.append(np.zeros(3), np.ones(20))
    design = predictors.design

    def refit(rows, penalty):
        gram = design[rows].T @ design[rows] + penalty * np.diag(free)
        return np.linalg.solve(gram, design[rows].T @ target[rows])

    def left_out_error(penalty):
        people = np.arange(70)
        return sum((target[i] - design[i] @ refit(people != i, penalty)) ** 2 for i in people)

    fits = _ridge(predictors, target)
    penalties = 70 * RIDGE_PENALTIES
    assert fits.penalties[0] == pytest.approx(min(penalties, key=left_out_error))
    np.testing.assert_allclose(
        fits.coefficients[:, 0], refit(slice(None), fits.penalties[0]), rtol=1e-7, atol=1e-9
    )
    outcome = target > np.quantile(target, 0.6)
    logistic = _logistic(predictors, outcome)
    residuals = outcome - expit(design @ logistic.coefficients[:, 0])
    slope = design.T @ residuals - logistic.penalties * free * logistic.coefficients[:, 0]
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_a_covariate_that_repeats_others_changes_nothing():
    latents, target = _people(80, 5, seed=10)
    covariates = np.random.default_rng(11).normal(size=(80, 2))
    repeated = np.column_stack([covariates, covariates.sum(axis=1), np.full(80, 7.0)])
    for fit in (_ridge, _logistic):
        outcome = target if fit is _ridge else target > np.median(target)
        plain, padded = (
            _predicted(fit(Predictors(latents, c), outcome)) for c in (covariates, repeated)
        )
        np.testing.assert_allclose(padded, plain, rtol=1e-6, atol=1e-8)


def test_classes_that_a_covariate_separates_end_in_finite_log_odds():
    generator = np.random.default_rng(12)
    outcome = np.arange(100) < 30
    covariate = outcome + 0.1 * generator.normal(size=100)
    for latents in (np.empty((100, 0)), generator.normal(size=(100, 4))):
        predicted = _predicted(_logistic(Predictors(latents, covariate[:, None]), outcome))
        assert np.isfinite(predicted).all()
        assert predicted[outcome].min() > predicted[~outcome].max()


@pytest.mark.parametrize("noise", [0.3, 1.0, 5.0])
def test_logistic_penalty_is_near_the_best_of_true_leave_one_out_fits(noise):
    latents, target = _people(40, 6, seed=3, noise=noise)
    outcome = target > np.median(target)
    standardised = _standardised(latents)

    def left_out_deviance(penalty):
        total = 0.0
        for i in range(40):
            others = np.arange(40) != i
            model = LogisticRegression(C=1 / penalty, max_iter=1000)
            model.fit(standardised[others], outcome[others])
            total -= model.predict_log_proba(standardised[[i]])[0, int(outcome[i])]
        return total

    deviances = [left_out_deviance(40 * penalty) for penalty in LOGISTIC_PENALTIES]
    chosen = left_out_deviance(_logistic(Predictors(latents), outcome).penalties[0])
    assert chosen <= 1.02 * min(deviances)


def test_a_constant_latent_changes_nothing():
    latents, target = _people(100, 4, seed=5)
    with_constant = np.column_stack([latents[:, :2], np.full(100, 1e6 / 3), latents[:, 2:]])
    for fit, outcome in ((_ridge, target), (_logistic, target > 0)):
        plain, padded = (_predicted(fit(Predictors(x), outcome)) for x in (latents, with_constant))
        np.testing.assert_allclose(padded, plain, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("fit", [_ridge, _logistic])
def test_somebody_far_out_counts_as_no_more_than_somebody_at_the_bounds(fit):
    latents, target = _people(100, 4, seed=9, noise=0.3)
    outcome = target > np.median(target)
    design = []
    for distance in (1e3, 1e6):
        moved = latents.copy()
        moved[0] = distance
        design.append(Predictors(moved).design)
    np.testing.assert_allclose(*design)
    # And in fitting: the others' predictions hardly follow one of them who is sent away.
    before, after = (_predicted(fit(Predictors(x), outcome))[1:] for x in (latents, moved))
    assert np.std(after - before) < 0.3 * np.std(before)


def test_a_latent_that_is_the_same_for_all_but_a_few_is_still_used():
    latents = np.zeros((200, 2))
    latents[:8, 0] = np.linspace(1, 2, 8)
    latents[:, 1] = np.random.default_rng(9).normal(size=200)
    fits = _ridge(Predictors(latents), 5 * latents[:, 0])
    assert fits.coefficients[1, 0] > 0.5


def test_ridge_influence_is_the_derivative_by_a_participants_weight():
    latents, target = _people(50, 4, seed=6)
    predictors = Predictors(latents)
    fitted = np.arange(50) % 5 != 0
    fits = _ridge(predictors, target, fitted)
    design = predictors.design
    penalty = np.diag(np.append(0, np.full(4, fits.penalties[0])))
    slopes = np.where(fitted, 0, np.random.default_rng(1).normal(size=50))

    def refit(weights):
        weights = weights * fitted
        hessian = (design * weights[:, None]).T @ design + penalty
        return slopes @ design @ np.linalg.solve(hessian, design.T @ (weights * target))

    np.testing.assert_allclose(
        fits.influence(slopes[:, None])[:, 0], _differences(refit, 50), rtol=1e-4, atol=1e-7
    )


def test_logistic_influence_is_the_derivative_by_a_participants_weight():
    latents, target = _people(60, 3, seed=7)
    outcome = target > np.median(target)
    predictors = Predictors(latents)
    fitted = np.arange(60) % 5 != 0
    fits = _logistic(predictors, outcome, fitted)
    design = predictors.design
    penalty = np.append(0, np.full(3, fits.penalties[0]))
    slopes = np.where(fitted, 0, np.random.default_rng(2).normal(size=60))

    def refit(weights):
        weights = weights * fitted
        coefficients = fits.coefficients[:, 0]
        for _ in range(5):
            p = expit(design @ coefficients)
            hessian = (design * (weights * p * (1 - p))[:, None]).T @ design + np.diag(penalty)
            score = design.T @ (weights * (outcome - p)) - penalty * coefficients
            coefficients = coefficients + np.linalg.solve(hessian, score)
        return slopes @ design @ coefficients

    np.testing.assert_allclose(
        fits.influence(slopes[:, None])[:, 0], _differences(refit, 60), rtol=1e-3, atol=1e-6
    )


def _differences(function, n, size=1e-4):
    """Central differences of a function of n weights, about weights of one."""
    directions = size * np.eye(n)
    return [(function(1 + d) - function(1 - d)) / (2 * size) for d in directions]
