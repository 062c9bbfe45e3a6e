import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from regreveal.errors import InputError
from regreveal.genetics import skewness
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.skewness import SkewnessCorrection
from regreveal.genetics.transforms import transform_latents


def mixed_lognormal(n, k, seed):
    rng = np.random.default_rng(seed)
    return np.exp(rng.standard_normal((n, k))) @ rng.standard_normal((k, k))


def whitened(latents):
    return LatentSpace(latents).whitened


def joint_table(n_ref, n_het, n_hom, df1, neg_log10_p):
    """Make what the correction reads of a joint test's table, one variant or more."""
    columns = np.broadcast_arrays(*map(np.atleast_1d, (n_ref, n_het, n_hom, df1, neg_log10_p)))
    return pd.DataFrame(
        dict(zip(("n_ref", "n_het", "n_hom", "df1", "neg_log10_p"), columns, strict=True))
    )


def projection_on_groups(groups):
    """Project people on the differences between groups, from least squares."""
    indicators = (groups[:, None] == np.unique(groups)).astype(float)
    basis = np.linalg.qr(indicators - indicators.mean(axis=0))[0][:, : indicators.shape[1] - 1]
    return basis @ basis.T


def edgeworth(correction, projection, df1, neg_log10_p):
    """Correct one p-value with the series as the textbook has it, from people's pairs."""
    cubes = (projection**3).sum()
    contracted = np.diag(projection) @ projection @ np.diag(projection)
    weight = (2 * cubes * correction.pairs + 3 * contracted * correction.centre) / 24
    x = stats.chi2.isf(10**-neg_log10_p, df1)
    survival = stats.chi2.sf(x, df1 + np.array([0, 2, 4, 6]))
    return -np.log10(survival[0] + weight * survival @ [-1, 3, -3, 1])


@pytest.mark.parametrize(("n", "k"), [(300, 4), (5000, 3), (600, 60)])
def test_skewness_is_the_norm_of_the_third_moments(n, k):
    z = whitened(mixed_lognormal(n, k, 0))
    n, k = z.shape
    scaled = np.sqrt(n) * z
    third = np.einsum("ia,ib,ic->abc", scaled, scaled, scaled) / n
    sixth = ((scaled**2).sum(axis=1) ** 3).mean()
    correction = SkewnessCorrection(z)
    # The tensor's norm counts everyone as their own partner, too.
    of_pairs = (third**2).sum() * n / (n - 1) - sixth / (n - 1)
    assert correction.pairs == pytest.approx(of_pairs + 3 * k * (k + 2) / n)
    centre = (np.einsum("abb->a", third) ** 2).sum()
    assert correction.centre == pytest.approx(centre - 2 * k * (k + 2) / n)


def test_gaussian_samples_have_no_excess_on_average():
    rng = np.random.default_rng(1)
    found = [SkewnessCorrection(whitened(rng.standard_normal((400, 8)))) for _ in range(200)]
    for excess in ([each.pairs for each in found], [each.centre for each in found]):
        error = np.std(excess) / np.sqrt(len(found))
        # The next terms, in 1/n², are a few hundredths of what was taken off.
        assert abs(np.mean(excess)) < 4 * error + 0.02


def test_where_people_are_too_many_some_stand_for_all(monkeypatch):
    z = whitened(mixed_lognormal(6000, 8, 2))
    of_all = SkewnessCorrection(z).pairs
    monkeypatch.setattr(skewness, "MOST_WORK", 4000 * 8**3 / 3)
    of_some = SkewnessCorrection(z).pairs
    assert of_some == pytest.approx(of_all, rel=0.1)
    assert of_some != of_all


@pytest.mark.parametrize(
    ("coding", "counts", "rank"),
    [
        ("genotype", (560, 30, 10), 2),
        ("genotype", (10, 90, 500), 2),
        ("genotype", (560, 30, 10), 1),
        ("genotype", (10, 90, 500), 1),
        ("additive", (560, 30, 10), 1),
        ("additive", (10, 90, 500), 1),
    ],
)
def test_p_values_are_those_of_the_edgeworth_series(coding, counts, rank):
    k = 6
    correction = SkewnessCorrection(whitened(mixed_lognormal(600, k, 3)))
    groups = np.repeat([0, 1, 2], counts)
    if coding == "additive":
        centred = groups - groups.mean()
        projection = np.outer(centred, centred) / (centred @ centred)
    elif rank == 2:
        projection = projection_on_groups(groups)
    else:
        projection = projection_on_groups(groups == np.argmax(counts))
    for uncorrected in (2.5, 4, 8, 50):
        found = correction.neg_log10_p(joint_table(*counts, rank * k, uncorrected), coding)
        expected = edgeworth(correction, projection, rank * k, uncorrected)
        assert found[0] == pytest.approx(expected)
        assert found[0] < uncorrected - 0.001


def test_p_values_never_get_smaller_and_keep_their_order():
    correction = SkewnessCorrection(whitened(mixed_lognormal(2000, 16, 4)))
    uncorrected = np.concatenate([np.linspace(0, 20, 2001), np.linspace(20, 5000, 500)])
    for carriers in (20, 100, 1000):
        table = joint_table(2000 - carriers, carriers, 0, 16, uncorrected)
        corrected = correction.neg_log10_p(table, "genotype")
        assert (corrected <= uncorrected).all()
        assert (np.diff(corrected) >= 0).all()


def test_latents_no_more_skewed_than_gaussian_ones_are_left_alone():
    half = np.random.default_rng(6).standard_normal((500, 5))
    correction = SkewnessCorrection(whitened(np.vstack([half, -half])))
    table = joint_table(980, 20, 0, 5, [3.0, 9.0])
    np.testing.assert_array_equal(correction.neg_log10_p(table, "genotype"), [3, 9])


@pytest.mark.parametrize("coding", ["genotype", "additive"])
def test_untested_variants_stay_untested(coding):
    correction = SkewnessCorrection(whitened(mixed_lognormal(200, 3, 7)))
    table = joint_table([200, 150], [0, 50], 0, [np.nan, 3], [np.nan, 4.0])
    corrected = correction.neg_log10_p(table, coding)
    assert np.isnan(corrected[0])
    assert 0 < corrected[1] <= 4


def test_an_unknown_coding_is_refused():
    correction = SkewnessCorrection(whitened(mixed_lognormal(200, 3, 8)))
    with pytest.raises(InputError, match="coding 'dominant': expected genotype or additive"):
        correction.neg_log10_p(joint_table(150, 40, 10, 3, 2.0), "dominant")


def test_small_groups_on_skewed_latents_are_calibrated():
    n, k, carriers, variants, repeats = 2000, 24, 20, 100_000, 10
    space = LatentSpace(transform_latents(mixed_lognormal(n, k, 9)))
    correction = SkewnessCorrection(space.whitened)
    rng = np.random.default_rng(10)
    uncorrected = corrected = np.zeros(2)
    for _ in range(repeats):
        people = np.concatenate([rng.permutation(n) for _ in range(variants * carriers // n)])
        groups = sparse.csr_array(
            (np.ones(people.size), people, np.arange(0, people.size + 1, carriers)),
            shape=(variants, n),
        )
        trace = ((groups @ space.whitened) ** 2).sum(axis=1) / (carriers - carriers**2 / n)
        # The smallest tenth, which all below 10⁻³ are among whether corrected or not.
        largest = trace[trace > stats.beta.isf(0.1, k / 2, (n - 1 - k) / 2)]
        neg_log10_p = -stats.beta.logsf(largest, k / 2, (n - 1 - k) / 2) / np.log(10)
        table = joint_table(n - carriers, carriers, 0, k, neg_log10_p)
        levels = np.array([[3], [4]])
        uncorrected = uncorrected + (neg_log10_p > levels).sum(axis=1)
        corrected = corrected + (correction.neg_log10_p(table, "genotype") > levels).sum(axis=1)
    # 1,000 and 100 are expected; three standard errors.
    uncorrected, corrected = (counts / (variants * repeats) for counts in (uncorrected, corrected))
    assert uncorrected[0] > 1.3e-3
    assert corrected[0] == pytest.approx(1e-3, abs=0.095e-3)
    assert corrected[1] == pytest.approx(1e-4, abs=0.3e-4)


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_fractional_dosages_are_as_skewed_as_they_are_not_as_they_round(missing):
    rng = np.random.default_rng(11)
    space = LatentSpace(mixed_lognormal(600, 6, 3))
    dosages = rng.beta(0.5, 8, (3, 600)) * 0.9
    dosages[1] = 2 - dosages[1]
    dosages[2] = np.clip(rng.binomial(2, 0.05, 600) * 0.6 + rng.uniform(0, 0.4, 600), 0, 2)
    dosages[rng.random(dosages.shape) < missing] = np.nan
    projections = space.project(dosages.astype(np.float32), "additive")
    tested = space.joint_test(projections).assign(neg_log10_p=6.0)
    found = space.skewness.neg_log10_p(tested, "additive", projections)
    for dosage, corrected in zip(dosages, found, strict=True):
        centred = np.nan_to_num(dosage - np.nanmean(dosage))
        projection = np.outer(centred, centred) / (centred @ centred)
        assert corrected == pytest.approx(edgeworth(space.skewness, projection, 6, 6.0), rel=1e-5)


def test_where_counts_leave_no_design_nothing_is_corrected():
    space = LatentSpace(mixed_lognormal(600, 6, 3))
    dosages = np.random.default_rng(12).uniform(0, 0.4, (1, 600)).astype(np.float32)
    tested = space.test(dosages, "additive")
    assert list(tested.loc[0, ["n_ref", "n_het", "n_hom"]]) == [600, 0, 0]
    corrected = space.skewness.neg_log10_p(tested, "additive")
    np.testing.assert_array_equal(corrected, tested["neg_log10_p"])


def test_threads_that_ask_at_once_get_the_same_skewness_and_another_process_has_it():
    space = LatentSpace(mixed_lognormal(3000, 16, 4))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: space.skewness, range(8)))
    assert all(each is found[0] for each in found)
    sent = pickle.loads(pickle.dumps(space))
    assert sent.skewness.pairs == space.skewness.pairs
