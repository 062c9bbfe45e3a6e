import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import binomtest

from regreveal.phenome.phewas.differences import phewas_differences
from regreveal.phenome.phewas.influence import influences
from regreveal.phenome.phewas.scan import phewas
from regreveal.phenome.phewas.split_half import SplitSpace, split_halves


def _people(seed, n=1000, phecodes=12, cases=80, strength=1.0):
    """Diseases of a trait, and two spaces that hold the trait equally well, each with own noise."""
    generator = np.random.default_rng(seed)
    trait, shared = generator.normal(size=(n, 2)), generator.normal(size=(n, 4))
    covariates = np.column_stack([generator.normal(60, 8, n), generator.integers(0, 2, n)])
    arms = {
        name: np.column_stack([trait, shared + generator.normal(size=shared.shape)])
        + 0.7 * generator.normal(size=(n, 6))
        for name in ("native", "registered")
    }
    risk = strength * trait @ generator.normal(size=(2, phecodes)) / 1.4
    risk += generator.logistic(size=(n, phecodes)) + 0.03 * covariates[:, :1]
    ill = np.zeros((n, phecodes), np.float32)
    np.put_along_axis(ill, np.argsort(-risk, axis=0)[:cases], 1, axis=0)
    ids = [f"person-{row}" for row in range(n)]
    status = pd.DataFrame(ill, index=ids, columns=[f"{100 + j}" for j in range(phecodes)])
    return arms, covariates, status


def _compare(arms, covariates, status):
    info = pd.DataFrame({"name": "a disease", "category": "simulated"}, index=status.columns)
    spaces = {a: SplitSpace.of(x, covariates, status.index, 0) for a, x in arms.items()}
    tables = {a: phewas(x, status, covariates, info) for a, x in arms.items()}
    return *phewas_differences(spaces, status, tables), tables


def test_the_difference_is_that_of_the_two_tables():
    arms, covariates, status = _people(seed=1)
    status.iloc[:40, 3] = np.nan
    differences, overall, tables = _compare(arms, covariates, status)
    before, after = tables["native"], tables["registered"]
    assert differences["phecode"].tolist() == status.columns.tolist()
    np.testing.assert_allclose(differences["beta"], after["beta"])
    np.testing.assert_allclose(differences["difference"], after["beta"] - before["beta"], atol=1e-6)
    errors = np.sqrt(before["standard_error"] * after["standard_error"])
    means = [(table["beta"] / errors).mean() for table in (before, after)]
    row = overall.iloc[0]
    assert [row["baseline_mean_z"], row["mean_z"]] == pytest.approx(means, abs=1e-6)
    assert row["difference"] == pytest.approx(means[1] - means[0], abs=1e-6)
    gained = (after["bonferroni"] < 0.05) & ~(before["bonferroni"] < 0.05)
    lost = (before["bonferroni"] < 0.05) & ~(after["bonferroni"] < 0.05)
    assert (row["gained"], row["lost"]) == (gained.sum(), lost.sum())
    assert row["significant"] - row["baseline_significant"] == gained.sum() - lost.sum()
    assert differences["phecode"][differences["significant_in"] == "gained"].tolist() == (
        after["phecode"][gained].tolist()
    )
    pairs = int(gained.sum() + lost.sum())
    assert row["p_counts"] == (binomtest(int(gained.sum()), pairs).pvalue if pairs else 1)


def test_arms_that_know_equally_much_differ_in_one_phecode_of_twenty():
    tables = [_compare(*_people(seed, strength=seed % 3))[:2] for seed in range(24)]
    each = pd.concat([differences for differences, _ in tables])
    overall = pd.concat([row for _, row in tables])
    # 14 of 288 expected; phecodes of one cohort share its people.
    assert 4 <= (each["p"] < 0.05).sum() <= 28
    covered = (each["low"] < 0) & (each["high"] > 0)
    assert (covered == (each["p"] > 0.05)).all()
    assert (overall["p"] < 0.05).sum() <= 4
    errors = np.sqrt(np.mean(each["standard_error"] ** 2))
    assert 0.75 < each["difference"].std() / errors < 1.15


def test_an_arm_that_knows_more_is_told_from_one_that_knows_less():
    arms, covariates, status = _people(seed=5, cases=200, strength=2.0)
    arms["native"] = arms["native"] + 3 * np.random.default_rng(6).normal(size=(1000, 6))
    differences, overall, _ = _compare(arms, covariates, status)
    row = overall.iloc[0]
    assert row["p"] < 1e-4
    assert row["low"] > 0
    assert row["gained"] > row["lost"]
    assert (differences["q_value"] < 0.05).sum() >= 3
    reversed_arms = dict(reversed(arms.items()))
    back, _, _ = _compare(reversed_arms, covariates, status)
    np.testing.assert_allclose(back["difference"], -differences["difference"], atol=1e-9)
    np.testing.assert_allclose(back["p"], differences["p"], rtol=1e-6)


@pytest.mark.parametrize("mixed", [False, True])
def test_the_same_space_does_not_differ_from_itself(mixed):
    arms, covariates, status = _people(seed=7)
    mixing = np.random.default_rng(8).normal(size=(6, 6)) if mixed else np.eye(6)
    differences, overall, _ = _compare(
        {"native": arms["native"], "again": arms["native"] @ mixing}, covariates, status
    )
    assert overall.loc[0, ["gained", "lost"]].tolist() == [0, 0]
    # To the last digit: of what differs by rounding, any p could come out.
    for table in (differences, overall):
        assert (table[["difference", "standard_error", "low", "high"]] == 0).all(axis=None)
        assert (table["p"] == 1).all()
    assert (differences["q_value"] == 1).all()


def test_what_cannot_be_tested_is_kept_with_its_reason():
    arms, covariates, status = _people(seed=9, phecodes=3)
    status["101"] = 0.0
    differences, overall, _ = _compare(arms, covariates, status)
    assert differences["reason"].tolist() == ["", "fewer than 20 cases", ""]
    assert differences.loc[1, ["difference", "p", "q_value"]].isna().all()
    assert overall.loc[0, "phecodes"] == 2
    status[:] = 0.0
    differences, overall, _ = _compare(arms, covariates, status)
    assert overall.loc[0, "phecodes"] == 0
    assert np.isnan(overall.loc[0, "difference"])


def test_influences_are_derivatives_by_the_weight_of_a_person():
    """Of the whole computation, with weighted centroids and statsmodels' weighted regressions."""
    arms, covariates, status = _people(seed=11, n=600, phecodes=1, cases=200)
    space = SplitSpace.of(arms["native"], covariates, status.index, 0)
    effects = influences(space, space.block(status.to_numpy()))
    ill = status["100"].to_numpy() == 1
    half = split_halves(status.to_numpy(), space.order)[:, 0]
    design = sm.add_constant(covariates)

    def coefficients(weights):
        found = []
        for tested in (0, 1):
            learnt, rows = half == 1 - tested, half == tested
            case, control = (
                np.average(space.whitened[learnt & group], axis=0, weights=weights[learnt & group])
                for group in (ill, ~ill)
            )
            component = space.whitened[rows] @ (case - control)
            mean = np.average(component, weights=weights[rows])
            deviation = np.sqrt(np.average((component - mean) ** 2, weights=weights[rows]))
            x = np.column_stack([design[rows], (component - mean) / deviation])
            family = sm.families.Binomial()
            model = sm.GLM(ill[rows], x, family=family, freq_weights=weights[rows])
            fit = model.fit(tol=1e-12)
            found.append((fit.params[-1], fit.bse[-1]))
        return np.transpose(found)

    beta, errors = coefficients(np.ones(600))
    shares = errors**-2.0 / np.sum(errors**-2.0)
    assert effects.beta[0] == pytest.approx(shares @ beta, abs=1e-6)
    for of_half in (0, 1):
        for group in (ill, ~ill):
            members = np.flatnonzero(group & (half == of_half))
            derivatives = []
            for person in members[:4]:
                more, less = np.ones((2, 600))
                more[person], less[person] = 1.001, 0.999
                change = shares @ (coefficients(more)[0] - coefficients(less)[0])
                derivatives.append(change / 0.002)
            found = (effects.tested + effects.learnt)[0, members[:4]]
            found = found / np.sqrt(len(members) / (len(members) - 1))
            # Counted about the mean of the class in the half: only differences can be compared.
            np.testing.assert_allclose(
                found - found.mean(), derivatives - np.mean(derivatives), rtol=1e-3, atol=1e-7
            )
