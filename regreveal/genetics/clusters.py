"""SNP clusters: which associated variants move people the same way through latent space."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from regreveal.errors import InputError
from regreveal.genetics.kernel.dosages import whole_dosages
from regreveal.genetics.manova import LatentSpace
from regreveal.store.atomic import atomic_path

# Half the distance of unrelated directions. The mean silhouette would choose a cut by itself, but
# neither one cluster nor each variant its own: it splits a single direction nearly always.
CUT = 0.5


@dataclass(frozen=True)
class VariantClusters:
    """Variants by the direction in which they move the latent vector.

    Attributes
    ----------
    variant_ids, genes : list of str, length m
        Of the variants that could be used; ids that repeat are numbered, as in ".", ". (2)".
    left_out : DataFrame
        variant_id, gene and reason of those that could not.
    directions : ndarray, shape (m, k)
        Unit vectors in whitened latent space.
    distances : DataFrame, shape (m, m)
        What was clustered by: one minus the cosine, or minus its absolute value; rows and columns
        by variant id.
    cosines : DataFrame, shape (m, m)
        Signed cosines, whatever was clustered by.
    linkage : ndarray, shape (m - 1, 4)
        scipy's linkage matrix, average linkage.
    clusters : ndarray of int, shape (m,)
        From 1, in the order of the dendrogram's leaves.
    stability : ndarray, shape (m,)
        For each variant, how well its cluster comes back over the bootstrap: mean Jaccard overlap
        with the cluster that it is in then. NaN, like the next two, where all variants make one
        cluster or each its own, which come back whatever the data.
    co_clustering : ndarray, shape (m, m)
        Share of bootstrap samples in which two variants are together.
    rand_index : float
        Mean adjusted Rand index of bootstrap clusterings with this one.
    """

    variant_ids: list[str]
    genes: list[str]
    left_out: pd.DataFrame
    directions: np.ndarray
    distances: pd.DataFrame
    cosines: pd.DataFrame
    linkage: np.ndarray
    clusters: np.ndarray
    stability: np.ndarray
    co_clustering: np.ndarray
    rand_index: float

    def write(self, folder: str | os.PathLike) -> None:
        """Write distances.tsv, cosines.tsv, clusters.tsv, linkage.tsv and left_out.tsv."""
        folder = Path(folder)
        clusters = pd.DataFrame(
            {
                "variant_id": self.variant_ids,
                "gene": self.genes,
                "cluster": self.clusters,
                "stability": self.stability,
            }
        )
        linkage = pd.DataFrame(self.linkage, columns=["first", "second", "distance", "size"])
        linkage = linkage.astype({"first": int, "second": int, "size": int})
        tables = {
            "distances.tsv": self.distances.rename_axis("variant_id").reset_index(),
            "cosines.tsv": self.cosines.rename_axis("variant_id").reset_index(),
            "clusters.tsv": clusters,
            "linkage.tsv": linkage,
            "left_out.tsv": self.left_out,
        }
        for name, table in tables.items():
            with atomic_path(folder / name) as temporary:
                table.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.10g")


def cluster_variants(
    latents: np.ndarray | pd.DataFrame,
    dosages: np.ndarray,
    variant_ids: Sequence[str],
    genes: Sequence[str] | None = None,
    covariates: np.ndarray | pd.DataFrame | None = None,
    *,
    signed: bool = True,
    bootstraps: int = 200,
    seed: int = 0,
) -> VariantClusters:
    """Cluster variants by the direction of their effect on the latent vector.

    A variant's direction runs from the centroid of its commoner homozygotes to those of
    heterozygotes and of the other homozygotes, the two weighted by how many people they are: the
    effect of the rarer allele, whichever the file calls the reference. Latents have covariates
    regressed out and are whitened, so that directions that differ only by chance are at right
    angles whatever the latents' scales and correlations. Average linkage; the tree is cut at
    distance 0.5, which can make one cluster of all, or leave each variant alone. Stability is over
    Bayesian bootstrap samples of participants (exponential weights, under which no genotype group
    is ever empty), clustered into as many clusters.

    A variant of which everyone known has the same genotype, or that nobody is homozygous for, has
    no direction; it is left out and named in `left_out`.

    Parameters
    ----------
    latents : ndarray or DataFrame, shape (n, k)
    dosages : ndarray, shape (m, n)
        Of the variants to cluster, usually the lead variants; -1 or NaN where missing.
    variant_ids : sequence of str, length m
    genes : sequence of str, length m, optional
        Labels for tables and figures.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
    signed : bool
        Whether opposite directions are far apart (distance 2) or the same (distance 0, one minus
        the absolute cosine). Which allele is rarer is arbitrary, too: two variants of one trait
        may point opposite ways, and unsigned distances keep them together.
    bootstraps : int
        How many samples; with none, stabilities are NaN.
    seed : int

    Returns
    -------
    VariantClusters

    Raises
    ------
    InputError
        Dosages that are none, labels that do not match, or what `LatentSpace` would refuse.

    References
    ----------
    Rubin (1981), Ann. Statist. 9:130 (Bayesian bootstrap). Hennig (2007), Comput. Stat. Data Anal.
    52:258 (Jaccard stability).
    """
    dosages = whole_dosages(dosages)
    variant_ids = [str(name) for name in variant_ids]
    genes = [""] * len(variant_ids) if genes is None else [str(gene) for gene in genes]
    if not len(dosages) == len(variant_ids) == len(genes):
        raise InputError(
            f"clusters: {len(dosages)} rows of dosages, {len(variant_ids)} variant ids and "
            f"{len(genes)} genes; expected as many of each"
        )
    labels = pd.DataFrame({"variant_id": _numbered(variant_ids), "gene": genes})
    indicators, reasons = _homozygotes_and_carriers(dosages)
    usable = reasons == ""
    left_out = labels.assign(reason=reasons)[~usable].reset_index(drop=True)
    names, indicators = labels["variant_id"][usable].tolist(), indicators[:, usable]
    space = LatentSpace(latents, covariates).whitened
    directions = _directions(space, indicators, np.ones(len(space)))
    cosines = _cosines(directions)
    distances = _distances(cosines, signed)
    linkage = _average_linkage(distances)
    clusters = _cut(linkage) if len(names) > 1 else np.ones(len(names), dtype=int)
    bootstrapped = []
    if 1 < clusters.max(initial=0) < len(clusters):
        rng = np.random.default_rng(seed)
        for _ in range(bootstraps):
            weights = rng.exponential(size=len(space))
            resampled = _distances(_cosines(_directions(space, indicators, weights)), signed)
            again = hierarchy.fcluster(_average_linkage(resampled), clusters.max(), "maxclust")
            bootstrapped.append(again)
    stability, co_clustering, rand = _stability(clusters, bootstrapped)
    return VariantClusters(
        variant_ids=names,
        genes=labels["gene"][usable].tolist(),
        left_out=left_out,
        directions=directions,
        distances=pd.DataFrame(distances, index=names, columns=names),
        cosines=pd.DataFrame(cosines, index=names, columns=names),
        linkage=linkage,
        clusters=clusters,
        stability=stability,
        co_clustering=co_clustering,
        rand_index=rand,
    )


def _numbered(names: list[str]) -> list[str]:
    """Tell ids that repeat apart, since tables are keyed by them."""
    times, numbered = Counter(), []
    for name in names:
        times[name] += 1
        numbered.append(f"{name} ({times[name]})" if times[name] > 1 else name)
    return numbered


def _homozygotes_and_carriers(dosages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indicate commoner homozygotes and all others known, and say why there is no direction.

    Returns
    -------
    indicators : ndarray of float64, shape (2, m, n)
    reasons : ndarray of str, shape (m,)
        Empty where both groups have people.
    """
    known = dosages >= 0
    ref, alt = ((dosages == value).sum(axis=1) for value in (0, 2))
    # At a tie the reference, so that a half-and-half variant still has one direction.
    commoner = np.where(alt > ref, 2, 0)[:, None]
    homozygous = dosages == commoner
    carriers = known & ~homozygous
    reasons = np.select(
        [~known.any(axis=1), ~homozygous.any(axis=1), ~carriers.any(axis=1)],
        ["no genotype is known", "nobody is homozygous", "everyone has the same genotype"],
        "",
    )
    return np.stack([homozygous, carriers]).astype(np.float64), reasons


def _stability(
    clusters: np.ndarray, bootstrapped: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Compare clusterings: Jaccard by variant, co-clustering by pair, mean adjusted Rand index."""
    if not bootstrapped:
        count = len(clusters)
        return np.full(count, np.nan), np.full((count, count), np.nan), float("nan")
    together = np.equal.outer(clusters, clusters)
    again = np.stack([np.equal.outer(labels, labels) for labels in bootstrapped])
    jaccard = (together & again).sum(axis=2) / (together | again).sum(axis=2)
    rand = np.mean([adjusted_rand_score(clusters, labels) for labels in bootstrapped])
    return jaccard.mean(axis=0), again.mean(axis=0), float(rand)


def _directions(space: np.ndarray, indicators: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Point from the weighted centroid of homozygotes to that of carriers, at unit length.

    The count-weighted mean of the heterozygous and homozygous centroids is the carriers' centroid.
    """
    weighted = indicators * weights
    centroids = (weighted @ space) / weighted.sum(axis=2, keepdims=True)
    directions = centroids[1] - centroids[0]
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _cosines(directions: np.ndarray) -> np.ndarray:
    cosines = np.clip(directions @ directions.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    return (cosines + cosines.T) / 2


def _distances(cosines: np.ndarray, signed: bool) -> np.ndarray:
    return 1 - (cosines if signed else np.abs(cosines))


def _average_linkage(distances: np.ndarray) -> np.ndarray:
    if len(distances) < 2:
        return np.empty((0, 4))
    return hierarchy.linkage(squareform(distances, checks=False), method="average")


def _cut(linkage: np.ndarray) -> np.ndarray:
    """Cluster numbers from 1, in leaf order."""
    labels = hierarchy.fcluster(linkage, CUT, "distance")
    in_leaf_order = pd.unique(labels[hierarchy.leaves_list(linkage)])
    number = {label: place for place, label in enumerate(in_leaf_order, start=1)}
    return np.array([number[label] for label in labels])
