"""How good clusters of variants are: where trees are cut, what intervals hold, what it takes.

Everything is drawn anew from the seed; a table is printed.

    python benchmarks/genetics/clusters.py cut        # adjusted Rand index by rule of the cut
    python benchmarks/genetics/clusters.py cosines    # coverage of cosines without noise
    python benchmarks/genetics/clusters.py nodes      # how often false nodes have high support
    python benchmarks/genetics/clusters.py agreement  # coverage of the Rand index's limits
    python benchmarks/genetics/clusters.py modalities # errors of groups that modalities share
    python benchmarks/genetics/clusters.py no-effects # the same where no variant does anything
    python benchmarks/genetics/clusters.py speed      # seconds at the size of a biobank
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm
from sklearn.metrics import adjusted_rand_score

from regreveal.genetics.clusters.agreement import compare_clusters
from regreveal.genetics.clusters.clustering import cluster_variants
from regreveal.genetics.clusters.cosines import cosine_similarities, denoised_cosines
from regreveal.genetics.clusters.modality_groups import ModalityDirections, group_by_modality
from regreveal.genetics.clusters.stability import HEIGHTS
from regreveal.genetics.clusters.trees import average_linkage, cut, midway_height
from regreveal.genetics.clusters.variant_directions import VariantDirections, carrier_contrasts

GENOME_WIDE = 5e-8


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def significant_vectors(
    rng: np.random.Generator, directions: np.ndarray, strengths: tuple[float, float]
) -> np.ndarray:
    """Vectors with errors of variance 1 that are longer than genome-wide significance takes.

    Strengths are of the noncentrality, over what lies at the threshold.
    """
    dimensions = directions.shape[1]
    threshold = chi2.isf(GENOME_WIDE, dimensions)
    vectors = np.empty(directions.shape)
    for row, direction in enumerate(directions):
        while True:
            length = np.sqrt((threshold - dimensions) * rng.uniform(*strengths))
            vectors[row] = length * rng.choice([-1, 1]) * direction
            vectors[row] += rng.standard_normal(dimensions)
            if vectors[row] @ vectors[row] > threshold:
                break
    return vectors


def cuts(rng: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Score rules of the cut by the adjusted Rand index with planted random directions."""
    designs = {
        "6 groups of 4": np.repeat(range(6), 4),
        "8 of 3, 10 alone": np.repeat(range(18), [3] * 8 + [1] * 10),
        "20, 10, 5, 3, 2, 3 alone": np.repeat(range(8), [20, 10, 5, 3, 2, 1, 1, 1]),
    }
    rows = []
    for strengths in ((0.6, 1.2), (0.8, 3.0)):
        for dimensions in (8, 16, 24, 32, 64, 128, 256):
            for name, groups in designs.items():
                scores = {"fixed 0.5": [], "midway": [], "best": []}
                for _ in range(repeats):
                    centres = unit(rng.standard_normal((groups.max() + 1, dimensions)))
                    vectors = significant_vectors(rng, centres[groups], strengths)
                    distances = 1 - np.abs(cosine_similarities(vectors))
                    linkage = average_linkage(distances)
                    reliability = 1 - dimensions / (vectors**2).sum(axis=1)
                    height = midway_height(reliability, dimensions, signed=False)
                    of_height = {h: adjusted_rand_score(groups, cut(linkage, h)) for h in HEIGHTS}
                    scores["fixed 0.5"].append(of_height[0.5])
                    scores["midway"].append(adjusted_rand_score(groups, cut(linkage, height)))
                    scores["best"].append(max(of_height.values()))
                means = {rule: np.mean(values) for rule, values in scores.items()}
                rows.append({"strengths": strengths, "k": dimensions, "groups": name, **means})
    return pd.DataFrame(rows)


def people(
    rng: np.random.Generator, count: int, dimensions: int, heavy: bool, effects: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw dosages, and latents of people whom carrying moves by `effects` (variants, k)."""
    frequency = rng.uniform(0.1, 0.45, (len(effects), 1))
    dosages = rng.binomial(2, frequency, (len(effects), count)).astype(np.int8)
    latents = rng.standard_normal((count, dimensions))
    if heavy:
        latents *= np.sqrt(3 / rng.chisquare(5, (count, 1)))
    return latents + (dosages > 0).T @ effects, dosages


def cosines(rng: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Coverage of the limits of the cosine without noise, of people drawn anew."""
    rows = []
    for dimensions, count, effect in ((24, 3000, 0.32), (24, 3000, 0.22), (128, 6000, 0.3)):
        for heavy in (False, True):
            for cosine in (0.0, 0.5, 0.9, 1.0):
                inside, estimates, plain, kept = [], [], [], 0
                for _ in range(repeats):
                    one = unit(rng.standard_normal((4, dimensions)))
                    across = rng.standard_normal((4, dimensions))
                    across = unit(across - (across * one).sum(axis=1, keepdims=True) * one)
                    other = cosine * one + np.sqrt(1 - cosine**2) * across
                    effects = effect * np.vstack([one, other])
                    found = VariantDirections(*people(rng, count, dimensions, heavy, effects))
                    estimate, low, high = denoised_cosines(found.vectors, found.noise)
                    for pair in ((i, i + 4) for i in range(4)):
                        if np.isfinite(estimate[pair]):
                            inside.append(low[pair] <= cosine <= high[pair])
                            estimates.append(estimate[pair])
                            plain.append(cosine_similarities(found.vectors)[pair])
                            kept += 1
                rows.append(
                    {
                        "k": dimensions,
                        "n": count,
                        "latents": "t5" if heavy else "normal",
                        "reliability": np.mean(found.reliability),
                        "cosine": cosine,
                        "as it is": np.mean(plain),
                        "without noise": np.mean(estimates),
                        "covered": np.mean(inside),
                        "told (%)": 100 * kept / (4 * repeats),
                    }
                )
    return pd.DataFrame(rows)


def nodes(rng: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Support of the strongest node of three variants whose directions are equally far apart."""
    rows = []
    for dimensions in (8, 24):
        for cosine in (0.0, 0.3, 0.6):
            shares = []
            for _ in range(repeats):
                frame = np.linalg.qr(rng.standard_normal((dimensions, 4)))[0].T
                directions = np.sqrt(1 - cosine) * frame[:3] + np.sqrt(cosine) * frame[3]
                latents, dosages = people(rng, 800, dimensions, False, 0.5 * directions)
                found = cluster_variants(
                    latents, dosages, ["a", "b", "c"], signed=False, bootstraps=60
                )
                shares.append(found.nodes[["bootstrap", "support"]].iloc[0])
            shares = pd.DataFrame(shares)
            rows.append(
                {
                    "k": dimensions,
                    "cosine": cosine,
                    "support > 0.95": (shares["support"] > 0.95).mean(),
                    "bootstrap > 0.95": (shares["bootstrap"] > 0.95).mean(),
                }
            )
    return pd.DataFrame(rows)


def agreement(rng: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Coverage of the limits of the adjusted Rand index, of what other people give on average.

    Two spaces of the same people and variants; in each, variants of a group are spread about a
    direction of their own.
    """
    rows = []
    groups = np.repeat(range(5), 4)
    names = [f"rs{i}" for i in range(len(groups))]
    for effect in (0.35, 0.5):
        for spread in (0.0, 0.5, 1.0):
            centres = unit(rng.standard_normal((2, 5, 16)))
            own = spread / 4 * rng.standard_normal((2, len(groups), 16))
            effects = effect * unit(centres[:, groups] + own)
            found = []
            for _ in range(repeats):
                latents, dosages = people(rng, 1500, 16, False, effects[0])
                carriers = (dosages > 0).T
                noise = latents - carriers @ effects[0] + rng.standard_normal(latents.shape)
                spaces = (latents, noise / np.sqrt(2) + carriers @ effects[1])
                both = [
                    cluster_variants(space, dosages, names, signed=False, bootstraps=40)
                    for space in spaces
                ]
                found.append(compare_clusters(*both, permutations=99))
            mean = np.mean([each.rand_index for each in found])
            rows.append(
                {
                    "effect": effect,
                    "spread": spread,
                    "mean index": mean,
                    "covered": np.mean([each.low <= mean <= each.high for each in found]),
                    "width": np.mean([each.high - each.low for each in found]),
                }
            )
    return pd.DataFrame(rows)


def modalities(rng: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Share of variants in each group, and of runs with any that is in a wrong one.

    As in use, only variants that the latent GWAS of either modality finds are looked at.
    """
    rows = []
    size, variants = 16, 20
    settings = {
        "shared": (0.35, 0.35, 1.0),
        "only the first": (0.35, 0.0, 0.0),
        "equal, unlike": (0.35, 0.35, 0.0),
        "weaker in the second": (0.35, 0.2, 1.0),
    }
    for heavy in (False, True):
        for name, (first, second, cosine) in settings.items():
            counts, wrong, looked_at = pd.Series(dtype=float), [], 0
            for _ in range(repeats):
                one = unit(rng.standard_normal((variants, size)))
                across = rng.standard_normal((variants, size))
                across = unit(across - (across * one).sum(axis=1, keepdims=True) * one)
                other = cosine * one + np.sqrt(1 - cosine**2) * across
                latents, dosages = people(rng, 2000, size, heavy, first * one)
                people_own = latents - (dosages > 0).T @ (first * one)
                mixed = people_own + rng.standard_normal(latents.shape)
                spaces = {
                    "a": latents,
                    "b": mixed / np.sqrt(2) + (dosages > 0).T @ (second * other),
                }
                table = group_by_modality(
                    spaces,
                    dosages,
                    pd.DataFrame({"variant_id": range(variants), "gene": ""}),
                    coding="additive",
                )
                best = table[["neg_log10_p_first", "neg_log10_p_second"]].max(axis=1)
                table = table[best > -np.log10(GENOME_WIDE)]
                looked_at += len(table)
                counts = counts.add(table["group"].value_counts(), fill_value=0)
                right = {"shared": ["shared", "unclear"], "only the first": ["only a", "unclear"]}
                allowed = right.get(
                    name, ["unclear"] if cosine == 0 else ["shared", "unclear", "only a"]
                )
                wrong.append(not table["group"].isin(allowed).all())
            shares = {
                g: counts.get(g, 0) / max(looked_at, 1) for g in ("shared", "only a", "only b")
            }
            rows.append(
                {
                    "latents": "t5" if heavy else "normal",
                    "planted": name,
                    "variants": looked_at,
                    **shares,
                    "runs with a wrong one": np.mean(wrong),
                }
            )
    return pd.DataFrame(rows)


def no_effects(rng: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Share of p-values of difference and agreement below a level where no variant has an effect.

    20 variants a draw; the noise of the second modality is correlated with that of the first.
    """
    rows = []
    size, variants = 16, 20
    for heavy in (False, True):
        for correlation in (0.0, 0.6):
            differ, agree = [], []
            for _ in range(repeats):
                latents, dosages = people(rng, 2000, size, heavy, np.zeros((variants, size)))
                other, _ = people(rng, 2000, size, heavy, np.zeros((0, size)))
                other = correlation * latents + np.sqrt(1 - correlation**2) * other
                found = ModalityDirections(latents, other, carrier_contrasts(dosages)[0])
                larger = found.squares[0] - found.squares[1]
                differ += list(2 * norm.sf(np.abs(larger) / found.difference_error))
                agree += list(norm.sf(found.inner / found.inner_error))
            differ, agree = np.array(differ), np.array(agree)
            rows.append(
                {
                    "latents": "t5" if heavy else "normal",
                    "correlation": correlation,
                    "variants": len(differ),
                    "difference < 0.05": np.mean(differ < 0.05),
                    "difference < 0.01": np.mean(differ < 0.01),
                    "agreement < 0.05": np.mean(agree < 0.05),
                    "agreement < 0.01": np.mean(agree < 0.01),
                }
            )
    return pd.DataFrame(rows)


def speed(rng: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Seconds, and those of the matrix products that resampling cannot do without."""
    rows = []
    for count, dimensions, variants in ((3000, 24, 23), (38_000, 256, 30)):
        dosages = rng.binomial(2, 0.3, (variants, count)).astype(np.int8)
        latents = rng.standard_normal((count, dimensions))
        start = time.perf_counter()
        cluster_variants(latents, dosages, [str(i) for i in range(variants)], bootstraps=repeats)
        whole = time.perf_counter() - start
        contrasts = dosages.astype(np.float64)
        start = time.perf_counter()
        for _ in range(5 * repeats):
            contrasts @ latents
        products = time.perf_counter() - start
        rows.append(
            {
                "n": count,
                "k": dimensions,
                "variants": variants,
                "samples": 5 * repeats,
                "seconds": whole,
                "of products alone": products,
                "ratio": whole / products,
            }
        )
    return pd.DataFrame(rows)


PARTS = {
    "cut": (cuts, 20),
    "cosines": (cosines, 100),
    "nodes": (nodes, 60),
    "agreement": (agreement, 30),
    "modalities": (modalities, 30),
    "no-effects": (no_effects, 60),
    "speed": (speed, 20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--repeats", type=int, help="draws of each setting")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    measure, repeats = PARTS[arguments.part]
    table = measure(np.random.default_rng(arguments.seed), arguments.repeats or repeats)
    print(table.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
