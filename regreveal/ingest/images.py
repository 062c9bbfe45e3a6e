"""Ingest of images: from files of any known format into the tensor of one tensor map.

An image is cropped or padded about its centre to the map's shape; its voxels keep their size. All
images of a tensor have the same: that which is given, or that of the store, or else of the first
image. Tensors are float32, whatever the bits of the file, since all shards of a tensor have one
type and grey values after a rescale slope are no integers.

`{group}_{name}_images.tsv` beside a tensor has one row an image: its format, series, voxel size and
shape as read, what was cropped and padded along each axis, and flags.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.ingest.image_sources import EXPECTED, find_sources
from regreveal.ingest.image_tensors import (
    Read,
    Wanted,
    is_same_size,
    outcome_of,
    read_tensor,
    wanted_of,
    written,
)
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


def ingest_images(
    paths: Iterable[str | os.PathLike],
    store: TensorStore,
    tensor_map: TensorMap,
    series: str | None = None,
    *,
    voxel_size: Sequence[float] | None = None,
    resample_frames: bool = False,
    allow_burned_in_text: bool = False,
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
        In millimetres, one an axis of space. Images of another are resampled linearly, those
        whose size is not known are dropped; without it, those of another than the first image.
        An image in MNI space is never resampled, cropped or padded.
    resample_frames : bool
        Resample cines of another number of frames, linearly in time; by default they are dropped.
    allow_burned_in_text : bool
        Take DICOM images that say that text is part of the picture (BurnedInAnnotation); by default
        they are dropped, since it may name the person.
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
    wanted = wanted_of(tensor_map, series, voxel_size, resample_frames, allow_burned_in_text)
    if voxel_size is not None:
        _check_voxel_size(store, tensor_map, wanted.voxel_size)
    sources, outcomes = find_sources(find_files(paths), wanted.kind)
    by_path = {source.path: source for source in sources}
    first, later = first_visits((s.path, s.sample_id, s.visit) for s in sources)
    outcomes += [
        outcome_of(by_path[path], DROPPED, LATER_VISIT, detail) for path, detail in later.items()
    ]
    present = set(store.sample_ids(tensor_map.path))
    to_read = []
    for source in map(by_path.get, first):
        if source.sample_id in present:
            outcomes.append(outcome_of(source, SKIPPED, PRESENT))
        else:
            to_read.append(source)

    if workers is None and len(to_read) < SOURCES_WORTH_PROCESSES:
        workers = 1
    shard_size = max(1, SHARD_BYTES // (4 * int(np.prod(wanted.shape))))
    batch: list[Read] = []
    results = parallel_map(partial(read_tensor, wanted), to_read, "Reading images", workers)
    for source, result in zip(to_read, results, strict=True):
        # A cluster's workers read absolute paths; the report says the file as it was given.
        result = replace(result, outcome=replace(result.outcome, file=str(source.path)))
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


def _check_voxel_size(store: TensorStore, tensor_map: TensorMap, voxel_size) -> None:
    if not store.sample_ids(tensor_map.path):
        return
    there = store.attributes(tensor_map.path).get("voxel_size")
    if there is None or not is_same_size(there, voxel_size):
        raise InputError(
            f"{store.path}: '{tensor_map.path}' holds voxels of {written(there)} mm, not "
            f"{written(voxel_size)}; choose another store"
        )


def _add(
    store: TensorStore, tensor_map: TensorMap, wanted: Wanted, batch: Sequence[Read]
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


def _compared(read: Read, present: set[str], voxel_size: Sequence[float] | None) -> Read:
    if read.outcome.sample_id in present:
        return Read(replace(read.outcome, outcome=SKIPPED, reason=PRESENT, flags=""))
    if voxel_size is None and read.voxel_size is None:
        return read
    if voxel_size is None or read.voxel_size is None:
        unknown = "voxel size not known" if voxel_size else "voxel size of the others not known"
        flags = "; ".join(filter(None, [read.outcome.flags, unknown]))
        return replace(read, outcome=replace(read.outcome, flags=flags))
    if not is_same_size(read.voxel_size, voxel_size):
        detail = f"{written(read.voxel_size)} mm; the others have {written(voxel_size)}"
        return Read(
            replace(
                read.outcome, outcome=DROPPED, reason="other voxel size", detail=detail, flags=""
            )
        )
    return read


def _write(
    store: TensorStore,
    tensor_map: TensorMap,
    voxel_size: Sequence[float] | None,
    batch: Sequence[Read],
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
