"""Tables of the genome: planted variants, loci, and clusters of lead variants."""

from collections.abc import Sequence

import pandas as pd

from regreveal.report.comparison_figures import spoken
from regreveal.report.tables import MOST_ROWS, Cell, Column, Table, number, rest


def truth_table(truth: pd.DataFrame, arms: Sequence[str]) -> Table:
    """Make the table of planted variants: what the oracle and each arm saw of them.

    Parameters
    ----------
    truth : DataFrame
        `gene`, `trait`, `chromosome`, `position`, `variance_explained`; for the oracle and each
        arm a bool column of its name (found) and `neg_log10_p_<name>`.
    arms : sequence of str

    Returns
    -------
    Table
        −log10 p in bold where found.
    """
    seen_by = ["oracle", *arms]
    ordered = truth.sort_values("neg_log10_p_oracle", ascending=False)
    rows = [
        [
            Cell(row["gene"]),
            Cell(spoken(row["trait"])),
            Cell(_place(row)),
            Cell(f"{100 * row['variance_explained']:.1f}"),
            *(_found(row[f"neg_log10_p_{name}"], row[name]) for name in seen_by),
        ]
        for _, row in ordered.iterrows()
    ]
    return Table(
        title="Planted variants.",
        caption="−log₁₀ p of each planted variant, by the oracle (a GWAS of the true traits "
        "themselves, the best of them) and by each arm; a tick and bold where it lies in or beside "
        "a genome-wide significant locus.",
        columns=(
            Column("Gene", italic=True),
            Column("Trait"),
            Column("Chromosome: position", number=True),
            Column("Variance of trait (%)", number=True),
            *(Column(name, number=True) for name in seen_by),
        ),
        rows=rows,
    )


def _found(neg_log10_p: float, found: bool) -> Cell:
    text = number(neg_log10_p, 1)
    return Cell(f"✓ {text}", True) if found else Cell(text)


def truth_summary_table(summary: pd.DataFrame) -> Table:
    """Make the table of how many planted loci each arm found.

    Parameters
    ----------
    summary : DataFrame
        `arm`, `planted`, `found`, `missed`, `false`, `share_of_oracle`.
    """
    return Table(
        title="Loci against planted truth.",
        caption="Planted: those of traits that this modality shows. False: genome-wide significant "
        "loci without a variant planted for any trait. The last column "
        "is the share found of the planted loci that the oracle found: a univariate GWAS of each "
        "true trait, whose threshold is 5 × 10⁻⁸ divided by the number of traits.",
        columns=(
            Column(""),
            *(Column(t, number=True) for t in ("Planted", "Found", "Missed", "False")),
            Column("Share of oracle (%)", number=True),
        ),
        rows=[
            [
                Cell(row["arm"]),
                *(Cell(str(int(row[name]))) for name in ("planted", "found", "missed", "false")),
                Cell(number(100 * row["share_of_oracle"], 0)),
            ]
            for _, row in summary.iterrows()
        ],
    )


def loci_table(loci: pd.DataFrame, arm: str) -> Table:
    """Make the table of an arm's strongest loci.

    Parameters
    ----------
    loci : DataFrame
        As `regreveal.genetics.loci.find_loci` returns them.
    arm : str
    """
    shown = loci.nlargest(MOST_ROWS, "neg_log10_p")
    return Table(
        title=f"Loci of the {arm} arm.",
        caption="Lead variants by p-value. Variants: significant ones in the locus.",
        columns=(
            Column("Nearest gene", italic=True),
            Column("Lead variant"),
            Column("Chromosome: position", number=True),
            Column("Ref / alt"),
            Column("Alt frequency", number=True),
            Column("−log₁₀ p", number=True),
            Column("Variants", number=True),
        ),
        rows=[
            [
                Cell(row["nearest_gene"] or "–"),
                Cell(row["variant_id"]),
                Cell(_place(row)),
                Cell(f"{row['ref']} / {row['alt']}"),
                Cell(number(row["alt_frequency"], 2)),
                Cell(number(row["neg_log10_p"], 1)),
                Cell(f"{row['n_variants']:,}"),
            ]
            for _, row in shown.iterrows()
        ],
        note=rest(len(loci), "loci", "loci.tsv"),
    )


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


def _place(row: pd.Series) -> str:
    return f"{row['chromosome']}: {int(row['position']):,}"
