"""Volumes as other programs wrote them, opened without believing what they promise."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regreveal.errors import InputError
from regreveal.ingest.nifti import MOST_VOXELS

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage


def open_volume(path: Path, kind: str = "volume") -> "SpatialImage":
    """Open a volume in any format that nibabel reads; its voxels are read when asked for.

    Parameters
    ----------
    path : Path
    kind : str
        What errors are to call it.

    Raises
    ------
    InputError
        If the file is none, or promises more voxels than any scanner gives.
    """
    import nibabel

    try:
        volume = nibabel.load(path)
        voxels = np.prod(volume.shape, dtype=float)
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: not a readable {kind} ({error})") from None
    if not 0 < voxels <= MOST_VOXELS:
        raise InputError(
            f"{path}: not a readable {kind} (it promises {voxels:,.0f} voxels; expected at most "
            f"{MOST_VOXELS:,})"
        )
    return volume


def voxels_of(path: Path, volume: "SpatialImage", kind: str = "volume") -> np.ndarray:
    """Read the voxels of an open volume, as float32; raise InputError where they are damaged."""
    try:
        return volume.get_fdata(dtype=np.float32, caching="unchanged")
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: not a readable {kind} ({error})") from None
