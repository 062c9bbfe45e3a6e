"""Figures of clusters of lead variants: heat maps of one latent space and of two, and the cut."""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list

from regreveal.report.figures.trees import (
    Sheet,
    cluster_colours,
    draw_strip,
    draw_tree,
    row_size,
    runs,
    text_width,
    write_labels,
)
from regreveal.report.style import GREY, INK, WIDTH, styled, write_figure

_COLUMN_LABELS = 40  # rows up to which columns are named, too
_EDGE, _GAP, _TREE, _STRIP, _BAR = 0.12, 0.05, 1.0, 0.16, 0.8  # inches
_SCALE = 0.22  # under the tree


@styled
def cluster_heat_map(
    cosines: np.ndarray,
    linkage: np.ndarray,
    support: np.ndarray,
    labels: Sequence[str],
    clusters: Sequence[int],
    height: float,
    path: str | os.PathLike,
) -> None:
    """Draw the cosine similarity of lead variants' directions, in the order of their tree.

    Parameters
    ----------
    cosines : ndarray, shape (v, v)
        Between −1 and 1.
    linkage : ndarray, shape (v − 1, 4)
        As of scipy, of the same variants.
    support : ndarray, shape (v − 1,)
        Of the nodes, NaN where nothing is known.
    labels : sequence of str, length v
    clusters : sequence of int, length v
        Cluster of each variant; those of two and more are coloured and framed.
    height : float
        Where the tree was cut.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    order = leaves_list(linkage)
    ordered = cosines[np.ix_(order, order)]
    _heat_map(ordered, [np.asarray(clusters)], linkage, support, order, labels, height, None, path)


@styled
def paired_heat_map(
    cosines: tuple[np.ndarray, np.ndarray],
    linkage: np.ndarray,
    support: np.ndarray,
    labels: Sequence[str],
    clusters: tuple[Sequence[int], Sequence[int]],
    height: float,
    names: tuple[str, str],
    path: str | os.PathLike,
) -> None:
    """Draw the cosines of the same variants in two latent spaces, one below the diagonal.

    Parameters
    ----------
    cosines : tuple of two ndarray, shape (v, v)
        The first below the diagonal, the second above it.
    linkage, support : ndarray
        Tree of the second, whose order both are in.
    labels : sequence of str, length v
    clusters : tuple of two sequences of int, length v
        Of either space: a strip each, the second space's beside the tree.
    height : float
        Where the second's tree was cut.
    names : tuple of two str
    path : path-like
    """
    order = leaves_list(linkage)
    first, second = (matrix[np.ix_(order, order)] for matrix in cosines)
    both = np.where(np.tri(len(order), k=-1, dtype=bool), first, second)
    np.fill_diagonal(both, np.nan)
    strips = [np.asarray(clusters[1]), np.asarray(clusters[0])]
    _heat_map(both, strips, linkage, support, order, labels, height, names, path)


def _heat_map(ordered, strips, linkage, support, order, labels, height, names, path) -> None:
    count = len(order)
    size, pitch = row_size(count)
    pitch = max(pitch, 1.1 / count)
    side = pitch * count
    shown = [labels[i] for i in order]
    room = text_width(shown, size, "italic") + 0.1
    under = room if count <= _COLUMN_LABELS else 0.0
    top = _EDGE + (0.32 if names else 0)
    strips_width = len(strips) * (_STRIP + _GAP)
    left = _EDGE + _TREE + _GAP + strips_width
    sheet = Sheet(left + side + room + _BAR, max(top + side + max(under, _SCALE) + _EDGE, 1.75))
    tree = sheet.rows(_EDGE, top, _TREE, pitch, count)
    draw_tree(tree, linkage, order, height, support, below=True)
    for place, clusters in enumerate(strips):
        strip = sheet.rows(
            _EDGE + _TREE + _GAP + place * (_STRIP + _GAP), top, _STRIP, pitch, count
        )
        draw_strip(strip, clusters[order], cluster_colours(clusters), size)
    axes = sheet.axes(left, top, side, side)
    image = axes.imshow(ordered, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    if under:
        axes.set_xticks(range(count), shown, rotation=90, fontsize=size, fontstyle="italic")
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    _frame_clusters(axes, strips[0][order])
    write_labels(sheet.rows(left + side + 0.05, top, room, pitch, count), shown, size)
    if names:
        _name_triangles(axes, names, side)
        axes.plot([-0.5, count - 0.5], [-0.5, count - 0.5], color=INK, linewidth=0.6)
    tall = min(max(side * 0.5, 0.6), 1.6)
    bar = sheet.axes(left + side + room + 0.25, top + max((side - tall) / 2, 0.3), 0.1, tall)
    sheet.figure.colorbar(image, cax=bar, ticks=[-1, 0, 1])
    bar.set_title("cosine", fontsize=6.5, pad=4)
    bar.tick_params(labelsize=6.5, length=2)
    write_figure(sheet.figure, path)


def _name_triangles(axes: Axes, names: tuple[str, str], side: float) -> None:
    """Say over the heat map which space is on which side of the diagonal, in lines that fit."""
    told = f"◣ {names[0]}", f"◥ {names[1]}"
    too_long = sum(text_width([name], 7) for name in told) + 0.2 > side
    places, lines = ((0, 0), 10) if too_long else ((0, 1), 0)
    for name, place, line in zip(told, places, (lines, 0), strict=True):
        axes.annotate(
            name, (place, 1), (0, 4 + line), xycoords="axes fraction", textcoords="offset points",
            fontsize=7, ha="right" if place else "left", va="bottom",
        )  # fmt: skip


def _frame_clusters(axes: Axes, clusters: np.ndarray) -> None:
    for start, stop in runs(clusters):
        if stop - start > 1:
            square = [start - 0.5, stop - 0.5, stop - 0.5, start - 0.5, start - 0.5]
            other = [start - 0.5, start - 0.5, stop - 0.5, stop - 0.5, start - 0.5]
            axes.plot(square, other, color=INK, linewidth=1, clip_on=False)


@styled
def clusters_by_height(
    heights: dict[str, pd.DataFrame], colours: dict[str, str], path: str | os.PathLike
) -> None:
    """Draw how many clusters there are, and how good, wherever the trees are cut.

    Parameters
    ----------
    heights : dict of str to DataFrame
        By latent space: height, chosen, clusters, stability, silhouette.
    colours : dict of str to str
        By latent space.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    figure = Figure(figsize=(WIDTH, 2.3))
    panels = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.065, right=0.985, top=0.8, bottom=0.19, wspace=0.3)
    titles = {"clusters": "Clusters", "stability": "Stability", "silhouette": "Mean silhouette"}
    for axes, (column, title) in zip(panels, titles.items(), strict=True):
        for name, table in heights.items():
            axes.plot(
                table["height"], table[column], color=colours[name], linewidth=1.2,
                drawstyle="steps-post" if column == "clusters" else "default",
                marker="" if column == "clusters" else "o", markersize=2.4, label=name,
            )  # fmt: skip
            chosen = table.loc[table["chosen"], "height"].iloc[0]
            axes.axvline(chosen, color=colours[name], linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xlim(0, 1)
        axes.set_xlabel("Height of the cut")
        axes.set_title(title, loc="left")
        if column == "clusters":
            axes.set_ylim(0, None)
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        else:
            axes.axhline(0, color=GREY, linewidth=0.5)
            axes.set_ylim(min(0, axes.get_ylim()[0]), 1.03)
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(
        lines, names, loc="upper right", bbox_to_anchor=(0.99, 1.01), ncols=len(names),
        handlelength=1.4, borderpad=0.2,
    )  # fmt: skip
    write_figure(figure, path)
