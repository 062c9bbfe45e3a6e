"""Files as a run writes them."""

import json
from pathlib import Path

import pandas as pd


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content))


def write_tsv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep="\t", index=False)
