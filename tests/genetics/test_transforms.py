import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics import transforms
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.transforms import radial_residuals, symmetrically_whiten, transform_latents


def elliptical(n, k, seed):
    """Draw t5 latents whose dimensions are far out together."""
    rng = np.random.default_rng(seed)
    shared = np.sqrt(rng.chisquare(5, (n, 1)) / 5)
    return rng.standard_normal((n, k)) / shared @ rng.standard_normal((k, k))


def far_out_where_little_varies(n, k, seed):
    """Draw latents that are Gaussian but for their smallest directions, where a few lie far out.

    Each dimension mixes all directions, so that by itself it looks Gaussian. Neither elliptical nor
    well-conditioned, as what autoencoders give.
    """
    rng = np.random.default_rng(seed)
    own = np.hstack([rng.standard_normal((n, k // 2)), 0.02 * rng.standard_t(1, (n, k - k // 2))])
    return own @ rng.standard_normal((k, k))


def squared_norms(latents):
    basis = np.linalg.qr(latents - latents.mean(axis=0))[0]
    return len(latents) * (basis**2).sum(axis=1)


def test_none_changes_nothing():
    latents = elliptical(50, 3, 0)
    np.testing.assert_array_equal(transform_latents(latents, "none"), latents)


def test_rint_gives_normal_quantiles_in_the_order_of_the_residuals():
    latents = elliptical(400, 3, 0)
    transformed = transform_latents(latents, "rint")
    expected = stats.norm.ppf((np.arange(1, 401) - 0.375) / 400.25)
    for dimension in range(3):
        np.testing.assert_allclose(np.sort(transformed[:, dimension]), expected)
        order = np.argsort(latents[:, dimension])
        assert (np.diff(transformed[order, dimension]) > 0).all()


def test_radial_norms_are_chi_square():
    latents = elliptical(3000, 8, 1)
    transformed = transform_latents(latents, "radial")
    quantiles = np.quantile(squared_norms(transformed), [0.1, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(quantiles, stats.chi2.ppf([0.1, 0.5, 0.9, 0.999], 8), rtol=0.02)
    assert np.quantile(squared_norms(latents), 0.999) > 2 * quantiles[-1]


def test_radial_norms_of_what_is_tested_are_chi_square_however_many_passes_that_takes():
    latents = far_out_where_little_varies(2000, 16, 0)
    assert np.linalg.cond(latents) > 100
    rng = np.random.default_rng(1)
    covariates = rng.standard_normal((2000, 10))
    transformed = transform_latents(
        latents + covariates @ rng.normal(0, 3, (10, 16)), "radial", covariates
    )
    design = np.column_stack([np.ones(2000), covariates])
    tested = transformed - design @ np.linalg.lstsq(design, transformed)[0]
    quantiles = np.quantile(squared_norms(tested), [0.1, 0.5, 0.9, 0.99, 0.999])
    expected = stats.chi2.ppf([0.1, 0.5, 0.9, 0.99, 0.999], 16)
    np.testing.assert_allclose(quantiles, expected, rtol=0.02)


def test_radial_leaves_gaussian_latents_as_they_are_also_where_they_vary_little():
    rng = np.random.default_rng(8)
    thin = rng.standard_normal((2000, 24)) * np.geomspace(0.01, 1, 24)
    latents = thin @ np.linalg.qr(rng.standard_normal((24, 24)))[0]
    kept = {}
    for method in ("rint", "radial"):
        before, after = (
            LatentSpace(x).whitened for x in (latents, transform_latents(latents, method))
        )
        kept[method] = np.mean(np.linalg.svd(before.T @ after, compute_uv=False) ** 2)
    assert kept["radial"] > 0.995 > kept["rint"]


@pytest.mark.parametrize("draw", [elliptical, far_out_where_little_varies])
def test_radial_dimensions_keep_their_order(draw):
    latents = draw(2000, 16, 3) * np.geomspace(1e-3, 1e3, 16)
    for before, after in zip(latents.T, transform_latents(latents).T, strict=True):
        assert stats.spearmanr(before, after)[0] > 0.9


def test_whitening_is_by_the_inverse_root_of_the_correlation():
    latents = elliptical(500, 5, 9)
    centred = latents - latents.mean(axis=0)
    coordinates = symmetrically_whiten(centred, list("abcde"))
    values, vectors = np.linalg.eigh(np.corrcoef(latents, rowvar=False))
    root = vectors * np.sqrt(values) @ vectors.T * np.sqrt(500)
    np.testing.assert_allclose(coordinates @ root, centred / centred.std(axis=0), atol=1e-10)


def test_a_single_dimension_is_ranked_and_ties_stay_ties():
    values = np.random.default_rng(10).integers(0, 40, (300, 1)).astype(np.float32)
    ranked, radial = (transform_latents(values, method)[:, 0] for method in ("rint", "radial"))
    for transformed in (ranked, radial):
        assert len(np.unique(transformed.round(9))) == len(np.unique(values))
    assert stats.spearmanr(ranked, radial)[0] > 0.999


def test_single_precision_gives_the_same():
    latents = elliptical(500, 4, 11).astype(np.float32)
    np.testing.assert_array_equal(
        transform_latents(latents), transform_latents(latents.astype(np.float64))
    )


def test_collinear_latents_are_named():
    latents = pd.DataFrame(elliptical(200, 3, 12), columns=["a", "b", "c"])
    with pytest.raises(InputError, match="'d' is a linear combination of the dimensions before it"):
        transform_latents(latents.assign(d=latents["a"] - 2 * latents["c"]))
    with pytest.raises(InputError, match="'d' is constant"):
        transform_latents(latents.assign(d=1.0))


def test_radial_passes_end_where_norms_cannot_be_reached():
    # No squared norm can exceed the number of people, but chi-square quantiles do.
    latents = np.random.default_rng(0).standard_t(3, (50, 40))
    assert stats.chi2.ppf((50 - 0.375) / 50.25, 40) > 50
    assert np.isfinite(transform_latents(latents)).all()


def test_stretching_leaves_directions_and_the_order_of_norms(monkeypatch):
    monkeypatch.setattr(transforms, "MOST_PASSES", 1)
    latents = elliptical(500, 4, 2)
    mapped = radial_residuals(latents, np.empty((500, 0)))
    centred = latents - latents.mean(axis=0)
    along = (centred * mapped).sum(axis=1) / np.linalg.norm(centred, axis=1)
    np.testing.assert_allclose(along, np.linalg.norm(mapped, axis=1))
    before = squared_norms(latents)
    factors = np.linalg.norm(mapped, axis=1) / np.linalg.norm(centred, axis=1)
    assert (np.diff((before * factors**2)[np.argsort(before)]) > 0).all()


@pytest.mark.parametrize("method", ["rint", "radial"])
def test_covariates_are_regressed_out_before_ranking(method):
    rng = np.random.default_rng(3)
    sex = rng.integers(0, 2, (2000, 1)).astype(float)
    latents = rng.standard_normal((2000, 4)) + 8 * sex
    transformed = transform_latents(latents, method, sex)
    # Ranked before, the two groups' tails would each be cut off: kurtosis far below 0.
    for group in (0, 1):
        kurtosis = stats.kurtosis(transformed[sex[:, 0] == group])
        assert (np.abs(kurtosis) < 0.6).all()


def test_heavy_tails_that_ruin_the_plain_test_leave_the_radial_one_calibrated():
    n, carriers, tests = 1500, 20, 20_000
    rng = np.random.default_rng(4)
    latents = elliptical(n, 16, 5)
    covariates = rng.standard_normal((n, 2))
    dosages = np.zeros((tests, n), np.int8)
    for row in dosages:
        row[rng.choice(n, carriers, replace=False)] = 1
    inflation = {}
    for method in ("none", "radial"):
        space = LatentSpace(transform_latents(latents, method, covariates), covariates)
        p = 10 ** -space.test(dosages)["neg_log10_p"]
        inflation[method] = (p < 1e-3).mean() / 1e-3
    assert inflation["none"] > 3
    # 20 are expected; Poisson's 99 % interval is 9 to 33.
    assert 0.45 < inflation["radial"] < 1.65


def test_variants_of_a_group_whose_latents_vary_more_are_calibrated():
    n, k, group, carriers, tests = 3000, 32, 450, 50, 40_000
    rng = np.random.default_rng(13)
    latents = rng.standard_normal((n, k))
    latents[:group] *= np.sqrt(1.25)
    member = (np.arange(n) < group)[:, None].astype(float)
    people = [rng.choice(group, carriers, replace=False) for _ in range(tests)]
    inflation = {}
    for method in ("none", "radial"):
        whitened = LatentSpace(transform_latents(latents, method, member), member).whitened
        sums = np.array([whitened[chosen].sum(axis=0) for chosen in people])
        trace = np.square(sums).sum(axis=1) / (carriers - carriers**2 / group)
        p = stats.beta(k / 2, (n - 2 - k) / 2).sf(trace)
        inflation[method] = [(p < level).mean() / level for level in (1e-2, 1e-3)]
    assert inflation["none"][0] > 4
    # Standard errors of sampling are 0.05 and 0.16.
    assert inflation["radial"] == [pytest.approx(1, abs=0.15), pytest.approx(1, abs=0.5)]


def test_radial_again_changes_nothing_with_covariates_that_variance_depends_on():
    rng = np.random.default_rng(14)
    covariates = rng.standard_normal((2000, 2))
    latents = elliptical(2000, 6, 15) * np.exp(0.3 * covariates[:, :1])
    once = transform_latents(latents, "radial", covariates)
    spaces = [LatentSpace(each, covariates).whitened for each in (once, latents)]
    centred = covariates - covariates.mean(axis=0)
    slopes = [np.abs(centred.T @ np.log(np.square(space).sum(axis=1))) / 2000 for space in spaces]
    assert slopes[0].max() < 0.01 < 0.5 < slopes[1].max()
    again = LatentSpace(transform_latents(once, "radial", covariates), covariates).whitened
    shared = np.linalg.svd(again.T @ spaces[0], compute_uv=False) ** 2
    assert shared.min() > 0.995


@pytest.mark.parametrize("carriers", [1, 2])
def test_elliptical_latents_are_calibrated_down_to_single_people(carriers):
    latents = transform_latents(elliptical(2000, 16, 6))
    dosages = np.zeros((4000, 2000), np.int8)
    rng = np.random.default_rng(7)
    people = np.concatenate([rng.permutation(2000) for _ in range(2 * carriers)])
    np.put_along_axis(dosages, people.reshape(4000, carriers), 1, axis=1)
    p = 10 ** -LatentSpace(latents).test(dosages)["neg_log10_p"]
    for level in (0.1, 0.01):
        assert (p < level).mean() == pytest.approx(level, abs=4 * np.sqrt(level / 4000))


def test_an_unknown_transform_is_refused():
    with pytest.raises(InputError, match="transform 'log': expected one of radial, rint, none"):
        transform_latents(np.ones((3, 1)), "log")
