"""SNP clusters: which associated variants move people the same way through latent space."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.clusters.cosines import (
    ceilings,
    chance_cosine,
    cosine_similarities,
    pair_table,
)
from regreveal.genetics.clusters.stability import (
    adjusted_rand_indices,
    by_height,
    cluster_stability,
    co_clustering,
    cut_into,
    has_choice,
    jaccard_overlaps,
)
from regreveal.genetics.clusters.trees import (
    SCALES,
    average_linkage,
    cut,
    midway_height,
    multiscale_support,
    node_members,
    times_found,
)
from regreveal.genetics.clusters.variant_directions import VariantDirections
from regreveal.progress import track
from regreveal.store.atomic import atomic_path, write_json


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
    reliability : ndarray, shape (m,)
        Share of each direction that is not noise.
    distances : DataFrame, shape (m, m)
        What was clustered by: one minus the cosine, or minus its absolute value; rows and columns
        by variant id.
    cosines : DataFrame, shape (m, m)
        Signed cosines, whatever was clustered by.
    pairs : DataFrame
        A row a pair of variants: its cosine, the ceiling that noise puts to it, the cosine without
        noise with its limits, and the share of bootstrap samples in which the two are together.
    linkage : ndarray, shape (m - 1, 4)
        scipy's linkage matrix, average linkage.
    nodes : DataFrame, m - 1 rows
        Support of each node of the tree: bootstrap, the share of samples of as many participants
        that have it; support and support_error, of `multiscale_support`. The root's are NaN.
    height : float
        Where the tree was cut.
    height_rule : "midway" or "given"
    clusters : ndarray of int, shape (m,)
        From 1, in the order of the dendrogram's leaves.
    heights : DataFrame
        What other heights give: of `stability.by_height`.
    stability : ndarray, shape (m,)
        For each variant, how well its cluster comes back over the bootstrap: mean Jaccard overlap
        with the cluster that it is in then. NaN, like the next three, where all variants make one
        cluster or each its own, which come back whatever the data.
    cluster_stability : DataFrame
        The same by cluster: of `stability.cluster_stability`.
    co_clustering : ndarray, shape (m, m)
        Share of bootstrap samples in which two variants are together.
    rand_index : float
        Mean adjusted Rand index of bootstrap clusterings with this one.
    resampled : ndarray of int, shape (bootstraps, m)
        Clusters of each bootstrap sample. The same seed gives samples of the same participants.
    settings : dict
        Participants, dimensions, signed, bootstraps, seed.
    """

    variant_ids: list[str]
    genes: list[str]
    left_out: pd.DataFrame
    directions: np.ndarray
    reliability: np.ndarray
    distances: pd.DataFrame
    cosines: pd.DataFrame
    pairs: pd.DataFrame
    linkage: np.ndarray
    nodes: pd.DataFrame
    height: float
    height_rule: str
    clusters: np.ndarray
    heights: pd.DataFrame
    stability: np.ndarray
    cluster_stability: pd.DataFrame
    co_clustering: np.ndarray
    rand_index: float
    resampled: np.ndarray
    settings: dict

    def cluster_table(self) -> pd.DataFrame:
        """Describe each cluster.

        Returns
        -------
        DataFrame
            cluster; variants, how many; genes, with semicolons between, ids for those without;
            jaccard and recovered, of `stability.cluster_stability`; bootstrap and support of its
            node of the tree, NaN for single variants and for all together; cosine, the least
            absolute one within it.
        """
        named = zip(self.variant_ids, self.genes, strict=True)
        names = np.array([gene or name for name, gene in named])
        of_node = {
            packed.tobytes(): node
            for node, packed in enumerate(np.packbits(node_members(self.linkage), axis=1))
        }
        cosines = np.abs(self.cosines.to_numpy())
        rows = []
        for cluster in range(1, self.clusters.max(initial=0) + 1):
            members = self.clusters == cluster
            node = of_node.get(np.packbits(members).tobytes())
            of_tree = (np.nan, np.nan)
            if node is not None:
                of_tree = tuple(self.nodes.loc[node, ["bootstrap", "support"]])
            least = cosines[np.ix_(members, members)].min() if members.sum() > 1 else np.nan
            rows.append((cluster, members.sum(), ";".join(names[members]), *of_tree, least))
        columns = ["cluster", "variants", "genes", "bootstrap", "support", "least_cosine"]
        stability = self.cluster_stability.set_index("cluster").reindex([row[0] for row in rows])
        return pd.DataFrame(rows, columns=columns).join(stability.reset_index(drop=True))

    def write(self, folder: str | os.PathLike) -> None:
        """Write all tables of it, and clusters.json with what it was made with."""
        folder = Path(folder)
        clusters = pd.DataFrame(
            {
                "variant_id": self.variant_ids,
                "gene": self.genes,
                "cluster": self.clusters,
                "stability": self.stability,
                "reliability": self.reliability,
            }
        )
        linkage = pd.DataFrame(self.linkage, columns=["first", "second", "distance", "size"])
        linkage = linkage.astype({"first": int, "second": int, "size": int})
        together = pd.DataFrame(self.co_clustering, self.variant_ids, self.variant_ids)
        tables = {
            "clusters.tsv": clusters,
            "cluster_stability.tsv": self.cluster_table(),
            "clusters_by_height.tsv": self.heights,
            "linkage.tsv": linkage.join(self.nodes),
            "pairs.tsv": self.pairs,
            "distances.tsv": self.distances.rename_axis("variant_id").reset_index(),
            "cosines.tsv": self.cosines.rename_axis("variant_id").reset_index(),
            "co_clustering.tsv": together.rename_axis("variant_id").reset_index(),
            "bootstrap_clusters.tsv": pd.DataFrame(self.resampled, columns=self.variant_ids),
            "left_out.tsv": self.left_out,
        }
        for name, table in tables.items():
            with atomic_path(folder / name) as temporary:
                table.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.10g")
        write_json(self.summary(), folder / "clusters.json")

    def summary(self) -> dict:
        """Give the settings, the height and how far noise and chance reach, for clusters.json."""
        pairs = np.triu_indices(len(self.variant_ids), 1)
        several = len(self.variant_ids) > 1
        return {
            **self.settings,
            "variants": len(self.variant_ids),
            "left_out": len(self.left_out),
            "clusters": int(self.clusters.max(initial=0)),
            "height": self.height,
            "height_rule": self.height_rule,
            "ceiling": float(ceilings(self.reliability)[pairs].mean()) if several else None,
            "chance": chance_cosine(self.settings["dimensions"], self.settings["signed"]),
            "rand_index": None if np.isnan(self.rand_index) else self.rand_index,
        }


def cluster_variants(
    latents: np.ndarray | pd.DataFrame,
    dosages: np.ndarray,
    variant_ids: Sequence[str],
    genes: Sequence[str] | None = None,
    covariates: np.ndarray | pd.DataFrame | None = None,
    *,
    signed: bool = True,
    height: float | None = None,
    bootstraps: int = 200,
    seed: int = 0,
) -> VariantClusters:
    """Cluster variants by the direction of their effect on the latent vector.

    A variant's direction runs from the centroid of its commoner homozygotes to those of
    heterozygotes and of the other homozygotes, the two weighted by how many people they are: the
    effect of the rarer allele, whichever the file calls the reference. Latents have covariates
    regressed out and are whitened, so that directions that differ only by chance are at right
    angles whatever the latents' scales and correlations. Average linkage of cosine distances; the
    tree can be cut so that it makes one cluster of all, or leaves each variant alone. Stability is
    over Bayesian bootstrap samples of participants (random weights, under which no genotype group
    is ever empty), each cut into as many clusters.

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
    height : float, optional
        Distance at which to cut the tree; without it that of `trees.midway_height`.
    bootstraps : int
        How many samples, at each of the five sizes that nodes' support takes; with none,
        stabilities and supports are NaN.
    seed : int

    Returns
    -------
    VariantClusters

    Raises
    ------
    InputError
        Dosages that are none, labels that do not match, a height that is none, or what
        `LatentSpace` would refuse.

    References
    ----------
    Rubin (1981), Ann. Statist. 9:130 (Bayesian bootstrap). Hennig (2007), Comput. Stat. Data Anal.
    52:258 (Jaccard stability).
    """
    variant_ids = [str(name) for name in variant_ids]
    genes = [""] * len(variant_ids) if genes is None else [str(gene) for gene in genes]
    if not len(dosages) == len(variant_ids) == len(genes):
        raise InputError(
            f"clusters: {len(dosages)} rows of dosages, {len(variant_ids)} variant ids and "
            f"{len(genes)} genes; expected as many of each"
        )
    if height is not None and not 0 < height <= 2:
        raise InputError(f"clusters: height {height}; expected a distance above 0, at most 2")
    found = VariantDirections(latents, dosages, covariates)
    labels = pd.DataFrame({"variant_id": _numbered(variant_ids), "gene": genes})
    usable = found.reasons == ""
    left_out = labels.assign(reason=found.reasons)[~usable].reset_index(drop=True)
    names = labels["variant_id"][usable].tolist()
    cosines = cosine_similarities(found.vectors)
    distances = _distances(cosines, signed)
    linkage = average_linkage(distances)
    rule = "midway" if height is None else "given"
    if height is None:
        height = midway_height(found.reliability, found.dimensions, signed)
    clusters = cut(linkage, height) if len(names) > 1 else np.ones(len(names), dtype=int)
    trees = _bootstrap_trees(found, signed, bootstraps if len(names) > 1 else 0, seed)
    of_size_n = trees[SCALES.index(1.0)]
    resampled = cut_into(of_size_n, clusters.max(initial=0))
    if not of_size_n:
        resampled = np.empty((0, len(names)), dtype=int)
    pairs = pair_table(names, found.vectors, found.noise, found.reliability)
    together = np.full(distances.shape, np.nan)
    stability, rand_index = np.full(len(names), np.nan), np.nan
    by_cluster = pd.DataFrame(columns=["cluster", "jaccard", "recovered"], dtype=float)
    if has_choice(clusters) and bootstraps:
        together = co_clustering(resampled)
        stability = jaccard_overlaps(clusters, resampled).mean(axis=0)
        rand_index = float(adjusted_rand_indices(clusters, resampled).mean())
        by_cluster = cluster_stability(clusters, resampled)
    pairs["co_clustering"] = together[np.triu_indices(len(names), 1)]
    return VariantClusters(
        variant_ids=names,
        genes=labels["gene"][usable].tolist(),
        left_out=left_out,
        directions=found.vectors / np.linalg.norm(found.vectors, axis=1, keepdims=True),
        reliability=found.reliability,
        distances=pd.DataFrame(distances, index=names, columns=names),
        cosines=pd.DataFrame(cosines, index=names, columns=names),
        pairs=pairs,
        linkage=linkage,
        nodes=_node_support(linkage, trees),
        height=height,
        height_rule=rule,
        clusters=clusters,
        heights=by_height(linkage, distances, of_size_n, height),
        stability=stability,
        cluster_stability=by_cluster,
        co_clustering=together,
        rand_index=rand_index,
        resampled=resampled,
        settings={
            "participants": found.participants,
            "dimensions": found.dimensions,
            "signed": signed,
            "bootstraps": bootstraps,
            "seed": seed,
        },
    )


def _numbered(names: list[str]) -> list[str]:
    """Tell ids that repeat apart, since tables are keyed by them."""
    times, numbered = Counter(), []
    for name in names:
        times[name] += 1
        numbered.append(f"{name} ({times[name]})" if times[name] > 1 else name)
    return numbered


def _distances(cosines: np.ndarray, signed: bool) -> np.ndarray:
    return 1 - (cosines if signed else np.abs(cosines))


def _bootstrap_trees(
    found: VariantDirections, signed: bool, bootstraps: int, seed: int
) -> list[list[np.ndarray]]:
    """Trees of bootstrap samples, for each of `SCALES`."""
    # A stream of its own for each size, so that samples do not depend on how many there are.
    streams = np.random.default_rng(seed).spawn(len(SCALES))
    trees: list[list[np.ndarray]] = [[] for _ in SCALES]
    samples = [(place, rng) for place, rng in enumerate(streams) for _ in range(bootstraps)]
    for place, rng in track(samples, "Resampling clusters", len(samples)):
        vectors = found.resampled(rng, SCALES[place])
        distances = _distances(cosine_similarities(vectors), signed)
        trees[place].append(average_linkage(distances))
    return trees


def _node_support(linkage: np.ndarray, trees: list[list[np.ndarray]]) -> pd.DataFrame:
    columns = ["bootstrap", "support", "support_error"]
    nodes = pd.DataFrame(np.nan, index=range(len(linkage)), columns=columns)
    samples = len(trees[0])
    if samples and len(linkage) > 1:
        found = np.column_stack([times_found(linkage, of_size) for of_size in trees])
        nodes["bootstrap"] = found[:, SCALES.index(1.0)] / samples
        nodes["support"], nodes["support_error"] = multiscale_support(found, samples)
        nodes.iloc[-1] = np.nan  # of the root: all leaves, in every tree
    return nodes
