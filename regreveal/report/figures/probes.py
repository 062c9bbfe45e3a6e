"""Figures of linear probes, one latent space beside another."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from regreveal.errors import InputError
from regreveal.report.style import GREY, INK, WIDTH, lighter, styled, write_figure
from regreveal.report.words import METRICS, spoken

CHANCE = {"r2": 0.0, "auc": 0.5}
_ROW = 0.235  # inches a target
MOST_PANELS = 12


@styled
def probe_forest(
    scores: pd.DataFrame,
    differences: pd.DataFrame,
    colours: Mapping[str, str],
    path: str | os.PathLike,
) -> None:
    """Draw each target's score by arm, and the paired difference, with 95 % intervals.

    Parameters
    ----------
    scores : DataFrame
        `arm`, `target`, `units`, `metric`, `score`, `low`, `high`, and `floor` and `ceiling`, which
        may be NaN; a row an arm and target.
    differences : DataFrame
        `target`, `metric`, `arm`, `difference`, `low`, `high`; a row a target.
    colours : mapping of str to str
        By arm, the baseline first.
    path : path-like
        PNG to write; a PDF is written beside it.

    Raises
    ------
    InputError
        If no target was scored.
    """
    differences = differences.dropna(subset="difference")
    metrics = [metric for metric in METRICS if (differences["metric"] == metric).any()]
    if not metrics:
        raise InputError("probes: no target was scored in both arms; nothing to draw")
    rows = [int((differences["metric"] == metric).sum()) for metric in metrics]
    height = _ROW * sum(rows) + 0.62 * len(metrics) + 0.3
    figure = Figure(figsize=(WIDTH, height))
    grid = GridSpec(
        len(metrics), 2, figure, left=0.235, right=0.985, top=1 - 0.32 / height,
        bottom=0.45 / height, wspace=0.08, hspace=0.62 * len(rows) / (_ROW * sum(rows)),
        height_ratios=[n + 0.6 for n in rows], width_ratios=(1.15, 1),
    )  # fmt: skip
    for row, metric in enumerate(metrics):
        left, right = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row, 1])
        paired = differences[differences["metric"] == metric].iloc[::-1]
        places = np.arange(len(paired), dtype=float)
        _draw_scores(left, scores, paired["target"], colours, metric)
        _draw_differences(right, paired, places, colours)
        for axes in (left, right):
            axes.set_ylim(-0.6, len(paired) - 0.4)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        left.set_yticks(places, _labels(paired["target"], scores))
        right.set_yticks([])
        left.set_xlabel(METRICS[metric])
        right.set_xlabel(f"Difference in {METRICS[metric]}")
        right.locator_params(axis="x", nbins=6)
        if row == 0:
            left.legend(
                loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=len(colours),
                handletextpad=0.2, columnspacing=1.2, borderpad=0,
            )  # fmt: skip
    write_figure(figure, path)


def _labels(targets: pd.Series, scores: pd.DataFrame) -> list[str]:
    """Name targets, with their units."""
    units = scores.drop_duplicates("target").set_index("target")["units"]
    return [
        f"{spoken(target)} ({units[target]})" if units[target] else spoken(target)
        for target in targets
    ]


def _draw_scores(
    axes: Axes, scores: pd.DataFrame, targets: pd.Series, colours: Mapping[str, str], metric: str
) -> None:
    axes.axvline(CHANCE[metric], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    offsets = np.linspace(0.16, -0.16, len(colours))
    rows = np.arange(len(targets))
    for (arm, colour), offset in zip(colours.items(), offsets, strict=True):
        of_arm = scores[scores["arm"] == arm].set_index("target").loc[list(targets)]
        y = rows + offset
        axes.hlines(y, of_arm["low"], of_arm["high"], color=colour, linewidth=1.1)
        axes.scatter(of_arm["floor"], y, s=9, marker="x", color=lighter(colour), linewidths=0.8)
        axes.scatter(of_arm["score"], y, s=16, color=colour, linewidths=0, zorder=3, label=arm)
    axes.vlines(of_arm["ceiling"], rows - 0.36, rows + 0.36, color=INK, linewidth=1.1, zorder=2)


def _draw_differences(
    axes: Axes, paired: pd.DataFrame, places: np.ndarray, colours: Mapping[str, str]
) -> None:
    """Draw in the winner's colour where the interval leaves out zero, open and grey elsewhere."""
    axes.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    baseline, against = colours
    for place, (_, row) in zip(places, paired.iterrows(), strict=True):
        if row["low"] > 0 or row["high"] < 0:
            colour = colours[against if row["difference"] > 0 else baseline]
            face = colour
        else:
            colour, face = GREY, "white"
        axes.hlines(place, row["low"], row["high"], color=colour, linewidth=1.1)
        axes.scatter(
            row["difference"], place, s=18, facecolor=face, edgecolor=colour, linewidths=1, zorder=3
        )
    low, high = axes.get_xlim()
    for place, text, align in (
        (0.0, f"← {baseline} better", "left"),
        (1.0, f"{against} better →", "right"),
    ):
        axes.annotate(
            text, (place, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
            ha=align, va="bottom", fontsize=7, color=colours[baseline if place == 0 else against],
        )  # fmt: skip
    axes.set_xlim(low, high)


@styled
def calibration_curves(
    curves: pd.DataFrame, colours: Mapping[str, str], path: str | os.PathLike
) -> None:
    """Draw observed against predicted shares, a panel a target, or a class of several.

    Parameters
    ----------
    curves : DataFrame
        `arm`, `target`, `class`, `predicted`, `observed`, `low`, `high`; a row a bin.
    colours : mapping of str to str
        By arm, the baseline first.
    path : path-like
        PNG to write; a PDF is written beside it. Of more panels than 12, the first are drawn.
    """
    panels = list(curves.groupby(["target", "class"], sort=False))[:MOST_PANELS]
    across = min(len(panels), 4)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(0.4 + 1.7 * across, 0.65 + 1.75 * down), layout="constrained")
    for place, ((target, name), rows) in enumerate(panels):
        axes = figure.add_subplot(down, across, place + 1)
        highest = 1.08 * max(rows["predicted"].max(), rows["high"].max())
        axes.plot([0, highest], [0, highest], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        for arm, colour in colours.items():
            of_arm = rows[rows["arm"] == arm]
            axes.vlines(of_arm["predicted"], of_arm["low"], of_arm["high"], color=lighter(colour))
            axes.plot(
                of_arm["predicted"], of_arm["observed"], color=colour, marker="o", markersize=3,
                linewidth=1, label=arm,
            )  # fmt: skip
        axes.set(xlim=(0, highest), ylim=(0, highest), aspect="equal")
        axes.locator_params(nbins=4)
        axes.set_title(f"{spoken(target)}: {name}")
    figure.supxlabel("Predicted share", fontsize=8)
    figure.supylabel("Observed share", fontsize=8)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=len(colours)
    )
    write_figure(figure, path)
