"""Figures of directions: what is decoded step by step, and how it changes, in people too."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, GridSpecFromSubplotSpec
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from regreveal.ecg_leads import LEADS
from regreveal.report.figures.images import BRIGHTEST, DARKEST, pictures, views
from regreveal.report.style import GREY, INK, PALE, WIDTH, styled, write_figure

SHOWN_LEADS = ("I", "II", "V2", "V5")
SHOWN_SECONDS = 1.2
# From low scores to high ones, both ends dark on white paper and told apart in every colour vision.
STEP_COLOURS = LinearSegmentedColormap.from_list(
    "steps", ["#08306b", "#4393c3", "#8a8a8a", "#e08214", "#7f2704"]
)
# For changes: white where there is none.
CHANGES = LinearSegmentedColormap.from_list(
    "changes", ["#053061", "#4393c3", "#ffffff", "#e08214", "#7f2704"]
)
STRONGEST = 0.995  # quantile of the changes that gets the full colour
TITLE, GAP = 0.22, 0.2  # inches for a direction's title, and below it
STEPS = 0.15  # inches for what stands over the pictures
BETWEEN = 0.04  # inches between rows of pictures


@dataclass(frozen=True)
class Decoded:
    """One direction, decoded.

    Parameters
    ----------
    title : str
    steps : ndarray, shape (m,)
        Scores in standard deviations, 0 among them.
    walk : ndarray, shape (m, *shape, channels)
    decoded, people : ndarray, shape (*shape, channels)
        Change by a standard deviation of the score, in what is decoded and in people's means.
    """

    title: str
    steps: np.ndarray
    walk: np.ndarray
    decoded: np.ndarray
    people: np.ndarray


@styled
def decoded_signals(
    directions: Sequence[Decoded],
    units: str,
    sampling_rate: float | None,
    path: str | os.PathLike,
    whole: bool = False,
) -> None:
    """Draw signals decoded along directions, over one another, and by how much they change.

    Parameters
    ----------
    directions : sequence of Decoded
        One below the other; tensors of shape (samples, channels). Twelve channels are the leads of
        an ECG.
    units : str
        Of the values.
    sampling_rate : float or None
        In Hz; without it the samples are numbered.
    path : path-like
        PNG to write; a PDF is written beside it.
    whole : bool
        Draw every channel rather than a few.
    """
    channels = _channels(directions[0].walk.shape[-1], whole)
    rate = sampling_rate or 1.0
    count = directions[0].walk.shape[1]
    samples = slice(0, min(count, round(SHOWN_SECONDS * rate) if sampling_rate else count))
    columns = min(len(channels), 4)
    rows = -(-len(channels) // columns)
    panel, low = 1.3, 0.65  # inches: traces, and their change
    block = TITLE + rows * (panel + low + 0.2) + GAP
    height = block * len(directions) + 0.35
    figure = Figure(figsize=(WIDTH, height))
    shown = samples, list(channels.values())
    limits = _limits([trace for direction in directions for trace in direction.walk], shown)
    for number, direction in enumerate(directions):
        top = height - number * block
        _write_title(figure, direction.title, top)
        outer = GridSpec(
            rows, columns, figure, left=0.075, right=0.9, top=(top - TITLE) / height,
            bottom=(top - block + GAP) / height, wspace=0.1, hspace=0.16,
        )  # fmt: skip
        for place, (name, channel) in enumerate(channels.items()):
            inner = GridSpecFromSubplotSpec(
                2, 1, outer[divmod(place, columns)], height_ratios=[panel, low], hspace=0.08
            )
            axes = figure.add_subplot(inner[0]), figure.add_subplot(inner[1])
            _draw_channel(axes, direction, channel, samples, rate)
            axes[0].set_ylim(limits)
            axes[1].set_ylim(_limits([direction.decoded, direction.people], shown))
            axes[0].text(0.03, 0.97, name, transform=axes[0].transAxes, fontweight="bold", va="top")
            first = place % columns == 0
            for each in axes:
                each.tick_params(labelleft=first, length=2)
            if first:
                axes[0].set_ylabel(units)
                axes[1].set_ylabel(f"{units}/SD")
            last = number == len(directions) - 1 and place >= len(channels) - columns
            axes[1].tick_params(labelbottom=last)
        _add_step_scale(figure, direction.steps, (top - TITLE - 1.2) / height, 1.15 / height)
    label = "Time (s)" if sampling_rate else "Sample"
    figure.supxlabel(label, x=0.49, y=0.06 / height, va="bottom", fontsize=8)
    figure.legend(
        handles=axes[1].lines[1:], loc="lower right", ncols=2, fontsize=7,
        bbox_to_anchor=(0.995, 0.0), handlelength=1.4, columnspacing=1,
    )  # fmt: skip
    write_figure(figure, path)


def _channels(count: int, whole: bool) -> dict[str, int]:
    """Name the channels that are drawn, and say which they are."""
    if count == len(LEADS):
        return {lead: LEADS.index(lead) for lead in (LEADS if whole else SHOWN_LEADS)}
    names = {f"channel {number + 1}": number for number in range(count)}
    return names if whole else dict(itertools.islice(names.items(), len(SHOWN_LEADS)))


def _draw_channel(
    axes: tuple[Axes, Axes], direction: Decoded, channel: int, samples: slice, rate: float
) -> None:
    """Draw the traces of one channel above, and their change below."""
    seconds = np.arange(samples.stop) / rate
    farthest = np.abs(direction.steps).max()
    for step, trace in zip(direction.steps, direction.walk[:, samples, channel], strict=True):
        colour = STEP_COLOURS((step / farthest + 1) / 2)
        axes[0].plot(seconds, trace, color=colour, linewidth=0.9, zorder=2 + abs(step))
    axes[1].axhline(0, color=PALE, linewidth=0.6)
    axes[1].plot(
        seconds, direction.people[samples, channel], color=GREY, linewidth=1.5, label="people"
    )
    axes[1].plot(
        seconds, direction.decoded[samples, channel], color=INK, linewidth=0.8, label="decoded"
    )
    for each in axes:
        each.set_xlim(seconds[0], seconds[-1])
        each.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 4, 5, 10]))
        each.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        each.grid(color=PALE, linewidth=0.4)
        each.set_axisbelow(True)
    axes[0].tick_params(labelbottom=False)


def _limits(signals: Sequence[np.ndarray], shown: tuple[slice, list[int]]) -> tuple[float, float]:
    """Give limits for what is shown of some signals, each (samples, channels)."""
    values = [signal[shown] for signal in signals]
    low, high = np.min(values), np.max(values)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _add_step_scale(figure: Figure, steps: np.ndarray, bottom: float, height: float) -> None:
    axes = figure.add_axes((0.925, bottom, 0.012, height))
    farthest = np.abs(steps).max()
    scale = figure.colorbar(ScalarMappable(Normalize(-farthest, farthest), STEP_COLOURS), axes)
    scale.set_ticks(steps, labels=[_signed(step) for step in steps])
    scale.ax.tick_params(length=2, labelsize=6.5)
    scale.outline.set_visible(False)
    scale.set_label("score (SD)", fontsize=7, labelpad=2)


@styled
def decoded_images(directions: Sequence[Decoded], units: str, path: str | os.PathLike) -> None:
    """Draw images decoded along directions, step by step, and by how much they change.

    Parameters
    ----------
    directions : sequence of Decoded
        One below the other; images (rows, columns, 1), cines (rows, columns, frames) or volumes
        (x, y, z, 1), each shown by its pictures.
    units : str
        Of the values.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    shown = [_pictures_of(direction) for direction in directions]
    steps = len(directions[0].steps)
    left, right = 0.18, 0.6  # inches: for names of views, and for the scale
    width = (WIDTH - left - right) / (steps + 2)
    heights = [width * view.walk[0].shape[0] / view.walk[0].shape[1] for view in shown[0]]
    block = TITLE + STEPS + sum(heights) + BETWEEN * (len(heights) - 1) + GAP
    height = block * len(directions)
    figure = Figure(figsize=(WIDTH, height))
    # One pair of axes in inches, and the pictures of a row as one: axes for each picture take
    # most of the time of a report.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    for number, (direction, rows) in enumerate(zip(directions, shown, strict=True)):
        top = height - number * block
        _write_title(figure, direction.title, top)
        strongest = max(
            np.quantile(np.abs(changes), STRONGEST) for row in rows for changes in row.changes
        )
        low, high = np.quantile(
            np.concatenate([row.walk.ravel() for row in rows]), (DARKEST, BRIGHTEST)
        )
        upper = top - TITLE - STEPS
        titles = [*(_signed(step) for step in direction.steps), "decoded", "people"]
        for column, title in enumerate(titles):
            middle = left + (column + 0.5) * width
            axes.text(middle, upper + 0.03, title, fontsize=7, ha="center", va="bottom")
        for row, tall in zip(rows, heights, strict=True):
            axes.text(
                left - 0.03, upper - tall / 2, row.view,
                fontsize=6.5, rotation=90, ha="right", va="center",
            )  # fmt: skip
            place = upper - tall, tall, width
            _draw_row(axes, row.walk, left, place, cmap="gray", vmin=low, vmax=high)
            drawn = _draw_row(
                axes, row.changes, left + steps * width, place,
                cmap=CHANGES, vmin=-strongest, vmax=strongest,
            )  # fmt: skip
            upper -= tall + BETWEEN
        _add_change_scale(figure, drawn, units, (top - block + GAP) / height, sum(heights) / height)
    write_figure(figure, path)


def _draw_row(
    axes: Axes, images: np.ndarray, left: float, place: tuple[float, float, float], **scale
) -> AxesImage:
    """Draw images (n, rows, columns) side by side as one, with white between them, each framed.

    `place` is the bottom, the height and the width that each has, in inches.
    """
    bottom, tall, width = place
    count, rows, columns = images.shape
    gap = max(1, round(0.03 * columns))  # of its columns
    row = np.full((rows, count * (columns + gap)), np.nan, np.float32)
    for number, image in enumerate(images):
        row[:, number * (columns + gap) :][:, :columns] = image
    drawn = axes.imshow(
        row, extent=(left, left + count * width, bottom, bottom + tall),
        interpolation="none", aspect="auto", **scale,
    )  # fmt: skip
    across = width * columns / (columns + gap)
    frames = [Rectangle((left + n * width, bottom), across, tall) for n in range(count)]
    axes.add_collection(
        PatchCollection(frames, facecolor="none", edgecolor=INK, linewidth=0.4), autolim=False
    )
    return drawn


@dataclass(frozen=True)
class _View:
    view: str
    walk: np.ndarray
    changes: np.ndarray


def _pictures_of(direction: Decoded) -> list[_View]:
    walks = pictures(direction.walk)
    changes = pictures(np.stack([direction.decoded, direction.people]))
    names = views(direction.walk)
    return [_View(*view) for view in zip(names, walks, changes, strict=True)]


def _add_change_scale(
    figure: Figure, drawn: AxesImage, units: str, bottom: float, height: float
) -> None:
    length = min(height, 1.3 / figure.get_figheight())
    axes = figure.add_axes((1 - 0.54 / WIDTH, bottom + (height - length) / 2, 0.012, length))
    scale = figure.colorbar(drawn, axes)
    scale.locator = MaxNLocator(4, symmetric=True, steps=[1, 2, 5, 10])
    scale.update_ticks()
    scale.ax.tick_params(length=2, labelsize=6)
    scale.outline.set_linewidth(0.4)
    scale.set_label(f"change, {units}", fontsize=6.5, labelpad=2)


def _write_title(figure: Figure, title: str, top: float) -> None:
    height = figure.get_figheight()
    figure.text(0.05 / WIDTH, (top - 0.06) / height, title, fontweight="bold", va="top", fontsize=8)


def _signed(step: float) -> str:
    return f"{step:+g}".replace("-", "−") if step else "0"
