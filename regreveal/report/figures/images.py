"""Figures of images, volumes and cines: people over one another in colours, reconstructions."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from regreveal.report.style import INK, WIDTH, styled, write_figure

OVERLAID_PARTICIPANTS = 3  # red, green and blue
RECONSTRUCTED_PARTICIPANTS = 4
TRIPLES = {1: 4, 2: 2, 3: 2}  # how many of them are drawn, by the number of views of each
DARKEST, BRIGHTEST = 0.01, 0.99  # quantiles of an image's values that are drawn black and white


@dataclass(frozen=True)
class ImageExamples:
    """A few participants' images as one arm sees them.

    Parameters
    ----------
    name : str
        The arm.
    colour : str
    inputs : ndarray, shape (n, *shape, channels)
        Images (rows, columns, 1), cines (rows, columns, frames) or volumes (x, y, z, 1), RAS+.
    reconstructions : ndarray, shape (m, *shape, channels)
        Of the first m.
    """

    name: str
    colour: str
    inputs: np.ndarray
    reconstructions: np.ndarray

    @property
    def views(self) -> list[str]:
        """Names of the pictures that an image is shown by."""
        return views(self.inputs)


def views(tensors: np.ndarray) -> list[str]:
    """Names of the `pictures` of tensors (n, *shape, channels); one alone needs none."""
    if tensors.ndim == 5:
        return ["axial", "coronal", "sagittal"]
    frames = tensors.shape[-1]
    return ["first frame", f"frame {frames // 3 + 1}"] if frames > 1 else [""]


def pictures(tensors: np.ndarray) -> list[np.ndarray]:
    """Show images by pictures: themselves, two frames of a cine, or the middle of a volume.

    Parameters
    ----------
    tensors : ndarray, shape (n, *shape, channels)

    Returns
    -------
    list of ndarray, shape (n, rows, columns)
        By `views`. Of volumes, the top of the head, or the face, is up.
    """
    if tensors.ndim == 5:
        volumes = tensors[..., 0]
        x, y, z = (size // 2 for size in volumes.shape[1:])
        slices = volumes[:, :, :, z], volumes[:, :, y], volumes[:, x]
        return [np.flip(np.swapaxes(images, 1, 2), 1) for images in slices]
    frames = tensors.shape[-1]
    shown = (0, frames // 3) if frames > 1 else (0,)
    return [tensors[..., frame] for frame in shown]


def overlaid(images: np.ndarray) -> np.ndarray:
    """Lay three people's images over one another as red, green and blue.

    Where all agree the picture is grey; where they do not, it is coloured.

    Parameters
    ----------
    images : ndarray, shape (3, rows, columns)

    Returns
    -------
    ndarray, shape (rows, columns, 3)
        Between 0 and 1.
    """
    return np.moveaxis(np.stack([_brightness(image) for image in images]), 0, -1)


def _brightness(image: np.ndarray) -> np.ndarray:
    low, high = np.quantile(image, (DARKEST, BRIGHTEST))
    return ((image - low) / (high - low if high > low else 1)).clip(0, 1)


@styled
def overlay(arms: Sequence[ImageExamples], path: str | os.PathLike) -> None:
    """Draw the same people, three at a time in red, green and blue, as each arm sees them.

    Parameters
    ----------
    arms : sequence of ImageExamples
        One above the other.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    rows = []
    for arm in arms:
        views = pictures(arm.inputs)
        triples = min(TRIPLES[len(views)], len(arm.inputs) // OVERLAID_PARTICIPANTS)
        people = np.arange(triples * OVERLAID_PARTICIPANTS).reshape(triples, -1)
        rows.append([overlaid(view[chosen]) for chosen in people for view in views])
    titles = arms[0].views * (len(rows[0]) // len(arms[0].views))
    write_figure(_panels(rows, [(arm.name, arm.colour) for arm in arms], titles), path)


@styled
def reconstructions(arms: Sequence[ImageExamples], path: str | os.PathLike) -> None:
    """Draw images and what the autoencoders make of them, one view of each.

    Parameters
    ----------
    arms : sequence of ImageExamples
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    people = min(RECONSTRUCTED_PARTICIPANTS, *(len(arm.reconstructions) for arm in arms))
    rows = []
    for arm in arms:
        before = pictures(arm.inputs[:people])[0]
        after = pictures(arm.reconstructions[:people])[0]
        # Both on the input's scale of grey, so that what is lost in contrast is seen.
        shown = []
        for image, made in zip(before, after, strict=True):
            low, high = np.quantile(image, (DARKEST, BRIGHTEST))
            shown += [((i - low) / (high - low)).clip(0, 1) for i in (image, made)]
        rows.append(shown)
    titles = ["input", "made"] * people
    write_figure(_panels(rows, [(arm.name, arm.colour) for arm in arms], titles), path)


def _panels(
    rows: list[list[np.ndarray]], labels: list[tuple[str, str]], titles: list[str]
) -> Figure:
    """Put pictures into rows and columns: over each row its name, over each picture a title."""
    tallest = [max(image.shape[0] / image.shape[1] for image in row) for row in rows]
    columns = len(rows[0])
    # No picture is taller than a third of the page's width.
    width = min(WIDTH / columns, 0.45 * WIDTH / max(tallest))
    heights = [width * ratio for ratio in tallest]
    above = 0.47 if any(titles) else 0.31
    total, across = sum(heights) + above * len(rows), width * columns
    figure = Figure(figsize=(across, total))
    top = total
    for images, (name, colour), height in zip(rows, labels, heights, strict=True):
        figure.text(
            0.02 / across, (top - 0.11) / total, name, color=colour, fontweight="bold", va="top"
        )
        grid = GridSpec(
            1, columns, figure, left=0.02 / across, right=1 - 0.02 / across,
            top=(top - above) / total, bottom=(top - above - height) / total, wspace=0.04,
        )  # fmt: skip
        top -= above + height
        for column, (image, title) in enumerate(zip(images, titles, strict=True)):
            panel = figure.add_subplot(grid[0, column])
            panel.set_title(title, fontsize=7.5, pad=3)
            panel.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
            panel.set_xticks([])
            panel.set_yticks([])
            for spine in panel.spines.values():
                spine.set_visible(True)
                spine.set_linewidth(0.4)
                spine.set_color(INK)
    return figure
