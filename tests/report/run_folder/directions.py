"""Directions of an arm, decoded."""

from pathlib import Path

import numpy as np
import pandas as pd

from .files import write_json, write_tsv


def write_directions(folder: Path, registered: bool) -> None:
    """Write a locus and a disease decoded as ECGs, and a disease of too few; of native, nothing."""
    folder.mkdir(parents=True)
    time = np.arange(600)[:, None]
    change = 0.05 * np.exp(-(((time - 160) / 12) ** 2)) * np.linspace(-1, 1, 12)
    steps = np.arange(-3.0, 4)
    rows = [
        ("01.npz", "variant", "rs1010", "SCN5A", "G allele", 290, ""),
        ("02.npz", "phecode", "101.1", "Condition 1 1", "case", 290, ""),
        ("", "phecode", "102.2", "Condition 1 2", "case", 290, "fewer than 20 participants differ"),
    ]
    columns = ["file", "kind", "name", "label", "unit", "n", "reason"]
    table = pd.DataFrame(rows if registered else [], columns=columns)
    figures = {"effect": 0.35, "certainty": 0.94, "n_beyond": 3, "distance": 2.9}
    figures |= {"people_distance": 4.3, "cycle_slope": 0.92, "cycle_correlation": 1.0}
    figures |= {"purity": 0.97, "n_low": 20, "score_low": -2.0, "n_high": 20, "score_high": 2.1}
    figures |= {"agreement": 0.96, "size": 0.85}
    table = table.assign(**figures)
    table.loc[table["file"] == "", list(figures)] = np.nan
    write_tsv(table, folder / "directions.tsv")
    groups = [("01.npz", v, n, s, 0.1) for v, n, s in [(0, 200, -0.2), (1, 86, 0.2), (2, 4, None)]]
    groups = groups if registered else []
    columns = ["file", "value", "n", "score", "standard_error"]
    write_tsv(pd.DataFrame(groups, columns=columns), folder / "groups.tsv")
    facts = {"participants": 293, "tensor_map": "ecg.median", "shape": [600, 12]}
    facts |= {"units": "mV", "sampling_rate": 500}
    write_json(folder / "directions.json", facts)
    for file in table["file"][table["file"] != ""]:
        walk = np.sin(time / 60) + steps[:, None, None] * change
        np.savez(folder / file, steps=steps, walk=walk, decoded=change, people=1.1 * change)
