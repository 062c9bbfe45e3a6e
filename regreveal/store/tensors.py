"""TensorStore: tensors of many participants in a folder of HDF5 shards."""

import errno
import math
import os
import secrets
import time
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from regreveal.errors import InputError
from regreveal.store.atomic import locked, make_folder
from regreveal.store.faults import explaining
from regreveal.store.shards import ids_of, open_shard, tensor_of, unreadable

# Nanoseconds after which a folder that has not changed is taken for what it was when it was listed:
# more than the clocks of file systems are coarse.
SETTLED = 2 * 10**9
# What file systems without hard links answer, such as those of memory cards and of some clouds.
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class _Layout(NamedTuple):
    """What a shard's `tensor` is; `start` is where its bytes begin, None if not in one piece."""

    written: tuple[int, int, int]
    shape: tuple[int, ...]
    dtype: np.dtype
    attributes: dict
    start: int | None


class TensorStore:
    """A folder of named tensors, `{group}/{name}/part-00000.h5` and so on.

    Each shard holds `tensor` (n, *shape) and `sample_id` (n,), with units, sampling rate or voxel
    size, visit and source as attributes. All but the source, and the type of the numbers, are the
    same in all shards of a tensor. Shards appear whole or not at all, and several processes may
    write to the same tensor at once; readers see what was complete when they looked.

    Parameters
    ----------
    path : path-like
        The folder. It is created by the first write.

    Examples
    --------
    >>> store = TensorStore(folder)
    >>> store.write("ecg/rest_10s", tensors, sample_ids, units="mV", sampling_rate=500)
    >>> store.read("ecg/rest_10s", store.sample_ids("ecg/rest_10s")[:8])
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file; expected the folder of a TensorStore")
        self._ids_of_shard: dict[Path, list[str]] = {}
        self._layouts: dict[Path, _Layout] = {}
        # By name: the shards looked at, and where each id is in them.
        self._found: dict[str, tuple[list[Path], dict[str, tuple[Path, int]]]] = {}
        # By name: when the folder was last changed, and its shards.
        self._listed: dict[str, tuple[int, list[Path]]] = {}

    def names(self) -> list[str]:
        """Names of the tensors that have at least one shard, sorted."""
        shards = self.path.rglob("part-*.h5")
        return sorted({shard.parent.relative_to(self.path).as_posix() for shard in shards})

    def write(
        self,
        name: str,
        tensors: np.ndarray,
        sample_ids: Sequence[str],
        *,
        units: str,
        sampling_rate: float | None = None,
        voxel_size: Sequence[float] | None = None,
        visit: str | None = None,
        source: str | None = None,
    ) -> Path:
        """Add one shard.

        Parameters
        ----------
        name : str
            `group/name` of the tensor.
        tensors : ndarray, shape (n, *shape)
            Kept in the type they come in, but float64, which is kept as float32.
        sample_ids : sequence of str, length n
        units : str
            Such as "mV".
        sampling_rate : float, optional
            In hertz, for signals.
        voxel_size : sequence of float, optional
            In millimetres, for images.
        visit, source : str, optional
            Which visit the tensors are of, and which format or stage they come from; the source
            may be another one in each shard.

        Returns
        -------
        Path
            The shard.

        Raises
        ------
        InputError
            If ids are repeated, here or in another shard, or if shape, type or attributes differ
            from those of the shards already there.
        """
        tensors = np.asarray(tensors)
        if tensors.dtype == np.float64:
            tensors = tensors.astype(np.float32)
        ids = [str(sample_id) for sample_id in sample_ids]
        attributes = {
            "units": units,
            "sampling_rate": sampling_rate,
            "voxel_size": None if voxel_size is None else np.asarray(voxel_size, np.float64),
            "visit": visit,
            "source": source,
        }
        attributes = {key: value for key, value in attributes.items() if value is not None}
        folder = self._folder(name)
        _check_rows(name, tensors, ids)
        self._check_against(self._shards_so_far(name), name, tensors, ids, attributes)

        make_folder(folder)
        unfinished = folder / f".{secrets.token_hex(6)}.h5"
        try:
            with explaining(folder):
                unfinished.write_bytes(_shard_bytes(tensors, ids, attributes))
            # Only taking the next number is exclusive: data are written side by side. The check is
            # made again, since another writer may have taken the same ids meanwhile.
            with locked(folder / ".lock"):
                shards = self._shards_so_far(name)
                while True:
                    self._check_against(shards, name, tensors, ids, attributes)
                    shard = _next_shard(folder, shards)
                    if _named(unfinished, shard):
                        break
                    shards = [*shards, shard]
        finally:
            unfinished.unlink(missing_ok=True)
        return shard

    def shards(self, name: str) -> list[Path]:
        """Files that hold a tensor, by number.

        Listed anew only if the folder may have changed: there may be 100,000.
        """
        folder = self._folder(name)
        try:
            changed = folder.stat().st_mtime_ns
        except OSError:
            return []
        if name in self._listed and self._listed[name][0] == changed:
            return self._listed[name][1]
        now = time.time_ns()
        # From the hundred thousandth on, numbers are longer.
        shards = sorted(folder.glob("part-*.h5"), key=lambda shard: (len(shard.name), shard.name))
        if now - changed > SETTLED:
            self._listed[name] = (changed, shards)
        return shards

    def sample_ids(self, name: str) -> list[str]:
        """Ids of everyone who has the tensor, in the order of the shards."""
        return [sample_id for shard in self.shards(name) for sample_id in self._ids(shard)]

    def bytes_a_participant(self, name: str) -> float:
        """Size on disk of everybody's tensors, over their number."""
        size = sum(shard.stat().st_size for shard in self.shards(name))
        return size / len(self.sample_ids(name))

    def read(self, name: str, sample_ids: Sequence[str] | None = None) -> np.ndarray:
        """Tensors of some participants, in the order asked.

        Parameters
        ----------
        name : str
        sample_ids : sequence of str, optional
            By default everyone, in the order of `sample_ids(name)`.

        Returns
        -------
        ndarray, shape (n, *shape)

        Raises
        ------
        InputError
            If there is no such tensor, or an id does not have it.
        """
        self._first_shard(name)
        location = self._locations(name, self.shards(name))
        shape, dtype = self.shape(name), self._dtype(name)
        wanted = list(location) if sample_ids is None else [str(i) for i in sample_ids]
        missing = [sample_id for sample_id in wanted if sample_id not in location]
        if missing:
            raise InputError(
                f"{self.path}: {len(missing)} of {len(wanted)} participants asked for have no "
                f"tensor '{name}', the first of them '{missing[0]}'"
            )
        rows_of_shard: dict[Path, list[tuple[int, int]]] = {}
        for position, sample_id in enumerate(wanted):
            shard, row = location[sample_id]
            rows_of_shard.setdefault(shard, []).append((row, position))

        tensors = np.empty((len(wanted), *shape), dtype)
        for shard, rows in rows_of_shard.items():
            self._read_rows(shard, rows, tensors)
        return tensors

    def attributes(self, name: str) -> dict:
        """Return what `write` was told: units, sampling_rate, voxel_size, visit, source.

        The source is that of the first shard.
        """
        return dict(self._layout(self._first_shard(name)).attributes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one participant's tensor."""
        return self._layout(self._first_shard(name)).shape[1:]

    def _dtype(self, name: str) -> np.dtype:
        return self._layout(self._first_shard(name)).dtype

    def _layout(self, shard: Path) -> "_Layout":
        """Say what a shard holds and where; it is opened again only if it is another file."""
        try:
            status = shard.stat()
        except OSError as error:
            raise unreadable(shard, str(error)) from error
        written = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = self._layouts.get(shard)
        if known is None or known.written != written:
            with open_shard(shard) as file:
                dataset = tensor_of(shard, file)
                attributes = {key: _plain(value) for key, value in dataset.attrs.items()}
                start = dataset.id.get_offset()
                known = _Layout(written, dataset.shape, dataset.dtype, attributes, start)
            self._layouts[shard] = known
        return known

    def _read_rows(self, shard: Path, rows: list[tuple[int, int]], tensors: np.ndarray) -> None:
        """Read rows of a shard to their positions in `tensors`."""
        layout = self._layout(shard)
        if layout.start is None:  # compressed, or in pieces
            with open_shard(shard) as file:
                # Row by row: HDF5's own selection of many scattered rows is far slower.
                for row, position in rows:
                    file["tensor"].read_direct(tensors, np.s_[row], np.s_[position])
            return
        # HDF5 lets one thread in at a time, and opens a file anew at every read.
        row_bytes = layout.dtype.itemsize * math.prod(layout.shape[1:])
        memory = memoryview(tensors.reshape(-1).view(np.uint8))
        with open(shard, "rb", buffering=0) as file:
            for row, position in rows:
                file.seek(layout.start + row * row_bytes)
                _fill(memory[position * row_bytes : (position + 1) * row_bytes], file, shard)

    def _folder(self, name: str) -> Path:
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise InputError(f"tensor name '{name}': expected 'group/name'")
        return self.path.joinpath(*parts)

    def _shards_so_far(self, name: str) -> list[Path]:
        """Shards that a further one is to be beside: those known, and what came after by number.

        Listing the folder for each shard that is written takes days for 100,000 of them.
        """
        known, _ = self._found.get(name, ([], {}))
        if not known or not known[-1].exists():
            return self.shards(name)
        shards, folder = list(known), self._folder(name)
        while (following := _next_shard(folder, shards)).exists():
            shards.append(following)
        return shards

    def _first_shard(self, name: str) -> Path:
        shards = self.shards(name)
        if not shards:
            there = ", ".join(self.names()) or "none"
            raise InputError(f"{self.path}: no tensor '{name}' (there are: {there})")
        return shards[0]

    def _ids(self, shard: Path) -> list[str]:
        if shard not in self._ids_of_shard:
            with open_shard(shard) as file:
                self._ids_of_shard[shard] = ids_of(shard, file)
        return self._ids_of_shard[shard]

    def _locations(self, name: str, shards: list[Path]) -> dict[str, tuple[Path, int]]:
        """Say where each id is; only shards that are new since the last look are read."""
        seen, location = self._found.get(name, ([], {}))
        if shards[: len(seen)] != seen:
            seen, location = [], {}
        if len(shards) > len(seen):
            location = dict(location)
        for shard in shards[len(seen) :]:
            for row, sample_id in enumerate(self._ids(shard)):
                if sample_id in location:
                    raise InputError(
                        f"{shard}: sample id '{sample_id}' is also in {location[sample_id][0].name}"
                    )
                location[sample_id] = (shard, row)
        self._found[name] = (shards, location)
        return location

    def _check_against(self, shards, name, tensors, ids, attributes) -> None:
        if not shards:
            return
        first = self._layout(shards[0])
        if tensors.shape[1:] != first.shape[1:]:
            raise InputError(
                f"'{name}': tensors of shape {tensors.shape[1:]}; the store holds {first.shape[1:]}"
            )
        if tensors.dtype != first.dtype:
            raise InputError(
                f"'{name}': tensors of type {tensors.dtype}; the store holds {first.dtype}: "
                "convert them, or write them into another store"
            )
        there = first.attributes
        for key in ("units", "sampling_rate", "voxel_size", "visit"):
            value = _plain(attributes.get(key))
            if value != there.get(key):
                raise InputError(f"'{name}': {key} is {value}; the store holds {there.get(key)}")
        present = self._locations(name, shards)
        repeated = next((sample_id for sample_id in ids if sample_id in present), None)
        if repeated is not None:
            raise InputError(
                f"'{name}': sample id '{repeated}' is already in {present[repeated][0]}"
            )


def _next_shard(folder: Path, shards: list[Path]) -> Path:
    number = int(shards[-1].stem.removeprefix("part-")) + 1 if shards else 0
    return folder / f"part-{number:05d}.h5"


def _named(unfinished: Path, shard: Path) -> bool:
    """Give a shard its name, and say whether it was free.

    A network file system may not show for a while what another host has written: renaming would
    replace it.
    """
    try:
        os.link(unfinished, shard)
    except FileExistsError:
        return shard.samefile(unfinished)  # where only the answer was lost, and it was asked again
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        os.rename(unfinished, shard)
    return True


def _shard_bytes(tensors: np.ndarray, ids: list[str], attributes: dict) -> bytes:
    """Give a shard as it is to be written.

    HDF5 makes it in memory: where the disk is full, what it leaves open ends the whole process.
    """
    options = {"driver": "core", "backing_store": False, "block_size": tensors.nbytes + 2**16}
    with h5py.File("shard", "w", **options) as file:
        dataset = file.create_dataset("tensor", data=tensors)
        dataset.attrs.update(attributes)
        file.create_dataset("sample_id", data=np.array([i.encode() for i in ids]))
        file.flush()
        return file.id.get_file_image()


def _check_rows(name: str, tensors: np.ndarray, ids: list[str]) -> None:
    if len(ids) != len(tensors):
        raise InputError(f"'{name}': {len(tensors)} tensors but {len(ids)} sample ids")
    if not ids:
        raise InputError(f"'{name}': no tensors to write")
    if "" in ids:
        raise InputError(f"'{name}': row {ids.index('')} has an empty sample id")
    seen = set()
    for sample_id in ids:
        if sample_id in seen:
            raise InputError(f"'{name}': sample id '{sample_id}' is given twice")
        seen.add(sample_id)


def _fill(memory: memoryview, file: FileIO, shard: Path) -> None:
    """Read as many bytes as a memory holds; a single call to read may give fewer."""
    while memory:
        count = file.readinto(memory)
        if not count:
            raise unreadable(shard, "it ends too early")
        memory = memory[count:]


def _plain(value):
    """Attribute values as Python's own types."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
