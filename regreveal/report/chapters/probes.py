"""The chapter on phenotypes: what linear probes read off two latent spaces."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from regreveal.report.figures.probes import calibration_curves, probe_forest
from regreveal.report.folder.comparison import Comparison
from regreveal.report.parts import Figure, Headline, Text
from regreveal.report.tables import Cell, Column, Table, hide_small, number, with_interval
from regreveal.report.words import METRICS, listed, plural, spoken

TITLE, ANCHOR, ANALYSIS = "Phenotypes", "phenotypes", "probes"
FALSE_DISCOVERY_RATE = 0.05
SMALLEST_P = 0.0001  # of 9,999 bootstrap samples


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show what probes read off the two arms of a comparison."""
    baseline, against = comparison.arms
    probes = comparison.probes
    told = [
        f"{METRICS[mean.metric]} {number(mean.score)} in {against} and "
        f"{number(mean.baseline_score)} in {baseline}, a difference of "
        f"{with_interval(mean.difference, mean.low, mean.high)}, over "
        f"{plural(mean.targets, 'phenotype')}"
        for mean in probes.means.itertuples()
    ]
    files = tuple(comparison.file(name) for name in ("probes.tsv", "probe_differences.tsv"))
    shown = [Text(f"On average: {'; '.join(told)}.")] if told else []
    shown.append(
        replace(
            probe_table(
                probes.scores, probes.differences, baseline, against, comparison.participants
            ),
            files=files,
        )
    )
    if probes.differences["difference"].notna().any():
        shown.append(_forest(comparison, colours, files))
        shown.append(replace(measures_table(probes.scores, baseline, against), files=files[:1]))
    if len(probes.calibration):
        shown.append(_calibration(comparison, colours))
    if probes.gains is not None:
        names = ("probe_gains.tsv", "probe_gain_differences.tsv")
        table = gains_table(probes.gains, probes.gain_differences, baseline, against)
        shown.append(replace(table, files=tuple(map(comparison.file, names))))
    return shown


def _forest(comparison: Comparison, colours: dict[str, str], files: tuple[str, ...]) -> Figure:
    baseline, against = comparison.arms
    probes = comparison.probes
    floor, ceiling = (probes.scores[name].notna().any() for name in ("floor", "ceiling"))
    marks = "Crosses: the same probe on shuffled labels. " if floor else ""
    if ceiling:
        marks += (
            "Upright bars: a probe of the planted traits themselves, which no arm can pass but by "
            "what images show beside these traits, such as body mass. "
        )
    return Figure(
        f"{comparison.name}-probes",
        "What a linear probe reads off each latent space.",
        f"Left, score by arm; right, {against} less {baseline} on the same participants. "
        f"Bars are 95 % intervals. {marks}On the right, filled where the interval leaves out "
        "zero, in the colour of the better arm; open and grey where it does not. Dashed: chance "
        f"and no difference. Up to {hide_small(comparison.participants)} analysis "
        "participants, each predicted by a probe that did not see them.",
        partial(probe_forest, probes.scores, probes.differences, colours),
        files=files,
    )


def _calibration(comparison: Comparison, colours: dict[str, str]) -> Figure:
    return Figure(
        f"{comparison.name}-calibration",
        "Predicted probabilities against what was observed.",
        "Held-out participants from low to high prediction, in bins of a tenth of them or more, so "
        "that each has at least five cases and five others. Bars: 95 % intervals of the share "
        "observed. Diagonal: as predicted.",
        partial(calibration_curves, comparison.probes.calibration, colours),
        width=36.0,
        files=(comparison.file("probe_calibration.tsv"),),
    )


def differs(difference: pd.Series) -> bool:
    """Whether the interval of a paired difference leaves out zero."""
    return bool(difference["low"] > 0 or difference["high"] < 0)


def probe_table(
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    baseline: str,
    against: str,
    participants: int,
) -> Table:
    """Make the table of the probes: a row a target, the arms side by side, their difference.

    Parameters
    ----------
    scores, differences : DataFrame
        As `regreveal.phenome.probes.run.run_probes` returns them.
    baseline, against : str
        The arms.
    participants : int
        Analysed; who of them has no value is not to be counted out.

    Returns
    -------
    Table
        The better arm in bold where the interval of the difference leaves out zero, else neither.
    """
    by_arm = {arm: scores[scores["arm"] == arm].set_index("target") for arm in (baseline, against)}
    rows = []
    for _, row in differences.iterrows():
        better = None
        if differs(row):
            better = against if row["difference"] > 0 else baseline
        arms = [
            Cell(
                with_interval(*by_arm[arm].loc[row["target"], ["score", "low", "high"]]),
                arm == better,
            )
            for arm in (baseline, against)
        ]
        difference = with_interval(row["difference"], row["low"], row["high"])
        rows.append(
            [
                Cell(spoken(row["target"])),
                Cell(METRICS[row["metric"]]),
                Cell(hide_small(row["n"], of=participants)),
                *arms,
                Cell(difference),
                Cell(_p_value(row["p_corrected"])),
            ]
        )
    reasons = [
        f"{spoken(row['target'])}: {row['reason']}"
        for _, row in differences.iterrows()
        if row["reason"]
    ]
    return Table(
        title="Linear probes.",
        caption=f"Mean over five folds with 95 % interval; the difference is {against} less "
        f"{baseline} on the same participants, with the 95 % interval of the pairs. The better "
        "arm is in bold where that interval leaves out zero. Corrected p: of no difference, after "
        "correction for all these phenotypes as they go together (step-down, family-wise). n: "
        "participants with a value.",
        columns=(
            Column("Target"),
            Column("Score"),
            Column("n", number=True),
            Column(baseline, number=True),
            Column(against, number=True),
            Column("Difference", number=True),
            Column("Corrected p", number=True),
        ),
        rows=rows,
        note="; ".join(reasons),
    )


def measures_table(scores: pd.DataFrame, baseline: str, against: str) -> Table:
    """Make the table of what else is told of each target's predictions, in its units.

    Parameters
    ----------
    scores : DataFrame
        As `regreveal.phenome.probes.run.run_probes` returns it.
    baseline, against : str
        The arms.
    """
    by_arm = [scores[scores["arm"] == arm].set_index("target") for arm in (baseline, against)]
    rows = []
    for target, first in by_arm[0][by_arm[0]["score"].notna()].iterrows():
        pair = [of_arm.loc[target] for of_arm in by_arm]
        continuous = first["metric"] == "r2"
        measure = "rmse" if continuous else "average_precision"
        chance = first["sd"] if continuous else first["prevalence"]
        rows.append(
            [
                Cell(spoken(target)),
                Cell(first["type"]),
                Cell("RMSE" if continuous else "Average precision"),
                Cell(first["units"]),
                Cell(_figures(chance)),
                Cell(" → ".join(_figures(row[measure]) for row in pair)),
                Cell("–" if continuous else _arrow(row["calibration_slope"] for row in pair)),
                Cell(_arrow(row["floor"] for row in pair)),
                Cell(_hundredths(first["ceiling"])),
            ]
        )
    return Table(
        title="Errors in units, precision, calibration, floor and ceiling.",
        caption=f"{baseline} → {against}. RMSE: root mean squared error of held-out numbers, in "
        "their units; a probe that knows nothing has the standard deviation. Average precision: by "
        "chance it is the prevalence. Calibration: slope of held-out log odds, 1 where predictions "
        "are neither too bold nor too timid. Shuffled labels and planted traits: the score that "
        "the same probe has on labels given to other people, and that of a probe of the planted "
        "traits.",
        columns=(
            Column("Target"),
            Column("Type"),
            Column("Measure"),
            Column("Units"),
            Column("By chance", number=True),
            Column("By the probes", number=True),
            Column("Calibration", number=True),
            Column("Shuffled labels", number=True),
            Column("Planted traits", number=True),
        ),
        rows=rows,
    )


def gains_table(
    gains: pd.DataFrame, differences: pd.DataFrame, baseline: str, against: str
) -> Table:
    """Make the table of what the latents of each arm add to covariates.

    Parameters
    ----------
    gains, differences : DataFrame
        As `regreveal.phenome.probes.adjusted.adjusted_probes` returns them.
    baseline, against : str
        The arms.
    """
    by_arm = {arm: gains[gains["arm"] == arm].set_index("target") for arm in (baseline, against)}
    rows = []
    for _, row in differences.iterrows():
        target = row["target"]
        alone = by_arm[baseline].loc[target, "covariates_score"]
        better = None
        if differs(row):
            better = against if row["difference"] > 0 else baseline
        rows.append(
            [
                Cell(spoken(target)),
                Cell(listed([spoken(name) for name in row["adjusted_for"].split(", ")])),
                Cell(f"{METRICS[row['metric']]} {number(alone)}" if np.isfinite(alone) else "–"),
                *(
                    Cell(
                        with_interval(*by_arm[arm].loc[target, ["gain", "low", "high"]]),
                        arm == better,
                    )
                    for arm in (baseline, against)
                ),
                Cell(with_interval(row["difference"], row["low"], row["high"])),
                Cell(_p_value(row["p_corrected"])),
            ]
        )
    return Table(
        title="What latents add to covariates.",
        caption="Score of the covariates alone, and what it gains where the latents are there, "
        f"too, with 95 % interval; the difference is the gain in {against} less that in "
        f"{baseline}, on the same participants. Covariates are not penalised. The larger gain is "
        "in bold where the interval of the difference leaves out zero.",
        columns=(
            Column("Target"),
            Column("Adjusted for", wrap=True),
            Column("Covariates alone", number=True),
            Column(f"Gain, {baseline}", number=True),
            Column(f"Gain, {against}", number=True),
            Column("Difference", number=True),
            Column("Corrected p", number=True),
        ),
        rows=rows,
    )


def _p_value(p: float) -> str:
    """Write a p-value to two figures, no smaller than the bootstrap can tell."""
    if not np.isfinite(p):
        return "–"
    if p <= SMALLEST_P:
        return f"≤{SMALLEST_P}"
    return f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def _arrow(values: Iterable[float]) -> str:
    return " → ".join(map(_hundredths, values))


def _hundredths(value: float) -> str:
    return number(round(value, 2) + 0.0, 2)  # adding zero takes the sign of a zero away


def _figures(value: float) -> str:
    """Write a number with three figures, and no fewer than it has before the point."""
    if not np.isfinite(value):
        return "–"
    decimals = 2 if value == 0 else max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return number(value, decimals)


def headlines(comparison: Comparison) -> list[Headline]:
    """Count the phenotypes that either arm predicts better, and give the mean R² of both."""
    if comparison.probes is None:
        return []
    wins, losses = told_apart(comparison)
    scored = int(comparison.probes.differences["difference"].notna().sum())
    told = f"{len(wins)} better, {len(losses)} worse of {scored}"
    favours = int(np.sign(len(wins) - len(losses)))
    counted = "phenotypes predicted better"
    shown = [Headline("Phenotypes", told, favours, counted, len(losses), len(wins), scored)]
    for mean in comparison.probes.means.itertuples():
        if mean.metric == "r2":
            told = f"{number(mean.baseline_score, 2)} → {number(mean.score, 2)}"
            favours = int(mean.low > 0) - int(mean.high < 0)
            shown.append(Headline("Mean R²", told, favours))
    return shown


def findings(comparison: Comparison) -> list[str]:
    """Say what probes found, for the summary."""
    if comparison.probes is None:
        return []
    baseline, against = comparison.arms
    scored = comparison.probes.differences.dropna(subset="difference")
    wins, losses = told_apart(comparison)
    open_ = scored.drop(wins.index).drop(losses.index)
    sentence = f"Of {plural(len(scored), 'phenotype')} probed, the {against} arm predicts "
    sentence += f"{len(wins) or 'none'} better than the {baseline} arm"
    sentence += f" ({_targets(wins)})" if len(wins) else ""
    sentence += f" and {len(losses) or 'none'} worse"
    sentence += f" ({_targets(losses)})" if len(losses) else ""
    if len(open_):
        sentence += f"; for {_targets(open_)} the arms could not be told apart"
    sentences = [f"{sentence}, at a false discovery rate of 5 %."]
    if len(losses):
        told = [
            f"{spoken(row['target'])} ({METRICS[row['metric']]} {_score(comparison, against, row)} "
            f"against {_score(comparison, baseline, row)})"
            for _, row in losses.iterrows()
        ]
        sentences.append(
            f"What the {against} arm gives up: {listed(told)}. A latent space cannot know what "
            "registration has taken out."
        )
    return sentences


def told_apart(comparison: Comparison) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the phenotypes that the second arm predicts better, and those it predicts worse."""
    scored = comparison.probes.differences.dropna(subset="difference")
    told_apart = scored["q_value"] < FALSE_DISCOVERY_RATE
    wins = scored[told_apart & (scored["difference"] > 0)]
    return wins, scored[told_apart & (scored["difference"] < 0)]


def _targets(rows: pd.DataFrame) -> str:
    return listed([spoken(target) for target in rows["target"]])


def _score(comparison: Comparison, arm: str, row: pd.Series) -> str:
    scores = comparison.probes.scores.set_index(["arm", "target"])["score"]
    return number(scores[arm, row["target"]], 2)
