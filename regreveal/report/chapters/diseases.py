"""The chapter on diseases: the PheWAS of two latent spaces."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from regreveal.report.figures.phewas import phewas_manhattan, phewas_qq
from regreveal.report.folder.comparison import Comparison
from regreveal.report.parts import Figure, Headline, Text
from regreveal.report.tables import (
    MOST_ROWS,
    Cell,
    Column,
    Table,
    hide_small,
    number,
    rest,
    with_interval,
)
from regreveal.report.words import listed

TITLE, ANCHOR, ANALYSIS = "Diseases", "diseases", "phewas"


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show the PheWAS of the two arms of a comparison."""
    scans = {arm: comparison.phewas[arm] for arm in comparison.arms}
    tested = max(int(scan["neg_log10_p"].notna().sum()) for scan in scans.values())
    untested = next(iter(scans.values()))["reason"].replace("", np.nan).value_counts()
    reasons = [f"{reason} ({count})" for reason, count in untested.items()]
    shown = []
    if reasons:
        shown.append(Text(f"Phecodes not tested, by reason: {listed(reasons)}."))
    if not tested:
        return shown
    threshold = -np.log10(0.05 / tested)
    results = tuple(comparison.file(f"{arm}/phewas/phewas.tsv") for arm in comparison.arms)
    shown.append(
        Figure(
            f"{comparison.name}-phewas",
            "Association of phecodes with each latent space.",
            f"Split-half test of {tested} phecodes, {hide_small(comparison.participants)} "
            "participants; one-sided p-values. Dashed: 0.05 after Bonferroni's correction for the "
            "phecodes tested. Phecodes beyond it are named, at most the 20 strongest of an arm. "
            "Both panels have one scale.",
            partial(phewas_manhattan, scans, threshold, colours),
            files=results,
        )
    )
    shown.append(
        Figure(
            f"{comparison.name}-phewas-qq",
            "Observed against expected p-values, by category of phecodes.",
            "In brackets: phecodes tested. Grey: the band that holds 95 % of the values at each "
            "rank if no phecode of the category is associated and phecodes are independent.",
            partial(phewas_qq, scans, colours),
            files=results,
        )
    )
    by_phecode = {arm: scan.set_index("phecode") for arm, scan in scans.items()}
    best = pd.concat([scan["neg_log10_p"] for scan in by_phecode.values()], axis=1).max(axis=1)
    passing = pd.concat([scan["bonferroni"] < 0.05 for scan in by_phecode.values()], axis=1)
    told = best[passing.any(axis=1)].sort_values(ascending=False).index
    if len(told):
        shown.append(replace(phewas_table(by_phecode, list(told)), files=results))
    else:
        shown.append(Text("No phecode passes Bonferroni's correction in either arm."))
    return shown


def phewas_table(hits: Mapping[str, pd.DataFrame], told: Sequence[str]) -> Table:
    """Make the table of phecodes that at least one arm is associated with.

    Parameters
    ----------
    hits : mapping of str to DataFrame
        By arm, the same phecodes in each, indexed by phecode, in the order of the table;
        otherwise as `regreveal.phenome.phewas.phewas` returns them.
    told : sequence of str
        Phecodes to show.
    """
    rows = []
    first = next(iter(hits.values()))
    for phecode in told[:MOST_ROWS]:
        cells = [
            Cell(f"{first.loc[phecode, 'name']} ({phecode})"),
            Cell(first.loc[phecode, "category"]),
            Cell(hide_small(first.loc[phecode, "n_cases"])),
            Cell(hide_small(first.loc[phecode, "n_controls"])),
        ]
        for table in hits.values():
            row = table.loc[phecode]
            passes = bool(row["bonferroni"] < 0.05)
            cells.append(Cell(with_interval(row["odds_ratio"], row["low"], row["high"], 2), passes))
            cells.append(Cell(number(row["neg_log10_p"], 1), passes))
        rows.append(cells)
    return Table(
        title="Phecodes associated with a latent space.",
        caption="Those that pass Bonferroni's correction in at least one arm (in bold where they "
        "do). Odds ratio with 95 % interval for a standard deviation of the component.",
        columns=(
            Column("Phecode", wrap=True),
            Column("Category"),
            Column("Cases", number=True),
            Column("Controls", number=True),
            *(
                Column(f"{title}, {arm}", number=True)
                for arm in hits
                for title in ("Odds ratio", "−log₁₀ p")
            ),
        ),
        rows=rows,
        note=rest(len(told), "phecodes", "phewas.tsv"),
    )


def headlines(comparison: Comparison) -> list[Headline]:
    """Count the phecodes associated with either latent space."""
    if not comparison.phewas:
        return []
    before, after = (
        int((comparison.phewas[arm]["bonferroni"] < 0.05).sum()) for arm in comparison.arms
    )
    favours = int(np.sign(after - before))
    told = f"{before} → {after}"
    return [Headline("Phecodes", told, favours, "phecodes associated", before, after)]


def findings(comparison: Comparison) -> list[str]:
    """Say what the PheWAS found, for the summary."""
    if not comparison.phewas:
        return []
    told = []
    for arm in reversed(comparison.arms):
        tested = comparison.phewas[arm].dropna(subset="neg_log10_p")
        told.append(f"{int((tested['bonferroni'] < 0.05).sum())} of {len(tested)} in {arm}")
    return [
        f"Phecodes associated with the latent space after Bonferroni's correction: {listed(told)}."
    ]
