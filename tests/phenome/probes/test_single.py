import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import (
    average_precision_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.preprocessing import StandardScaler

from regreveal.phenome.probes.differences import compare_probes
from regreveal.phenome.probes.folds import stratified_folds
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.ridge import RIDGE_PENALTIES, fit_ridge_logistic
from regreveal.phenome.probes.run import run_probes
from regreveal.phenome.probes.single import probe
from regreveal.phenome.probes.targets import MAXIMUM_CLASSES, MINIMUM_CLASS, prepare_target
from tests.phenome.probes.made_up import draw_cohort, folds_of, ids_of


def _standardised(latents):
    """Clip at three standard deviations of the normal of the same 90 %, then standardise."""
    median = np.median(latents, axis=0)
    reach = 3 * np.ptp(np.percentile(latents, [5, 95], axis=0), axis=0) / (2 * 1.6448536269514722)
    return StandardScaler().fit_transform(np.clip(latents, median - reach, median + reach))


def test_a_number_is_scored_as_by_sklearns_cross_validation():
    n = 160
    latents, target = draw_cohort(n, seed=1)
    folds = folds_of(n)
    result = probe(latents, target, folds)
    # The oracle's grid is per participant too, and 128 of 160 are fitted to in every fold.
    expected = cross_val_score(
        RidgeCV(alphas=128 * RIDGE_PENALTIES),
        _standardised(latents),
        target,
        cv=PredefinedSplit(folds.loc[target.index]),
        scoring="r2",
    )
    np.testing.assert_allclose(result.fold_scores, expected, rtol=1e-9)
    assert result.score == pytest.approx(expected.mean())
    assert result.low < result.score < result.high
    assert result.metric == "r2"
    of_folds = [folds.loc[target.index].to_numpy() == fold for fold in range(5)]
    correlations = [pearsonr(target[rows], result.predictions[rows])[0] for rows in of_folds]
    measures = result.measures
    assert measures.pearson_r == pytest.approx(np.mean(correlations))
    assert measures.rmse == pytest.approx(root_mean_squared_error(target, result.predictions))
    assert measures.mae == pytest.approx(mean_absolute_error(target, result.predictions))
    assert measures.sd == pytest.approx(target.std())


def test_numbers_with_missing_values_are_scored_as_by_sklearn_without_these_people():
    latents, targets = draw_cohort(200, seed=21, dimensions=30)
    generator = np.random.default_rng(22)
    targets = pd.DataFrame({"a": targets, "b": targets + 1, "c": targets**2, "d": latents[:, 1]})
    targets["b"] = targets["b"].mask(generator.random(200) < 0.2)
    targets["c"] = targets["c"].mask(generator.random(200) < 0.6)
    folds = folds_of(200)
    scores = run_probes({"one": latents}, targets, folds).scores.set_index("target")
    design, fold = _standardised(latents), folds.loc[targets.index].to_numpy()
    for name, values in targets.items():
        expected = []
        for held in range(5):
            there = values.notna().to_numpy()
            fitted, tested = there & (fold != held), there & (fold == held)
            oracle = RidgeCV(alphas=fitted.sum() * RIDGE_PENALTIES)
            oracle.fit(design[fitted], values[fitted])
            expected.append(r2_score(values[tested], oracle.predict(design[tested])))
        assert scores.loc[name, "score"] == pytest.approx(np.mean(expected), abs=1e-6)
        assert scores.loc[name, "n"] == there.sum()


def test_classes_are_scored_as_by_sklearns_logistic_regression_at_the_chosen_penalty():
    latents, target = draw_cohort(240, seed=23, dimensions=12)
    cuts = {"binary": [-np.inf, 0.8, np.inf], "categorical": [-np.inf, -0.8, 0.5, np.inf]}
    folds = folds_of(240)
    for cut in cuts.values():
        labels = pd.Series(pd.cut(target, cut, labels=False).to_numpy(), target.index, name="grade")
        prepared = prepare_target(labels, folds, "categorical" if len(cut) > 3 else None)
        predictors = Predictors(latents)
        result = probe(latents, labels, folds, prepared.type)
        areas = []
        for held in range(5):
            fitted = prepared.fold != held
            for column in prepared.outcomes.T:
                penalty = fit_ridge_logistic(predictors, column, fitted).penalties[0]
                oracle = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-10)
                oracle.fit(_standardised(latents)[fitted], column[fitted])
                predicted = oracle.predict_proba(_standardised(latents)[~fitted])[:, 1]
                areas.append(roc_auc_score(column[~fitted], predicted))
        assert result.score == pytest.approx(np.mean(areas), abs=1e-6)


def test_a_category_is_scored_by_the_area_under_the_curve_of_probabilities():
    latents, target = draw_cohort(200, seed=2)
    labels = pd.Series(np.where(target > 0.5, "yes", "no"), index=target.index, name="sinus")
    result = probe(latents, labels, folds_of(200))
    fold = stratified_folds(labels, folds_of(200)).to_numpy()
    of_folds = [(labels[fold == f] == "yes", result.predictions[fold == f]) for f in range(5)]
    expected = [roc_auc_score(*pair) for pair in of_folds]
    np.testing.assert_allclose(result.fold_scores, expected)
    assert result.score > 0.75
    assert 0 < result.low < result.score < result.high < 1
    assert (result.predictions > 0).all()
    assert (result.predictions < 1).all()
    # Probabilities, not votes: far more than the two values of a vote.
    assert len(np.unique(result.predictions)) > 150
    assert result.predictions.mean() == pytest.approx((labels == "yes").mean(), abs=0.05)
    measures = result.measures
    precisions = [average_precision_score(*pair) for pair in of_folds]
    assert measures.average_precision == pytest.approx(np.mean(precisions))
    assert measures.prevalence == pytest.approx((labels == "yes").mean())
    assert 0.5 < measures.calibration_slope < 1.5
    assert measures.calibration["n"].sum() == 200
    assert set(measures.calibration["class"]) == {"yes"}


def test_several_classes_are_scored_each_against_the_rest():
    latents, target = draw_cohort(300, seed=3)
    labels = pd.cut(target, [-np.inf, -0.7, 0.7, np.inf], labels=["low", "middle", "high"])
    labels = labels.astype(str).rename("ancestry")
    result = probe(latents, labels, folds_of(300))
    fold = stratified_folds(labels, folds_of(300)).to_numpy()
    expected = [
        np.mean(
            [
                roc_auc_score(labels[fold == f] == name, result.predictions[fold == f, column])
                for column, name in enumerate(["high", "low", "middle"])
            ]
        )
        for f in range(5)
    ]
    np.testing.assert_allclose(result.fold_scores, expected)
    assert result.predictions.shape == (300, 3)


def test_held_out_people_do_not_change_the_model_that_predicts_them():
    n = 100
    latents, target = draw_cohort(n, seed=4)
    folds = folds_of(n)
    held_out = (folds.loc[target.index] == 2).to_numpy()
    changed = target.where(~held_out, target + 100 * np.arange(n))
    before, after = probe(latents, target, folds), probe(latents, changed, folds)
    np.testing.assert_array_equal(before.predictions[held_out], after.predictions[held_out])


def test_latents_that_know_nothing_score_nothing():
    scores_of_noise = []
    for seed in range(20):
        latents, target = draw_cohort(100, seed=seed, dimensions=60, signal=0.0)
        result = probe(latents, target, folds_of(100))
        labels = (target > 0).rename("sign")
        scores_of_noise.append((result.score, probe(latents, labels, folds_of(100)).score))
    r2, area = np.mean(scores_of_noise, axis=0)
    assert -0.2 < r2 < 0.03
    assert area == pytest.approx(0.5, abs=0.05)


def test_row_order_changes_nothing():
    latents, target = draw_cohort(120, seed=5)
    labels = (target > 0).rename("sign")
    folds = folds_of(120)
    shuffled = np.random.default_rng(0).permutation(120)
    for values in (target, labels):
        plain = probe(latents, values, folds)
        other = probe(
            latents[shuffled], values.iloc[shuffled], folds.sample(frac=1, random_state=1)
        )
        assert other.score == pytest.approx(plain.score)
        assert other.low == pytest.approx(plain.low)
        np.testing.assert_allclose(other.predictions, plain.predictions[shuffled])


def test_missing_values_are_left_out_and_counted():
    latents, target = draw_cohort(150, seed=6)
    target.iloc[:30] = np.nan
    result = probe(latents, target, folds_of(150))
    assert (result.n, result.target.n_missing) == (120, 30)
    assert np.isnan(result.predictions[:30]).all()
    assert np.isfinite(result.predictions[30:]).all()


def test_small_classes_are_left_out_with_a_reason():
    latents, target = draw_cohort(150, seed=7)
    labels = pd.Series(np.where(target > 0, "a", "b"), index=target.index, name="rhythm")
    labels.iloc[: MINIMUM_CLASS - 1] = "rare"
    result = probe(latents, labels, folds_of(150))
    assert np.isfinite(result.score)
    assert result.n == 150 - (MINIMUM_CLASS - 1)
    assert "rare" in result.target.reason
    assert np.isnan(result.predictions[: MINIMUM_CLASS - 1]).all()


@pytest.mark.parametrize(
    ("values", "given", "reason"),
    [
        (np.full(60, 3.0), "continuous", "constant"),
        (np.full(60, 3.0), None, "constant"),
        (np.full(60, "sinus"), "categorical", "two classes"),
        (np.where(np.arange(60) < 9, "flutter", "sinus"), None, "two classes"),
        (np.where(np.arange(60) < 12, np.arange(60.0), np.nan), None, "in a fold"),
        (np.full(60, np.nan), "continuous", "in a fold"),
        (np.full(60, np.nan), "categorical", "two classes"),
    ],
)
def test_what_cannot_be_scored_has_a_reason_and_no_score(values, given, reason):
    target = pd.Series(values, index=ids_of(60), name="target")
    latents = np.random.default_rng(0).normal(size=(60, 3))
    result = probe(latents, target, folds_of(60), given)
    assert reason in result.target.reason
    assert np.isnan(result.score)
    assert np.isnan(result.predictions).all()
    assert np.isnan(compare_probes(result, result).difference)
    tables = run_probes({"a": latents, "b": latents}, target.to_frame(), folds_of(60), floor=True)
    assert len(tables.scores) == 2
    assert tables.differences["p_corrected"].isna().all()


def test_classes_have_two_participants_a_fold_however_many_folds_there_are():
    latents, target = draw_cohort(200, seed=31)
    folds = pd.Series(np.arange(200) % 20, index=target.index)
    labels = pd.Series(np.where(np.arange(200) < 39, "ill", "well"), target.index, name="state")
    assert "at least 40" in probe(latents, labels, folds).target.reason
    labels.iloc[39] = "ill"
    result = probe(latents, labels, folds)
    assert np.isfinite([result.score, result.low, result.high]).all()


def test_text_of_too_many_classes_is_not_scored():
    names = np.repeat([f"place {i}" for i in range(MAXIMUM_CLASSES + 1)], MINIMUM_CLASS)
    target = pd.Series(names, index=ids_of(len(names)), name="home")
    result = probe(np.arange(len(names), dtype=float)[:, None], target, folds_of(len(names)))
    assert "codes or free text" in result.target.reason


def test_classes_coded_in_numbers_are_in_the_order_of_the_numbers():
    codes = pd.Series(np.resize([10.0, 2.0], 60), index=ids_of(60), name="code")
    result = probe(np.random.default_rng(0).normal(size=(60, 2)), codes, folds_of(60))
    assert result.target.type == "binary"
    assert result.target.classes == ("10",)
