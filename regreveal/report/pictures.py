"""Figures of a report: drawn in several processes, and made small for the page."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regreveal.compute import parallel_map
from regreveal.report.parts import Figure

# Figures from which on starting other processes takes less time than it saves.
SHARED_OUT = 12
# Root mean square error of a palette, in grey levels of 256, up to which no eye sees it.
PALETTE_ERROR = 2.0
PHOTOGRAPH_QUALITY = 70  # of 100
# Of its width and height: about a pixel of the page for each of its own.
PHOTOGRAPH_SHARE = 0.8125


@dataclass(frozen=True)
class Picture:
    """A figure for the page: an address that holds the picture, and its size in pixels."""

    address: str
    width: int
    height: int


def draw_figures(figures: Sequence[Figure], folder: Path) -> dict[str, Picture]:
    """Draw figures, each as PNG and as PDF.

    Parameters
    ----------
    figures : sequence of Figure
    folder : Path
        Created if it is not there.

    Returns
    -------
    dict of str to Picture
        By the figure's name.

    Raises
    ------
    InputError
        If one of them has nothing to draw.
    ValueError
        If two are to have the same files.
    """
    twice = [name for name, count in Counter(f.name for f in figures).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]}: two figures of that name; expected one")
    folder.mkdir(parents=True, exist_ok=True)
    work = [(figure, folder / f"{figure.name}.png") for figure in figures]
    workers = 1 if len(work) < SHARED_OUT else None
    drawn = parallel_map(_draw, work, "Drawing figures", workers)
    return {figure.name: picture for figure, picture in zip(figures, drawn, strict=True)}


def _draw(work: tuple[Figure, Path]) -> Picture:
    figure, path = work
    figure.draw(path=path)
    return embedded(path)


def embedded(png: Path) -> Picture:
    """Make a picture small enough to stand in the page, in WebP, a fourth of the file or less.

    Drawings have few colours: they get a palette, in which no difference is seen, and lose
    nothing else. What looks like a photograph is compressed as such.
    """
    from PIL import Image

    with Image.open(png) as opened:
        picture = opened.convert("RGB")
    data = _by_palette(picture)
    if data is None:
        share = [round(PHOTOGRAPH_SHARE * length) for length in picture.size]
        stream = io.BytesIO()
        picture.resize(share, Image.Resampling.LANCZOS).save(
            stream, "WEBP", quality=PHOTOGRAPH_QUALITY
        )
        data = stream.getvalue()
    text = base64.b64encode(data).decode("ascii")
    return Picture(f"data:image/webp;base64,{text}", *picture.size)


def _by_palette(picture) -> bytes | None:
    """Write a picture with 256 colours; None where that would be seen."""
    from PIL import Image

    palette = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    indices, exact = np.asarray(palette), np.asarray(picture)
    colours = np.array(palette.getpalette(), np.uint8).reshape(-1, 3)
    # The palette's white is the mean of all that is nearly white: seen on a page that is white.
    colours[indices[0, 0]] = exact[0, 0]
    # Of every third pixel across and down: enough for a mean, and a ninth of the work.
    off = colours[indices[::3, ::3]].astype(np.float32) - exact[::3, ::3]
    if np.sqrt(np.mean(off**2)) > PALETTE_ERROR:
        return None
    pixels = colours[indices]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, quality=75)
    return stream.getvalue()
