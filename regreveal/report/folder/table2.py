"""Table 2 of a run, as the run left it."""

from pathlib import Path

import pandas as pd

from regreveal.comparison.table2 import COLUMNS
from regreveal.report.folder.reading import read_tsv

_TEXTS = (
    "comparison", "baseline", "modality", "tensor_map", "registration", "shape", "empty",
)  # fmt: skip


def read_table2(file: Path) -> pd.DataFrame:
    """Read what every arm knows and cost; text that is not there is empty."""
    table = read_tsv(file, list(COLUMNS), dtype=dict.fromkeys(_TEXTS, str))
    return table.fillna(dict.fromkeys(_TEXTS, ""))
