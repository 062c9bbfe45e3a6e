"""Figures of a report: drawn in several processes, and made small for the page."""

import base64
import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from regreveal.compute import parallel_map
from regreveal.report.parts import Figure

# Figures from which on starting other processes takes less time than it saves.
SHARED_OUT = 12
# Root mean square error of a palette, in grey levels of 256, up to which no eye sees it.
PALETTE_ERROR = 2.0
PHOTOGRAPH_QUALITY = 85  # of 100, of WebP


def draw_figures(figures: Sequence[Figure], folder: Path) -> None:
    """Draw figures, each as PNG and as PDF.

    Parameters
    ----------
    figures : sequence of Figure
    folder : Path
        Created if it is not there.

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
    work = [(figure.draw, folder / f"{figure.name}.png") for figure in figures]
    workers = 1 if len(work) < SHARED_OUT else None
    for _ in parallel_map(_draw, work, "Drawing figures", workers):
        pass


def _draw(work: tuple[Callable[..., None], Path]) -> None:
    draw, path = work
    draw(path=path)


def embedded(png: Path) -> str:
    """Give a picture as an address that holds it, in a third of the size of the file or less.

    Drawings, which have few colours, become PNG with a palette, in which no difference is seen;
    what looks like a photograph becomes WebP.
    """
    from PIL import Image

    with Image.open(png) as opened:
        picture = opened.convert("RGB")
    palette = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    error = np.asarray(palette.convert("RGB"), np.float32) - np.asarray(picture, np.float32)
    stream = io.BytesIO()
    if np.sqrt(np.mean(error**2)) <= PALETTE_ERROR:
        kind = "png"
        palette.save(stream, "PNG", optimize=True)
    else:
        kind = "webp"
        picture.save(stream, "WEBP", quality=PHOTOGRAPH_QUALITY)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def size(png: Path) -> tuple[int, int]:
    """Width and height of a picture, in pixels."""
    from PIL import Image

    with Image.open(png) as opened:
        return opened.size
