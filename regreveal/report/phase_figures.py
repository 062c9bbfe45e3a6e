"""Figures of arms whose latents are phases: the loop that is decoded, phases, and losses."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from regreveal.report.style import GREY, INK, WIDTH, lighter, styled, write_figure

LOOP_FRAMES = 8
PHASES_SHOWN = 60
DARKEST, BRIGHTEST = 0.01, 0.99  # quantiles that are drawn black and white


@dataclass(frozen=True)
class Cycle:
    """One arm's loop and some participants' phases.

    Parameters
    ----------
    name : str
        The arm.
    colour : str
    loop : ndarray, shape (rows, columns, frames)
        What is decoded at the `loop_phases`, (frames,).
    phases : ndarray, shape (n, frames)
        Latents of participants.
    circular : bool
        Whether they are angles, in radians; if not, plain numbers.
    """

    name: str
    colour: str
    loop: np.ndarray
    loop_phases: np.ndarray
    phases: np.ndarray
    circular: bool


@styled
def loops(cycles: Sequence[Cycle], path: str | os.PathLike) -> None:
    """Draw each arm's decoded frames in order, and participants' phases against time.

    Parameters
    ----------
    cycles : sequence of Cycle
        One above the other.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    figure = Figure(figsize=(WIDTH, 3.5 * len(cycles)), layout="constrained")
    for part, cycle in zip(np.atleast_1d(figure.subfigures(len(cycles), 1)), cycles, strict=True):
        part.suptitle(cycle.name, color=cycle.colour, fontweight="bold", x=0.01, ha="left")
        above, below = part.subfigures(2, 1, height_ratios=[1, 1.9])
        _draw_loop(above, cycle)
        _draw_phases(below.subplots(), cycle)
    write_figure(figure, path)


def _draw_loop(figure, cycle: Cycle) -> None:
    frames = np.linspace(0, cycle.loop.shape[-1], LOOP_FRAMES, endpoint=False).astype(int)
    low, high = np.quantile(cycle.loop, (DARKEST, BRIGHTEST))
    for axes, frame in zip(figure.subplots(1, LOOP_FRAMES), frames, strict=True):
        axes.imshow(cycle.loop[..., frame], cmap="gray", vmin=low, vmax=high)
        phase = cycle.loop_phases[frame]
        told = f"{np.degrees(phase):.0f}°" if cycle.circular else f"{phase:.2g}"
        axes.set_title(told.replace("-", "−"), fontsize=7.5, pad=3)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_linewidth(0.4)
            spine.set_color(INK)


def _draw_phases(axes, cycle: Cycle) -> None:
    """Draw participants' phases, in turns where they are angles, against the share of the cycle."""
    unit = 2 * np.pi if cycle.circular else 1
    phases = cycle.phases / unit
    time = np.arange(phases.shape[1]) / phases.shape[1]
    pale = lighter(cycle.colour, 0.55)
    axes.plot(time, phases[:PHASES_SHOWN].T, color=pale, linewidth=0.5, alpha=0.7)
    axes.plot(time, np.median(phases, axis=0), color=cycle.colour, linewidth=2)
    if cycle.circular:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_xlim(0, 1)
    axes.set_xlabel("Time (share of the cycle)")
    axes.set_ylabel("Phase (turns)" if cycle.circular else "Number")


@styled
def phase_losses(
    histories: Mapping[str, pd.DataFrame], colours: Mapping[str, str], path: str | os.PathLike
) -> None:
    """Draw training and validation loss on logarithmic scales, where late improvement is seen.

    Parameters
    ----------
    histories : mapping of str to DataFrame
        By arm: `steps`, `loss` and `validation_loss`.
    colours : mapping of str to str
        By arm.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    figure = Figure(figsize=(0.6 * WIDTH, 2.5), layout="constrained")
    axes = figure.subplots()
    for name, history in histories.items():
        best = int(np.argmin(history["validation_loss"]))
        axes.plot(
            history["steps"], history["loss"], color=colours[name], linewidth=0.9,
            linestyle=(0, (2, 1.5)),
        )  # fmt: skip
        axes.plot(
            history["steps"], history["validation_loss"], color=colours[name], linewidth=1.6,
            marker="o", markevery=[best], markersize=4, label=name,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("Optimiser steps")
    axes.set_ylabel("Loss")
    axes.legend()
    write_figure(figure, path)
