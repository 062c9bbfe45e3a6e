"""The PheWAS of an arm, and how two arms differ, as a run left them."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from regreveal.report.folder.reading import read_tsv

_PHEWAS = (
    "phecode name category n_cases n_controls odds_ratio low high neg_log10_p bonferroni q_value "
    "reason"
)
_INCIDENT = _PHEWAS.replace("odds_ratio", "n_earlier n_not_followed_up person_years hazard_ratio")
_DIFFERENCES = (
    "phecode name category baseline_neg_log10_p neg_log10_p difference low high p q_value "
    "significant_in reason"
)
_OVERALL = (
    "phecodes significant baseline_significant both gained lost p_counts mean_z baseline_mean_z "
    "difference low high p"
)
_NULL_SUMMARY = "null repeats tests below_0.05 below_0.01 p_uniform threshold"


@dataclass(frozen=True)
class Diseases:
    """How two arms' PheWAS differ, and what was set beside either.

    Parameters
    ----------
    differences : DataFrame
        A row a phecode.
    overall : Series
    nulls, null_summaries, incident : dict of str to DataFrame
        By arm; empty where not asked for.
    """

    differences: pd.DataFrame
    overall: pd.Series
    nulls: dict[str, pd.DataFrame] = field(default_factory=dict)
    null_summaries: dict[str, pd.DataFrame] = field(default_factory=dict)
    incident: dict[str, pd.DataFrame] = field(default_factory=dict)


def read_phewas(folder: Path) -> pd.DataFrame:
    """Read an arm's PheWAS from its folder."""
    return read_tsv(folder / "phewas.tsv", _PHEWAS)


def read_diseases(folder: Path, arms: tuple[str, str]) -> Diseases:
    """Read how two arms' PheWAS differ from the folder of their comparison."""
    found = {arm: folder / arm / "phewas" for arm in arms}
    differences = read_tsv(folder / "phewas_differences.tsv", _DIFFERENCES)
    return Diseases(
        differences.fillna({"significant_in": ""}),
        read_tsv(folder / "phewas_overall.tsv", _OVERALL).iloc[0],
        nulls=_where_there(found, "phewas_null.tsv", "null phecode neg_log10_p"),
        null_summaries=_where_there(found, "phewas_null_summary.tsv", _NULL_SUMMARY),
        incident=_where_there(found, "phewas_incident.tsv", _INCIDENT),
    )


def _where_there(folders: dict[str, Path], name: str, columns: str) -> dict[str, pd.DataFrame]:
    return {
        arm: read_tsv(folder / name, columns)
        for arm, folder in folders.items()
        if (folder / name).exists()
    }
