"""What figures of trees of variants share: rows that labels fit into, trees, strips of clusters."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from regreveal.report.style import INK, PALE

# Paul Tol's "muted" scheme without its grey, told apart with every kind of colour vision.
_CLUSTER_COLOURS = (
    "#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677",
    "#44AA99", "#882255", "#999933", "#AA4499",
)  # fmt: skip
ALONE = PALE
SUPPORTED = 0.95

# Points: labels of few rows and of a hundred and more; and a row's height over its label's size.
_SIZES, _ROWS, _LEADING = (7.5, 4.5), (24, 100), 1.22
_POINTS = 72


class Sheet:
    """A figure laid out in inches, from the top left."""

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes; `top` counts down from the upper edge."""
        return self.figure.add_axes(
            (
                left / self.width,
                1 - (top + height) / self.height,
                width / self.width,
                height / self.height,
            )
        )

    def rows(self, left: float, top: float, width: float, pitch: float, count: int) -> Axes:
        """Add empty axes whose y counts rows of the given height, from 0 at the top."""
        axes = self.axes(left, top, width, pitch * count)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_axis_off()
        return axes


def row_size(count: int) -> tuple[float, float]:
    """Size of labels in points, and height of a row in inches, for so many rows."""
    size = float(np.interp(count, _ROWS, _SIZES))
    return size, size * _LEADING / _POINTS


def text_width(labels: Sequence[str], size: float, style: str = "normal") -> float:
    """Inches that the widest of some labels takes."""
    font = FontProperties(style=style, size=size)
    return max(TextPath((0, 0), label, prop=font).get_extents().width for label in labels) / _POINTS


def unlike_labels(genes: Sequence[str], variant_ids: Sequence[str]) -> list[str]:
    """Name variants by gene, by id where no gene is known, and by both where two share a gene."""
    times = Counter(genes)
    return [
        variant if not gene else gene if times[gene] == 1 else f"{gene} ({variant})"
        for gene, variant in zip(genes, variant_ids, strict=True)
    ]


def cluster_colours(clusters: Sequence[int]) -> dict[int, str]:
    """Give clusters of two and more variants a colour, neighbours another; others are grey."""
    sizes = Counter(clusters)
    several = [cluster for cluster in sorted(sizes) if sizes[cluster] > 1]
    colours = dict.fromkeys(sorted(sizes), ALONE)
    colours |= {
        cluster: _CLUSTER_COLOURS[place % len(_CLUSTER_COLOURS)]
        for place, cluster in enumerate(several)
    }
    return colours


def draw_tree(
    axes: Axes,
    linkage: np.ndarray,
    order: np.ndarray,
    height: float,
    support: np.ndarray | None = None,
    mirrored: bool = False,
    below: bool = False,
) -> None:
    """Draw a tree whose leaves are rows, its root at the left, or at the right if mirrored.

    Parameters
    ----------
    axes : Axes
        Of `Sheet.rows`.
    linkage : ndarray, shape (v − 1, 4)
    order : ndarray of int, shape (v,)
        Leaves from top to bottom.
    height : float
        Where it was cut: a dashed line.
    support : ndarray, shape (v − 1,), optional
        Nodes of at least `SUPPORTED` have a dot.
    mirrored : bool
    below : bool
        Whether a scale of distances goes under it.
    """
    leaves = len(order)
    y = np.empty(2 * leaves - 1)
    y[order] = np.arange(leaves)
    x = np.zeros(2 * leaves - 1)
    width = min(1.2, 0.4 + 12 / leaves)
    for node, (first, second, distance, _) in enumerate(linkage, start=leaves):
        first, second = int(first), int(second)
        x[node], y[node] = distance, (y[first] + y[second]) / 2
        axes.plot(
            [x[first], distance, distance, x[second]], [y[first], y[first], y[second], y[second]],
            color=INK, linewidth=min(0.8, width), clip_on=False, solid_joinstyle="miter",
        )  # fmt: skip
    if support is not None:
        certain = np.flatnonzero(np.nan_to_num(support) >= SUPPORTED) + leaves
        axes.scatter(
            x[certain], y[certain], s=float(np.clip(160 / leaves, 3, 9)), color=INK, zorder=3,
            linewidths=0, clip_on=False,
        )  # fmt: skip
    longest = max(float(linkage[:, 2].max()), height) * 1.04
    axes.plot(
        [height, height], [-0.5, leaves - 0.5], color="#B2182B", linewidth=0.8, dashes=(4, 2.5)
    )
    axes.set_xlim((0, longest) if mirrored else (longest, 0))
    if below:
        axes.set_axis_on()
        axes.set_yticks([])
        for side in ("left", "top", "right"):
            axes.spines[side].set_visible(False)
        ticks = [tick for tick in (0, 0.25, 0.5, 0.75, 1.0) if tick <= longest]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.tick_params(labelsize=6, length=2, pad=1.5)
        axes.patch.set_visible(False)


def draw_strip(
    axes: Axes, clusters: np.ndarray, colours: dict[int, str], size: float, numbers: bool = True
) -> None:
    """Colour rows by cluster, and number runs of one cluster of two rows and more.

    Parameters
    ----------
    axes : Axes
        Of `Sheet.rows`.
    clusters : ndarray of int, shape (v,)
        In the order of the rows.
    colours : dict
        Of `cluster_colours`.
    size : float
        Of the numbers, in points.
    numbers : bool
    """
    axes.set_xlim(0, 1)
    for start, stop in runs(clusters):
        colour = colours[clusters[start]]
        axes.axhspan(start - 0.5, stop - 0.5, color=colour, linewidth=0)
        if start:
            axes.axhline(start - 0.5, color="white", linewidth=0.7)
        if numbers and stop - start > 1:
            dark = np.dot(to_rgb(colour), (0.3, 0.59, 0.11)) < 0.55
            axes.text(
                0.5, (start + stop - 1) / 2, str(clusters[start]), fontsize=min(size, 6.5),
                ha="center", va="center_baseline", color="white" if dark else INK,
            )  # fmt: skip


def runs(clusters: np.ndarray) -> list[tuple[int, int]]:
    """First and past-the-last row of each run of one cluster."""
    edges = np.flatnonzero(np.diff(clusters)) + 1
    return list(zip([0, *edges], [*edges, len(clusters)], strict=True))


def write_labels(
    axes: Axes, labels: Sequence[str], size: float, align: str = "left", colours=None
) -> None:
    """Write labels of the rows at the left, or flush with the right."""
    axes.set_xlim(0, 1)
    for row, label in enumerate(labels):
        axes.text(
            0 if align == "left" else 1, row, label, fontsize=size, fontstyle="italic", ha=align,
            va="center_baseline", color=INK if colours is None else colours[row],
        )  # fmt: skip
