"""Names beside the points of a scatter plot, where they cover neither each other nor points."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

_GAP = 4.5  # points between a dot's centre and its name
_DOT = 3.5  # points, half of a dot
# Right, left, above, below, and the corners: (x, y) in gaps.
_SIDES = ((1, 0), (-1, 0), (0, 1.2), (0, -1.2), (0.8, 0.9), (-0.8, 0.9), (0.8, -0.9), (-0.8, -0.9))
_ALIGNED = {1: ("left", "bottom"), -1: ("right", "top"), 0: ("center", "center")}


def place_labels(
    axes: Axes, points: np.ndarray, labels: Sequence[str], obstacles: np.ndarray, size: float = 6.5
) -> int:
    """Write names beside points, the first ones first; who finds no room has none.

    Parameters
    ----------
    axes : Axes
        Its limits must be final.
    points : ndarray, shape (n, 2)
        In data coordinates.
    labels : sequence of str, length n
    obstacles : ndarray, shape (m, 2)
        All dots that no name may cover.
    size : float
        Of the letters.

    Returns
    -------
    int
        How many were written.
    """
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    pixels = axes.figure.dpi / 72
    dots = axes.transData.transform(obstacles) if len(obstacles) else np.empty((0, 2))
    half = _DOT * pixels
    taken = [Bbox([dot - half, dot + half]) for dot in dots]
    frame, written = axes.get_window_extent(renderer), 0
    for point, label in zip(points, labels, strict=True):
        for x, y in _SIDES:
            text = axes.annotate(
                label, point, (x * _GAP, y * _GAP), textcoords="offset points", fontsize=size,
                ha=_ALIGNED[np.sign(x)][0], va=_ALIGNED[np.sign(y)][1], fontstyle="italic",
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0
            if inside and box.y1 <= frame.y1 and not box.count_overlaps(taken):
                taken.append(box)
                written += 1
                break
            text.remove()
    return written
