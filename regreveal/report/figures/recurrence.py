"""A figure of recurrence: which training seeds find which loci."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from regreveal.report.style import INK, PALE, lighter, styled, write_figure

MOST_LOCI = 80
_ROW, _COLUMN = 0.165, 0.52  # inches
_LEFT, _RIGHT, _ABOVE, _BELOW = 0.95, 0.6, 0.42, 0.08
_SMALLEST, _LARGEST = 14.0, 80.0  # square points
_WIDEST = 20.0  # −log10 p


@styled
def recurrence_matrix(
    labels: Sequence[str],
    seeds: Sequence[int],
    found: np.ndarray,
    neg_log10_p: np.ndarray,
    colour: str,
    path: str | os.PathLike,
) -> None:
    """Draw loci by seeds: a dot where a seed finds the locus, a pale ring where it comes near.

    Parameters
    ----------
    labels : sequence of str, length n
        Of the loci, from the top down.
    seeds : sequence of int, length s
        The experiment's own first.
    found : ndarray of bool, shape (n, s)
    neg_log10_p : ndarray, shape (n, s)
        Sizes of the dots; NaN where the seed says nothing of the locus.
    colour : str
        Of the arm.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    n, s = found.shape
    width, height = _LEFT + _COLUMN * s + _RIGHT, _ABOVE + _ROW * n + _BELOW
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((_LEFT / width, _BELOW / height, _COLUMN * s / width, _ROW * n / height))
    rows = np.arange(n)[::-1]
    axes.hlines(rows, -0.5, s - 0.5, PALE, linewidth=0.5, zorder=0)
    strength = np.clip(np.nan_to_num(neg_log10_p) / _WIDEST, 0, 1)
    sizes = _SMALLEST + (_LARGEST - _SMALLEST) * strength
    x, y = np.meshgrid(np.arange(s), rows)
    near = ~found & np.isfinite(neg_log10_p)
    axes.scatter(x[found], y[found], sizes[found], color=colour, linewidths=0, zorder=2)
    axes.scatter(
        x[near], y[near], sizes[near], facecolors="white", edgecolors=lighter(colour), zorder=1
    )
    counts = found.sum(axis=1)
    for row, count in zip(rows, counts, strict=True):
        axes.text(s - 0.35, row, f"{count} of {s}", va="center", fontsize=7, color=INK)
    heads = [
        f"seed {seed}\n{number} loci" for seed, number in zip(seeds, found.sum(axis=0), strict=True)
    ]
    axes.set_xticks(np.arange(s), heads)
    axes.xaxis.tick_top()
    axes.set_yticks(rows, labels, fontstyle="italic")
    axes.tick_params(length=0)
    axes.set_xlim(-0.5, s - 0.5)
    axes.set_ylim(-0.6, n - 0.4)
    for spine in axes.spines.values():
        spine.set_visible(False)
    write_figure(figure, path)
