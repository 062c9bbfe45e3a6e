"""The chapter on clusters of lead variants."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from regreveal.report.chapters.comparison import p_value
from regreveal.report.figures.clusters import (
    cluster_heat_map,
    clusters_by_height,
    paired_heat_map,
)
from regreveal.report.figures.tanglegram import tanglegram
from regreveal.report.figures.trees import SUPPORTED, unlike_labels
from regreveal.report.folder.clusters import ArmClusters, SharedClusters
from regreveal.report.folder.comparison import Comparison
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import Cell, Column, Table, hide_small, number, with_interval
from regreveal.report.words import plural

TITLE, ANCHOR, ANALYSIS = "Clusters of lead variants", "clusters", "clusters"

_TREE = (
    f"The tree is by average linkage of one minus the absolute cosine: opposite directions are "
    f"alike, since which allele is counted is arbitrary. Dashed: where it is cut. Dots: nodes of "
    f"support {SUPPORTED:g} and more (multiscale bootstrap of participants)."
)
_WIDTH = 40.0  # rem, of heat maps


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show the clusters of the lead variants of either arm, and of both arms together."""
    shown = []
    for arm in reversed(comparison.arms):
        shown += _arm(comparison, arm)
    # Two variants are together or apart, and no height says more.
    several = [arm for arm, found in comparison.clusters.items() if len(found.clusters) > 2]
    if several:
        shown.append(
            Figure(
                f"{comparison.name}-cluster-heights",
                "Clusters wherever the trees are cut.",
                "Number of clusters; mean Jaccard overlap of a variant's cluster with the one it "
                "is in when participants are sampled anew; mean silhouette. Dashed: the height "
                "chosen. Nothing is drawn where all are one cluster or each is its own.",
                partial(
                    clusters_by_height,
                    {arm: comparison.clusters[arm].heights for arm in several},
                    {arm: colours[arm] for arm in several},
                ),
                files=_files(comparison, *several, name="clusters_by_height.tsv"),
            )
        )
    shared = comparison.shared_clusters
    if len(shared.agreement):
        shown += _together(comparison, shared, colours)
    if len(shared.truth):
        shown.append(truth_table(shared.truth, comparison.file("cluster_truth.tsv")))
    return shown


def _files(comparison: Comparison, *arms: str, name: str) -> tuple[str, ...]:
    return tuple(comparison.file(f"{arm}/clusters/{name}") for arm in arms)


def _arm(comparison: Comparison, arm: str) -> list:
    if arm not in comparison.clusters:
        loci = plural(len(comparison.gwas[arm].loci), "locus", "loci")
        return [Text(f"The {arm} arm has {loci}; clusters need at least two.")]
    found = comparison.clusters[arm]
    labels = _labels(found)
    shown = [
        Figure(
            f"{comparison.name}-{arm}-clusters",
            f"Which lead variants of the {arm} arm move people the same way.",
            "Cosine similarity of the directions from the centroid of the commoner homozygotes to "
            f"that of the others in the whitened latent space, {len(found.clusters)} lead variants "
            f"by nearest gene, {hide_small(comparison.participants)} participants. {_TREE} "
            "Clusters of two and more are coloured, numbered and framed.",
            partial(
                cluster_heat_map,
                found.cosines,
                found.linkage,
                found.support,
                labels,
                found.clusters["cluster"],
                found.summary["height"],
            ),
            files=tuple(
                comparison.file(f"{arm}/clusters/{name}")
                for name in ("clusters.tsv", "cosines.tsv", "pairs.tsv", "linkage.tsv")
            ),
            width=_WIDTH,
        ),
        cluster_table(found, arm, comparison.file(f"{arm}/clusters/cluster_stability.tsv")),
    ]
    if found.summary["left_out"]:
        left_out = plural(found.summary["left_out"], "lead variant")
        shown.append(
            Text(f"{left_out} could not be given a direction; clusters/left_out.tsv says why.")
        )
    return shown


def _labels(found: ArmClusters) -> list[str]:
    return unlike_labels(*(found.clusters[name].tolist() for name in ("gene", "variant_id")))


def cluster_table(found: ArmClusters, arm: str, file: str) -> Table:
    """Make the table of an arm's clusters of lead variants.

    Parameters
    ----------
    found : ArmClusters
    arm : str
    file : str
        Where it is in the run folder.
    """
    told = found.summary
    rule = "as asked"
    if told["height_rule"] == "midway":
        rule = (
            f"midway between identical directions, whose cosine noise leaves at "
            f"{number(told['ceiling'], 2)} on average, and unrelated ones, 95 % of which are below "
            f"{number(told['chance'], 2)}"
        )
    named = found.clusters.assign(label=_labels(found)).groupby("cluster")
    return Table(
        title=f"Clusters of the {arm} arm.",
        caption=f"The tree is cut at a distance of {number(told['height'], 2)}, {rule}. Stability "
        "and recovered: mean over samples of participants of the Jaccard overlap with the cluster "
        "most like it, and share of samples (%) that have the very same. Support: of the node that "
        "the cluster is. Reliability: share of the variants' directions that is not noise.",
        columns=(
            Column("Cluster"),
            Column("Lead variants by nearest gene", italic=True, wrap=True),
            Column("Stability", number=True),
            Column("Recovered (%)", number=True),
            Column("Support", number=True),
            Column("Least |cosine|", number=True),
            Column("Reliability", number=True),
        ),
        rows=[
            [
                Cell(str(row.cluster)),
                Cell(", ".join(named.get_group(row.cluster)["label"])),
                Cell(number(row.jaccard, 2)),
                Cell(number(100 * row.recovered, 0)),
                Cell(number(row.support, 2)),
                Cell(number(row.least_cosine, 2)),
                Cell(number(named.get_group(row.cluster)["reliability"].mean(), 2)),
            ]
            for row in found.table.itertuples()
        ],
        files=(file,),
    )


def _together(comparison: Comparison, shared: SharedClusters, colours: Mapping[str, str]) -> list:
    """Show what either arm makes of the lead variants of both."""
    from regreveal.genetics.clusters.tanglegram import untangle

    one, other = (shared.spaces[arm] for arm in comparison.arms)
    labels = _labels(other)
    orders = untangle(one.linkage, other.linkage)
    count = len(labels)
    files = tuple(
        comparison.file(name)
        for name in ("cluster_agreement.tsv", "cluster_agreement/lead_variants.tsv")
    )
    variants = (
        f"The {count} lead variants of both arms, one for each place where either has a locus "
        "(nearer than 250 kb, or in linkage disequilibrium, is one place), by nearest gene"
    )
    return [
        Text("Both arms on the same lead variants", kind="heading"),
        agreement_table(shared, files[0]),
        Figure(
            f"{comparison.name}-tanglegram",
            "The same lead variants in the trees of both arms.",
            f"{variants}. Lines join the same variant, in the colour of its cluster in "
            f"{comparison.against}; nodes are turned so that few cross ({orders[2]} do). Dashed: "
            f"where the trees are cut. Dots: nodes of support {SUPPORTED:g} and more.",
            partial(
                tanglegram,
                (one.linkage, other.linkage),
                (one.support, other.support),
                orders[:2],
                (one.clusters["cluster"].tolist(), other.clusters["cluster"].tolist()),
                (one.summary["height"], other.summary["height"]),
                labels,
                {arm: colours[arm] for arm in comparison.arms},
            ),
            files=files,
        ),
        Figure(
            f"{comparison.name}-cluster-pair",
            "Cosines of the same lead variants in both arms.",
            f"{variants}. Below the diagonal those in {comparison.baseline}, above it those in "
            f"{comparison.against}, in the order of the latter's tree. Strips: clusters of "
            f"{comparison.against}, which are framed, and beside them those of "
            f"{comparison.baseline}.",
            partial(
                paired_heat_map,
                (one.cosines, other.cosines),
                other.linkage,
                other.support,
                labels,
                (one.clusters["cluster"].tolist(), other.clusters["cluster"].tolist()),
                other.summary["height"],
                comparison.arms,
            ),
            files=tuple(
                comparison.file(f"cluster_agreement/{arm}/cosines.tsv") for arm in comparison.arms
            ),
            width=_WIDTH,
        ),
    ]


def agreement_table(shared: SharedClusters, file: str) -> Table:
    """Make the table of how far two arms' clusters of the same variants agree."""
    row = shared.agreement.iloc[0]
    arms = (row["baseline"], row["against"])
    reliability = [shared.spaces[arm].clusters["reliability"].mean() for arm in arms]
    counts = (int(row["clusters_one"]), int(row["clusters_other"]))
    told = [
        f"{count}; {number(share, 2)}" for count, share in zip(counts, reliability, strict=True)
    ]
    interval = with_interval(row["rand_index"], row["low"], row["high"], 2)
    return Table(
        title="Agreement of the arms' clusters.",
        caption="Adjusted Rand index: 1 where the groups are the same, 0 on average where they are "
        "random; 95 % limits by the spread over samples of participants, the same ones in both "
        "arms; p by permutation of the variants. Distances: Spearman's correlation of the "
        "distances between variants in either arm, which does not depend on where trees are cut, "
        "and p of Mantel's test.",
        columns=(
            Column("Lead variants", number=True),
            *(Column(f"{arm}: clusters; reliability", number=True, wrap=True) for arm in arms),
            Column("Adjusted Rand index", number=True),
            Column("p", number=True),
            Column("Distances", number=True),
            Column("p", number=True),
        ),
        rows=[
            [
                Cell(str(row["variants"])),
                *map(Cell, told),
                Cell(interval),
                Cell(p_value(row["p_value"])),
                Cell(number(row["distance_correlation"], 2)),
                Cell(p_value(row["distance_p_value"])),
            ]
        ],
        files=(file,),
    )


def truth_table(truth: pd.DataFrame, file: str) -> Table:
    """Make the table of how far clusters are those of the planted traits."""
    whose = {"own": "its own", "both": "of both arms"}
    return Table(
        title="Clusters against planted traits.",
        caption="Adjusted Rand index of the clusters with the traits that the variants were "
        "planted for, with 95 % limits by the spread over samples of participants, and p by "
        "permutation. A variant planted for several traits counts for the one of which it "
        "explains most, of those that the arms' recordings show if there is one; a lead variant "
        "for the nearest planted one within 500 kb. Stability: mean Jaccard overlap over variants.",
        columns=(
            Column("Latent space"),
            Column("Lead variants"),
            Column("Variants", number=True),
            Column("Traits", number=True),
            Column("Clusters", number=True),
            Column("Adjusted Rand index", number=True),
            Column("p", number=True),
            Column("Stability", number=True),
        ),
        rows=[
            [
                Cell(row.arm),
                Cell(whose[row.lead_variants_of]),
                Cell(str(row.variants)),
                Cell(str(row.traits)),
                Cell(str(row.clusters)),
                Cell(with_interval(row.rand_index, row.low, row.high, 2)),
                Cell(p_value(row.p_value)),
                Cell(number(row.stability, 2)),
            ]
            for row in truth.itertuples()
        ],
        note=_without(truth),
        files=(file,),
    )


def _without(truth: pd.DataFrame) -> str:
    most = int(truth["without_planted"].max())
    if not most:
        return ""
    return f"Up to {plural(most, 'lead variant')} of a row, near no planted one, is not counted."


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
    truth = comparison.shared_clusters.truth
    own = truth[(truth["lead_variants_of"] == "own") & (truth["traits"] > 1)]
    told = [f"{number(row.rand_index, 2)} in {row.arm}" for row in own.itertuples()]
    if told:
        sentences.append(
            f"Against the traits they were planted for, the adjusted Rand index of these clusters "
            f"is {' and '.join(told)}."
        )
    return sentences
