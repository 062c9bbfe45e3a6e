"""How figures look: one palette, one typeface, and the two files each figure is written to."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from regreveal.store.atomic import atomic_path

# Okabe and Ito (2008), told apart with every kind of colour vision; the first two are the arms of
# a single comparison, the baseline in vermilion.
ARM_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
INK, GREY, PALE = "#1a1a1a", "#8a8a8a", "#d9d9d9"

WIDTH = 7.2  # inches: two columns of a journal page
DOTS_PER_INCH = 160

_INSTALLED = set(font_manager.get_font_names())
_FONT = next(name for name in ("Arial", "Liberation Sans", "DejaVu Sans") if name in _INSTALLED)

_SETTINGS = {
    "font.family": [_FONT, "DejaVu Sans"],  # the second has the signs that the first lacks
    "mathtext.default": "regular",
    # Names in figures are anybody's, and a dollar sign in one would be taken for a formula, or end
    # in an error. Texts of our own that are formulas say so.
    "text.parse_math": False,
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # letters stay letters: journals ask for it, and the text can be edited
}


def styled(make: Callable[..., None]) -> Callable[..., None]:
    """Draw a figure in the style of the report, whatever the caller's settings are."""

    @functools.wraps(make)
    def make_styled(*arguments, **named):
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            return make(*arguments, **named)

    return make_styled


def write_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure as PNG to `path`, and as PDF beside it.

    Neither file says when it was made, so that the same data give the same bytes.
    """
    path = Path(path)
    with atomic_path(path.with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=DOTS_PER_INCH, pil_kwargs={"compress_level": 3})
    with atomic_path(path.with_suffix(".pdf")) as temporary:
        figure.savefig(temporary, dpi=2 * DOTS_PER_INCH, metadata={"CreationDate": None})


def arm_colours(arms: Sequence[str]) -> dict[str, str]:
    """One colour an arm, the same in every figure and table of a report."""
    return {arm: ARM_COLOURS[i % len(ARM_COLOURS)] for i, arm in enumerate(arms)}


def lighter(colour: str, share: float = 0.5) -> tuple[float, ...]:
    """Mix a colour with white."""
    return tuple(1 - (1 - part) * (1 - share) for part in to_rgb(colour))


def letter(axes: Axes, name: str) -> None:
    """Put the letter of a panel at its upper left."""
    axes.annotate(
        name, (0, 1), (-30, 8), xycoords="axes fraction", textcoords="offset points",
        fontsize=10, fontweight="bold", va="bottom",
    )  # fmt: skip
