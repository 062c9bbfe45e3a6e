"""PNG pictures: one image a file, or a folder of numbered frames of one cine.

`P.png` or UK Biobank's `P_20158_2_0.png` is an image of participant P; `P/dxa_11.png` is that of
series 11; and `P/frame_00.png`, `P/frame_01.png` and so on are the frames of a cine. A picture has
no voxel size. Grey values stay as they are, in 8 or 16 bits; colours become luminance (BT.601)
in 8 bits, and transparency is ignored.
"""

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from regreveal.ingest.files import UnusableFileError, identity, parsing
from regreveal.ingest.image import Image

NAME = "png"
MAGIC = b"\x89PNG\r\n\x1a\n"
SERIES = re.compile(r"(?:dxa|series)_(\d+)")
FRAME = re.compile(r"frame_?(\d+)")
MOST_PIXELS = 50_000_000  # In a picture; a whole-body DXA has 0.3 million.
MOST_VALUES = 150_000_000  # In a cine.
LUMINANCE = np.array([299, 587, 114])  # Thousandths of red, green and blue.


def recognises(path: Path) -> bool:
    """Tell whether a file is PNG, by its magic bytes."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def is_frame(path: Path) -> bool:
    """Tell whether a file is, by its name, one frame of the cine in its folder."""
    return FRAME.fullmatch(path.stem) is not None


def series(path: Path) -> str:
    """Series that a file is named by; empty for one that is named otherwise."""
    numbered = SERIES.fullmatch(path.stem)
    return numbered[1] if numbered else ""


def read(path: Path) -> list[Image]:
    """Read a picture.

    Returns
    -------
    list of Image
        One, of kind "dxa".

    Raises
    ------
    UnusableFileError
        If the file is damaged or truncated.
    """
    sample_id, visit = sample_identity(path)
    return [Image(_pixels(path), None, "dxa", sample_id, visit, series(path))]


def read_frames(paths: Sequence[Path]) -> list[Image]:
    """Read the frames of a cine, in the order of their numbers.

    Parameters
    ----------
    paths : sequence of Path
        All frames of one folder.

    Returns
    -------
    list of Image
        One, of kind "cardiac".

    Raises
    ------
    UnusableFileError
        If a frame is damaged, missing, or differs in size.
    """
    folder = paths[0].parent
    by_number = {int(FRAME.fullmatch(path.stem)[1]): path for path in paths}
    first, last = min(by_number), max(by_number)
    if len(by_number) < len(paths) or last - first + 1 != len(by_number):
        raise UnusableFileError(
            folder, "missing frame", f"{len(paths)} frames numbered {first} to {last}"
        )
    frames: list[np.ndarray] = []
    for number in sorted(by_number):
        frame = _pixels(by_number[number])
        if frames and frame.shape != frames[0].shape:
            raise UnusableFileError(folder, "unreadable file", "frames differ in size")
        if frame.size * len(paths) > MOST_VALUES:
            raise UnusableFileError(folder, "unreadable file", "too many or too large frames")
        frames.append(frame)
    sample_id, visit = sample_identity(paths[0])
    return [Image(np.stack(frames, axis=-1), None, "cardiac", sample_id, visit)]


def sample_identity(path: Path) -> tuple[str, int | None]:
    """Sample id and visit: of the folder where the name is that of a series or a frame.

    Raises
    ------
    UnusableFileError
        If it is named by a DICOM UID.
    """
    if series(path) or is_frame(path):
        folder = Path(os.path.abspath(path)).parent
        return identity(folder.with_name(f"{folder.name}.png"))
    return identity(path)


def _pixels(path: Path) -> np.ndarray:
    from PIL import Image as Picture

    with warnings.catch_warnings(), parsing(path, Picture.DecompressionBombError, SyntaxError):
        # Pillow warns of sizes that are refused here, and of damage.
        warnings.simplefilter("ignore")
        with Picture.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise UnusableFileError(
                    path, "unreadable file", f"{picture.width} × {picture.height} pixels"
                )
            if picture.mode in ("1", "LA"):
                picture = picture.convert("L")
            elif picture.mode in ("P", "PA", "RGBA"):
                picture = picture.convert("RGB")
            values = np.asarray(picture)
    if values.ndim == 3:
        values = values @ LUMINANCE / 1000
    return values.astype(np.float32)
