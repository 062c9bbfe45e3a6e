"""What transforms of latents, and the correction for small groups, cost in power.

Effects are planted in Gaussian scores or traits, half on common variants and half on rare ones,
each along a direction of its own; latents are made of the scores, and tested. Mean −log10 p of the
planted variants, and its ratio to that of latents as they are, where these give right p-values.

    python benchmarks/genetics/power.py
"""

import argparse

import numpy as np
from latent_distributions import DISTRIBUTIONS, network

from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.skewness import SkewnessCorrection
from regreveal.genetics.transforms import TRANSFORMS, transform_latents

VARIANTS = 24  # of each kind, planted together
COMMON_FREQUENCY, COMMON_SHARE = 0.3, 0.03
CARRIERS, CARRIER_SHIFT = 25, 2.0
TRAITS = 12


def plant(generator, participants, directions):
    """Draw scores with effects, and the variants: (n, directions) and two of (VARIANTS, n)."""
    common = generator.binomial(2, COMMON_FREQUENCY, (VARIANTS, participants)).astype(np.int8)
    rare = np.zeros_like(common)
    for row in rare:
        row[generator.choice(participants, CARRIERS, replace=False)] = 1
    slopes = generator.standard_normal((2, VARIANTS, directions))
    slopes /= np.linalg.norm(slopes, axis=2, keepdims=True)
    scale = np.sqrt(COMMON_SHARE / (2 * COMMON_FREQUENCY * (1 - COMMON_FREQUENCY)))
    scores = generator.standard_normal((participants, directions))
    scores += scale * common.T @ slopes[0] + CARRIER_SHIFT * rare.T @ slopes[1]
    return scores - scores.mean(axis=0), common, rare


def latents_of(kind, generator, participants, dimensions):
    """Latents of one kind, with the variants that were planted in them."""
    if kind in ("tanh network", "ReLU network"):
        scores, common, rare = plant(generator, participants, TRAITS)
        activation = np.tanh if kind == "tanh network" else lambda x: np.maximum(x, 0)
        return network(generator, scores, dimensions, activation), common, rare
    distribution, mixing = kind.split(", ")
    scores, common, rare = plant(generator, participants, dimensions)
    latents = DISTRIBUTIONS[distribution](generator, scores)
    if mixing == "mixed":
        latents = latents @ generator.standard_normal((dimensions, dimensions))
    return latents, common, rare


def measure(kind, options):
    """Mean −log10 p of common and rare variants, by transform."""
    generator = np.random.default_rng(options.seed)
    found = {}
    for _ in range(options.draws):
        latents, *planted = latents_of(kind, generator, options.participants, options.dimensions)
        for transform in TRANSFORMS[::-1]:
            space = LatentSpace(transform_latents(latents, transform))
            tables = [space.test(dosages, coding="additive") for dosages in planted]
            found.setdefault(transform, []).append([each["neg_log10_p"].mean() for each in tables])
            if transform == "radial":
                correction = SkewnessCorrection(space.whitened)
                found.setdefault("corrected", []).append(
                    [correction.neg_log10_p(each, "additive").mean() for each in tables]
                )
    return {transform: np.mean(values, axis=0) for transform, values in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--participants", type=int, default=3000)
    parser.add_argument("--dimensions", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kinds = [f"{name}, {mixing}" for name in DISTRIBUTIONS for mixing in ("independent", "mixed")]
    print("latents\ttransform\tcommon\tof none\trare\tof none")
    for kind in [*kinds, "tanh network", "ReLU network"]:
        means = measure(kind, options)
        for transform, (common, rare) in means.items():
            of_none = [common, rare] / means["none"]
            print(
                f"{kind}\t{transform}\t{common:.2f}\t{of_none[0]:.3f}\t{rare:.2f}\t{of_none[1]:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
