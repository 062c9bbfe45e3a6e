"""A figure of the loci of two arms side by side: what each says of the same stretch."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from regreveal.report.style import GREY, INK, PALE, WIDTH, styled, write_figure

MOST_LOCI = 60
_ROW, _ABOVE, _BELOW = 0.165, 0.42, 0.46  # inches


@styled
def loci_side_by_side(
    labels: Sequence[str],
    neg_log10_p: Mapping[str, np.ndarray],
    found: Mapping[str, np.ndarray],
    threshold: float,
    suggestive: float,
    colours: Mapping[str, str],
    path: str | os.PathLike,
) -> None:
    """Draw both arms' −log10 p of each locus on one line, those found filled.

    Parameters
    ----------
    labels : sequence of str, length n
        Of the loci, from the top down.
    neg_log10_p, found : mapping of str to ndarray, shape (n,)
        By arm, the baseline first: the largest −log10 p within the locus (NaN where nothing was
        tested there), and whether the arm has it.
    threshold, suggestive : float
        −log10 p of genome-wide significance, and of what is worth a mention.
    colours : mapping of str to str
        By arm.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    rows = np.arange(len(labels))[::-1]
    height = _ROW * len(labels) + _ABOVE + _BELOW
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.15, _BELOW / height, 0.83, 1 - (_ABOVE + _BELOW) / height))
    values = np.array(list(neg_log10_p.values()))
    axes.hlines(
        rows, np.nanmin(values, axis=0), np.nanmax(values, axis=0), PALE, linewidth=1.4, zorder=1
    )
    axes.axvline(threshold, color=INK, linewidth=0.7, linestyle="--", zorder=0)
    axes.axvline(suggestive, color=GREY, linewidth=0.7, linestyle=":", zorder=0)
    for arm, of_arm in neg_log10_p.items():
        filled = np.where(found[arm], colours[arm], "white")
        axes.scatter(of_arm, rows, 26, c=filled, edgecolors=colours[arm], linewidths=1.1, zorder=2)
    axes.set_yticks(rows, labels, fontstyle="italic")
    axes.set_ylim(-0.7, len(labels) - 0.3)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Largest −log₁₀ p within the locus")
    handles = [
        Line2D([], [], color=colours[arm], marker="o", linestyle="", markersize=5, label=arm)
        for arm in neg_log10_p
    ]
    handles.append(
        Line2D(
            [], [], color=GREY, marker="o", linestyle="", markersize=5, markerfacecolor="white",
            label="not genome-wide significant there",
        )
    )  # fmt: skip
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3,
        handletextpad=0.2, columnspacing=1.2, borderpad=0.2,
    )  # fmt: skip
    write_figure(figure, path)
