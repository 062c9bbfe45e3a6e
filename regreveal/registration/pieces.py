"""A store of registered tensors as it grows, piece by piece, and goes on after a kill."""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.registration.methods import source_of_site
from regreveal.store.atomic import WHOLE
from regreveal.store.cohort import write_table
from regreveal.store.shards import ids_of, open_shard
from regreveal.store.table_files import read_parquet
from regreveal.store.tensors import TensorStore

MATRIX = "matrix "  # before the names of a matrix's columns, beside those of quality


class Pieces:
    """Registered tensors and what came of everyone, added piece by piece.

    A piece is a shard of those who could be registered, and then a table of everyone: it counts
    once that is there.

    Parameters
    ----------
    folder : Path
        Of `regreveal.store.atomic.resumed_folder`.
    tensor : str
        Name of the tensors in the store.

    Attributes
    ----------
    store : TensorStore
        Those who could be registered.
    done : int
        Pieces that there are.
    """

    def __init__(self, folder: Path, tensor: str):
        self.store, self.tensor = TensorStore(folder / WHOLE), tensor
        self._tables = folder / "tables"
        self.done = self._take_up()

    def add(
        self,
        sample_ids: Sequence[str],
        tensors: np.ndarray,
        qc: pd.DataFrame,
        matrices: np.ndarray | None = None,
        **attributes,
    ) -> None:
        """Add a piece.

        Parameters
        ----------
        sample_ids : sequence of str, length n
        tensors : ndarray, shape (n, *shape)
        qc : DataFrame, n rows
            `ok`, `reason` and the method's own figures.
        matrices : ndarray, shape (n, rows, columns), optional
            By which the method moved.
        **attributes
            Of `TensorStore.write`.
        """
        ok = qc["ok"].to_numpy(bool)
        if ok.any():
            of_those = np.array(sample_ids, object)[ok]
            self.store.write(self.tensor, tensors[ok], of_those, **attributes)
        table = qc.reset_index(drop=True)
        table.insert(0, "sample_id", list(sample_ids))
        if matrices is not None:
            for row, column in np.ndindex(matrices.shape[1:]):
                table[f"{MATRIX}m_{row}{column}"] = matrices[:, row, column]
        write_table(table, self._table(self.done))
        self.done += 1

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Give everyone's rows of quality, and of matrices where the method moves by them.

        They are read as they were written, whoever wrote them: the same whether it was killed.
        """
        tables = [read_parquet(self._table(number)) for number in range(self.done)]
        everyone = pd.concat(tables, ignore_index=True)
        names = [name for name in everyone.columns if str(name).startswith(MATRIX)]
        quality = everyone.drop(columns=names)
        if not names or any(not set(names) <= set(table.columns) for table in tables):
            return quality, None
        matrices = everyone[["sample_id", *names]]
        return quality, matrices.rename(columns=lambda name: name.removeprefix(MATRIX))

    def _take_up(self) -> int:
        """Count the pieces that are whole, and remove shards beside them."""
        shards, done, used = self.store.shards(self.tensor), 0, 0
        while (registered := self._registered_of(done)) is not None:
            if registered and _ids(shards[used : used + 1]) != registered:
                break
            done, used = done + 1, used + bool(registered)
        for shard in shards[used:]:
            shard.unlink()
        return done

    def _registered_of(self, number: int) -> list[str] | None:
        """Name those who were registered in a piece; None if its table is not there."""
        try:
            table = read_parquet(self._table(number))
        except (OSError, ValueError):  # not there; or cut off by a power cut, whatever the order
            return None
        return table.loc[table["ok"], "sample_id"].tolist()

    def _table(self, number: int) -> Path:
        return self._tables / f"{number:06d}.parquet"


def _ids(shards: list[Path]) -> list[str]:
    """Sample ids of a shard; of none, or one that cannot be read, none."""
    for shard in shards:
        try:
            with open_shard(shard) as file:
                return ids_of(shard, file)
        except InputError:
            break
    return []


def fingerprint(
    method: str | None,
    settings: object,
    read: Iterable[Path],
    known: Iterable[bytes | np.ndarray] = (),
) -> str:
    """Hash of everything that decides a registration, so that only the same is gone on with.

    Parameters
    ----------
    method : str or None
        A site's own is known by its module's content, too.
    settings : object
        Of what JSON can hold.
    read : iterable of Path
        Files, known by their names, sizes and times: a biobank's take too long to read.
    known : iterable of bytes or ndarray
        Known by their content.
    """
    version = importlib.metadata.version("regreveal")
    seen = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in read]
    digest = hashlib.sha256(json.dumps([version, method, settings, seen]).encode())
    if method and (source := source_of_site(method)):
        digest.update(source.read_bytes())
    for value in known:
        digest.update(f"{getattr(value, 'shape', len(value))}".encode())
        digest.update(np.ascontiguousarray(value).data if isinstance(value, np.ndarray) else value)
    return digest.hexdigest()
