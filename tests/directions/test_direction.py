import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from statsmodels.multivariate.manova import MANOVA

from regreveal.directions.direction import find_direction
from regreveal.errors import InputError
from regreveal.genetics.clusters.clustering import cluster_variants

N, K = 400, 5


@pytest.fixture(scope="module")
def people():
    """Latents of unlike scales that hang together, a dosage, and covariates that say of both."""
    rng = np.random.default_rng(1)
    covariates = rng.standard_normal((N, 2))
    dosages = rng.binomial(2, 0.3 + 0.1 * (covariates[:, 0] > 0), N).astype(float)
    latents = rng.standard_normal((N, K)) @ rng.standard_normal((K, K)) * [1, 3, 0.2, 1, 10]
    latents += covariates @ rng.standard_normal((2, K)) + 5
    latents += dosages[:, None] * rng.standard_normal(K) * [0.3, 0.9, 0.06, 0.3, 3]
    return latents, dosages, covariates


def ordinary_effects(latents, values, covariates):
    """Regress each latent by itself on the variable and the covariates."""
    design = sm.add_constant(np.column_stack([values, covariates]))
    fits = [sm.OLS(latent, design).fit() for latent in latents.T]
    return np.array([fit.params[1] for fit in fits]), sm.OLS(latents, sm.add_constant(covariates))


def test_pattern_is_the_effect_on_every_latent_brought_to_one_sd_of_the_score(people):
    latents, dosages, covariates = people
    effects, _ = ordinary_effects(latents, dosages, covariates)
    direction = find_direction(*people)
    ratio = effects / direction.pattern
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert ratio[0] > 0
    # An allele's effect in standard deviations, chance included, is that of the score on it.
    of_score, _ = ordinary_effects(direction.scores[:, None], dosages, covariates)
    np.testing.assert_allclose(of_score[0], ratio[0], rtol=1e-9)
    np.testing.assert_allclose(direction.effect / direction.certainty, ratio[0], rtol=1e-9)


def test_pattern_is_what_the_weights_give_by_haufes_formula(people):
    latents, _, covariates = people
    direction = find_direction(*people)
    rest = sm.OLS(latents, sm.add_constant(covariates)).fit().resid
    covariance = rest.T @ rest / N
    weights = direction.weights
    expected = covariance @ weights / np.sqrt(weights @ covariance @ weights)
    np.testing.assert_allclose(direction.pattern, expected, rtol=1e-9)
    np.testing.assert_allclose(direction.scores, rest @ weights, atol=1e-9)
    np.testing.assert_allclose(direction.scores.std(), 1)
    np.testing.assert_allclose(rest.T @ direction.scores / N, direction.pattern, rtol=1e-9)


def test_weights_are_those_of_linear_discriminant_analysis(people):
    latents, dosages, _ = people
    cases = (dosages > 0).astype(float)
    weights = LinearDiscriminantAnalysis(solver="lsqr").fit(latents, cases).coef_[0]
    ours = find_direction(latents, cases).weights
    np.testing.assert_allclose(ours / ours[0], weights / weights[0], rtol=1e-6)


def test_p_is_that_of_multivariate_analysis_of_variance(people):
    latents, dosages, covariates = people
    design = sm.add_constant(np.column_stack([covariates, dosages]))
    contrast = [("dosage", np.eye(4)[[3]])]
    found = MANOVA(latents, design).mv_test(contrast).results["dosage"]["stat"]
    expected = float(found.loc["Pillai's trace", "Pr > F"])
    np.testing.assert_allclose(10 ** -find_direction(*people).neg_log10_p, expected, rtol=1e-6)


def test_direction_is_the_phewas_vector_and_nearly_that_of_variant_clusters(people):
    latents, dosages, covariates = people
    rest = sm.OLS(latents, sm.add_constant(covariates)).fit().resid
    whitened = rest @ np.linalg.inv(np.linalg.cholesky(rest.T @ rest)).T
    cases = dosages > 0
    centroids = whitened[cases].mean(axis=0) - whitened[~cases].mean(axis=0)
    score = find_direction(latents, cases.astype(float), covariates).scores
    # Taking the covariates out of the status, too, changes the vector's length alone.
    np.testing.assert_allclose(np.corrcoef(whitened @ centroids, score)[0, 1], 1, rtol=1e-9)
    clustered = cluster_variants(latents, dosages[None].astype(int), ["v"], None, covariates)
    of_cluster = whitened @ clustered.directions[0]
    assert np.corrcoef(of_cluster, find_direction(*people).scores)[0, 1] > 0.95


def test_walk_starts_at_the_mean_and_is_one_sd_of_the_score_a_step(people):
    latents, *_ = people
    direction = find_direction(*people)
    steps = np.array([-3.0, 0.0, 1.5])
    walk = direction.walk(steps)
    np.testing.assert_allclose(walk[1], latents.mean(axis=0))
    np.testing.assert_allclose(direction.score(walk), steps, atol=1e-9)


def test_end_of_the_walk_is_as_far_out_as_its_score_where_there_are_no_covariates(people):
    latents, dosages, _ = people
    direction = find_direction(latents, dosages)
    np.testing.assert_allclose(direction.distances(direction.walk(np.array([-3, 2]))), [3, 2])
    expected = np.sqrt(np.mean(direction.distances(latents) ** 2))
    np.testing.assert_allclose(expected, np.sqrt(K))


def test_scales_and_mixtures_of_latents_change_nothing_but_the_pattern(people):
    latents, dosages, covariates = people
    mixing = np.random.default_rng(2).standard_normal((K, K))
    plain, mixed = (
        find_direction(values, dosages, covariates) for values in (latents, latents @ mixing)
    )
    np.testing.assert_allclose(mixed.scores, plain.scores, atol=1e-8)
    np.testing.assert_allclose(mixed.pattern, plain.pattern @ mixing, rtol=1e-7)
    np.testing.assert_allclose(mixed.effect, plain.effect, rtol=1e-8)
    difference = latents[0] - latents[1]
    np.testing.assert_allclose(mixed.cosine(difference @ mixing), plain.cosine(difference))


@pytest.mark.parametrize("size", [0.35, 0.5])
def test_effect_and_certainty_are_right_on_average(size):
    rng = np.random.default_rng(3)
    k, n, repeats = 20, 1000, 100
    effects, certainties, cosines = [], [], []
    for _ in range(repeats):
        dosages = rng.binomial(2, 0.4, n).astype(float)
        latents = rng.standard_normal((n, k))
        latents[:, 0] += size * dosages
        direction = find_direction(latents, dosages)
        effects.append(direction.effect**2)
        certainties.append(direction.certainty)
        cosines.append(direction.cosine(np.eye(k)[0]))
    # The score's SD is that of everybody, with the variant's own part in it.
    expected = size / np.sqrt(1 + size**2 * 0.48)
    assert np.sqrt(np.mean(effects)) == pytest.approx(expected, abs=0.01)
    assert np.mean(certainties) == pytest.approx(np.mean(cosines), abs=0.03)


def test_without_an_effect_p_is_uniform_and_certainty_mostly_nothing():
    rng = np.random.default_rng(4)
    found = [
        find_direction(rng.standard_normal((200, 10)), rng.binomial(1, 0.3, 200).astype(float))
        for _ in range(200)
    ]
    p = np.array([10**-direction.neg_log10_p for direction in found])
    assert abs((p < 0.5).mean() - 0.5) < 0.1
    assert (p < 0.05).mean() < 0.1
    assert np.median([direction.certainty for direction in found]) < 0.25


def test_bad_values_end_in_a_line_that_names_the_variable(people):
    latents, dosages, covariates = people
    with pytest.raises(InputError, match="'rs1' is constant"):
        find_direction(latents, np.ones(N), covariates, "rs1")
    with pytest.raises(InputError, match="'rs1' is a linear combination of the covariates"):
        find_direction(latents, covariates[:, 0], covariates, "rs1")
    with pytest.raises(InputError, match="'rs1' is not finite for 1 of 400"):
        find_direction(latents, np.where(np.arange(N) == 3, np.nan, dosages), covariates, "rs1")
    with pytest.raises(InputError, match="6 participants for 5 latent dimensions"):
        find_direction(latents[:6], dosages[:6])
