"""Figures of phases: the loop that a decoder draws, and phases against time."""

import os

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from regreveal.report.style import ARM_COLOURS, GREY, INK, WIDTH, styled, write_figure

SHOWN_PEOPLE = 200
TURN = 2 * np.pi


@styled
def loop(frames: np.ndarray, path: str | os.PathLike) -> None:
    """Draw decoded frames around a circle, each at its phase: the cycle as a clock.

    Parameters
    ----------
    frames : ndarray, shape (n, rows, columns)
        Decoded at phases 0, 2 pi / n, ...; eight to sixteen of them fit.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    figure = Figure(figsize=(WIDTH, WIDTH))
    low, high = np.quantile(frames, (0.01, 0.995))
    # So that neighbours do not touch where they are diagonal, with room for their titles.
    half = min(0.12, 0.36 * np.sin(np.pi / len(frames)) * np.sqrt(0.5) * 0.85)
    ring = figure.add_axes((0.06, 0.06, 0.88, 0.88))
    angles = np.linspace(0, TURN, 200)
    ring.plot(np.sin(angles), np.cos(angles), color=GREY, linewidth=0.8, zorder=0)
    ring.set_xlim(-1.222, 1.222)
    ring.set_ylim(-1.222, 1.222)
    ring.set_axis_off()
    for number, frame in enumerate(frames):
        phase = number * TURN / len(frames)
        right, up = 0.5 + 0.36 * np.sin(phase), 0.5 + 0.36 * np.cos(phase)
        axes = figure.add_axes((right - half, up - half, 2 * half, 2 * half))
        axes.imshow(frame, cmap="gray", vmin=low, vmax=high)
        axes.set_axis_off()
        axes.set_title(f"{number / len(frames):.2f}", pad=2)
    ring.text(0, 0, "phase,\nparts of the cycle\n(clockwise)", ha="center", va="center", color=GREY)
    write_figure(figure, path)


@styled
def phases_against_time(phases: np.ndarray, path: str | os.PathLike) -> None:
    """Draw the phases of many people against time, and what they are beside an even course.

    Parameters
    ----------
    phases : ndarray, shape (n, frames)
        In radians, unwrapped along frames; rows of NaN are left out.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    phases = phases[np.isfinite(phases).all(axis=1)]
    time = np.arange(phases.shape[1]) / phases.shape[1]
    parts = phases / TURN
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, values, title in (
        (left, parts, "Phase"),
        (right, parts - time, "Phase ahead of even time"),
    ):
        axes.plot(
            time, values[:SHOWN_PEOPLE].T, color=ARM_COLOURS[1], linewidth=0.5, alpha=0.2,
            rasterized=True,
        )  # fmt: skip
        axes.plot(time, np.median(values, axis=0), color=INK, linewidth=1.4, label="median")
        axes.plot(
            time, np.quantile(values, (0.05, 0.95), axis=0).T, color=INK, linewidth=0.8,
            linestyle=(0, (3, 2)), label=["5th and 95th percentile", None],
        )  # fmt: skip
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel("Time (parts of the cine)")
        axes.set_ylabel("Parts of the cycle")
        axes.xaxis.set_major_locator(MultipleLocator(0.25))
        axes.set_xlim(0, 1)
    left.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    right.axhline(0, color=GREY, linewidth=0.8)
    right.set_ylim(*np.quantile(parts - time, (0.005, 0.995)) * 1.3)
    left.legend(loc="upper left")
    write_figure(figure, path)
