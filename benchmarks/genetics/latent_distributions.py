"""Latents and covariates that the benchmarks of the latent GWAS are made with."""

import numpy as np
from scipy import special, stats


def gaussian(generator, scores):
    return scores


def t5(generator, scores):
    return stats.t.ppf(special.ndtr(scores), 5)


def elliptical_t5(generator, scores):
    return scores / np.sqrt(generator.chisquare(5, (len(scores), 1)) / 5)


def lognormal(generator, scores):
    return np.exp(scores)


# Functions of independent Gaussian scores, (n, k), in which effects can be planted.
DISTRIBUTIONS = {
    "Gaussian": gaussian,
    "t5": t5,
    "elliptical t5": elliptical_t5,
    "lognormal": lognormal,
}


def draw_latents(generator, distribution, participants, dimensions, mixed):
    """Draw latents; `mixed` makes every dimension a mixture of all, as encoders do."""
    scores = generator.standard_normal((participants, dimensions))
    latents = DISTRIBUTIONS[distribution](generator, scores)
    return latents @ generator.standard_normal((dimensions,) * 2) if mixed else latents


def network(generator, traits, dimensions, activation):
    """Latents that are nonlinear functions of fewer traits: two random layers, and some noise."""
    hidden = activation(traits @ generator.normal(0, 0.7, (traits.shape[1], 64)))
    hidden = np.maximum(hidden @ generator.normal(0, 1 / 3, (64, 64)) + 0.1, 0)
    latents = hidden @ generator.standard_normal((64, dimensions))
    return latents + 0.3 * generator.standard_normal(latents.shape)


def draw_covariates(generator, participants):
    """Draw two of ancestry (a group of 15 % and an axis), age, sex, and nine components."""
    covariates = generator.standard_normal((participants, 13))
    covariates[:, 0] = generator.random(participants) < 0.15
    covariates[:, 3] = generator.random(participants) < 0.5
    return covariates
