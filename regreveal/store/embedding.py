"""Embedding: latent vectors of many participants, and where they came from."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from regreveal.errors import InputError
from regreveal.store.atomic import atomic_path

METADATA_KEY = b"regreveal"


@dataclass
class Embedding:
    """Latent vectors by participant.

    Parameters
    ----------
    sample_ids : list of str, length n
    latents : ndarray of float32, shape (n, k)
    metadata : dict
        Where they came from: tensor map, model, and `trained_on`, the ids the model saw.
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
        """Read an embedding's parquet file, or ml4h's `hidden_*.tsv`.

        Raises
        ------
        InputError
            If the file is neither.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file; expected an embedding")
        if path.suffix == ".tsv":
            return cls._read_ml4h(path)
        try:
            table = pq.read_table(path)
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: not a parquet file ({error})") from error
        latent_columns = [name for name in table.column_names if name.startswith("latent_")]
        if "sample_id" not in table.column_names or not latent_columns:
            raise InputError(f"{path}: expected columns sample_id, latent_0, latent_1, …")
        latent_columns.sort(key=lambda name: int(name.removeprefix("latent_")))
        metadata = json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))
        latents = np.column_stack([table[name].to_numpy() for name in latent_columns])
        return cls(table["sample_id"].to_pylist(), latents, metadata)

    @classmethod
    def _read_ml4h(cls, path: Path) -> "Embedding":
        """Read ml4h's table: `sample_id`, then `latent_0` … (tab separated)."""
        frame = pd.read_csv(path, sep="\t", dtype={"sample_id": str})
        latent_columns = [name for name in frame.columns if str(name).startswith("latent_")]
        if "sample_id" not in frame or not latent_columns:
            raise InputError(f"{path}: expected columns sample_id, latent_0, latent_1, …")
        return cls(
            frame["sample_id"].tolist(), frame[latent_columns].to_numpy(), {"source": path.name}
        )
