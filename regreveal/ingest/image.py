"""An image as a file holds it, whatever the format."""

from dataclasses import dataclass

import numpy as np

# Flags that more than one reader gives.
BURNED_IN = "text burned into the picture"
BRAIN_ALONE = "brain alone: the whole head is not there"


@dataclass(frozen=True)
class Image:
    """One image, volume or cine of a participant, and nothing else of what the file says.

    Attributes
    ----------
    pixels : ndarray of float32
        DXA (rows, columns), head up; brain (x, y, z), RAS+; cine (rows, columns, frames), in the
        order of the heart beat. Values after any rescale slope and intercept, bright where the
        tissue is (MONOCHROME1 inverted).
    voxel_size : tuple of float or None
        In millimetres, one an axis of space; None where the file does not tell.
    kind : "dxa", "brain" or "cardiac"
    sample_id : str
    visit : int or None
    series : str
        What tells images of one participant apart: the series number of a DXA, the series
        description of a cine, "native" or "mni" of a brain; empty where the file does not tell.
    flags : tuple of str
        What to know about an image that is used all the same.
    member : str
        Which file of an archive, or which dataset, it was taken from; empty where there is no
        choice.
    """

    pixels: np.ndarray
    voxel_size: tuple[float, ...] | None
    kind: str
    sample_id: str
    visit: int | None = None
    series: str = ""
    flags: tuple[str, ...] = ()
    member: str = ""
