"""Directions that were decoded, as a run left them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.report.folder.reading import read_json, read_tsv, reading_arrays

_COLUMNS = (
    "file kind name label unit n effect certainty n_beyond distance people_distance cycle_slope "
    "cycle_correlation purity n_low score_low n_high score_high agreement size reason"
)
_ARRAYS = ("steps", "walk", "decoded", "people")


@dataclass(frozen=True)
class ArmDirections:
    """The directions of one arm, and where the tensors decoded along them are.

    Parameters
    ----------
    folder : Path
    table : DataFrame
        A row a direction; with a `reason` and no `file` where it was not decoded.
    groups : DataFrame
        People of each genotype or of each status: `file`, `value`, `n`, `score`.
    shape : tuple of int
        Of a tensor, channels last.
    units : str
    sampling_rate : float or None
        Of signals, in Hz.
    """

    folder: Path
    table: pd.DataFrame
    groups: pd.DataFrame
    shape: tuple[int, ...]
    units: str
    sampling_rate: float | None

    @property
    def decoded(self) -> pd.DataFrame:
        """Rows of the table that there are tensors of."""
        return self.table[self.table["file"] != ""]


def read_directions(folder: Path) -> ArmDirections:
    """Read an arm's directions; tensors stay where they are, but must be there."""
    texts = dict.fromkeys(("file", "kind", "label", "unit"), str)
    table = read_tsv(folder / "directions.tsv", _COLUMNS, dtype=texts).fillna(
        dict.fromkeys(texts, "")
    )
    facts = read_json(folder / "directions.json", "shape", "units", "sampling_rate")
    found = ArmDirections(
        folder=folder,
        table=table,
        groups=read_tsv(folder / "groups.tsv", "file value n score", dtype={"file": str}),
        shape=tuple(facts["shape"]),
        units=facts["units"],
        sampling_rate=facts["sampling_rate"],
    )
    for file in found.decoded["file"]:
        read_arrays(folder / file, names_only=True)
    return found


def read_arrays(path: Path, names_only: bool = False) -> dict[str, np.ndarray]:
    """Read what was decoded along a direction, or only make sure that all of it is there."""
    with reading_arrays(path) as arrays:
        missing = [name for name in _ARRAYS if name not in arrays]
        if missing:
            raise KeyError(f"no array '{missing[0]}'")
        return {} if names_only else {name: arrays[name] for name in _ARRAYS}
