"""Figures of recordings: overlays of many participants, reconstructions, and loss curves."""

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullFormatter

from regreveal.ecg_leads import LEADS
from regreveal.report.style import GREY, INK, PALE, WIDTH, styled, write_figure

SHOWN_LEADS = ("II", "V2")
SHOWN_CHANNELS = 2  # of what is no ECG
SHOWN_SECONDS = 2.4
OVERLAID_PARTICIPANTS = 50
RECONSTRUCTED_PARTICIPANTS = 4
TITLE_CHARACTERS = 36  # of a panel, beside another


@dataclass(frozen=True)
class SignalExamples:
    """A few participants' signals as one arm sees them.

    Parameters
    ----------
    name : str
        The arm.
    colour : str
    inputs : ndarray, shape (n, samples, channels)
        Twelve channels are the leads of an ECG.
    reconstructions : ndarray, shape (m, samples, channels)
        Of the first m.
    units : str
        Of the values.
    sampling_rate : float or None
        In Hz; without it the samples are numbered.
    """

    name: str
    colour: str
    inputs: np.ndarray
    reconstructions: np.ndarray
    units: str
    sampling_rate: float | None

    @property
    def is_ecg(self) -> bool:
        """Whether the channels are the leads of an ECG."""
        return self.inputs.shape[-1] == len(LEADS)

    @property
    def times(self) -> np.ndarray:
        """Time of the samples that a figure shows, in seconds from the first, or their numbers."""
        shown, rate = self.inputs.shape[1], self.sampling_rate or 1
        if self.is_ecg:
            shown = min(shown, round(SHOWN_SECONDS * rate))
        return np.arange(shown) / rate

    @property
    def time_label(self) -> str:
        """What the axis of time is called."""
        return "Time (s)" if self.sampling_rate else "Sample"

    @property
    def channels(self) -> dict[str, int]:
        """The channels that a figure shows, by name; one alone needs none."""
        if self.is_ecg:
            return {f"lead {lead}": LEADS.index(lead) for lead in SHOWN_LEADS}
        count = self.inputs.shape[-1]
        if count == 1:
            return {"": 0}
        return {f"channel {i + 1}": i for i in range(min(count, SHOWN_CHANNELS))}


@styled
def overlay(arms: Sequence[SignalExamples], path: str | os.PathLike) -> None:
    """Draw many participants' signals over one another, with their mean.

    Parameters
    ----------
    arms : sequence of SignalExamples
        Side by side, on one scale of time and of values.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    first, channels = arms[0], arms[0].channels
    height = 1.75 * len(channels) + 0.7
    figure = Figure(figsize=(WIDTH, height))
    grid = GridSpec(
        len(channels), len(arms), figure, left=0.085, right=0.99, top=1 - 0.28 / height,
        bottom=0.42 / height, wspace=0.06, hspace=0.1,
        width_ratios=[arm.times[-1] for arm in arms],
    )  # fmt: skip
    for row, (name, channel) in enumerate(channels.items()):
        limits = _limits([a.inputs[:OVERLAID_PARTICIPANTS] for a in arms], channel)
        for column, arm in enumerate(arms):
            axes = figure.add_subplot(grid[row, column])
            traces = _shown(arm.inputs[:OVERLAID_PARTICIPANTS], channel, arm)
            axes.plot(
                arm.times, traces.T, color=arm.colour, linewidth=0.5, alpha=0.3, rasterized=True
            )
            axes.plot(arm.times, traces.mean(axis=0), color=INK, linewidth=1.3)
            _finish_axes(axes, arm, limits, first_column=column == 0)
            if column == 0:
                axes.set_ylabel(f"{name[:1].upper()}{name[1:] or 'Value'} ({first.units})")
            if row == 0:
                axes.set_title(arm.name, color=arm.colour, fontweight="bold")
            axes.tick_params(labelbottom=row == len(channels) - 1)
    figure.supxlabel(first.time_label, x=0.54, y=0.05 / height, va="bottom", fontsize=8)
    write_figure(figure, path)


@styled
def reconstructions(arms: Sequence[SignalExamples], path: str | os.PathLike) -> None:
    """Draw inputs and what the autoencoders make of them.

    Parameters
    ----------
    arms : sequence of SignalExamples
        Side by side, each with the same participants.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    people = min(RECONSTRUCTED_PARTICIPANTS, *(len(arm.reconstructions) for arm in arms))
    first, channels = arms[0], arms[0].channels
    height = 0.95 * people + 1.08
    figure = Figure(figsize=(WIDTH, height))
    columns = [(arm, name) for arm in arms for name in channels]
    narrowest = max(arm.times[-1] for arm in arms) / 1.5
    grid = GridSpec(
        people, len(columns), figure, left=0.08, right=0.99, top=1 - 0.55 / height,
        bottom=0.52 / height, wspace=0.12, hspace=0.12,
        width_ratios=[max(arm.times[-1], narrowest) for arm, _ in columns],
    )  # fmt: skip
    limits = [_limits([a.inputs[:people] for a in arms], channel) for channel in channels.values()]
    shared = min(low for low, _ in limits), max(high for _, high in limits)
    for column, (arm, name) in enumerate(columns):
        for person in range(people):
            axes = figure.add_subplot(grid[person, column])
            before = _shown(arm.inputs[person], channels[name], arm)
            after = _shown(arm.reconstructions[person], channels[name], arm)
            axes.plot(arm.times, before, color=GREY, linewidth=1.4, label="input")
            axes.plot(arm.times, after, color=arm.colour, linewidth=0.9, label="reconstruction")
            _finish_axes(axes, arm, shared, first_column=column == 0)
            axes.tick_params(labelbottom=person == people - 1)
            if person == 0:
                axes.set_title(f"{arm.name}\n{name}", color=arm.colour, fontsize=8)
            if person == 0 and column % len(channels) == 0:
                axes.legend(
                    loc="lower left", bbox_to_anchor=(-0.02, 1.38), ncols=2, borderpad=0,
                    handlelength=1.2, columnspacing=1.0, handletextpad=0.4, fontsize=7,
                )  # fmt: skip
    figure.supxlabel(first.time_label, x=0.54, y=0.05 / height, va="bottom", fontsize=8)
    what = "Voltage" if first.is_ecg else "Value"
    figure.supylabel(f"{what} ({first.units})", x=0.008, fontsize=8)
    write_figure(figure, path)


@dataclass(frozen=True)
class LossCurve:
    """How an autoencoder learned.

    Parameters
    ----------
    name : str
        The arm.
    colour : str
    steps : ndarray, shape (n,)
        Optimiser steps taken.
    train, validation : ndarray, shape (n,)
        Loss as share of that of predicting the mean recording.
    """

    name: str
    colour: str
    steps: np.ndarray
    train: np.ndarray
    validation: np.ndarray


@styled
def loss_curves(
    groups: Sequence[Sequence[LossCurve]], titles: Sequence[str], path: str | os.PathLike
) -> None:
    """Draw training and validation loss as share of variance left unexplained.

    Parameters
    ----------
    groups : sequence of sequence of LossCurve
        A panel for each group of arms that are compared.
    titles : sequence of str
        Of the panels.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    columns = min(len(groups), 2)
    rows = -(-len(groups) // columns)
    panel = 1.75  # inches, without what stands above and below it
    titles = [textwrap.fill(title, TITLE_CHARACTERS) for title in titles]
    lines_of_titles = max(title.count("\n") for title in titles)
    above = 0.32 + 0.15 * (max(len(curves) for curves in groups) + lines_of_titles)
    width, height = 4.4 if columns == 1 else WIDTH, rows * (panel + above + 0.4) + 0.25
    figure = Figure(figsize=(width, height))
    grid = GridSpec(
        rows, columns, figure, left=0.62 / width, right=1 - 0.1 / width, top=1 - above / height,
        bottom=0.65 / height, wspace=0.25, hspace=(above + 0.4) / panel,
    )  # fmt: skip
    for place, (curves, title) in enumerate(zip(groups, titles, strict=True)):
        axes = figure.add_subplot(grid[divmod(place, columns)])
        lines = _draw_losses(axes, curves)
        axes.set_title(title, fontweight="bold", loc="left", pad=5 + 72 * 0.15 * len(curves))
        if place >= len(groups) - columns:
            axes.set_xlabel("Optimiser steps")
        if place % columns == 0:
            axes.set_ylabel("Share of variance unexplained")
    figure.legend(handles=lines, loc="lower center", ncols=len(lines), fontsize=7, handlelength=1.8)
    write_figure(figure, path)


def _draw_losses(axes: Axes, curves: Sequence[LossCurve]) -> list[Line2D]:
    """Draw the arms with a legend of their own; return what explains the kinds of lines."""
    dashed, dotted = (0, (4, 3)), (0, (2, 1.5))
    for curve in curves:
        best = int(np.argmin(curve.validation))
        kept = curve.validation[best]
        axes.plot(curve.steps, curve.train, color=curve.colour, linewidth=0.9, linestyle=dotted)
        axes.plot(
            curve.steps, curve.validation, color=curve.colour, linewidth=1.6,
            label=f"{curve.name}: {kept:.1%} at best",
        )  # fmt: skip
        axes.plot(curve.steps[best], kept, "o", color=curve.colour, markersize=4)
    baseline = axes.axhline(1, color=GREY, linewidth=0.8, linestyle=dashed)
    baseline.set_label("predicting the mean")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.3g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(left=0)
    axes.legend(
        handles=axes.get_legend_handles_labels()[0][: len(curves)], loc="lower left",
        bbox_to_anchor=(0, 1.0), borderpad=0, borderaxespad=0.2, fontsize=7, handlelength=1.8,
    )  # fmt: skip
    return [
        Line2D([], [], color=INK, linewidth=1.6, label="validation"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=dotted, label="training"),
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=4, label="checkpoint kept"),
        baseline,
    ]


def _shown(tensors: np.ndarray, channel: int, arm: SignalExamples) -> np.ndarray:
    """One channel of signals (…, samples, channels), as far as is shown: (…, samples)."""
    return tensors[..., : len(arm.times), channel]


def _limits(tensors: Sequence[np.ndarray], channel: int) -> tuple[float, float]:
    """Values between which nearly all lie: one odd recording must not flatten the rest."""
    lowest = np.concatenate([t[..., channel].min(axis=1) for t in tensors])
    highest = np.concatenate([t[..., channel].max(axis=1) for t in tensors])
    low, high = np.quantile(lowest, 0.02), np.quantile(highest, 0.98)
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _finish_axes(
    axes: Axes, arm: SignalExamples, limits: tuple[float, float], first_column: bool
) -> None:
    axes.set_xlim(0, arm.times[-1])
    axes.set_ylim(limits)
    axes.xaxis.set_major_locator(MultipleLocator(0.4) if arm.is_ecg else MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(color=PALE, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(labelleft=first_column, length=2)
