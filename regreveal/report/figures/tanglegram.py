"""The trees of the same variants in two latent spaces, face to face."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from regreveal.report.figures.trees import (
    ALONE,
    Sheet,
    cluster_colours,
    draw_strip,
    draw_tree,
    row_size,
    text_width,
    write_labels,
)
from regreveal.report.style import GREY, styled, write_figure

_EDGE, _GAP, _TREE, _STRIP, _LINES, _HEAD, _SCALE = 0.12, 0.06, 1.3, 0.16, 1.3, 0.26, 0.24


@styled
def tanglegram(
    linkages: tuple[np.ndarray, np.ndarray],
    supports: tuple[np.ndarray, np.ndarray],
    orders: tuple[np.ndarray, np.ndarray],
    clusters: tuple[Sequence[int], Sequence[int]],
    cuts: tuple[float, float],
    labels: Sequence[str],
    colours: dict[str, str],
    path: str | os.PathLike,
) -> None:
    """Draw two trees with lines between equal leaves.

    Parameters
    ----------
    linkages : tuple of two ndarray, shape (v − 1, 4)
    supports : tuple of two ndarray, shape (v − 1,)
        Of the nodes, NaN where nothing is known.
    orders : tuple of two ndarray of int, shape (v,)
        Leaves from top to bottom, of `regreveal.genetics.clusters.tanglegram.untangle`.
    clusters : tuple of two sequences of int, length v
        Lines have the colour of the second's.
    cuts : tuple of two float
        Where the trees were cut.
    labels : sequence of str, length v
    colours : dict of str to str
        Of the two spaces, by name, the left one first.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    count = len(labels)
    size, pitch = row_size(count)
    pitch = max(pitch, 0.5 / count)
    room = text_width(labels, size, "italic") + 0.06
    half = _EDGE + _TREE + _GAP + _STRIP + _GAP + room
    lines_width = _LINES + 0.006 * count
    width = 2 * half + lines_width
    sheet = Sheet(width, _HEAD + pitch * count + _SCALE)
    for side, (name, colour) in enumerate(colours.items()):
        order, of_side = np.asarray(orders[side]), np.asarray(clusters[side])

        def rows(left: float, across: float, side: int = side) -> Axes:
            left = width - left - across if side else left
            return sheet.rows(left, _HEAD, across, pitch, count)

        draw_tree(
            rows(_EDGE, _TREE), linkages[side], order, cuts[side], supports[side],
            mirrored=bool(side), below=True,
        )  # fmt: skip
        strip = rows(_EDGE + _TREE + _GAP, _STRIP)
        draw_strip(strip, of_side[order], cluster_colours(of_side), size)
        write_labels(
            rows(half - room, room - 0.04), [labels[i] for i in order], size,
            "left" if not side else "right",
        )  # fmt: skip
        sheet.figure.text(
            (_EDGE if not side else width - _EDGE) / width, 1 - 0.16 / sheet.height, name,
            color=colour, fontsize=8, fontweight="bold", ha="right" if side else "left",
            va="center",
        )  # fmt: skip
    between = sheet.rows(half, _HEAD, lines_width, pitch, count)
    between.set_xlim(0, 1)
    places = [np.argsort(order) for order in orders]
    ends = _line_ends(labels, size, room, lines_width)
    line_colours = cluster_colours(clusters[1])
    bend = np.linspace(0, 1, 40)
    ease = bend * bend * (3 - 2 * bend)
    for leaf in range(count):
        colour = line_colours[clusters[1][leaf]]
        start, stop = ends[leaf]
        first, second = places[0][leaf], places[1][leaf]
        # Level beside the labels, where others are above and below.
        between.plot(
            [start, *bend, stop], [first, *(first + (second - first) * ease), second],
            color=GREY if colour == ALONE else colour, linewidth=min(1.4, 0.5 + 12 / count),
            clip_on=False, zorder=1,
        )  # fmt: skip
    write_figure(sheet.figure, path)


def _line_ends(
    labels: Sequence[str], size: float, room: float, lines_width: float
) -> list[tuple[float, float]]:
    """Where lines begin and end, as shares of the space between the columns of labels."""
    widths = [text_width([label], size, "italic") for label in labels]
    reach = [max(0, room - width - 0.1) / lines_width for width in widths]
    return [(-away, 1 + away) for away in reach]
