import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from statsmodels.stats.multitest import multipletests

from regreveal.errors import InputError
from regreveal.phenome.probes.differences import MeanDifference, compare_probes
from regreveal.phenome.probes.folds import stratified_folds
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.ridge import RIDGE_PENALTIES, fit_ridge_logistic
from regreveal.phenome.probes.run import run_probes
from regreveal.phenome.probes.single import probe, probe_targets
from regreveal.phenome.probes.targets import MAXIMUM_CLASSES, MINIMUM_CLASS, prepare_target
from regreveal.store.cohort import make_splits


def _ids(n):
    return pd.Index([f"person-{i}" for i in range(n)], name="sample_id")


def _folds(n, seed=0):
    splits = make_splits(_ids(n), {"train": 0.0, "validation": 0.0, "analysis": 1.0}, seed)
    return splits.set_index("sample_id")["fold"]


def _cohort(n, seed, dimensions=4, signal=1.0):
    """Latents, and a number they carry: a series indexed by sample id."""
    generator = np.random.default_rng(seed)
    latents = generator.normal(size=(n, dimensions))
    number = signal * latents[:, 0] + generator.normal(size=n)
    return latents, pd.Series(number, index=_ids(n), name="heart_rate")


def _standardised(latents):
    """Clip at three standard deviations of the normal of the same 90 %, then standardise."""
    median = np.median(latents, axis=0)
    reach = 3 * np.ptp(np.percentile(latents, [5, 95], axis=0), axis=0) / (2 * 1.6448536269514722)
    return StandardScaler().fit_transform(np.clip(latents, median - reach, median + reach))


def test_a_number_is_scored_as_by_sklearns_cross_validation():
    n = 160
    latents, target = _cohort(n, seed=1)
    folds = _folds(n)
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
    latents, targets = _cohort(200, seed=21, dimensions=30)
    generator = np.random.default_rng(22)
    targets = pd.DataFrame({"a": targets, "b": targets + 1, "c": targets**2, "d": latents[:, 1]})
    targets["b"] = targets["b"].mask(generator.random(200) < 0.2)
    targets["c"] = targets["c"].mask(generator.random(200) < 0.6)
    folds = _folds(200)
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
    latents, target = _cohort(240, seed=23, dimensions=12)
    cuts = {"binary": [-np.inf, 0.8, np.inf], "categorical": [-np.inf, -0.8, 0.5, np.inf]}
    folds = _folds(240)
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
    latents, target = _cohort(200, seed=2)
    labels = pd.Series(np.where(target > 0.5, "yes", "no"), index=target.index, name="sinus")
    result = probe(latents, labels, _folds(200))
    fold = stratified_folds(labels, _folds(200)).to_numpy()
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
    latents, target = _cohort(300, seed=3)
    labels = pd.cut(target, [-np.inf, -0.7, 0.7, np.inf], labels=["low", "middle", "high"])
    labels = labels.astype(str).rename("ancestry")
    result = probe(latents, labels, _folds(300))
    fold = stratified_folds(labels, _folds(300)).to_numpy()
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
    latents, target = _cohort(n, seed=4)
    folds = _folds(n)
    held_out = (folds.loc[target.index] == 2).to_numpy()
    changed = target.where(~held_out, target + 100 * np.arange(n))
    before, after = probe(latents, target, folds), probe(latents, changed, folds)
    np.testing.assert_array_equal(before.predictions[held_out], after.predictions[held_out])


def test_latents_that_know_nothing_score_nothing():
    scores_of_noise = []
    for seed in range(20):
        latents, target = _cohort(100, seed=seed, dimensions=60, signal=0.0)
        result = probe(latents, target, _folds(100))
        labels = (target > 0).rename("sign")
        scores_of_noise.append((result.score, probe(latents, labels, _folds(100)).score))
    r2, area = np.mean(scores_of_noise, axis=0)
    assert -0.2 < r2 < 0.03
    assert area == pytest.approx(0.5, abs=0.05)


def test_row_order_changes_nothing():
    latents, target = _cohort(120, seed=5)
    labels = (target > 0).rename("sign")
    folds = _folds(120)
    shuffled = np.random.default_rng(0).permutation(120)
    for values in (target, labels):
        plain = probe(latents, values, folds)
        other = probe(
            latents[shuffled], values.iloc[shuffled], folds.sample(frac=1, random_state=1)
        )
        assert other.score == pytest.approx(plain.score)
        assert other.low == pytest.approx(plain.low)
        np.testing.assert_allclose(other.predictions, plain.predictions[shuffled])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("aabc"), min_size=1, max_size=60), st.integers(0, 5))
def test_stratified_folds_hold_equal_shares_of_every_class(classes, seed):
    labels = pd.Series(classes, index=_ids(len(classes)))
    stratified = stratified_folds(labels, _folds(200, seed))
    for of_class in [*(stratified[labels == name] for name in set(classes)), stratified]:
        counts = of_class.value_counts().reindex(range(5), fill_value=0)
        assert counts.max() - counts.min() <= 1
    assert stratified.index.equals(labels.index)


def test_stratified_folds_stay_near_the_folds_of_the_split():
    labels = pd.Series(np.arange(1000) % 3 == 0, index=_ids(1000))
    folds = _folds(1000)
    moved = stratified_folds(labels, folds) != folds.loc[labels.index]
    assert moved.mean() < 0.1


def test_missing_values_are_left_out_and_counted():
    latents, target = _cohort(150, seed=6)
    target.iloc[:30] = np.nan
    result = probe(latents, target, _folds(150))
    assert (result.n, result.target.n_missing) == (120, 30)
    assert np.isnan(result.predictions[:30]).all()
    assert np.isfinite(result.predictions[30:]).all()


def test_small_classes_are_left_out_with_a_reason():
    latents, target = _cohort(150, seed=7)
    labels = pd.Series(np.where(target > 0, "a", "b"), index=target.index, name="rhythm")
    labels.iloc[: MINIMUM_CLASS - 1] = "rare"
    result = probe(latents, labels, _folds(150))
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
    target = pd.Series(values, index=_ids(60), name="target")
    latents = np.random.default_rng(0).normal(size=(60, 3))
    result = probe(latents, target, _folds(60), given)
    assert reason in result.target.reason
    assert np.isnan(result.score)
    assert np.isnan(result.predictions).all()
    assert np.isnan(compare_probes(result, result).difference)
    tables = run_probes({"a": latents, "b": latents}, target.to_frame(), _folds(60), floor=True)
    assert len(tables.scores) == 2
    assert tables.differences["p_corrected"].isna().all()


def test_classes_have_two_participants_a_fold_however_many_folds_there_are():
    latents, target = _cohort(200, seed=31)
    folds = pd.Series(np.arange(200) % 20, index=target.index)
    labels = pd.Series(np.where(np.arange(200) < 39, "ill", "well"), target.index, name="state")
    assert "at least 40" in probe(latents, labels, folds).target.reason
    labels.iloc[39] = "ill"
    result = probe(latents, labels, folds)
    assert np.isfinite([result.score, result.low, result.high]).all()


def test_text_of_too_many_classes_is_not_scored():
    names = np.repeat([f"place {i}" for i in range(MAXIMUM_CLASSES + 1)], MINIMUM_CLASS)
    target = pd.Series(names, index=_ids(len(names)), name="home")
    result = probe(np.arange(len(names), dtype=float)[:, None], target, _folds(len(names)))
    assert "codes or free text" in result.target.reason


def test_classes_coded_in_numbers_are_in_the_order_of_the_numbers():
    codes = pd.Series(np.resize([10.0, 2.0], 60), index=_ids(60), name="code")
    result = probe(np.random.default_rng(0).normal(size=(60, 2)), codes, _folds(60))
    assert result.target.type == "binary"
    assert result.target.classes == ("10",)


def test_the_difference_is_paired():
    # Two views of one latent, almost the same: each score is uncertain, their difference is not.
    latents, target = _cohort(300, seed=8)
    twin = latents + 0.02 * np.random.default_rng(1).normal(size=latents.shape)
    folds = _folds(300)
    one, two = probe(latents, target, folds), probe(twin, target, folds)
    difference = compare_probes(two, one)
    assert difference.difference == pytest.approx(two.score - one.score)
    assert difference.high - difference.low < 0.3 * (one.high - one.low)
    itself = compare_probes(one, one)
    assert (itself.difference, itself.low, itself.high, itself.p) == (0, 0, 0, 1)


def test_a_better_arm_is_told_from_a_worse():
    latents, target = _cohort(400, seed=9)
    worse = latents + np.random.default_rng(2).normal(size=latents.shape)
    labels = (target > 0).rename("sign")
    folds = _folds(400)
    for values in (target, labels):
        difference = compare_probes(probe(latents, values, folds), probe(worse, values, folds))
        assert difference.low > 0
        assert difference.p < 1e-3


def test_probes_of_other_participants_are_not_compared():
    latents, target = _cohort(100, seed=10)
    fewer = target.copy()
    fewer.iloc[0] = np.nan
    folds = _folds(100)
    with pytest.raises(InputError, match="not paired"):
        compare_probes(probe(latents, target, folds), probe(latents, fewer, folds))


def test_tables_have_a_row_an_arm_and_target():
    latents, target = _cohort(150, seed=11)
    targets = pd.DataFrame({"rate": target, "sex": np.where(target > 0, "female", "male")})
    targets["constant"] = 1.0
    arms = {"native": latents[:, 1:], "registered": latents}
    found = run_probes(arms, targets, _folds(150), units={"rate": "/min"})
    scores, differences = found.scores, found.differences
    assert list(scores["arm"] + ":" + scores["target"]) == [
        f"{arm}:{target}" for target in targets for arm in arms
    ]
    assert list(differences["target"]) == list(targets)
    assert set(differences["arm"]) == {"registered"}
    assert set(differences["baseline"]) == {"native"}
    by_arm = scores.set_index(["arm", "target"])["score"]
    rate = differences.set_index("target").loc["rate"]
    expected = by_arm["registered", "rate"] - by_arm["native", "rate"]
    assert rate["difference"] == pytest.approx(expected)
    assert rate["low"] < rate["difference"] < rate["high"]
    assert scores.loc[scores["target"] == "constant", "reason"].str.contains("constant").all()
    assert (scores.loc[scores["target"] == "rate", "units"] == "/min").all()
    assert scores.loc[scores["target"] == "rate", "rmse"].notna().all()
    assert (scores.loc[scores["target"] == "sex", "positive_class"] == "male").all()
    assert list(scores["type"][::2]) == ["continuous", "binary", "continuous"]
    assert list(found.calibration.groupby("arm")["n"].sum()) == [150, 150]
    assert found.adjusted is None


def test_q_values_of_differences_are_over_the_targets_of_each_pair_of_arms():
    latents, target = _cohort(200, seed=14)
    generator = np.random.default_rng(15)
    targets = pd.DataFrame(
        {f"t{i}": target + i * generator.normal(size=200) for i in range(6)}, index=target.index
    )
    targets["constant"] = 1.0
    worse = latents + generator.normal(size=latents.shape)
    arms = {"native": worse, "registered": latents, "shuffled": latents[::-1]}
    differences = run_probes(arms, targets, _folds(200)).differences
    for arm in ("registered", "shuffled"):
        of_arm = differences[differences["arm"] == arm].set_index("target")
        scored = of_arm.drop("constant")
        expected = multipletests(scored["p"], method="fdr_bh")[1]
        np.testing.assert_allclose(scored["q_value"], expected)
        assert np.isnan(of_arm.loc["constant", "q_value"])
        assert (scored["p_corrected"] >= scored["p"]).all()
    nothing = run_probes({"native": latents}, targets, _folds(200)).differences
    assert nothing.empty
    assert "q_value" in nothing


def _mean(targets, latents, other, folds, metric="r2"):
    found = run_probes({"one": other, "two": latents}, targets, folds)
    return found.differences, found.means.set_index("metric").loc[metric]


def test_the_mean_over_one_target_is_that_target():
    latents, target = _cohort(300, seed=16)
    other = latents + np.random.default_rng(17).normal(size=latents.shape)
    sex = pd.Series(np.where(target > 0, "female", "male"), target.index, name="sex")
    for values, metric in ((target, "r2"), (sex, "auc")):
        differences, mean = _mean(values.to_frame(), latents, other, _folds(300), metric)
        (row,) = differences.to_dict("records")
        assert mean["targets"] == 1
        assert mean["difference"] == pytest.approx(row["difference"])
        assert mean["score"] - mean["baseline_score"] == pytest.approx(mean["difference"])
        width = row["high"] - row["low"]
        assert mean["high"] - mean["low"] == pytest.approx(width)


def test_the_mean_of_an_arm_has_the_interval_of_a_single_score_however_often_it_is_the_same():
    latents, target = _cohort(300, seed=16)
    other = latents + np.random.default_rng(17).normal(size=latents.shape)
    sex = pd.Series(np.where(target > 0, "female", "male"), target.index)
    for values, metric in ((target, "r2"), (sex, "auc")):
        targets = pd.DataFrame({f"t{i}": values for i in range(3)})
        found = run_probes({"one": other, "two": latents}, targets, _folds(300), baseline="one")
        (mean,) = found.means.to_dict("records")
        scores = found.scores.set_index(["target", "arm"])
        for arm, name in (("two", "score"), ("one", "baseline")):
            single = scores.loc[("t0", arm), ["low", "high"]]
            assert [mean[f"{name}_low"], mean[f"{name}_high"]] == pytest.approx(list(single))
        assert mean["metric"] == metric


def test_targets_that_do_not_go_together_make_a_mean_more_certain():
    generator = np.random.default_rng(18)
    latents = generator.normal(size=(300, 6))
    targets = pd.DataFrame(latents + generator.normal(size=(300, 6)), index=_ids(300))
    targets.columns = [f"t{i}" for i in range(6)]
    noise = generator.normal(size=(300, 6))
    found = run_probes({"noise": noise, "known": latents}, targets, _folds(300), baseline="noise")
    (mean,) = found.means.to_dict("records")
    singles = found.scores.query("arm == 'known'")
    width = (singles["high"] - singles["low"]).mean()
    assert 0.3 < (mean["score_high"] - mean["score_low"]) / width < 0.6  # √6 times narrower: 0.41


def test_the_same_target_twice_is_no_more_certain_than_once():
    latents, target = _cohort(300, seed=18)
    other = latents + np.random.default_rng(19).normal(size=latents.shape)
    once, twice = (
        _mean(pd.concat([target.rename(f"t{i}") for i in range(n)], axis=1), latents, other, folds)[
            1
        ]
        for n, folds in ((1, _folds(300)), (2, _folds(300)))
    )
    assert twice["high"] - twice["low"] == pytest.approx(once["high"] - once["low"])


def test_intervals_of_the_mean_hold_the_truth_of_targets_that_go_together():
    """The mean difference of two arms that know equally much is 0 in the long run."""
    held, widths, folds = 0, [], _folds(250)
    for seed in range(100):
        generator = np.random.default_rng(seed)
        signal, shared = generator.normal(size=(2, 250))
        one, two = (
            np.column_stack([signal + 0.7 * generator.normal(size=250), generator.normal(size=250)])
            for _ in range(2)
        )
        targets = pd.DataFrame(
            {f"t{i}": signal + shared + 0.5 * generator.normal(size=250) for i in range(3)},
            index=_ids(250),
        )
        prepared = [prepare_target(targets[name], folds) for name in targets]
        before, after = (probe_targets(Predictors(latents), prepared) for latents in (one, two))
        gathered = MeanDifference()
        for pair in zip(after, before, strict=True):
            gathered.add(*pair)
        mean = gathered.result()
        held += mean["low"] < 0 < mean["high"]
        widths.append(mean["high"] - mean["low"])
    assert 89 <= held <= 100  # 95 of 100 expected; fewer than 89 in 1 of 200 such tests


def test_shuffled_labels_score_as_chance_and_true_traits_as_much_as_there_is_to_know():
    latents, target = _cohort(400, seed=24)
    truth = pd.DataFrame({"truth": target + 0.3 * np.random.default_rng(25).normal(size=400)})
    targets = pd.DataFrame({"number": target, "sign": np.where(target > 0, "+", "-")})
    arms = {"good": latents, "noise": np.random.default_rng(26).normal(size=(400, 3))}
    found = run_probes(arms, targets, _folds(400), floor=True, true_traits=truth)
    scores = found.scores.set_index(["target", "arm"])
    assert scores.loc["number", "floor"].abs().max() < 0.05
    assert (scores.loc["sign", "floor"] - 0.5).abs().max() < 0.08
    for name, score in (("number", 0.9), ("sign", 0.95)):
        ceilings = scores.loc[name, "ceiling"]
        assert np.ptp(ceilings) == 0
        assert ceilings.iloc[0] > score > scores.loc[(name, "good"), "score"]
    plain = run_probes(arms, targets, _folds(400)).scores
    np.testing.assert_allclose(plain["score"], found.scores["score"])
    assert plain[["floor", "ceiling"]].isna().all(axis=None)


def test_shuffled_labels_are_the_same_in_every_arm_and_row_order():
    _, target = _cohort(100, seed=27)
    folds = _folds(100)
    prepared = prepare_target(target, folds)
    shuffled = pd.Series(prepared.shuffled(target.index)[:, 0], target.index)
    backwards = target.iloc[::-1]
    other = pd.Series(
        prepare_target(backwards, folds).shuffled(backwards.index)[:, 0], backwards.index
    )
    pd.testing.assert_series_equal(other.loc[target.index], shuffled)
    assert np.mean(shuffled == target) < 0.2
    fold = folds.loc[target.index]
    for name in range(5):
        assert sorted(shuffled[fold == name]) == sorted(target[fold == name])


def test_arms_that_know_equally_much_differ_by_nothing_in_the_paired_interval():
    """Of 60 cohorts, with a number and two classes in each; benchmarks/probes_null.py has more."""
    generator, folds, held = np.random.default_rng(28), _folds(150), []
    for _ in range(60):
        trait = generator.normal(size=150)
        arms = [trait[:, None] * [1, 0, 0] + generator.normal(size=(150, 3)) for _ in range(2)]
        values = pd.Series(trait + generator.normal(size=150), _ids(150), name="trait")
        prepared = [prepare_target(each, folds) for each in (values, values > 0.5)]
        for pair in zip(*(probe_targets(Predictors(x), prepared) for x in arms), strict=True):
            difference = compare_probes(*pair)
            held.append(difference.low < 0 < difference.high)
    assert 107 <= sum(held) <= 120  # 114 of 120 expected; fewer than 107 in 1 of 200 such tests


def test_bad_input_ends_in_one_clear_line():
    latents, target = _cohort(60, seed=12)
    folds = _folds(60)
    broken = latents.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="not finite for 1 of 60"):
        probe(broken, target, folds)
    with pytest.raises(InputError, match="shape"):
        probe(latents[:50], target, folds)
    with pytest.raises(InputError, match="1 of 60 participants have no fold"):
        probe(latents, target, folds.drop("person-7"))
    with pytest.raises(InputError, match="arm 'native'"):
        run_probes({"native": broken}, target.to_frame(), folds)
    with pytest.raises(InputError, match="no arm 'registered'"):
        run_probes({"native": latents}, target.to_frame(), folds, baseline="registered")
    for values in (
        target.replace(target.iloc[0], np.inf),
        pd.Series(np.where(target > 0, np.inf, 1.0), target.index, name="two values"),
    ):
        with pytest.raises(InputError, match="infinite"):
            probe(latents, values, folds)
    for few in (1, 2):
        with pytest.raises(InputError, match=f"{few} folds; expected at least 3"):
            probe(latents, target, folds % few)
    with pytest.raises(InputError, match="type 'rank'"):
        probe(latents, target, folds, "rank")
    some = pd.DataFrame({"lv_volume": target}).iloc[1:]
    with pytest.raises(InputError, match="1 of 60 participants have no true traits"):
        run_probes({"native": latents}, target.to_frame(), folds, true_traits=some)


@pytest.mark.parametrize("tails", ["light", "heavy"])
@pytest.mark.parametrize("kind", ["continuous", "binary"])
def test_ninety_five_percent_intervals_hold_the_truth_as_often_as_they_say(kind, tails):
    """The truth: what the same procedure scores on average over cohorts drawn anew."""
    n, simulations = 126, 150
    generator = np.random.default_rng(13)
    ids, folds = _ids(n), _folds(n)
    scores, differences = [], []
    for _ in range(simulations):
        trait = generator.normal(size=n)
        stretch = np.sqrt(3 / generator.chisquare(3, (n, 1))) if tails == "heavy" else 1.0
        arms = [
            (trait[:, None] * strength * [1, 1, 0, 0] + generator.normal(size=(n, 4))) * stretch
            for strength in (0.5, 0.8)
        ]
        values = trait + 0.7 * generator.normal(size=n)
        target = pd.Series(values if kind == "continuous" else values > 0.5, index=ids, name="t")
        worse, better = (probe(latents, target, folds, kind) for latents in arms)
        difference = compare_probes(better, worse)
        scores.append((better.score, better.low, better.high))
        differences.append((difference.difference, difference.low, difference.high))
    for rows in (scores, differences):
        value, low, high = np.transpose(rows)
        covered = np.mean((low <= value.mean()) & (value.mean() <= high))
        assert 0.91 <= covered <= 0.99
