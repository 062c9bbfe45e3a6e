"""Linear probes of a comparison, as a run left them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regreveal.report.folder.reading import read_tsv


@dataclass(frozen=True)
class Probes:
    """Scores by arm and target, paired differences by target, and their means by metric."""

    scores: pd.DataFrame
    differences: pd.DataFrame
    means: pd.DataFrame


def read_probes(folder: Path) -> Probes:
    """Read the probes of a comparison's folder."""
    return Probes(
        scores=read_tsv(folder / "probes.tsv", "arm target metric n score low high reason"),
        differences=read_tsv(
            folder / "probe_differences.tsv",
            "target metric n arm difference low high q_value reason",
        ),
        means=read_tsv(
            folder / "probe_means.tsv", "metric targets score baseline_score difference low high"
        ),
    )
