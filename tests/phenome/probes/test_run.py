import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from regreveal.errors import InputError
from regreveal.phenome.probes.run import run_probes
from regreveal.phenome.probes.single import probe
from regreveal.phenome.probes.targets import prepare_target
from tests.phenome.probes.made_up import draw_cohort, folds_of


def test_tables_have_a_row_an_arm_and_target():
    latents, target = draw_cohort(150, seed=11)
    targets = pd.DataFrame({"rate": target, "sex": np.where(target > 0, "female", "male")})
    targets["constant"] = 1.0
    arms = {"native": latents[:, 1:], "registered": latents}
    found = run_probes(arms, targets, folds_of(150), units={"rate": "/min"})
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
    latents, target = draw_cohort(200, seed=14)
    generator = np.random.default_rng(15)
    targets = pd.DataFrame(
        {f"t{i}": target + i * generator.normal(size=200) for i in range(6)}, index=target.index
    )
    targets["constant"] = 1.0
    worse = latents + generator.normal(size=latents.shape)
    arms = {"native": worse, "registered": latents, "shuffled": latents[::-1]}
    differences = run_probes(arms, targets, folds_of(200)).differences
    for arm in ("registered", "shuffled"):
        of_arm = differences[differences["arm"] == arm].set_index("target")
        scored = of_arm.drop("constant")
        expected = multipletests(scored["p"], method="fdr_bh")[1]
        np.testing.assert_allclose(scored["q_value"], expected)
        assert np.isnan(of_arm.loc["constant", "q_value"])
        assert (scored["p_corrected"] >= scored["p"]).all()
    nothing = run_probes({"native": latents}, targets, folds_of(200)).differences
    assert nothing.empty
    assert "q_value" in nothing


def test_shuffled_labels_score_as_chance_and_true_traits_as_much_as_there_is_to_know():
    latents, target = draw_cohort(400, seed=24)
    truth = pd.DataFrame({"truth": target + 0.3 * np.random.default_rng(25).normal(size=400)})
    targets = pd.DataFrame({"number": target, "sign": np.where(target > 0, "+", "-")})
    arms = {"good": latents, "noise": np.random.default_rng(26).normal(size=(400, 3))}
    found = run_probes(arms, targets, folds_of(400), floor=True, true_traits=truth)
    scores = found.scores.set_index(["target", "arm"])
    assert scores.loc["number", "floor"].abs().max() < 0.05
    assert (scores.loc["sign", "floor"] - 0.5).abs().max() < 0.08
    for name, score in (("number", 0.9), ("sign", 0.95)):
        ceilings = scores.loc[name, "ceiling"]
        assert np.ptp(ceilings) == 0
        assert ceilings.iloc[0] > score > scores.loc[(name, "good"), "score"]
    plain = run_probes(arms, targets, folds_of(400)).scores
    np.testing.assert_allclose(plain["score"], found.scores["score"])
    assert plain[["floor", "ceiling"]].isna().all(axis=None)


def test_shuffled_labels_are_the_same_in_every_arm_and_row_order():
    _, target = draw_cohort(100, seed=27)
    folds = folds_of(100)
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


def test_bad_input_ends_in_one_clear_line():
    latents, target = draw_cohort(60, seed=12)
    folds = folds_of(60)
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
