"""Figures of clusters of lead variants."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram

from regreveal.report.style import INK, styled, write_figure


@styled
def cluster_heat_map(
    cosines: np.ndarray,
    linkage: np.ndarray,
    labels: Sequence[str],
    clusters: Sequence[int],
    path: str | os.PathLike,
) -> None:
    """Draw the cosine similarity of lead variants' directions, in the order of their dendrogram.

    Parameters
    ----------
    cosines : ndarray, shape (v, v)
        Between −1 and 1.
    linkage : ndarray, shape (v − 1, 4)
        As of scipy, of the same variants.
    labels : sequence of str, length v
    clusters : sequence of int, length v
        Cluster of each variant; runs of one cluster are framed.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    tree = dendrogram(linkage, no_plot=True)
    order = np.array(tree["leaves"])
    n = len(order)
    side = float(np.clip(0.17 * n, 1.6, 5.2))
    size = float(np.clip(side / n * 55, 4.5, 7.5))
    names = [labels[i] for i in order]
    room = 0.15 + 0.0085 * size * max(map(len, names))  # inches that the longest name takes
    left, tree_width, top = 0.1, 0.75, 0.1
    width, height = left + tree_width + side + room + 0.8, top + side + room
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes(
        ((left + tree_width) / width, room / height, side / width, side / height)
    )
    image = axes.imshow(
        cosines[np.ix_(order, order)], cmap="PuOr_r", vmin=-1, vmax=1, aspect="equal"
    )
    axes.set_xticks(range(n), names, rotation=90, fontsize=size, fontstyle="italic")
    axes.set_yticks(range(n), names, fontsize=size, fontstyle="italic")
    axes.yaxis.tick_right()
    axes.tick_params(length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _frame_clusters(axes, np.asarray(clusters)[order])
    _draw_tree(figure, tree, (left / width, room / height, tree_width / width, side / height), n)
    bar = figure.add_axes(
        (1 - 0.6 / width, (room + side * 0.25) / height, 0.1 / width, side * 0.5 / height)
    )
    figure.colorbar(image, cax=bar, ticks=[-1, 0, 1])
    bar.set_title("cosine\nsimilarity", fontsize=6.5, pad=4)
    bar.tick_params(labelsize=6.5, length=2)
    write_figure(figure, path)


def _frame_clusters(axes: Axes, clusters: np.ndarray) -> None:
    edges = np.flatnonzero(np.diff(clusters)) + 1
    for start, stop in zip([0, *edges], [*edges, len(clusters)], strict=True):
        if stop - start > 1:
            square = [start - 0.5, stop - 0.5, stop - 0.5, start - 0.5, start - 0.5]
            other = [start - 0.5, start - 0.5, stop - 0.5, stop - 0.5, start - 0.5]
            axes.plot(square, other, color=INK, linewidth=1, clip_on=False)


def _draw_tree(figure: Figure, tree: dict, place: tuple, n: int) -> None:
    axes = figure.add_axes(place)
    for across, along in zip(tree["dcoord"], tree["icoord"], strict=True):
        axes.plot(across, along, color=INK, linewidth=0.7, clip_on=False)
    axes.set_ylim(10 * n, 0)  # scipy puts the leaves at 5, 15, 25, …
    axes.set_xlim(max(map(max, tree["dcoord"])) * 1.02, 0)
    axes.set_axis_off()
