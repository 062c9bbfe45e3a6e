import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kurtosis, norm
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score

from regreveal.phenome.probes import scores


def test_r_squared_is_that_of_sklearn():
    generator = np.random.default_rng(0)
    observed, predicted = generator.normal(size=(2, 40))
    assert scores.r_squared(observed, predicted) == pytest.approx(r2_score(observed, predicted))


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=30))
def test_auc_is_that_of_sklearn_ties_and_all(people):
    positive = np.array([case for case, _ in people])
    predicted = np.array([value for _, value in people], float)
    if positive.all() or not positive.any():
        return
    assert scores.auc(positive, predicted) == pytest.approx(roc_auc_score(positive, predicted))


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=30))
def test_average_precision_is_that_of_sklearn_ties_and_all(people):
    positive = np.array([case for case, _ in people])
    predicted = np.array([value for _, value in people], float)
    if not positive.any():
        return
    expected = average_precision_score(positive, predicted)
    assert scores.average_precision(positive, predicted) == pytest.approx(expected)


def test_derivatives_by_weight_are_those_of_weighted_scores():
    generator = np.random.default_rng(1)
    observed = generator.normal(size=30)
    predicted = observed + generator.normal(size=30)
    predicted[3:6] = predicted[0]
    positive = observed > 0.3
    by_weight, _ = scores.r_squared_derivatives(observed, predicted)
    np.testing.assert_allclose(by_weight, _by_weight(r2_score, observed, predicted), atol=1e-6)
    by_weight, _ = scores.auc_derivatives(positive, predicted)
    np.testing.assert_allclose(by_weight, _by_weight(roc_auc_score, positive, predicted), atol=1e-6)


def test_derivative_of_r_squared_by_prediction():
    generator = np.random.default_rng(2)
    observed, predicted = generator.normal(size=(2, 20))
    _, by_prediction = scores.r_squared_derivatives(observed, predicted)
    for i, step in enumerate(1e-5 * np.eye(20)):
        up, down = (scores.r_squared(observed, predicted + s) for s in (step, -step))
        assert by_prediction[i] == pytest.approx((up - down) / 2e-5, rel=1e-5)


def test_derivative_of_the_area_by_prediction_is_that_of_two_normal_distributions():
    # Cases at N(d, 1) and controls at N(0, 1) have the area Φ(d/√2); a shift of all cases moves d.
    generator = np.random.default_rng(3)
    distance, n = 1.0, 40_000
    positive = np.arange(n) % 4 == 0
    predicted = generator.normal(size=n) + distance * positive
    _, by_prediction = scores.auc_derivatives(positive, predicted)
    expected = norm.pdf(distance / np.sqrt(2)) / np.sqrt(2)
    assert by_prediction[positive].sum() == pytest.approx(expected, rel=0.03)
    assert by_prediction[~positive].sum() == pytest.approx(-expected, rel=0.03)


def test_a_prediction_that_is_the_same_for_all_has_no_slope():
    positive = np.arange(20) < 5
    by_weight, by_prediction = scores.auc_derivatives(positive, np.zeros(20))
    assert not by_weight.any()
    assert not by_prediction.any()


def test_standard_error_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(4).normal(size=25)
    influence = (values - values.mean()) / 25
    expected = values.std(ddof=1) / np.sqrt(25)
    for squares in (True, False):
        error, freedom = _standard_error(influence, np.zeros((25, 5)), np.zeros(25), squares)
        assert error == pytest.approx(expected)
    # The degrees of freedom are those of a variance of this kurtosis: 2 / (kurtosis − 1) each.
    assert freedom == pytest.approx(2 * 25 / (kurtosis(values, fisher=False) - 1))


def test_influence_through_fits_adds_up_with_that_of_being_scored():
    # A linear statistic: everybody moves each of the four models they were fitted to alike.
    generator = np.random.default_rng(5)
    folds = np.arange(100) % 5
    own, through = generator.normal(size=(2, 100)) + 0.3
    for fold in range(5):
        own[folds == fold] -= own[folds == fold].mean()
        through[folds == fold] -= through[folds == fold].mean()
    by_fit = np.where(folds[:, None] == np.arange(5), 0.0, through[:, None])
    expected = np.sqrt(20 / 19 * np.sum((own + 4 * through) ** 2))
    assert _standard_error(own, by_fit, folds, True)[0] == pytest.approx(expected)
    assert _standard_error(own, by_fit, folds, False)[0] == pytest.approx(expected)


def test_squares_of_what_one_fold_was_fitted_to_are_counted_when_asked():
    # Each person moves one model only: without squares, that is taken for noise of the scored.
    generator = np.random.default_rng(6)
    through = np.zeros((100, 5))
    through[np.arange(100), np.arange(100) % 5] = generator.normal(size=100)
    own, strata = generator.normal(size=100), np.zeros(100)
    with_squares, _ = _standard_error(own, through, strata, True)
    without, _ = _standard_error(own, through, strata, False)
    assert with_squares == pytest.approx((own + through.sum(axis=1)).std(ddof=1) * 10)
    assert without < with_squares


def test_degrees_of_freedom_are_few_where_one_person_holds_most_of_the_influence():
    influence = np.full(100, 0.01) * (-1) ** np.arange(100)
    influence[0] = 5
    nobody = np.zeros((100, 5))
    assert 2 < _standard_error(influence, nobody, np.zeros(100), True)[1] < 2.2
    assert _standard_error(np.zeros(100), nobody, np.zeros(100), True)[0] == 0


@given(st.floats(-0.5, 0.999), st.floats(1e-6, 0.3), st.floats(2, 1e4))
def test_intervals_hold_the_score_and_stay_in_range(score, error, freedom):
    low, high = scores.r_squared_interval(score, error, freedom)
    assert low <= score <= high <= 1
    area = (score + 0.5) / 1.5
    low, high = scores.auc_interval(area, error, freedom)
    assert 0 <= low <= area + 1e-12
    assert area - 1e-12 <= high <= 1


def test_intervals_are_the_usual_ones_where_errors_are_small():
    for interval in (scores.r_squared_interval, scores.auc_interval):
        expected = 0.6 - 1.96e-4, 0.6 + 1.96e-4
        assert interval(0.6, 1e-4, np.inf) == pytest.approx(expected, abs=1e-7)
        assert interval(1.0, 0.0, np.inf) == (1, 1)


def _by_weight(score, observed, predicted, size=1e-5):
    weights = 1 + size * np.eye(len(observed))
    lower = 1 - size * np.eye(len(observed))
    return [
        (score(observed, predicted, sample_weight=u) - score(observed, predicted, sample_weight=d))
        / (2 * size)
        for u, d in zip(weights, lower, strict=True)
    ]


def _standard_error(by_weight, by_fit, strata, squares):
    influence = np.column_stack([by_weight, by_fit])
    return scores.standard_error(scores.centred_influence(influence, strata), squares)
