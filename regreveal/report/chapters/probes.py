"""The chapter on phenotypes: what linear probes read off two latent spaces."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from regreveal.report.figures.probes import probe_forest
from regreveal.report.folder.comparison import Comparison
from regreveal.report.parts import Figure, Headline, Text
from regreveal.report.tables import Cell, Column, Table, hide_small, number, with_interval
from regreveal.report.words import METRICS, listed, plural, spoken

TITLE, ANCHOR, ANALYSIS = "Phenotypes", "phenotypes", "probes"
FALSE_DISCOVERY_RATE = 0.05


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show what probes read off the two arms of a comparison."""
    baseline, against = comparison.arms
    told = [
        f"{METRICS[mean.metric]} {number(mean.score)} in {against} and "
        f"{number(mean.baseline_score)} in {baseline}, a difference of "
        f"{with_interval(mean.difference, mean.low, mean.high)}, over "
        f"{plural(mean.targets, 'phenotype')}"
        for mean in comparison.probes.means.itertuples()
    ]
    files = tuple(comparison.file(name) for name in ("probes.tsv", "probe_differences.tsv"))
    shown = [Text(f"On average: {'; '.join(told)}.")] if told else []
    shown.append(
        replace(
            probe_table(comparison.probes.scores, comparison.probes.differences, baseline, against),
            files=files,
        )
    )
    if comparison.probes.differences["difference"].notna().any():
        shown.append(
            Figure(
                f"{comparison.name}-probes",
                "What a linear probe reads off each latent space.",
                f"Left, score by arm; right, {against} less {baseline} on the same participants. "
                "Bars are 95 % intervals. On the right, filled where the interval leaves out zero, "
                "in the colour of the better arm; open and grey where it does not. Dashed: chance "
                f"and no difference. Up to {hide_small(comparison.participants)} analysis "
                "participants, each predicted by a probe that did not see them.",
                partial(
                    probe_forest,
                    comparison.probes.scores,
                    comparison.probes.differences,
                    colours,
                ),
                files=files,
            )
        )
    return shown


def differs(difference: pd.Series) -> bool:
    """Whether the interval of a paired difference leaves out zero."""
    return bool(difference["low"] > 0 or difference["high"] < 0)


def probe_table(
    scores: pd.DataFrame, differences: pd.DataFrame, baseline: str, against: str
) -> Table:
    """Make the table of the probes: a row a target, the arms side by side, their difference.

    Parameters
    ----------
    scores, differences : DataFrame
        As `regreveal.phenome.probes.run_probes` returns them.
    baseline, against : str
        The arms.

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
                Cell(hide_small(row["n"])),
                *arms,
                Cell(difference),
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
        "arm is in bold where that interval leaves out zero. n: participants with a value.",
        columns=(
            Column("Target"),
            Column("Score"),
            Column("n", number=True),
            Column(baseline, number=True),
            Column(against, number=True),
            Column("Difference", number=True),
        ),
        rows=rows,
        note="; ".join(reasons),
    )


def headlines(comparison: Comparison) -> list[Headline]:
    """Count the phenotypes that either arm predicts better, and give the mean R² of both."""
    if comparison.probes is None:
        return []
    wins, losses = told_apart(comparison)
    scored = int(comparison.probes.differences["difference"].notna().sum())
    told = f"{len(wins)} better, {len(losses)} worse of {scored}"
    favours = int(np.sign(len(wins) - len(losses)))
    counted = "phenotypes that one predicts better than the other"
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
