"""What latent spaces add to covariates such as age, sex and body mass index.

A target is predicted from covariates alone, not penalised, and from covariates and latents, of
which only the latents are; the gain is the difference of the two scores on the same folds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.probes.differences import compare_probes
from regreveal.phenome.probes.families import Families
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.single import ProbeResult, probe_targets
from regreveal.phenome.probes.targets import prepare_target
from regreveal.progress import track
from regreveal.store.cohort import categories_among

GAIN_COLUMNS = [
    "arm", "target", "type", "metric", "adjusted_for", "n", "n_missing", "n_without_covariates",
    "covariates_score", "score", "gain", "low", "high", "p", "q_value", "p_corrected", "reason",
]  # fmt: skip
DIFFERENCE_COLUMNS = [
    "target", "type", "metric", "adjusted_for", "n", "arm", "baseline", "gain", "baseline_gain",
    "difference", "low", "high", "p", "q_value", "p_corrected", "reason",
]  # fmt: skip

AT_ONCE = 64  # targets


@dataclass(frozen=True)
class AdjustedTables:
    """What latents add to covariates.

    Parameters
    ----------
    gains : DataFrame
        A row an arm and target: arm, target, type, metric, adjusted_for (covariates, by commas), n,
        n_missing, n_without_covariates (participants with a value of the target but not of each
        covariate), covariates_score (of covariates alone), score (with the latents), gain, low,
        high, p, q_value and p_corrected (over the targets of the arm), reason.
    differences : DataFrame
        A row an arm (other than the baseline) and target, of the arm's gain less the baseline's.
    """

    gains: pd.DataFrame
    differences: pd.DataFrame


def adjusted_probes(
    arms: Mapping[str, np.ndarray],
    targets: pd.DataFrame,
    folds: pd.Series,
    baseline: str,
    types: Mapping[str, str],
    covariates: pd.DataFrame,
) -> AdjustedTables:
    """Measure what each arm's latents add to covariates, and compare the arms in that.

    Parameters
    ----------
    arms, targets, folds, baseline, types
        As in `regreveal.phenome.probes.run.run_probes`.
    covariates : DataFrame, n rows
        Numbers, or categories, which become indicators. A target that is one of them is adjusted
        for the others; participants who lack one are left out and counted.

    Returns
    -------
    AdjustedTables

    Raises
    ------
    InputError
        If a covariate has no value at all, or infinite ones.
    """
    gains, differences = _Rows(GAIN_COLUMNS), _Rows(DIFFERENCE_COLUMNS)
    for names in track(_blocks(list(targets), list(covariates)), "Probing with covariates"):
        chosen = [column for column in covariates if column != names[0]]
        encoded, complete = _encode(covariates[chosen])
        prepared = [
            prepare_target(targets[name], folds, types.get(name), complete) for name in names
        ]
        alone = probe_targets(Predictors(np.empty((len(targets), 0)), encoded), prepared)
        results = {
            arm: probe_targets(Predictors(latents, encoded), prepared)
            for arm, latents in arms.items()
        }
        for place, target in enumerate(prepared):
            known = targets[target.name].notna().to_numpy()
            of_covariates = {"adjusted_for": ", ".join(chosen)}
            of_covariates["n_without_covariates"] = int((known & ~complete).sum())
            found = {arm: of_arm[place] for arm, of_arm in results.items()}
            _add_rows(gains, differences, of_covariates, alone[place], found, baseline)
    order = {name: place for place, name in enumerate(targets)}
    return AdjustedTables(gains.table(order, list(arms)), differences.table(order, list(arms)))


def _blocks(targets: list[str], covariates: list[str]) -> list[list[str]]:
    """Part targets into those adjusted for the same covariates, not too many at once."""
    alone = [[name] for name in targets if name in covariates]
    others = [name for name in targets if name not in covariates]
    return [others[i : i + AT_ONCE] for i in range(0, len(others), AT_ONCE)] + alone


def _add_rows(gains, differences, of_covariates, alone, found, baseline) -> None:
    """Add the rows of one target."""
    target = alone.target
    shared = {"target": target.name, "type": target.type, "metric": target.metric}
    shared |= {"n": alone.n, "reason": target.reason} | of_covariates
    of_gains = shared | {"n_missing": target.n_missing, "covariates_score": alone.score}
    for arm, result in found.items():
        told = {"arm": arm, "score": result.score, "gain": result.score - alone.score}
        gains.add(arm, of_gains | told, result, alone)
        if arm != baseline:
            before = found[baseline]
            told |= {"baseline": baseline, "baseline_gain": before.score - alone.score}
            differences.add(arm, shared | told, result, before)


class _Rows:
    """Rows of paired differences, with their corrected p-values."""

    def __init__(self, columns: list[str]):
        self._columns, self._rows, self._families = columns, [], Families()

    def add(self, family: str, row: dict, result: ProbeResult, before: ProbeResult) -> None:
        found = compare_probes(result, before)
        estimates = {"difference": found.difference, "low": found.low, "high": found.high}
        self._rows.append(row | estimates | {"p": found.p})
        self._families.add(family, found, (result.influence - before.influence).sum(axis=1))

    def table(self, targets: Mapping[str, int], arms: list[str]) -> pd.DataFrame:
        rows = self._families.correct(pd.DataFrame(self._rows, columns=self._columns))
        places = rows["target"].map(targets) * len(arms) + rows["arm"].map(arms.index)
        return rows.iloc[np.argsort(places, kind="stable")].reset_index(drop=True)


def _encode(covariates: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Write covariates as numbers, (n, c), NaN where unknown; also who has all of them, (n,)."""
    complete = covariates.notna().all(axis=1).to_numpy()
    if not complete.any():
        raise InputError(
            f"probes.adjust: no participant has a value of each of {', '.join(covariates)}"
        )
    encoded = pd.get_dummies(covariates, columns=categories_among(covariates), drop_first=True)
    numbers = encoded.to_numpy(np.float64)
    numbers[~complete] = np.nan
    if not np.isfinite(numbers[complete]).all():
        raise InputError(f"probes.adjust: {', '.join(covariates)} have values that are not finite")
    return numbers, complete
