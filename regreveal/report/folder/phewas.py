"""The PheWAS of an arm, as a run left it."""

from pathlib import Path

import pandas as pd

from regreveal.report.folder.reading import read_tsv

_PHEWAS = (
    "phecode name category n_cases n_controls odds_ratio low high neg_log10_p bonferroni q_value "
    "reason"
)


def read_phewas(folder: Path) -> pd.DataFrame:
    """Read an arm's PheWAS from its folder."""
    return read_tsv(folder / "phewas.tsv", _PHEWAS)
