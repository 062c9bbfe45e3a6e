"""SNP clusters: which associated variants move people the same way through latent space."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score, silhouette_score

from regreveal.errors import InputError
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.projection import whole_dosages
from regreveal.store.atomic import atomic_path

# A cut of the tree whose mean silhouette is below this is no better than one cluster.
LEAST_SILHOUETTE = 0.1


@dataclass(frozen=True)
class VariantClusters:
    """Variants by the direction in which they move the latent vector.

    Attributes
    ----------
    variant_ids, genes : list of str, length m
    directions : ndarray, shape (m, k)
        Unit vectors in whitened latent space.
    distances : DataFrame, shape (m, m)
        Cosine distances, rows and columns by variant id.
    linkage : ndarray, shape (m - 1, 4)
        scipy's linkage matrix, average linkage.
    clusters : ndarray of int, shape (m,)
        From 1, in the order of the dendrogram's leaves.
    stability : ndarray, shape (m,)
        For each variant, how well its cluster comes back over the bootstrap: mean Jaccard overlap
        with the cluster that it is in then.
    co_clustering : ndarray, shape (m, m)
        Share of bootstrap samples in which two variants are together.
    rand_index : float
        Mean adjusted Rand index of bootstrap clusterings with this one.
    """

    variant_ids: list[str]
    genes: list[str]
    directions: np.ndarray
    distances: pd.DataFrame
    linkage: np.ndarray
    clusters: np.ndarray
    stability: np.ndarray
    co_clustering: np.ndarray
    rand_index: float

    def write(self, folder: str | os.PathLike) -> None:
        """Write distances.tsv, clusters.tsv and linkage.tsv."""
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
            "clusters.tsv": clusters,
            "linkage.tsv": linkage,
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

    A variant's direction runs from the centroid of reference homozygotes to those of heterozygotes
    and alternate homozygotes, the two weighted by how many people they are. Latents have
    covariates regressed out and are whitened, so that directions that differ only by chance are at
    right angles whatever the latents' scales and correlations. Average linkage on cosine
    distances; the tree is cut where the mean silhouette is largest, and not at all where that stays
    below 0.1. Stability is over Bayesian bootstrap samples of participants (exponential weights,
    under which no genotype group is ever empty).

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
        the absolute cosine). Which allele a file calls the reference is arbitrary; unsigned
        distances do not depend on it.
    bootstraps : int
        How many samples; with none, stabilities are NaN.
    seed : int

    Returns
    -------
    VariantClusters

    Raises
    ------
    InputError
        Fewer than two variants, labels that do not match, or a variant without reference
        homozygotes or without carriers.

    References
    ----------
    Rubin (1981), Ann. Statist. 9:130 (Bayesian bootstrap). Hennig (2007), Comput. Stat. Data Anal.
    52:258 (Jaccard stability). Rousseeuw (1987), J. Comput. Appl. Math. 20:53 (silhouette).
    """
    dosages = whole_dosages(dosages)
    variant_ids = [str(name) for name in variant_ids]
    genes = [""] * len(variant_ids) if genes is None else [str(gene) for gene in genes]
    _check_variants(dosages, variant_ids, genes)
    space = LatentSpace(latents, covariates).whitened
    indicators = np.stack([dosages == 0, dosages > 0]).astype(np.float64)
    directions = _directions(space, indicators, np.ones(len(space)))
    distances = _cosine_distances(directions, signed)
    linkage = _average_linkage(distances)
    clusters = _cut(linkage, distances)
    bootstrapped = []
    rng = np.random.default_rng(seed)
    for _ in range(bootstraps):
        weights = rng.exponential(size=len(space))
        resampled = _cosine_distances(_directions(space, indicators, weights), signed)
        again = hierarchy.fcluster(_average_linkage(resampled), clusters.max(), "maxclust")
        bootstrapped.append(again)
    stability, co_clustering, rand = _stability(clusters, bootstrapped)
    table = pd.DataFrame(distances, index=variant_ids, columns=variant_ids)
    return VariantClusters(
        variant_ids, genes, directions, table, linkage, clusters, stability, co_clustering, rand
    )


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
    """Point from the weighted centroid of non-carriers to that of carriers, at unit length.

    The count-weighted mean of the heterozygous and homozygous centroids is the carriers' centroid.
    """
    weighted = indicators * weights
    centroids = (weighted @ space) / weighted.sum(axis=2, keepdims=True)
    directions = centroids[1] - centroids[0]
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _cosine_distances(directions: np.ndarray, signed: bool) -> np.ndarray:
    cosines = np.clip(directions @ directions.T, -1, 1)
    distances = 1 - (cosines if signed else np.abs(cosines))
    np.fill_diagonal(distances, 0)
    return (distances + distances.T) / 2


def _average_linkage(distances: np.ndarray) -> np.ndarray:
    return hierarchy.linkage(squareform(distances, checks=False), method="average")


def _cut(linkage: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Cluster numbers from 1, in leaf order, at the cut with the largest mean silhouette."""
    best, labels = LEAST_SILHOUETTE, np.ones(len(distances), dtype=int)
    for count in range(2, len(distances)):
        candidate = hierarchy.fcluster(linkage, count, "maxclust")
        if 1 < candidate.max() < len(distances):
            score = silhouette_score(distances, candidate, metric="precomputed")
            if score > best:
                best, labels = score, candidate
    in_leaf_order = pd.unique(labels[hierarchy.leaves_list(linkage)])
    number = {label: place for place, label in enumerate(in_leaf_order, start=1)}
    return np.array([number[label] for label in labels])


def _check_variants(dosages: np.ndarray, variant_ids: list[str], genes: list[str]) -> None:
    if len(dosages) < 2:
        raise InputError(f"clusters: {len(dosages)} variants; expected at least 2")
    if not len(dosages) == len(variant_ids) == len(genes):
        raise InputError(
            f"clusters: {len(dosages)} rows of dosages, {len(variant_ids)} variant ids and "
            f"{len(genes)} genes; expected as many of each"
        )
    repeated = pd.Index(variant_ids)[pd.Index(variant_ids).duplicated()]
    if len(repeated):
        raise InputError(f"clusters: variant '{repeated[0]}' is given twice")
    carriers, others = (dosages > 0).sum(axis=1), (dosages == 0).sum(axis=1)
    for name, with_alt, without in zip(variant_ids, carriers, others, strict=True):
        if not with_alt or not without:
            raise InputError(
                f"clusters: variant '{name}' has {with_alt} carriers and {without} reference "
                "homozygotes; both are needed"
            )
