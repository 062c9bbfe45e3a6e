"""The chapter on clusters of lead variants."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from regreveal.report.figures.clusters import cluster_heat_map
from regreveal.report.folder.clusters import ArmClusters
from regreveal.report.folder.comparison import Comparison
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import Cell, Column, Table, hide_small, number
from regreveal.report.words import plural

TITLE, ANCHOR, ANALYSIS = "Clusters of lead variants", "clusters", "clusters"


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show the clusters of the lead variants of either arm."""
    shown = []
    for arm in reversed(comparison.arms):
        if arm not in comparison.clusters:
            count = len(comparison.gwas[arm].loci)
            loci = plural(count, "locus", "loci")
            shown.append(Text(f"The {arm} arm has {loci}; clusters need at least two."))
            continue
        found = comparison.clusters[arm]
        shown.append(
            Figure(
                f"{comparison.name}-{arm}-clusters",
                f"Which lead variants of the {arm} arm move people the same way.",
                "Cosine similarity of the directions from the centroid of the commoner "
                "homozygotes to that of the others in the whitened latent space, "
                f"{len(found.clusters)} lead "
                f"variants by nearest gene, {hide_small(comparison.participants)} participants. "
                "Clusters, of which those of two and more are framed, are by average linkage of "
                "one minus the absolute cosine: opposite directions are alike, since which allele "
                "is counted is arbitrary.",
                partial(
                    cluster_heat_map,
                    found.cosines,
                    found.linkage,
                    _labels(found),
                    found.clusters["cluster"],
                ),
                files=tuple(
                    comparison.file(f"{arm}/clusters/{name}")
                    for name in ("clusters.tsv", "cosines.tsv")
                ),
                width=40,
            )
        )
        files = (comparison.file(f"{arm}/clusters/clusters.tsv"),)
        shown.append(replace(cluster_table(found.clusters, arm), files=files))
        if found.left_out:
            shown.append(
                Text(
                    f"{plural(found.left_out, 'lead variant')} could not be given a direction; "
                    "clusters/left_out.tsv says why."
                )
            )
    return shown


def _labels(found: ArmClusters) -> list[str]:
    """Genes, or variant ids where no gene is known."""
    return [gene or variant for variant, gene in found.clusters[["variant_id", "gene"]].to_numpy()]


def cluster_table(clusters: pd.DataFrame, arm: str) -> Table:
    """Make the table of an arm's clusters of lead variants.

    Parameters
    ----------
    clusters : DataFrame
        `variant_id`, `gene`, `cluster`, `stability`.
    arm : str
    """
    named = clusters.assign(
        label=clusters["gene"].where(clusters["gene"] != "", clusters["variant_id"])
    )
    return Table(
        title=f"Clusters of the {arm} arm.",
        caption="Stability: mean Jaccard overlap of a variant's cluster with the one it is in when "
        "participants are weighted anew (Bayesian bootstrap); mean over the cluster, 1 at best.",
        columns=(
            Column("Cluster"),
            Column("Lead variants by nearest gene", italic=True, wrap=True),
            Column("Stability", number=True),
        ),
        rows=[
            [
                Cell(str(cluster)),
                Cell(", ".join(members["label"])),
                Cell(number(members["stability"].mean(), 2)),
            ]
            for cluster, members in named.groupby("cluster")
        ],
    )


def findings(comparison: Comparison) -> list[str]:
    """Say what the clusters are, for the summary."""
    sentences = []
    for arm in reversed(comparison.arms):
        if arm not in comparison.clusters:
            continue
        table = comparison.clusters[arm].clusters
        if len(table["cluster"].unique()) == 1:
            sentences.append(
                f"The directions of the {len(table)} lead variants of the {arm} arm could not be "
                "told apart."
            )
            continue
        stability = table["stability"].mean()
        sentences.append(
            f"The {len(table)} lead variants of the {arm} arm fall into "
            f"{plural(table['cluster'].nunique(), 'cluster')} of like direction in latent space"
            + (f" (mean stability {number(stability, 2)})." if np.isfinite(stability) else ".")
        )
    return sentences
