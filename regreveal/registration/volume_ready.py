"""Brains brought onto the MNI152 grid by transforms that other programs found, from files."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.brain_atlas import grid, template
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.registration.affine import LEAST_CORRELATION, prepare
from regreveal.registration.images import unusable_reason
from regreveal.registration.transform_files import apply_transform, read_transform
from regreveal.store.tensors import TensorStore

# FSL's MNI152 template at 1 mm; at 2 mm, its coordinates are the same millimetres.
FSL_TEMPLATE = (
    (182, 218, 182),
    np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]]),
)


def register_files(
    volumes: Mapping[str, Path],
    transforms: Mapping[str, Path],
    store: TensorStore,
    tensor: str = "brain/t1_mni",
    voxel_size: float = 1.0,
    fixed=FSL_TEMPLATE,
    workers: int | None = None,
) -> pd.DataFrame:
    """Take volumes through ready transforms to MNI space, and write them to a store.

    Each transform is used with the file that it was made for: a tensor of a store has been turned,
    cropped and padded, and no longer knows where it lay in the scanner.

    Parameters
    ----------
    volumes, transforms : mapping of str to path
        By sample id: the moving volumes (NIfTI, or what else nibabel reads), and their transforms
        to MNI152 (`read_transform`). Volumes without a transform are told in the result.
    store : TensorStore
    tensor : str
    voxel_size : float
        Of the grid, in mm (`regreveal.brain_atlas.grid`).
    fixed : path or (shape, affine)
        What FSL's transforms were made to; FSL's own template by default. Other files don't ask.
    workers : int, optional
        Processes; by default one a core.

    Returns
    -------
    DataFrame
        `sample_id`, `ok`, `reason` and `correlation` with the template in its interior, one row a
        volume. Those not ok are not in the store: a transform used the wrong way round, or with
        another's volume, does not make a brain resemble the template.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    with_both = [sample_id for sample_id in volumes if sample_id in transforms]
    work = partial(_register_file, voxel_size=voxel_size, fixed=fixed)
    tasks = [(volumes[sample_id], transforms[sample_id]) for sample_id in with_both]
    rows = dict.fromkeys(volumes, (False, "no transform", np.nan))
    results = parallel_map(work, tasks, "Applying transforms", workers)
    for sample_id, (registered, reason, alike) in zip(with_both, results, strict=True):
        rows[sample_id] = (not reason, reason, alike)
        if not reason:
            store.write(
                tensor,
                registered[None],
                [sample_id],
                units="intensity",
                voxel_size=(voxel_size,) * 3,
                source="ready transform",
            )
    qc = pd.DataFrame(rows.values(), columns=["ok", "reason", "correlation"])
    qc.insert(0, "sample_id", list(rows))
    return qc


def _register_file(task: tuple, voxel_size: float, fixed) -> tuple[np.ndarray, str, float]:
    import nibabel

    path, transform = task
    matrix = read_transform(transform, path, fixed)
    try:
        image = nibabel.load(path)
        volume = image.get_fdata(dtype=np.float32, caching="unchanged")
    except (OSError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path}: not a readable volume ({error})") from None
    volume = volume[..., 0] if volume.ndim == 4 and volume.shape[3] == 1 else volume
    if volume.ndim != 3:
        raise InputError(f"{path}: an array of shape {volume.shape}; expected one volume")
    reason, reference = unusable_reason(volume), template(voxel_size)[0]
    if reason:
        return np.full(reference.shape, np.nan, np.float32), reason, np.nan
    registered = apply_transform(volume, image.affine, matrix, *grid(voxel_size))
    _, likeness = prepare(reference.tobytes(), reference.shape, (float(voxel_size),) * 3)
    alike = likeness(registered)
    return (
        registered,
        "" if alike >= LEAST_CORRELATION else "does not resemble the reference",
        alike,
    )
