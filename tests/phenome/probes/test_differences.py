import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.phenome.probes.differences import MeanDifference, compare_probes
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.run import run_probes
from regreveal.phenome.probes.single import probe, probe_targets
from regreveal.phenome.probes.targets import prepare_target
from tests.phenome.probes.made_up import draw_cohort, folds_of, ids_of


def test_the_difference_is_paired():
    # Two views of one latent, almost the same: each score is uncertain, their difference is not.
    latents, target = draw_cohort(300, seed=8)
    twin = latents + 0.02 * np.random.default_rng(1).normal(size=latents.shape)
    folds = folds_of(300)
    one, two = probe(latents, target, folds), probe(twin, target, folds)
    difference = compare_probes(two, one)
    assert difference.difference == pytest.approx(two.score - one.score)
    assert difference.high - difference.low < 0.3 * (one.high - one.low)
    itself = compare_probes(one, one)
    assert (itself.difference, itself.low, itself.high, itself.p) == (0, 0, 0, 1)


def test_a_better_arm_is_told_from_a_worse():
    latents, target = draw_cohort(400, seed=9)
    worse = latents + np.random.default_rng(2).normal(size=latents.shape)
    labels = (target > 0).rename("sign")
    folds = folds_of(400)
    for values in (target, labels):
        difference = compare_probes(probe(latents, values, folds), probe(worse, values, folds))
        assert difference.low > 0
        assert difference.p < 1e-3


def test_probes_of_other_participants_are_not_compared():
    latents, target = draw_cohort(100, seed=10)
    fewer = target.copy()
    fewer.iloc[0] = np.nan
    folds = folds_of(100)
    with pytest.raises(InputError, match="not paired"):
        compare_probes(probe(latents, target, folds), probe(latents, fewer, folds))


def _mean(targets, latents, other, folds, metric="r2"):
    found = run_probes({"one": other, "two": latents}, targets, folds)
    return found.differences, found.means.set_index("metric").loc[metric]


def test_the_mean_over_one_target_is_that_target():
    latents, target = draw_cohort(300, seed=16)
    other = latents + np.random.default_rng(17).normal(size=latents.shape)
    sex = pd.Series(np.where(target > 0, "female", "male"), target.index, name="sex")
    for values, metric in ((target, "r2"), (sex, "auc")):
        differences, mean = _mean(values.to_frame(), latents, other, folds_of(300), metric)
        (row,) = differences.to_dict("records")
        assert mean["targets"] == 1
        assert mean["difference"] == pytest.approx(row["difference"])
        assert mean["score"] - mean["baseline_score"] == pytest.approx(mean["difference"])
        width = row["high"] - row["low"]
        assert mean["high"] - mean["low"] == pytest.approx(width)


def test_the_mean_of_an_arm_has_the_interval_of_a_single_score_however_often_it_is_the_same():
    latents, target = draw_cohort(300, seed=16)
    other = latents + np.random.default_rng(17).normal(size=latents.shape)
    sex = pd.Series(np.where(target > 0, "female", "male"), target.index)
    for values, metric in ((target, "r2"), (sex, "auc")):
        targets = pd.DataFrame({f"t{i}": values for i in range(3)})
        found = run_probes({"one": other, "two": latents}, targets, folds_of(300), baseline="one")
        (mean,) = found.means.to_dict("records")
        scores = found.scores.set_index(["target", "arm"])
        for arm, name in (("two", "score"), ("one", "baseline")):
            single = scores.loc[("t0", arm), ["low", "high"]]
            assert [mean[f"{name}_low"], mean[f"{name}_high"]] == pytest.approx(list(single))
        assert mean["metric"] == metric


def test_targets_that_do_not_go_together_make_a_mean_more_certain():
    generator = np.random.default_rng(18)
    latents = generator.normal(size=(300, 6))
    targets = pd.DataFrame(latents + generator.normal(size=(300, 6)), index=ids_of(300))
    targets.columns = [f"t{i}" for i in range(6)]
    noise = generator.normal(size=(300, 6))
    found = run_probes({"noise": noise, "known": latents}, targets, folds_of(300), baseline="noise")
    (mean,) = found.means.to_dict("records")
    singles = found.scores.query("arm == 'known'")
    width = (singles["high"] - singles["low"]).mean()
    assert 0.3 < (mean["score_high"] - mean["score_low"]) / width < 0.6  # √6 times narrower: 0.41


def test_the_same_target_twice_is_no_more_certain_than_once():
    latents, target = draw_cohort(300, seed=18)
    other = latents + np.random.default_rng(19).normal(size=latents.shape)
    once, twice = (
        _mean(pd.concat([target.rename(f"t{i}") for i in range(n)], axis=1), latents, other, folds)[
            1
        ]
        for n, folds in ((1, folds_of(300)), (2, folds_of(300)))
    )
    assert twice["high"] - twice["low"] == pytest.approx(once["high"] - once["low"])


def test_intervals_of_the_mean_hold_the_truth_of_targets_that_go_together():
    """The mean difference of two arms that know equally much is 0 in the long run."""
    held, widths, folds = 0, [], folds_of(250)
    for seed in range(100):
        generator = np.random.default_rng(seed)
        signal, shared = generator.normal(size=(2, 250))
        one, two = (
            np.column_stack([signal + 0.7 * generator.normal(size=250), generator.normal(size=250)])
            for _ in range(2)
        )
        targets = pd.DataFrame(
            {f"t{i}": signal + shared + 0.5 * generator.normal(size=250) for i in range(3)},
            index=ids_of(250),
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


def test_arms_that_know_equally_much_differ_by_nothing_in_the_paired_interval():
    """Of 60 cohorts, with a number and two classes; more by benchmarks/phenome/probes_null.py."""
    generator, folds, held = np.random.default_rng(28), folds_of(150), []
    for _ in range(60):
        trait = generator.normal(size=150)
        arms = [trait[:, None] * [1, 0, 0] + generator.normal(size=(150, 3)) for _ in range(2)]
        values = pd.Series(trait + generator.normal(size=150), ids_of(150), name="trait")
        prepared = [prepare_target(each, folds) for each in (values, values > 0.5)]
        for pair in zip(*(probe_targets(Predictors(x), prepared) for x in arms), strict=True):
            difference = compare_probes(*pair)
            held.append(difference.low < 0 < difference.high)
    assert 107 <= sum(held) <= 120  # 114 of 120 expected; fewer than 107 in 1 of 200 such tests


@pytest.mark.parametrize("tails", ["light", "heavy"])
@pytest.mark.parametrize("kind", ["continuous", "binary"])
def test_ninety_five_percent_intervals_hold_the_truth_as_often_as_they_say(kind, tails):
    """The truth: what the same procedure scores on average over cohorts drawn anew."""
    n, simulations = 126, 150
    generator = np.random.default_rng(13)
    ids, folds = ids_of(n), folds_of(n)
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
