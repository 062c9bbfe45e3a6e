"""Brains brought onto the MNI152 grid by transforms that other programs found, from files."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.brain_atlas import grid, template
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.ingest.files import identity
from regreveal.registration.affine import LEAST_CORRELATION, prepare
from regreveal.registration.images import unusable_reason
from regreveal.registration.pieces import Pieces, fingerprint
from regreveal.registration.stage import count_failures
from regreveal.registration.transform_files import SUFFIXES, apply_transform, read_transform
from regreveal.registration.volume_files import open_volume, voxels_of
from regreveal.store.atomic import resumed_folder
from regreveal.store.cohort import write_table
from regreveal.tensormap import TensorMap

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".mgz")

# FSL's MNI152 template at 1 mm; at 2 mm, its coordinates are the same millimetres.
FSL_TEMPLATE = (
    (182, 218, 182),
    np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]]),
)


def register_folders(
    volumes: Path,
    transforms: Path,
    tensor_map: TensorMap,
    folder: Path,
    voxel_size: float = 1.0,
    fixed=FSL_TEMPLATE,
    workers: int | None = None,
) -> pd.DataFrame:
    """Take the volumes of one folder through the transforms of another to MNI space.

    Parameters
    ----------
    volumes, transforms : Path
        Folders of files that have the same name but for their suffixes. Sample ids are those
        names; of UK Biobank's, the participant.
    tensor_map : TensorMap
        What comes out, on the whole grid.
    folder : Path
        Is left with `registered/`, a TensorStore, and `qc.parquet`, a row a volume.
        `registered/` appears last and whole; until then what is done is kept in a hidden folder,
        where the next call of the same goes on if this one is killed.
    voxel_size, fixed, workers
        See `register_files`.

    Returns
    -------
    DataFrame
        The rows of `qc.parquet`, as of `register_files`.

    Raises
    ------
    InputError
        If a file cannot be read, a participant has several, the tensor map is of another grid, or
        no volume could be registered.
    """
    shape = grid(voxel_size)[0]
    if tensor_map.stored_shape != shape:
        raise InputError(
            f"{tensor_map.name}: of shape {tensor_map.stored_shape}; the MNI grid of {voxel_size} "
            f"mm has {shape}"
        )
    found = _by_sample_id(volumes, VOLUME_SUFFIXES), _by_sample_id(transforms, SUFFIXES)
    files = [path for of_kind in found for path in of_kind.values()]
    if not isinstance(fixed, tuple) and Path(fixed).is_file():
        files.append(Path(fixed))
    settings = [repr(tensor_map), voxel_size, repr(fixed), *map(list, found)]
    with resumed_folder(folder / "registered", fingerprint(None, settings, files)) as unfinished:
        pieces = Pieces(unfinished, tensor_map.path)
        qc = register_files(*found, pieces, voxel_size, fixed, workers)
        if not qc["ok"].any():
            shutil.rmtree(unfinished)
            reasons = ", ".join(f"{reason}: {n}" for reason, n in count_failures(qc).items())
            raise InputError(f"{volumes}: none of {len(qc)} volumes is registered ({reasons})")
        write_table(qc, folder / "qc.parquet")
    return qc


def _by_sample_id(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Find a folder's files of some suffixes, by what their names say whose they are."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found = {}
    for path in sorted(folder.iterdir()):
        suffix = next((s for s in suffixes if path.name.endswith(s)), None)
        if suffix is None or path.name.startswith("."):
            continue
        # With one suffix, whatever the file's: a name may have dots of its own.
        sample_id, _ = identity(path.with_name(path.name.removesuffix(suffix) + ".file"))
        if sample_id in found:
            raise InputError(f"{path}: '{sample_id}' also has {found[sample_id].name}; keep one")
        found[sample_id] = path
    if not found:
        raise InputError(f"{folder}: no file that ends in {', '.join(suffixes)}")
    return found


def register_files(
    volumes: Mapping[str, Path],
    transforms: Mapping[str, Path],
    pieces: Pieces,
    voxel_size: float = 1.0,
    fixed=FSL_TEMPLATE,
    workers: int | None = None,
) -> pd.DataFrame:
    """Take volumes through ready transforms to MNI space, each a piece of a store.

    Each transform is used with the file that it was made for: a tensor of a store has been turned,
    cropped and padded, and no longer knows where it lay in the scanner.

    Parameters
    ----------
    volumes, transforms : mapping of str to path
        By sample id: the moving volumes (NIfTI, or what else nibabel reads), and their transforms
        to MNI152 (`read_transform`). Volumes without a transform are told in the result.
    pieces : Pieces
        Gets those that it does not have yet; the first must be those of the same volumes.
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
    to_do, description = with_both[pieces.done :], "Applying transforms"
    if pieces.done:
        description += f" ({pieces.done} of {len(with_both)} are done)"
    tasks = [(volumes[sample_id], transforms[sample_id]) for sample_id in to_do]
    results = parallel_map(work, tasks, description, workers)
    for sample_id, (registered, reason, alike) in zip(to_do, results, strict=True):
        pieces.add(
            [sample_id],
            registered[None],
            pd.DataFrame({"ok": [not reason], "reason": reason, "correlation": alike}),
            units="intensity",
            voxel_size=(voxel_size,) * 3,
            source="ready transform",
        )
    rows = dict.fromkeys(volumes, (False, "no transform", np.nan))
    if with_both:
        rows |= {row[0]: row[1:] for row in pieces.tables()[0].itertuples(index=False)}
    qc = pd.DataFrame(rows.values(), columns=["ok", "reason", "correlation"])
    qc.insert(0, "sample_id", list(rows))
    return qc


def _register_file(task: tuple, voxel_size: float, fixed) -> tuple[np.ndarray, str, float]:
    path, transform = task
    matrix = read_transform(transform, path, fixed)
    image = open_volume(path)
    volume = voxels_of(path, image)
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
