"""The chapter on loci of either arm: which both have, and what the other says of the rest."""

from functools import partial

import numpy as np
import pandas as pd

from regreveal.comparison.loci import BOTH, SUGGESTIVE, WEAKER, count_shared
from regreveal.genetics.loci import GENOME_WIDE
from regreveal.report.figures.shared_loci import MOST_LOCI, loci_side_by_side
from regreveal.report.folder.comparison import Comparison
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import MOST_ROWS, Cell, Column, Table, number, rest
from regreveal.report.words import plural

TITLE, ANCHOR, ANALYSIS = "Shared and unique loci", "shared-loci", "gwas"


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show the loci of the two arms side by side."""
    table = comparison.shared_loci
    if not len(table):
        return [Text("Neither arm has a locus at p < 5 × 10⁻⁸.")]
    files = (comparison.file("shared_loci.tsv"),)
    strongest = table[[f"neg_log10_p_{arm}" for arm in comparison.arms]].max(axis=1)
    shown = table.loc[strongest.sort_values(ascending=False).index[:MOST_LOCI]]
    left_out = len(table) - len(shown)
    more = f" The {MOST_LOCI} strongest of {len(table)}." if left_out else ""
    figure = Figure(
        f"{comparison.name}-shared-loci",
        "What both arms say of each locus.",
        "Every locus of either arm, by nearest gene; loci less than 250 kb apart, or of leads in "
        "linkage disequilibrium (r² of 0.1 and more), are one. Filled: genome-wide significant in "
        "that arm. Dashed: 5 × 10⁻⁸, dotted: 5 × 10⁻⁴. A ring near the dashed line belongs to a "
        f"locus that is unique by its threshold only.{more}",
        partial(
            loci_side_by_side,
            [place_name(row) for _, row in shown.iterrows()],
            {arm: shown[f"neg_log10_p_{arm}"].to_numpy() for arm in comparison.arms},
            {arm: shown["found"].isin([arm, BOTH]).to_numpy() for arm in comparison.arms},
            -np.log10(GENOME_WIDE),
            -np.log10(SUGGESTIVE),
            colours,
        ),
        files=files,
        width=46,
    )
    return [figure, shared_table(table, comparison.arms, files)]


def place_name(row: pd.Series) -> str:
    """Name a locus: by its nearest gene, or by its place."""
    return row["nearest_gene"] or f"{row['chromosome']}: {int(row['start']):,}"


def shared_table(table: pd.DataFrame, arms: tuple[str, str], files: tuple[str, ...] = ()) -> Table:
    """Make the table of loci of either arm.

    Parameters
    ----------
    table : DataFrame
        From `regreveal.comparison.loci.shared_loci`.
    arms : tuple of str
    files : tuple of str
        Where it is.
    """
    rows = []
    for _, row in table.head(MOST_ROWS).iterrows():
        seen = [_cell(row, arm) for arm in arms]
        rows.append(
            [
                Cell(row["nearest_gene"] or "–"),
                _place(row),
                Cell("both arms" if row["found"] == BOTH else row["found"]),
                *seen,
                Cell(number(row["other_at_lead"], 1)),
                Cell(row["class"]),
            ]
        )
    return Table(
        title="Loci of either arm.",
        caption="Largest −log₁₀ p within the locus, bold where genome-wide significant. At the "
        "lead: of a locus of one arm, −log₁₀ p of the same lead variant in the other. Weaker in "
        "the other: below 5 × 10⁻⁴ somewhere in the locus there, so that being unique may be an "
        "effect of the threshold.",
        columns=(
            Column("Nearest gene", italic=True),
            Column("Chromosome: from–to"),
            Column("Found in"),
            *(Column(arm, number=True) for arm in arms),
            Column("Other arm at the lead", number=True),
            Column(""),
        ),
        rows=rows,
        note=rest(len(table), "loci", "shared_loci.tsv"),
        files=files,
    )


def _place(row: pd.Series) -> Cell:
    start, end = int(row["start"]), int(row["end"])
    to = f"–{end:,}" if end > start else ""
    return Cell(f"{row['chromosome']}: {start:,}{to}")


def _cell(row: pd.Series, arm: str) -> Cell:
    return Cell(number(row[f"neg_log10_p_{arm}"], 1), row["found"] in (arm, BOTH))


def findings(comparison: Comparison) -> list[str]:
    """Count shared and unique loci, for the summary."""
    table = comparison.shared_loci
    if table is None or not len(table):
        return []
    baseline, against = comparison.arms
    counts = count_shared(table, baseline, against)
    told = (
        f"{plural(counts['both'], 'locus', 'loci').capitalize()} "
        f"{'is' if counts['both'] == 1 else 'are'} found by both arms, {counts['second'] or 'none'}"
        f" by {against} alone and {counts['first'] or 'none'} by {baseline} alone"
    )
    weaker = int((table["class"] == WEAKER).sum())
    alone = counts["first"] + counts["second"]
    if alone:
        told += (
            f" ({weaker or 'none'} of these {alone} with p < 5 × 10⁻⁴ in the other arm); an even "
            f"chance of either has p {_p(counts['p'])} (McNemar's test)"
        )
    return [told + "."]


def _p(value: float) -> str:
    """Write a p-value; the smallest as a bound, since a sign test of few loci is no measurement."""
    return f"= {value:.2g}" if value >= 1e-3 else "below 0.001"
