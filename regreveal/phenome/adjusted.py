"""What latent spaces add to covariates such as age, sex and body mass index.

A target is predicted from covariates alone, not penalised, and from covariates and latents, of
which only the latents are; the gain is the difference of the two scores on the same folds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.differences import compare_probes
from regreveal.phenome.families import Families
from regreveal.phenome.predictors import Predictors
from regreveal.phenome.single_probe import ProbeResult, probe_targets
from regreveal.phenome.targets import prepare_target
from regreveal.progress import track

GAIN_COLUMNS = [
    "arm", "target", "type", "metric", "adjusted_for", "n", "n_missing", "n_without_covariates",
    "covariates_score", "score", "gain", "low", "high", "p", "q_value", "p_corrected", "reason",
]  # fmt: skip
DIFFERENCE_COLUMNS = [
    "target", "type", "metric", "adjusted_for", "n", "arm", "baseline", "gain", "baseline_gain",
    "difference", "low", "high", "p", "q_value", "p_corrected", "reason",
]  # fmt: skip


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
        As in `regreveal.phenome.probes.run_probes`.
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
    spaces: dict[tuple[str, ...], _Spaces] = {}
    for name in track(list(targets), "Probing with covariates"):
        chosen = tuple(column for column in covariates if column != name)
        if chosen not in spaces:
            spaces[chosen] = _Spaces(arms, covariates[list(chosen)])
        space = spaces[chosen]
        values = targets[name]
        target = prepare_target(values, folds, types.get(name), space.complete)
        lacking = int((values.notna().to_numpy() & ~space.complete).sum())
        alone = probe_targets(space.alone, [target])[0]
        results = {arm: probe_targets(both, [target])[0] for arm, both in space.both.items()}
        shared = {"target": target.name, "type": target.type, "metric": target.metric}
        shared |= {"adjusted_for": ", ".join(chosen), "n": alone.n, "reason": target.reason}
        of_gains = shared | {"n_missing": target.n_missing, "n_without_covariates": lacking}
        of_gains["covariates_score"] = alone.score
        for arm, result in results.items():
            told = {"arm": arm, "score": result.score, "gain": result.score - alone.score}
            gains.add(arm, of_gains | told, result, alone)
            if arm != baseline:
                before = results[baseline]
                told |= {"baseline": baseline, "baseline_gain": before.score - alone.score}
                differences.add(arm, shared | told, result, before)
    return AdjustedTables(gains.table(), differences.table())


class _Spaces:
    """Covariates alone, and with each arm's latents."""

    def __init__(self, arms: Mapping[str, np.ndarray], covariates: pd.DataFrame):
        encoded, self.complete = _encode(covariates)
        nothing = np.empty((len(covariates), 0))
        self.alone = Predictors(nothing, encoded)
        self.both = {arm: Predictors(latents, encoded) for arm, latents in arms.items()}


class _Rows:
    """Rows of paired differences, with their corrected p-values."""

    def __init__(self, columns: list[str]):
        self._columns, self._rows, self._families = columns, [], Families()

    def add(self, family: str, row: dict, result: ProbeResult, before: ProbeResult) -> None:
        found = compare_probes(result, before)
        estimates = {"difference": found.difference, "low": found.low, "high": found.high}
        self._rows.append(row | estimates | {"p": found.p})
        self._families.add(family, found, (result.influence - before.influence).sum(axis=1))

    def table(self) -> pd.DataFrame:
        return self._families.correct(pd.DataFrame(self._rows, columns=self._columns))


def _encode(covariates: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Write covariates as numbers, (n, c), NaN where unknown; also who has all of them, (n,)."""
    complete = covariates.notna().all(axis=1).to_numpy()
    if not complete.any():
        raise InputError(
            f"probes.adjust: no participant has a value of each of {', '.join(covariates)}"
        )
    numeric = [c for c in covariates if pd.api.types.is_numeric_dtype(covariates[c])]
    categories = [c for c in covariates if c not in numeric]
    encoded = pd.get_dummies(covariates, columns=categories, drop_first=True)
    numbers = encoded.to_numpy(np.float64)
    numbers[~complete] = np.nan
    if not np.isfinite(numbers[complete]).all():
        raise InputError(f"probes.adjust: {', '.join(covariates)} have values that are not finite")
    return numbers, complete
