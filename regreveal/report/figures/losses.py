"""Figure of how networks learned whose losses are no share of variance."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regreveal.report.style import ARM_COLOURS, WIDTH, styled, write_figure

PANEL_HEIGHT = 2.3  # inches


@styled
def loss_panels(histories: Mapping[str, pd.DataFrame], path: str | os.PathLike) -> None:
    """Draw the training and validation loss of each training, the epoch that was kept marked.

    A panel each: losses of different trainings need not mean the same.

    Parameters
    ----------
    histories : mapping of str to DataFrame
        By the panel's title: `steps`, `loss` and `validation_loss`.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    columns = min(len(histories), 2)
    rows = -(-len(histories) // columns)
    figure = Figure(
        figsize=(WIDTH * (0.55 if columns == 1 else 1), PANEL_HEIGHT * rows), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, history) in zip(panels, histories.items(), strict=False):
        colour = ARM_COLOURS[1]
        best = int(np.argmin(history["validation_loss"]))
        axes.plot(
            history["steps"], history["loss"], color=colour, linewidth=0.9, linestyle=(0, (2, 1.5)),
            marker="." if len(history) == 1 else None, label="training",
        )  # fmt: skip
        axes.plot(
            history["steps"], history["validation_loss"], color=colour, linewidth=1.6,
            label="validation",
        )  # fmt: skip
        axes.plot(
            history["steps"][best], history["validation_loss"][best], "o", color=colour,
            markersize=4, label="kept",
        )  # fmt: skip
        axes.set_title(name, fontweight="bold", loc="left")
        axes.set_xlabel("Optimiser steps")
        axes.set_ylabel("Loss")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[0].legend()
    for axes in panels[len(histories) :]:
        axes.remove()
    write_figure(figure, path)
