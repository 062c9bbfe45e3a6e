import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import roc_auc_score

from regreveal.errors import InputError
from regreveal.genetics import nullspace
from regreveal.genetics.nullspace import project_out


def planted(n=5000, k=64, seed=0):
    """Draw correlated latents of very unequal scale that carry age, bmi and sex linearly."""
    rng = np.random.default_rng(seed)
    confounders = pd.DataFrame(
        {
            "age": rng.normal(60, 8, n),
            "bmi": rng.normal(27, 4, n),
            "sex": rng.choice(["female", "male"], n),
        }
    )
    numbers = np.column_stack(
        [confounders["age"] / 8, confounders["bmi"] / 4, confounders["sex"] == "male"]
    )
    signal = rng.standard_normal(n)
    own = rng.standard_normal((n, k)) * np.geomspace(0.05, 5, k)
    latents = own + np.outer(signal, rng.standard_normal(k)) + numbers @ rng.normal(0, 1, (3, k))
    return latents @ np.linalg.qr(rng.standard_normal((k, k)))[0], confounders, signal


def held_out_r2(latents, target):
    half = len(latents) // 2
    model = LinearRegression().fit(latents[:half], target[:half])
    return model.score(latents[half:], target[half:])


def test_planted_confounders_are_gone_and_little_else():
    latents, confounders, signal = planted()
    result = project_out(latents, confounders, seed=1)
    assert result.latents.shape[1] >= latents.shape[1] - 3
    assert result.passes == 1
    for name in ("age", "bmi"):
        assert held_out_r2(latents, confounders[name]) > 0.5
        assert held_out_r2(result.latents, confounders[name]) < 0.01
    is_male = (confounders["sex"] == "male").to_numpy(float)
    assert held_out_r2(result.latents, is_male) < 0.01
    assert held_out_r2(result.latents, signal) > 0.8 * held_out_r2(latents, signal)


def test_the_report_is_of_held_out_people():
    latents, confounders, _ = planted(n=2000, k=16)
    report = project_out(latents, confounders).report.set_index("confounder")
    assert list(report["measure"]) == ["r2", "r2", "auc"]
    assert (report.loc[["age", "bmi"], "before"] > 0.5).all()
    assert report.loc["sex", "before"] > 0.8
    assert (report.loc[["age", "bmi"], "after"] < 0.01).all()
    assert abs(report.loc["sex", "after"] - 0.5) < 0.05


def test_both_halves_share_one_set_of_coordinates():
    latents, confounders, signal = planted(n=2000, k=16)
    seed = 4
    result = project_out(latents, confounders, seed=seed)
    first, second = np.array_split(np.random.default_rng(seed).permutation(2000), 2)
    model = LinearRegression().fit(result.latents[first], signal[first])
    assert model.score(result.latents[second], signal[second]) > 0.8
    in_first = np.zeros(2000)
    in_first[first] = 1
    assert roc_auc_score(in_first, result.latents @ model.coef_) == pytest.approx(0.5, abs=0.05)


def test_categories_with_three_values_take_two_dimensions():
    rng = np.random.default_rng(2)
    ancestry = rng.choice(["a", "b", "c"], 1500)
    latents = rng.standard_normal((1500, 8))
    latents[:, :2] += 2 * np.column_stack([ancestry == "a", ancestry == "b"])
    result = project_out(latents, pd.DataFrame({"ancestry": ancestry}))
    assert result.removed == 2
    assert result.report["before"][0] > 0.75
    assert abs(result.report["after"][0] - 0.5) < 0.05


def test_categories_that_hardly_overlap_are_gone_too():
    rng = np.random.default_rng(9)
    sex = rng.choice(["female", "male"], 6000)
    latents = rng.standard_normal((6000, 32))
    latents[:, :4] += 2.5 * (sex == "male")[:, None]
    confounders = pd.DataFrame({"sex": sex})
    result = project_out(latents[:3000], confounders[:3000])
    assert result.report["before"][0] > 0.999
    assert held_out_r2(result.project(latents[3000:]), (sex[3000:] == "male").astype(float)) < 0.01


def test_nothing_is_removed_where_nothing_is_confounded():
    rng = np.random.default_rng(3)
    latents = rng.standard_normal((2000, 6))
    result = project_out(latents, pd.DataFrame({"age": rng.normal(size=2000)}))
    assert (result.passes, result.removed) == (0, 0)


def test_noise_in_few_people_does_not_pass_for_confounding():
    removed = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        confounders = pd.DataFrame(
            {"age": rng.normal(60, 8, 150), "sex": rng.choice(["female", "male"], 150)}
        )
        removed.append(project_out(rng.standard_normal((150, 16)), confounders).removed)
    # Two standard errors, two confounders: about 1 of 25 is expected.
    assert np.count_nonzero(removed) <= 3


def test_only_what_is_predicted_is_removed():
    rng = np.random.default_rng(5)
    age = rng.normal(60, 8, 1000)
    confounders = pd.DataFrame({"age": age, "noise": rng.normal(size=1000)})
    latents = rng.standard_normal((1000, 8))
    latents[:, 0] += (age - 60) / 8
    result = project_out(latents, confounders)
    assert result.removed == 1
    assert list(result.report["confounder"]) == ["age", "noise"]
    assert result.report["before"][0] > 0.3
    assert result.report["after"][0] < 0.01


@pytest.mark.parametrize(
    ("confounders", "message"),
    [
        (pd.DataFrame({"age": [1.0] * 99 + [np.nan]}), "'age' is missing for 1 participants"),
        (pd.DataFrame({"age": [1.0] * 100}), "'age' has one value only"),
        (pd.DataFrame({"age": np.arange(99.0)}), "99 rows for 100 participants"),
        (pd.DataFrame({"age": [1.0] * 99 + [np.inf]}), "'age' is missing for 1 participants"),
        (pd.DataFrame({"site": ["a"] * 96 + ["b"] * 4}), "value 'b' of 'site' has 4 participants"),
        (pd.DataFrame(np.eye(100, 2), columns=["age", "age"]), "'age' is given more than once"),
    ],
)
def test_unusable_confounders_are_named(confounders, message):
    latents = np.random.default_rng(0).standard_normal((100, 4))
    with pytest.raises(InputError, match=message):
        project_out(latents, confounders)


def test_too_few_people_for_halves_are_refused():
    with pytest.raises(InputError, match="8 participants are too few"):
        project_out(
            np.random.default_rng(0).standard_normal((8, 4)), pd.DataFrame({"age": range(8)})
        )


def test_confounders_that_take_every_dimension_are_refused():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((400, 2))
    confounders = pd.DataFrame(latents, columns=["one", "two"])
    with pytest.raises(InputError, match="all 2 latent dimensions"):
        project_out(latents, confounders)


def test_no_basis_of_the_nullspace_is_preferred(monkeypatch):
    latents, confounders, signal = planted(n=2000, k=16)
    rng = np.random.default_rng(8)
    plain = nullspace._nullspace

    def turned(directions, rank=None):
        basis = plain(directions, rank)
        return basis @ np.linalg.qr(rng.standard_normal(basis.shape[1:] * 2))[0]

    monkeypatch.setattr(nullspace, "_nullspace", turned)
    result = project_out(latents, confounders)
    assert held_out_r2(result.latents, signal) > 0.8


def test_new_people_are_projected_as_everyone_was():
    latents, confounders, signal = planted(n=6000, k=16)
    result = project_out(latents[:4000], confounders.iloc[:4000])
    new = result.project(latents[4000:])
    assert new.shape == (2000, 13)
    is_male = (confounders["sex"] == "male").to_numpy(float)
    for target in (confounders["age"], confounders["bmi"], is_male):
        assert held_out_r2(new, target[4000:]) < 0.01
    # The same coordinates: what is learned on those projected before holds for the new people.
    model = LinearRegression().fit(result.latents, signal[:4000])
    assert model.score(new, signal[4000:]) > 0.8


def test_ridge_is_the_textbook_one_for_each_number():
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((300, 12)) * np.geomspace(0.1, 3, 12) + 5
    numbers = np.column_stack(
        [latents @ rng.standard_normal(12) + rng.normal(0, 5, 300), rng.normal(3, 1, 300)]
    )
    slopes, intercepts = nullspace._ridge(latents, numbers)
    for column, (slope, intercept) in enumerate(zip(slopes.T, intercepts, strict=True)):
        target = numbers[:, column]
        fits = []
        for penalty in nullspace.RIDGE_PENALTIES:
            model = Ridge(penalty).fit(latents, target)
            # Trace of the smoother by definition: how each fitted value moves with its own datum.
            centred = latents - latents.mean(axis=0)
            smoother = centred @ np.linalg.solve(
                centred.T @ centred + penalty * np.eye(12), centred.T
            )
            squares = ((target - model.predict(latents)) ** 2).sum()
            fits.append((squares / (len(target) - 1 - np.trace(smoother)) ** 2, model))
        best = min(fits, key=lambda fit: fit[0])[1]
        np.testing.assert_allclose(slope, best.coef_, rtol=1e-6, atol=1e-9)
        assert intercept == pytest.approx(best.intercept_)


def test_numbers_asked_together_score_as_each_alone():
    latents, confounders, _ = planted(n=1000, k=8)
    together = project_out(latents, confounders).report
    for row, name in enumerate(confounders):
        alone = project_out(latents, confounders[[name]]).report
        assert alone["before"][0] == pytest.approx(together["before"][row], rel=1e-9)
