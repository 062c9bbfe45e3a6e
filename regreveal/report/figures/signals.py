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
SHOWN_SECONDS = 2.4
OVERLAID_PARTICIPANTS = 50
RECONSTRUCTED_PARTICIPANTS = 4
TITLE_CHARACTERS = 36  # of a panel, beside another


@dataclass(frozen=True)
class EcgExamples:
    """A few participants' ECGs as one arm sees them.

    Parameters
    ----------
    name : str
        The arm.
    colour : str
    inputs : ndarray, shape (n, samples, 12)
        In mV.
    reconstructions : ndarray, shape (m, samples, 12)
        Of the first m.
    sampling_rate : float
        In Hz.
    """

    name: str
    colour: str
    inputs: np.ndarray
    reconstructions: np.ndarray
    sampling_rate: float

    @property
    def seconds(self) -> np.ndarray:
        """Time of the samples that a figure shows, from the first."""
        shown = min(self.inputs.shape[1], round(SHOWN_SECONDS * self.sampling_rate))
        return np.arange(shown) / self.sampling_rate


@styled
def overlay(arms: Sequence[EcgExamples], path: str | os.PathLike) -> None:
    """Draw many participants' ECGs over one another, with their mean.

    Parameters
    ----------
    arms : sequence of EcgExamples
        Side by side, on one scale of time and of voltage.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    height = 1.75 * len(SHOWN_LEADS) + 0.7
    figure = Figure(figsize=(WIDTH, height))
    grid = GridSpec(
        len(SHOWN_LEADS), len(arms), figure, left=0.085, right=0.99, top=1 - 0.28 / height,
        bottom=0.42 / height, wspace=0.06, hspace=0.1,
        width_ratios=[arm.seconds[-1] for arm in arms],
    )  # fmt: skip
    for row, lead in enumerate(SHOWN_LEADS):
        limits = _voltage_limits([a.inputs[:OVERLAID_PARTICIPANTS] for a in arms], lead)
        for column, arm in enumerate(arms):
            axes = figure.add_subplot(grid[row, column])
            traces = _lead(arm.inputs[:OVERLAID_PARTICIPANTS], lead, arm)
            axes.plot(
                arm.seconds, traces.T, color=arm.colour, linewidth=0.5, alpha=0.3, rasterized=True
            )
            axes.plot(arm.seconds, traces.mean(axis=0), color=INK, linewidth=1.3)
            _finish_ecg_axes(axes, arm, limits, first_column=column == 0)
            if column == 0:
                axes.set_ylabel(f"Lead {lead} (mV)")
            if row == 0:
                axes.set_title(arm.name, color=arm.colour, fontweight="bold")
            axes.tick_params(labelbottom=row == len(SHOWN_LEADS) - 1)
    figure.supxlabel("Time (s)", x=0.54, y=0.05 / height, va="bottom", fontsize=8)
    write_figure(figure, path)


@styled
def reconstructions(arms: Sequence[EcgExamples], path: str | os.PathLike) -> None:
    """Draw inputs and what the autoencoders make of them.

    Parameters
    ----------
    arms : sequence of EcgExamples
        Side by side, each with the same participants.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    people = min(RECONSTRUCTED_PARTICIPANTS, *(len(arm.reconstructions) for arm in arms))
    height = 0.95 * people + 1.08
    figure = Figure(figsize=(WIDTH, height))
    columns = [(arm, lead) for arm in arms for lead in SHOWN_LEADS]
    grid = GridSpec(
        people, len(columns), figure, left=0.08, right=0.99, top=1 - 0.55 / height,
        bottom=0.52 / height, wspace=0.12, hspace=0.12,
        width_ratios=[max(arm.seconds[-1], SHOWN_SECONDS / 1.5) for arm, _ in columns],
    )  # fmt: skip
    limits = {
        lead: _voltage_limits([a.inputs[:people] for a in arms], lead) for lead in SHOWN_LEADS
    }
    shared = min(low for low, _ in limits.values()), max(high for _, high in limits.values())
    for column, (arm, lead) in enumerate(columns):
        for person in range(people):
            axes = figure.add_subplot(grid[person, column])
            before = _lead(arm.inputs[person], lead, arm)
            after = _lead(arm.reconstructions[person], lead, arm)
            axes.plot(arm.seconds, before, color=GREY, linewidth=1.4, label="input")
            axes.plot(arm.seconds, after, color=arm.colour, linewidth=0.9, label="reconstruction")
            _finish_ecg_axes(axes, arm, shared, first_column=column == 0)
            axes.tick_params(labelbottom=person == people - 1)
            if person == 0:
                axes.set_title(f"{arm.name}\nlead {lead}", color=arm.colour, fontsize=8)
            if person == 0 and column % len(SHOWN_LEADS) == 0:
                axes.legend(
                    loc="lower left", bbox_to_anchor=(-0.02, 1.38), ncols=2, borderpad=0,
                    handlelength=1.2, columnspacing=1.0, handletextpad=0.4, fontsize=7,
                )  # fmt: skip
    figure.supxlabel("Time (s)", x=0.54, y=0.05 / height, va="bottom", fontsize=8)
    figure.supylabel("Voltage (mV)", x=0.008, fontsize=8)
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


def _lead(tensors: np.ndarray, lead: str, arm: EcgExamples) -> np.ndarray:
    """One lead of ECGs (…, samples, 12), as far as is shown: (…, samples)."""
    return tensors[..., : len(arm.seconds), LEADS.index(lead)]


def _voltage_limits(tensors: Sequence[np.ndarray], lead: str) -> tuple[float, float]:
    """Voltages between which nearly all lie: one odd recording must not flatten the rest."""
    lowest = np.concatenate([t[..., LEADS.index(lead)].min(axis=1) for t in tensors])
    highest = np.concatenate([t[..., LEADS.index(lead)].max(axis=1) for t in tensors])
    low, high = np.quantile(lowest, 0.02), np.quantile(highest, 0.98)
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _finish_ecg_axes(
    axes: Axes, arm: EcgExamples, limits: tuple[float, float], first_column: bool
) -> None:
    axes.set_xlim(0, arm.seconds[-1])
    axes.set_ylim(limits)
    axes.xaxis.set_major_locator(MultipleLocator(0.4))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(color=PALE, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(labelleft=first_column, length=2)
