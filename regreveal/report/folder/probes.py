"""Linear probes of a comparison, as a run left them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regreveal.report.folder.reading import read_tsv

_TYPED = dict.fromkeys(("type", "units", "adjusted_for", "class", "positive_class"), str)


@dataclass(frozen=True)
class Probes:
    """Scores by arm and target, paired differences by target, and their means by metric.

    `calibration` is by arm, target and class; `gains` over covariates are by arm and target and
    `gain_differences` by target, both None where probes were not adjusted.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    means: pd.DataFrame
    calibration: pd.DataFrame
    gains: pd.DataFrame | None = None
    gain_differences: pd.DataFrame | None = None


def read_probes(folder: Path, adjusted: bool = False) -> Probes:
    """Read the probes of a comparison's folder; `adjusted` ones, too, if there are to be any."""
    gains = differences = None
    if adjusted:
        gains = _read(
            folder / "probe_gains.tsv", "arm target metric adjusted_for n covariates_score gain"
        )
        differences = _read(
            folder / "probe_gain_differences.tsv",
            "target metric adjusted_for n arm baseline gain baseline_gain difference low high "
            "p_corrected reason",
        )
    return Probes(
        scores=_read(
            folder / "probes.tsv",
            "arm target type units metric n score low high floor ceiling rmse sd "
            "average_precision prevalence calibration_slope reason",
        ),
        differences=_read(
            folder / "probe_differences.tsv",
            "target units metric n arm difference low high p_corrected q_value reason",
        ),
        means=_read(
            folder / "probe_means.tsv", "metric targets score baseline_score difference low high"
        ),
        calibration=_read(
            folder / "probe_calibration.tsv", "arm target class bin predicted observed low high"
        ),
        gains=gains,
        gain_differences=differences,
    )


def _read(path: Path, columns: str) -> pd.DataFrame:
    texts = {name: type_ for name, type_ in _TYPED.items() if name in columns.split()}
    return read_tsv(path, columns, dtype=texts).fillna(dict.fromkeys(texts, ""))
