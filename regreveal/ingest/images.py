"""Ingest of images: from files of any known format into the tensor of one tensor map.

An image is cropped or padded about its centre to the map's shape; its voxels keep their size. All
images of a tensor have the same: that which is given, or that of the store, or else of the first
image. Tensors are float32, whatever the bits of the file, since all shards of a tensor have one
type and grey values after a rescale slope are no integers.

`{group}_{name}_images.tsv` beside a tensor has one row an image: its format, series, voxel size and
shape as read, what was cropped and padded along each axis, and flags.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.ingest.field_of_view import fit_shape, to_frames, to_voxel_size
from regreveal.ingest.files import UnusableFileError
from regreveal.ingest.image import Image
from regreveal.ingest.image_sources import EXPECTED, Source, find_sources, read_source
from regreveal.ingest.outcomes import (
    DROPPED,
    KEPT,
    LATER_VISIT,
    PRESENT,
    SKIPPED,
    Outcome,
    as_report,
    find_files,
    first_visits,
)
from regreveal.store.atomic import locked
from regreveal.store.cohort import read_table, write_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

SHARD_BYTES = 1 << 28  # Of tensors, held in memory at once: 5 full-size brains, 200 DXA images.
SOURCES_WORTH_PROCESSES = 40  # Below this, starting processes takes longer than reading.
SAME_VOXEL_SIZE = 0.01  # Relative; scanners' gradients are not known better.
TISSUE_CUT_TOLD = 0.01
# More than that and the voxel size is not the one meant. A cine shows the chest around the heart.
MOST_TISSUE_CUT = {"dxa": 0.5, "brain": 0.5, "cardiac": 1.0}
COLUMNS = (
    "source",
    "series",
    "member",
    "voxel_size",
    "shape",
    "cropped",
    "padded",
    "tissue_cut",
    "flags",
)


@dataclass(frozen=True)
class _Wanted:
    """What an image is to become."""

    kind: str
    series: str | None
    shape: tuple[int, ...]
    spatial: int
    voxel_size: tuple[float, ...] | None
    resample_frames: bool


@dataclass(frozen=True)
class _Read:
    """A source's outcome with its tensor, on the way from the reader to the store."""

    outcome: Outcome
    tensor: np.ndarray | None = None
    voxel_size: tuple[float, ...] | None = None
    row: dict | None = None


def default_series(tensor_map: TensorMap) -> str | None:
    """Which series a tensor map is of, by the name of its tensor.

    Returns
    -------
    str or None
        "11" for `dxa/dxa_11`, "mni" or "native" for a brain, "cine_segmented_lax_4ch" (as UK
        Biobank names it) for `cardiac/lax_4ch`; None where the name does not tell.
    """
    name = tensor_map.path.rpartition("/")[2]
    if tensor_map.modality == "brain":
        return "mni" if "mni" in name else "native"
    if tensor_map.modality == "dxa":
        numbered = re.fullmatch(r"dxa_(\d+)", name)
        return numbered and numbered[1]
    view = re.match(r"[ls]ax_\dch", name)
    return view and f"cine_segmented_{view[0]}"


def ingest_images(
    paths: Iterable[str | os.PathLike],
    store: TensorStore,
    tensor_map: TensorMap,
    series: str | None = None,
    *,
    voxel_size: Sequence[float] | None = None,
    resample_frames: bool = False,
    workers: int | None = None,
) -> pd.DataFrame:
    """Read images of any known format into a store.

    A run that was killed can be repeated: what the store has already is skipped. Several runs may
    write to one store at once. Shards are of a bounded size, so memory does not grow with the
    number of images.

    Parameters
    ----------
    paths : iterable of path-like
        Files, and folders, which are searched with all their subfolders.
    store : TensorStore
    tensor_map : TensorMap
        Of modality "dxa", "brain" or "cardiac"; says the tensor's name, shape and units.
    series : str, optional
        Of a DXA the number of its series, of a cine the series description as `cine` gives it, of
        a brain "native" or "mni". By default `default_series(tensor_map)`.
    voxel_size : sequence of float, optional
        In millimetres, one an axis of space. Images of another are resampled linearly; without it
        they are dropped. An image in MNI space is never resampled, cropped or padded.
    resample_frames : bool
        Resample cines of another number of frames, linearly in time; by default they are dropped.
    workers : int, optional
        Processes; by default one a core where there are many files.

    Returns
    -------
    DataFrame
        One row a file, or a folder whose files belong together, with the attributes of
        `outcomes.Outcome` as columns. `outcomes.summarise` counts by reason.

    Raises
    ------
    InputError
        If a path does not exist, two sources have the same sample id, the tensor map is not of
        images, or no file could be used. The store is then as it was.
    """
    wanted = _wanted(tensor_map, series, voxel_size, resample_frames)
    if voxel_size is not None:
        _check_voxel_size(store, tensor_map, wanted.voxel_size)
    sources, outcomes = find_sources(find_files(paths), wanted.kind)
    by_path = {source.path: source for source in sources}
    first, later = first_visits((s.path, s.sample_id, s.visit) for s in sources)
    outcomes += [
        _outcome(by_path[path], DROPPED, LATER_VISIT, detail) for path, detail in later.items()
    ]
    present = set(store.sample_ids(tensor_map.path))
    to_read = []
    for source in map(by_path.get, first):
        if source.sample_id in present:
            outcomes.append(_outcome(source, SKIPPED, PRESENT))
        else:
            to_read.append(source)

    if workers is None and len(to_read) < SOURCES_WORTH_PROCESSES:
        workers = 1
    shard_size = max(1, SHARD_BYTES // (4 * int(np.prod(wanted.shape))))
    batch: list[_Read] = []
    for result in parallel_map(partial(_read, wanted), to_read, "Reading images", workers):
        if result.outcome.outcome == KEPT:
            batch.append(result)
        else:
            outcomes.append(result.outcome)
        if len(batch) == shard_size:
            outcomes += _add(store, tensor_map, wanted, batch)
            batch = []
    if batch:
        outcomes += _add(store, tensor_map, wanted, batch)
    return as_report(outcomes, EXPECTED[wanted.kind])


def _wanted(tensor_map, series, voxel_size, resample_frames) -> _Wanted:
    if tensor_map.modality not in EXPECTED:
        raise InputError(
            f"{tensor_map.name} is of modality '{tensor_map.modality}'; "
            f"expected one of {', '.join(EXPECTED)}"
        )
    shape = tensor_map.stored_shape
    spatial = tensor_map.spatial_dimensions or len(shape) - 1
    if voxel_size is not None:
        voxel_size = tuple(map(float, voxel_size))
        if len(voxel_size) != spatial or not all(0 < size < np.inf for size in voxel_size):
            raise InputError(
                f"voxel size {_written(voxel_size)}: expected {spatial} lengths in millimetres, "
                f"one an axis of {tensor_map.name}"
            )
    series = series or default_series(tensor_map)
    return _Wanted(tensor_map.modality, series, shape, spatial, voxel_size, resample_frames)


def _check_voxel_size(store: TensorStore, tensor_map: TensorMap, voxel_size) -> None:
    if not store.sample_ids(tensor_map.path):
        return
    there = store.attributes(tensor_map.path).get("voxel_size")
    if there is None or not _same(there, voxel_size):
        raise InputError(
            f"{store.path}: '{tensor_map.path}' holds voxels of {_written(there)} mm, not "
            f"{_written(voxel_size)}; choose another store"
        )


def _outcome(source: Source, outcome: str, reason: str = "", detail: str = "", flags="") -> Outcome:
    return Outcome(
        str(source.path), source.format, source.sample_id, outcome, reason, detail, flags
    )


def _read(wanted: _Wanted, source: Source) -> _Read:
    try:
        image, flags = _choose(source, wanted)
        return _fitted(source, image, flags, wanted)
    except UnusableFileError as error:
        return _Read(_outcome(source, DROPPED, error.reason, error.detail))


def _choose(source: Source, wanted: _Wanted) -> tuple[Image, list[str]]:
    images = read_source(source, wanted.kind, wanted.series)
    if len(images) > 1:
        there = ", ".join(image.series for image in images)
        raise UnusableFileError(source.path, "several series", f"{there}; choose one by its name")
    image = images[0]
    finite = np.isfinite(image.pixels)
    if not finite.all():
        raise UnusableFileError(
            source.path, "values not finite", f"{(~finite).mean():.2%} of the voxels"
        )
    if image.pixels.min() == image.pixels.max():
        raise UnusableFileError(source.path, "blank image", "the same value everywhere")
    return image, list(image.flags)


def _fitted(source: Source, image: Image, flags: list[str], wanted: _Wanted) -> _Read:
    pixels, voxel_size = _with_axes(source, image, flags, wanted), image.voxel_size
    if image.series == "mni" and pixels.shape != wanted.shape:
        found = _written(pixels.shape)
        raise UnusableFileError(source.path, "on another MNI152 grid", f"{found} voxels")
    if wanted.voxel_size and voxel_size and not _same(voxel_size, wanted.voxel_size):
        if image.series == "mni":
            raise UnusableFileError(
                source.path, "other voxel size", f"{_written(voxel_size)} mm, in MNI space"
            )
        pixels = to_voxel_size(pixels, voxel_size, wanted.voxel_size)
        flags.append(f"resampled: from voxels of {_written(voxel_size)} mm")
        voxel_size = wanted.voxel_size
    fitted = fit_shape(pixels, wanted.shape[: wanted.spatial])
    if fitted.tissue_cut > MOST_TISSUE_CUT[wanted.kind]:
        raise UnusableFileError(
            source.path,
            "most of it would be cut off",
            f"{fitted.tissue_cut:.0%} of the tissue; give a voxel size to resample to",
        )
    if fitted.tissue_cut >= TISSUE_CUT_TOLD:
        flags.append(f"tissue cut off: {fitted.tissue_cut:.0%}")
    row = {
        "source": source.format,
        "series": wanted.series or "",
        "member": image.member,
        "voxel_size": _written(image.voxel_size),
        "shape": _written(image.pixels.shape),
        "cropped": _written(fitted.cropped),
        "padded": _written(fitted.padded),
        "tissue_cut": round(fitted.tissue_cut, 4),
    }
    outcome = _outcome(source, KEPT, flags="; ".join(flags))
    return _Read(outcome, fitted.pixels, voxel_size, row)


def _with_axes(source: Source, image: Image, flags: list[str], wanted: _Wanted) -> np.ndarray:
    """Pixels with as many axes and frames as the tensor map has."""
    pixels, beyond_space = image.pixels, wanted.shape[wanted.spatial :]
    if pixels.ndim == wanted.spatial and beyond_space == (1,):
        pixels = pixels[..., None]
    if pixels.ndim != len(wanted.shape):
        raise UnusableFileError(
            source.path,
            "other dimensions",
            f"{_written(pixels.shape)}; expected {len(wanted.shape)} axes",
        )
    if pixels.shape[wanted.spatial :] == beyond_space:
        return pixels
    if not wanted.resample_frames:
        raise UnusableFileError(
            source.path,
            "other number of frames",
            f"{pixels.shape[-1]}; expected {beyond_space[0]}",
        )
    flags.append(f"frames resampled: from {pixels.shape[-1]}")
    return to_frames(pixels, beyond_space[0])


def _add(
    store: TensorStore, tensor_map: TensorMap, wanted: _Wanted, batch: Sequence[_Read]
) -> list[Outcome]:
    """Write what fits and the store does not have yet, and give the outcome of each."""
    with locked(store.path / f".{_table_name(tensor_map)}.lock"):
        # Another ingest may have brought some of them since this one began, or the first of all.
        present = set(store.sample_ids(tensor_map.path))
        if present:
            voxel_size = store.attributes(tensor_map.path).get("voxel_size")
        else:
            voxel_size = wanted.voxel_size or next(
                (r.voxel_size for r in batch if r.voxel_size), None
            )
        compared = [_compared(read, present, voxel_size) for read in batch]
        new = [read for read in compared if read.outcome.outcome == KEPT]
        if new:
            _write(store, tensor_map, voxel_size, new)
    return [read.outcome for read in compared]


def _compared(read: _Read, present: set[str], voxel_size: Sequence[float] | None) -> _Read:
    if read.outcome.sample_id in present:
        return _Read(replace(read.outcome, outcome=SKIPPED, reason=PRESENT, flags=""))
    if voxel_size is not None and read.voxel_size is None:
        flags = "; ".join(filter(None, [read.outcome.flags, "voxel size not known"]))
        return replace(read, outcome=replace(read.outcome, flags=flags))
    if voxel_size is not None and not _same(read.voxel_size, voxel_size):
        detail = f"{_written(read.voxel_size)} mm; the others have {_written(voxel_size)}"
        return _Read(
            replace(
                read.outcome, outcome=DROPPED, reason="other voxel size", detail=detail, flags=""
            )
        )
    return read


def _write(
    store: TensorStore,
    tensor_map: TensorMap,
    voxel_size: Sequence[float] | None,
    batch: Sequence[_Read],
) -> None:
    """Write the table, then the tensors.

    Ids of the tensor are what a repeated run skips, so a run killed in between leaves none there
    whose row is missing. The table is read anew, since other ingests add rows to it.
    """
    path = store.path / _table_name(tensor_map)
    table = read_table(path).to_dict("index") if path.exists() else {}
    for read in batch:
        table[read.outcome.sample_id] = {**read.row, "flags": read.outcome.flags}
    rows = pd.DataFrame.from_dict(table, orient="index", columns=COLUMNS)
    write_table(rows.rename_axis("sample_id"), path)
    store.write(
        tensor_map.path,
        np.stack([read.tensor for read in batch]),
        [read.outcome.sample_id for read in batch],
        units=tensor_map.units,
        voxel_size=voxel_size,
        source="+".join(sorted({read.outcome.format for read in batch})),
    )


def _table_name(tensor_map: TensorMap) -> str:
    return f"{tensor_map.path.replace('/', '_')}_images.tsv"


def _same(voxel_size: Sequence[float], other: Sequence[float]) -> bool:
    return np.allclose(voxel_size, other, rtol=SAME_VOXEL_SIZE, atol=0)


def _written(numbers: Sequence[float] | None) -> str:
    return " × ".join(f"{number:g}" for number in numbers) if numbers is not None else "unknown"
