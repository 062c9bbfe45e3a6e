"""Embedding: latent vectors of many participants, and where they came from."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from regreveal.errors import InputError
from regreveal.store.atomic import atomic_path
from regreveal.store.cohort import read_table

METADATA_KEY = b"regreveal"
LATENT_COLUMN = re.compile(r"latent_(0|[1-9][0-9]*)")


@dataclass
class Embedding:
    """Latent vectors by participant.

    Parameters
    ----------
    sample_ids : list of str, length n
    latents : ndarray of float32, shape (n, k)
    metadata : dict
        Where they came from: tensor map, model, and the ids the model was `trained_on` and
        `validated_on`.
    """

    sample_ids: list[str]
    latents: np.ndarray
    metadata: dict = field(default_factory=dict)

    def __post_init__(self):
        self.sample_ids = [str(sample_id) for sample_id in self.sample_ids]
        self.latents = np.asarray(self.latents, np.float32)
        if self.latents.ndim != 2 or len(self.latents) != len(self.sample_ids):
            raise InputError(
                f"embedding: latents of shape {self.latents.shape} for "
                f"{len(self.sample_ids)} sample ids; expected (participants, dimensions)"
            )
        if len(set(self.sample_ids)) < len(self.sample_ids):
            repeated = pd.Index(self.sample_ids)
            first = repeated[repeated.duplicated()][0]
            raise InputError(f"embedding: sample id '{first}' is given twice")

    def unseen_ids(self) -> list[str]:
        """Ids of those that the model was neither trained nor validated on, as far as it tells."""
        seen = {
            str(sample_id)
            for role in ("trained_on", "validated_on")
            for sample_id in self.metadata.get(role, [])
        }
        return [sample_id for sample_id in self.sample_ids if sample_id not in seen]

    def select(self, sample_ids: Sequence[str]) -> np.ndarray:
        """Latents of some participants, (len(sample_ids), k), in the order asked.

        Raises
        ------
        InputError
            If a participant has none.
        """
        rows = pd.Index(self.sample_ids).get_indexer([str(i) for i in sample_ids])
        if (rows < 0).any():
            first = sample_ids[int(np.argmax(rows < 0))]
            raise InputError(
                f"embedding: {(rows < 0).sum()} of {len(rows)} participants asked for are not in "
                f"it, the first of them '{first}'"
            )
        return self.latents[rows]

    def write(self, path: str | os.PathLike) -> None:
        """Write as parquet: `sample_id`, `latent_0` … `latent_{k-1}`, metadata in the schema."""
        columns = {"sample_id": pa.array(self.sample_ids, pa.string())}
        columns |= {f"latent_{j}": column for j, column in enumerate(self.latents.T)}
        table = pa.table(columns).replace_schema_metadata(
            {METADATA_KEY: json.dumps(self.metadata).encode()}
        )
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Embedding":
        """Read an embedding's parquet file, or a table of latents such as ml4h's `hidden_*.tsv`.

        Parameters
        ----------
        path : path-like
            A table as `read_table` takes it, with columns `latent_0`, `latent_1` and so on, in
            any order; other columns are left aside.

        Raises
        ------
        InputError
            If the file is no such table, or a latent is not a finite number.
        """
        path = Path(path)
        table = read_table(path)
        latents = table[_latent_columns(path, table)]
        for column in latents:
            if not pd.api.types.is_numeric_dtype(latents[column]):
                raise InputError(f"{path}: column '{column}' is not of numbers")
            unusable = int((~np.isfinite(latents[column].to_numpy(np.float32))).sum())
            if unusable:
                raise InputError(
                    f"{path}: column '{column}' has no finite number for {unusable} of "
                    f"{len(latents)} participants; leave them out"
                )
        return cls(table.index.tolist(), latents.to_numpy(np.float32), _read_metadata(path))


def _latent_columns(path: Path, table: pd.DataFrame) -> list[str]:
    """Names of the latent columns, by their numbers."""
    columns = [name for name in table.columns if str(name).startswith("latent_")]
    if table.empty or not columns:
        raise InputError(
            f"{path}: {len(table)} participants, {len(columns)} latent columns; expected columns "
            "sample_id, latent_0, latent_1, … and a row a participant"
        )
    for column in columns:
        if not LATENT_COLUMN.fullmatch(column):
            raise InputError(f"{path}: column '{column}'; expected latent_0, latent_1, …")
    return sorted(columns, key=lambda column: int(column.removeprefix("latent_")))


def _read_metadata(path: Path) -> dict:
    if ".parquet" not in path.suffixes:
        return {"source": path.name}
    text = (pq.read_schema(path).metadata or {}).get(METADATA_KEY, b"{}")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise InputError(f"{path}: its metadata are no embedding's; embed the participants again")
    return metadata
