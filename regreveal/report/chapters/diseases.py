"""The chapter on diseases: the PheWAS of two latent spaces."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from regreveal.report.chapters.comparison import p_value
from regreveal.report.figures.phewas import phewas_manhattan, phewas_qq
from regreveal.report.figures.phewas_arms import phewas_arms
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
    untested = next(iter(scans.values()))["reason"]
    untested = untested[untested.notna() & (untested != "")].value_counts()
    reasons = [f"{reason} ({count})" for reason, count in untested.items()]
    shown = []
    if reasons:
        shown.append(Text(f"Phecodes not tested, by reason: {listed(reasons)}."))
    if not tested:
        return shown
    threshold = -np.log10(0.05 / tested)
    diseases = comparison.diseases
    results = tuple(comparison.file(f"{arm}/phewas/phewas.tsv") for arm in comparison.arms)
    differences = (comparison.file("phewas_differences.tsv"),)
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
            "rank if no phecode of the category is associated and phecodes are independent. "
            "Named: the strongest of those that pass Bonferroni's correction."
            + _by_chance(diseases.null_summaries),
            partial(phewas_qq, scans, threshold, colours, diseases.nulls),
            files=results,
        )
    )
    shown.append(
        Figure(
            f"{comparison.name}-phewas-arms",
            "Each phecode in one arm and in the other.",
            "Dashed: 0.05 after Bonferroni's correction. Filled: the log odds ratios of the two "
            "arms differ at a false discovery rate of 5 %. Named: the 20 strongest of those "
            "significant in an arm.",
            partial(phewas_arms, diseases.differences, threshold, colours),
            files=differences,
        )
    )
    shown.append(Text(_overall(diseases.overall, *comparison.arms)))
    by_phecode = {arm: scan.set_index("phecode") for arm, scan in scans.items()}
    best = pd.concat([scan["neg_log10_p"] for scan in by_phecode.values()], axis=1).max(axis=1)
    passing = pd.concat([scan["bonferroni"] < 0.05 for scan in by_phecode.values()], axis=1)
    told = best[passing.any(axis=1)].sort_values(ascending=False).index
    if len(told):
        table = phewas_table(
            by_phecode,
            list(told),
            diseases.differences.set_index("phecode"),
            comparison.participants,
        )
        shown.append(replace(table, files=(*results, *differences)))
    else:
        shown.append(Text("No phecode passes Bonferroni's correction in either arm."))
    if diseases.incident:
        shown.extend(_incident(comparison, diseases.incident))
    return shown


def _by_chance(summaries: Mapping[str, pd.DataFrame]) -> str:
    """Say how flat the PheWAS was where there is nothing to find."""
    if not summaries:
        return ""
    every = pd.concat(summaries.values())
    names = {
        "labels": "with permuted labels",
        "latents": "with other people's latents",
        "gaussian": "with Gaussian noise for latents",
    }
    told = [
        f"{100 * (rows['below_0.05'] @ rows['tests']) / rows['tests'].sum():.1f} % of p are below "
        f"0.05 {names[kind]}"
        for kind, rows in every.groupby("null", sort=False)
    ]
    text = f" Dotted: the same of both arms where there is nothing to find; {listed(told)}."
    thresholds = [
        f"{number(summary['threshold'].max(), 2)} in {arm}"
        for arm, summary in summaries.items()
        if summary["threshold"].notna().any()
    ]
    if thresholds:
        text += f" One such draw in twenty passes −log₁₀ p of {listed(thresholds)}."
    return text


def _overall(overall: pd.Series, baseline: str, arm: str) -> str:
    """Say how the two PheWAS differ over all phecodes."""
    if not overall["phecodes"]:
        return "No phecode was tested in both arms."
    difference = with_interval(*overall[["difference", "low", "high"]], 2)
    counts = (
        f"Of {overall['phecodes']:.0f} phecodes tested in both arms, {overall['both']:.0f} pass "
        f"Bonferroni's correction in both, {overall['gained']:.0f} in {arm} only and "
        f"{overall['lost']:.0f} in {baseline} only (McNemar's exact test, p = "
        f"{p_value(overall['p_counts'])}; it takes phecodes for independent)."
    )
    means = (
        "The log odds ratio in standard errors is "
        f"{number(overall['baseline_mean_z'], 2)} on average in {baseline} and "
        f"{number(overall['mean_z'], 2)} in {arm}: a difference of {difference}, "
        f"p = {p_value(overall['p'])}, from the same people in both arms."
    )
    return f"{counts} {means}"


def _incident(comparison: Comparison, scans: Mapping[str, pd.DataFrame]) -> list:
    """Show which diseases that came after the visit are associated."""
    files = tuple(comparison.file(f"{arm}/phewas/phewas_incident.tsv") for arm in scans)
    by_phecode = {arm: scan.set_index("phecode") for arm, scan in scans.items()}
    first = next(iter(by_phecode.values()))
    passing = pd.concat([scan["bonferroni"] < 0.05 for scan in by_phecode.values()], axis=1)
    best = pd.concat([scan["neg_log10_p"] for scan in by_phecode.values()], axis=1).max(axis=1)
    told = best[passing.any(axis=1)].sort_values(ascending=False).index
    tested = int(first["neg_log10_p"].notna().sum())
    if not len(told):
        return [Text(f"Of {tested} incident phecodes, none passes Bonferroni's correction.")]
    rows = []
    for phecode in told[:MOST_ROWS]:
        of_phecode = first.loc[phecode]
        cells = [Cell(f"{of_phecode['name']} ({phecode})")]
        cells += [Cell(hide_small(of_phecode[name])) for name in ("n_cases", "n_earlier")]
        for table in by_phecode.values():
            row = table.loc[phecode]
            passes = bool(row["bonferroni"] < 0.05)
            ratio = with_interval(row["hazard_ratio"], row["low"], row["high"], 2)
            cells += [Cell(ratio, passes), Cell(number(row["neg_log10_p"], 1), passes)]
        rows.append(cells)
    table = Table(
        title="Incident phecodes associated with a latent space.",
        caption=f"Cox's regression of the time from the visit to the first record, {tested} "
        "phecodes tested; who had the disease at the visit (before) is not at risk. Those that "
        "pass Bonferroni's correction in at least one arm, in bold where they do. Hazard ratio "
        "with 95 % interval for a standard deviation of the component.",
        columns=(
            Column("Phecode", wrap=True),
            Column("Cases", number=True),
            Column("Before", number=True),
            *(
                Column(f"{title}, {arm}", number=True)
                for arm in by_phecode
                for title in ("Hazard ratio", "−log₁₀ p")
            ),
        ),
        rows=rows,
        note=rest(len(told), "phecodes", "phewas_incident.tsv"),
    )
    return [replace(table, files=files)]


def phewas_table(
    hits: Mapping[str, pd.DataFrame],
    told: Sequence[str],
    differences: pd.DataFrame,
    participants: int,
) -> Table:
    """Make the table of phecodes that at least one arm is associated with.

    Parameters
    ----------
    hits : mapping of str to DataFrame
        By arm, the same phecodes in each, indexed by phecode, in the order of the table;
        otherwise as `regreveal.phenome.phewas.scan.phewas` returns them.
    told : sequence of str
        Phecodes to show.
    differences : DataFrame
        `difference` with low, high and `q_value`, indexed by phecode.
    participants : int
        Analysed; who of them is neither case nor control is not to be counted out.
    """
    rows = []
    first = next(iter(hits.values()))
    for phecode in told[:MOST_ROWS]:
        cases, controls = first.loc[phecode, ["n_cases", "n_controls"]]
        cells = [
            Cell(f"{first.loc[phecode, 'name']} ({phecode})"),
            Cell(first.loc[phecode, "category"]),
            Cell(f"{hide_small(cases)} / {hide_small(controls, of=participants - cases)}"),
        ]
        for table in hits.values():
            row = table.loc[phecode]
            passes = bool(row["bonferroni"] < 0.05)
            cells.append(Cell(with_interval(row["odds_ratio"], row["low"], row["high"], 2), passes))
            cells.append(Cell(number(row["neg_log10_p"], 1), passes))
        row = differences.loc[phecode]
        differs = bool(row["q_value"] < 0.05)
        cells.append(Cell(with_interval(row["difference"], row["low"], row["high"], 2), differs))
        rows.append(cells)
    return Table(
        title="Phecodes associated with a latent space.",
        caption="Those that pass Bonferroni's correction in at least one arm (in bold where they "
        "do). Odds ratio with 95 % interval for a standard deviation of the component; difference "
        "of the log odds ratios, in bold at a false discovery rate of 5 %.",
        columns=(
            Column("Phecode", wrap=True),
            Column("Category"),
            Column("Cases / controls", number=True),
            *(
                Column(f"{title}, {arm}", number=True)
                for arm in hits
                for title in ("Odds ratio", "−log₁₀ p")
            ),
            Column("Difference", number=True),
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
    overall = comparison.diseases.overall
    text = "Phecodes associated with the latent space after Bonferroni's correction: "
    text += listed(told)
    if overall["phecodes"]:
        difference = with_interval(*overall[["difference", "low", "high"]], 2)
        text += f"; the log odds ratio in standard errors differs by {difference} on average"
    return [f"{text}."]
