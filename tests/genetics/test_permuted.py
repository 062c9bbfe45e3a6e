import numpy as np
import pytest
from scipy import stats

from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.permuted import design_weights, permutation_tail, permuted_tests


def lognormal_space(n, k, seed, covariates=None):
    """Skewed latents whose dimensions are mixed, untransformed: far from F."""
    rng = np.random.default_rng(seed)
    latents = np.exp(0.7 * rng.standard_normal((n, k))) @ rng.standard_normal((k, k))
    return LatentSpace(latents, covariates)


def genotypes(n, het, hom, missing=0):
    dosages = np.zeros((1, n), np.int8)
    dosages[0, :hom] = 2
    dosages[0, hom : hom + het] = 1
    dosages[0, n - missing :] = -1 if missing else 0
    return dosages


def brute_force(space, dosages, coding, permutations, seed):
    """Pillai's traces of permuted genotypes, by the test itself."""
    rng = np.random.default_rng(seed)
    traces = []
    for _ in range(permutations // 5000):
        permuted = rng.permuted(np.repeat(dosages, 5000, axis=0), axis=1)
        traces.append(space.test(permuted, coding)["pillai"].to_numpy())
    return np.concatenate(traces)


def test_gaussian_latents_have_the_tail_of_f_down_to_1e_10():
    n, k, carriers = 1500, 8, 40
    space = LatentSpace(np.random.default_rng(0).standard_normal((n, k)))
    weights = design_weights(genotypes(n, carriers, 0)[0].astype(float), "genotype", False)
    tail = permutation_tail(space.whitened, weights, 11)
    for exact in (1, 2, 4, 7, 10):
        trace = stats.beta(k / 2, (n - 1 - k) / 2).isf(10.0**-exact)
        value, error, at_least = tail.neg_log10_p(trace)
        assert not at_least
        assert 0 < error < 0.15
        assert abs(value - exact) < 3.5 * error


@pytest.mark.parametrize(
    ("dosages", "coding"),
    [
        (genotypes(300, 6, 0), "genotype"),
        (genotypes(300, 30, 5), "genotype"),
        (genotypes(300, 30, 5), "additive"),
        (2 - genotypes(300, 30, 5), "genotype"),
    ],
)
def test_small_cases_agree_with_brute_force(dosages, coding):
    space = lognormal_space(300, 3, 1)
    traces = brute_force(space, dosages, coding, 200_000, 2)
    both = coding == "genotype" and (dosages == 2).any() and (dosages == 1).sum() > 6
    weights = design_weights(dosages[0].astype(float), coding, both)
    tail = permutation_tail(space.whitened, weights, 6)
    for level in (1e-1, 1e-3, 1e-4):
        trace = np.quantile(traces, 1 - level)
        share = (traces >= trace).mean()
        sampling = np.sqrt(1 / (share * len(traces))) / np.log(10)
        value, error, _ = tail.neg_log10_p(trace)
        assert abs(value + np.log10(share)) < 3.5 * np.hypot(error, sampling)


def test_fractional_dosages_agree_with_brute_force():
    rng = np.random.default_rng(3)
    dosages = np.zeros((1, 300))
    dosages[0, :20] = rng.uniform(0.2, 2, 20)
    space = lognormal_space(300, 3, 4)
    traces = brute_force(space, dosages, "additive", 100_000, 5)
    weights = design_weights(dosages[0], "additive", False)
    trace = np.quantile(traces, 1 - 1e-3)
    value, error, _ = permutation_tail(space.whitened, weights, 6).neg_log10_p(trace)
    assert abs(value - 3) < 3.5 * np.hypot(error, 0.1 / np.log(10))


@pytest.mark.parametrize("coding", ["genotype", "additive"])
def test_weights_give_the_trace_of_the_test(coding):
    space = lognormal_space(2000, 4, 6)
    dosages = genotypes(2000, 60, 8)
    weights = design_weights(dosages[0].astype(float), coding, coding == "genotype")
    people = np.arange(68)
    if coding == "genotype":  # by genotype: first those with one copy
        people = np.roll(people, -8)
    trace = np.square(weights.T @ space.whitened[people]).sum()
    assert trace == pytest.approx(space.test(dosages, coding)["pillai"][0])


def test_missing_and_nearly_usual_dosages_count_as_the_most_frequent():
    whole = genotypes(2000, 60, 8)[0].astype(float)
    for coding in ("genotype", "additive"):
        expected = design_weights(whole, coding, coding == "genotype")
        for value in (-1, np.nan):
            missing = np.where(np.arange(2000) < 1900, whole, value)
            np.testing.assert_allclose(
                design_weights(missing, coding, coding == "genotype"), expected
            )
    nearly = np.where(whole == 0, 0.09, whole)
    np.testing.assert_allclose(design_weights(nearly, "additive", False), expected)


def test_rare_variants_of_skewed_latents_are_less_significant_than_f_says():
    rng = np.random.default_rng(7)
    covariates = rng.standard_normal((1500, 3))
    space = lognormal_space(1500, 8, 8, covariates)
    dosages = np.zeros((4, 1500), np.int8)
    # The people who are farthest out carry the first two, chance and a common allele the others.
    order = np.argsort(-np.square(space.whitened).sum(axis=1))
    dosages[0, order[:6]] = 1
    dosages[1, order[:3]] = 1
    dosages[2, rng.choice(1500, 12, replace=False)] = 1
    dosages[3, rng.random(1500) < 0.4] = 1
    scanned = space.test(dosages, minimum_count=4)
    result = permuted_tests(space, dosages, minimum_count=4)
    assert list(result) == ["neg_log10_p_permuted", "standard_error", "at_least"]
    p = result["neg_log10_p_permuted"]
    assert p[0] < scanned["neg_log10_p"][0] - 3
    assert np.isnan(p[1])  # too few carriers
    assert abs(p[2] - scanned["neg_log10_p"][2]) < 1
    assert np.isnan(p[3])  # common
    assert not result["at_least"][1:].any()


def test_a_strong_effect_is_given_a_lower_bound():
    rng = np.random.default_rng(9)
    latents = rng.standard_normal((1000, 4))
    latents[:50] += 3
    dosages = genotypes(1000, 50, 0)
    result = permuted_tests(LatentSpace(latents), dosages, threshold=1e-3).iloc[0]
    assert result["at_least"]
    assert result["neg_log10_p_permuted"] == pytest.approx(8)
    assert LatentSpace(latents).test(dosages)["neg_log10_p"][0] > 50


def test_the_seed_decides_and_variants_do_not_disturb_each_other():
    space = lognormal_space(500, 4, 10)
    dosages = np.vstack([genotypes(500, 9, 0), genotypes(500, 30, 5)])
    both = permuted_tests(space, dosages, seed=1)
    np.testing.assert_array_equal(both, permuted_tests(space, dosages, seed=1))
    alone = permuted_tests(space, dosages[1:], seed=1)
    np.testing.assert_array_equal(alone, both[1:])
    assert (permuted_tests(space, dosages, seed=2) != both).any(axis=None)


def test_larger_traces_are_never_less_significant():
    space = lognormal_space(400, 4, 11)
    weights = design_weights(genotypes(400, 7, 0)[0].astype(float), "genotype", False)
    tail = permutation_tail(space.whitened, weights, 6)
    values = [tail.neg_log10_p(trace)[0] for trace in np.linspace(0, 1, 400)]
    assert (np.diff(values) >= 0).all()
    # And where the simulation stops does not matter to what comes before.
    stopped = permutation_tail(space.whitened, weights, 6, 0.05)
    assert stopped.neg_log10_p(0.05) == tail.neg_log10_p(0.05)


def test_single_carriers_cannot_be_rarer_than_people_are_many():
    space = lognormal_space(200, 3, 12)
    farthest = np.argmax(np.square(space.whitened).sum(axis=1))
    dosages = np.zeros((1, 200), np.int8)
    dosages[0, farthest] = 1
    value, error, at_least = permuted_tests(space, dosages).iloc[0]
    assert not at_least
    assert value == pytest.approx(np.log10(200), abs=3.5 * error)
