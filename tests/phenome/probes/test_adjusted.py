import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score

from regreveal.errors import InputError
from regreveal.phenome.probes.run import run_probes
from regreveal.phenome.probes.targets import prepare_target
from regreveal.store.cohort import make_splits

N = 300


@pytest.fixture(scope="module")
def people():
    """Latents of two arms, targets, covariates and folds; age is missing for ten."""
    generator = np.random.default_rng(1)
    ids = pd.Index([f"person-{i}" for i in range(N)], name="sample_id")
    latents = generator.normal(size=(N, 4))
    covariates = pd.DataFrame(
        {"age": generator.normal(60, 8, N), "sex": generator.choice(["f", "m"], N)}, index=ids
    )
    covariates["home"] = generator.choice(["a", "b", "c"], N)
    signal = 0.1 * covariates["age"] + (covariates["sex"] == "m") + latents[:, 0]
    number = signal + generator.normal(size=N)
    targets = pd.DataFrame({"number": number, "case": number > number.median()}, index=ids)
    targets["age"] = covariates["age"]
    covariates.loc[ids[:10], "age"] = np.nan
    splits = make_splits(ids, {"train": 0.0, "validation": 0.0, "analysis": 1.0}, 1)
    arms = {"noise": generator.normal(size=(N, 4)), "good": latents}
    return arms, targets, covariates, splits.set_index("sample_id")["fold"]


@pytest.fixture(scope="module")
def found(people):
    arms, targets, covariates, folds = people
    return run_probes(arms, targets, folds, covariates=covariates).adjusted


def test_covariates_alone_score_as_by_sklearns_unpenalised_models(people, found):
    _, targets, covariates, folds = people
    encoded = pd.get_dummies(covariates, drop_first=True).astype(float)
    complete = encoded.notna().all(axis=1).to_numpy()
    for name, model, score in (
        ("number", LinearRegression(), r2_score),
        ("case", LogisticRegression(C=np.inf, solver="newton-cholesky"), roc_auc_score),
    ):
        target = prepare_target(targets[name], folds, usable=complete)
        expected = []
        for held in range(5):
            fitted, tested = complete & (target.fold != held), target.fold == held
            outcome = target.outcomes[:, 0]
            model.fit(encoded[fitted], outcome[fitted])
            predict = model.predict if name == "number" else model.decision_function
            expected.append(score(outcome[tested], predict(encoded[tested])))
        of_arms = found.gains.loc[found.gains["target"] == name, "covariates_score"]
        assert list(of_arms) == pytest.approx([np.mean(expected)] * 2, abs=1e-6)


def test_latents_that_know_more_gain_and_those_that_know_nothing_do_not(found):
    gains = found.gains.set_index(["target", "arm"])
    for name in ("number", "case"):
        good, noise = gains.loc[(name, "good")], gains.loc[(name, "noise")]
        assert good["low"] > 0.02
        assert good["p_corrected"] < 0.01
        assert noise["low"] < 0
        assert good["gain"] == pytest.approx(good["score"] - good["covariates_score"])


def test_the_difference_of_gains_is_paired_and_is_that_of_the_scores(found):
    gains = found.gains.set_index(["target", "arm"])
    for row in found.differences.to_dict("records"):
        of_target = gains.loc[row["target"]]
        expected = of_target.loc["good", "gain"] - of_target.loc["noise", "gain"]
        assert row["difference"] == pytest.approx(expected)
        assert (row["gain"], row["baseline_gain"]) == tuple(
            of_target.loc[["good", "noise"], "gain"]
        )
        assert row["low"] < row["difference"] < row["high"]


def test_a_target_that_is_a_covariate_is_adjusted_for_the_others(found):
    adjusted = found.gains.set_index("target")["adjusted_for"].groupby("target").first()
    assert adjusted.to_dict() == {
        "number": "age, sex, home",
        "case": "age, sex, home",
        "age": "sex, home",
    }


def test_who_lacks_a_covariate_is_left_out_and_counted(found):
    counts = found.gains.groupby("target")[["n", "n_missing", "n_without_covariates"]].first()
    assert counts.loc["number"].tolist() == [N - 10, 0, 10]
    assert counts.loc["age"].tolist() == [N, 0, 0]


def test_rows_are_in_the_order_of_targets_and_arms(found):
    assert list(found.gains["target"]) == ["number"] * 2 + ["case"] * 2 + ["age"] * 2
    assert list(found.gains["arm"]) == ["noise", "good"] * 3


def test_covariates_that_nobody_has_are_an_error(people):
    arms, targets, covariates, folds = people
    with pytest.raises(InputError, match="no participant has a value of each of age, sex, home"):
        run_probes(arms, targets[["case"]], folds, covariates=covariates.assign(sex=None))
    endless = covariates.assign(age=np.inf)
    with pytest.raises(InputError, match="not finite"):
        run_probes(arms, targets[["case"]], folds, covariates=endless)


def test_days_are_refused_as_a_covariate(people):
    # A column for each day would let covariates fit everybody, and leave latents nothing.
    arms, targets, covariates, folds = people
    days = pd.date_range("2015-01-01", periods=N).strftime("%Y-%m-%d")
    with pytest.raises(InputError, match="'visit' has 300 different values"):
        run_probes(arms, targets, folds, covariates=covariates.assign(visit=days))
