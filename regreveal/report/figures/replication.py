"""A figure of replication: what the other half of the participants says of each lead variant."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from regreveal.report.figures.labels import place_labels
from regreveal.report.style import GREY, INK, PALE, WIDTH, styled, write_figure

_HEIGHT = 3.3
MOST_LABELS = 25


@styled
def replication_plot(
    leads: Mapping[str, pd.DataFrame],
    threshold: float,
    colours: Mapping[str, str],
    path: str | os.PathLike,
) -> None:
    """Draw p-values of replication against those of discovery, a panel an arm.

    Parameters
    ----------
    leads : mapping of str to DataFrame
        By arm, the baseline first: label, discovery_neg_log10_p, direction_neg_log10_p,
        replicated_direction, level. Leads without a test are left out.
    threshold : float
        −log10 p of discovery.
    colours : mapping of str to str
        By arm.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    figure = Figure(figsize=(WIDTH, _HEIGHT))
    panels = figure.subplots(1, len(leads), sharex=True, sharey=True, squeeze=False)[0]
    figure.subplots_adjust(0.085, 0.14, 0.985, 0.9, wspace=0.08)
    largest = {
        axis: 1.08
        * max(threshold + 2, *(t[f"{axis}_neg_log10_p"].max() for t in leads.values() if len(t)))
        for axis in ("discovery", "direction")
    }
    for axes, (arm, table) in zip(panels, leads.items(), strict=True):
        _draw_arm(axes, table, threshold, colours[arm], largest)
        axes.set_title(arm, color=colours[arm], fontweight="bold", loc="left")
    panels[0].set_ylabel("−log₁₀ p (one-sided) in the other half")
    for axes, table in zip(panels, leads.values(), strict=True):
        _label(axes, table)
    write_figure(figure, path)


def _draw_arm(
    axes: Axes, table: pd.DataFrame, threshold: float, colour: str, largest: dict[str, float]
) -> None:
    axes.set_xlim(max(threshold - 0.6, 0), largest["discovery"])
    axes.set_ylim(0, largest["direction"])
    axes.axvline(threshold, color=INK, linewidth=0.7, linestyle="--", zorder=0)
    axes.set_xlabel("−log₁₀ p in the half where it was found")
    if not len(table):
        axes.text(
            0.5, 0.5, "no locus in either half", transform=axes.transAxes, ha="center", color=GREY
        )
        return
    most = max(largest.values())
    axes.plot([0, most], [0, most], color=PALE, linewidth=0.9, zorder=0)
    for level in table["level"].unique():
        axes.axhline(-np.log10(level), color=GREY, linewidth=0.7, linestyle=":", zorder=0)
    filled = np.where(table["replicated_direction"], colour, "white")
    axes.scatter(
        table["discovery_neg_log10_p"], table["direction_neg_log10_p"], 24, c=filled,
        edgecolors=colour, linewidths=1.1, zorder=2,
    )  # fmt: skip


def _label(axes: Axes, table: pd.DataFrame) -> None:
    """Name those that did not replicate first, then the strongest."""
    order = table.sort_values(
        ["replicated_direction", "discovery_neg_log10_p"], ascending=[True, False]
    )
    order = order.head(MOST_LABELS)
    points = order[["discovery_neg_log10_p", "direction_neg_log10_p"]].to_numpy()
    everyone = table[["discovery_neg_log10_p", "direction_neg_log10_p"]].to_numpy()
    place_labels(axes, points, order["label"].tolist(), everyone)
