"""Linear probes of many phenotypes in several latent spaces, and whether one knows more.

A continuous phenotype is predicted by ridge regression and scored by R², a binary or categorical
one by logistic regression and scored by the area under the ROC curve of its probabilities; both out
of fold, in five folds that depend on the participants and the target only, so they are the same in
every arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.probes.adjusted import AdjustedTables, adjusted_probes
from regreveal.phenome.probes.calibration import CURVE_COLUMNS
from regreveal.phenome.probes.differences import MeanDifference, compare_probes
from regreveal.phenome.probes.families import Families
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.single import ProbeResult, check_latents, probe_targets
from regreveal.phenome.probes.targets import Target, prepare_target
from regreveal.progress import track

SCORE_COLUMNS = [
    "arm", "target", "type", "type_reason", "units", "positive_class", "metric", "n", "n_missing",
    "score", "low", "high", "floor", "ceiling", "pearson_r", "rmse", "mae", "sd",
    "average_precision", "prevalence", "calibration_intercept", "calibration_slope", "reason",
]  # fmt: skip
DIFFERENCE_COLUMNS = [
    "target", "type", "units", "metric", "n", "arm", "baseline", "score", "baseline_score",
    "difference", "low", "high", "p", "q_value", "p_corrected", "reason",
]  # fmt: skip
MEAN_COLUMNS = [
    "metric", "targets", "arm", "baseline", "score", "score_low", "score_high", "baseline_score",
    "baseline_low", "baseline_high", "difference", "low", "high", "p",
]  # fmt: skip
CALIBRATION_COLUMNS = ["arm", "target", "class", *CURVE_COLUMNS]

AT_ONCE = 64  # targets: enough to share the work on the latents, few enough for memory


@dataclass(frozen=True)
class ProbeTables:
    """What the probes of some arms found.

    Parameters
    ----------
    scores : DataFrame
        A row an arm and target: arm, target, type, type_reason, units, positive_class (of two, the
        one whose probability is predicted), metric, n, n_missing, score, low, high, floor (shuffled
        labels), ceiling (true traits), and, of numbers, pearson_r, rmse, mae and sd (in the units),
        of classes average_precision, prevalence, calibration_intercept and calibration_slope;
        reason.
    differences : DataFrame
        A row an arm (other than the baseline) and target: target, type, units, metric, n, arm,
        baseline, score, baseline_score, difference, low, high, p, q_value (Benjamini and Hochberg)
        and p_corrected (family-wise, step-down), both over the targets of the arm; reason.
    means : DataFrame
        A row an arm and metric: metric, targets (how many are scored), arm, baseline, score and
        baseline_score (means over targets), difference, low, high, p.
    calibration : DataFrame
        A row an arm, target, class and bin: arm, target, class, bin, n, predicted, observed, low,
        high.
    adjusted : AdjustedTables or None
        What latents add to covariates, where there are covariates.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    means: pd.DataFrame
    calibration: pd.DataFrame
    adjusted: AdjustedTables | None


def run_probes(
    arms: Mapping[str, np.ndarray],
    targets: pd.DataFrame,
    folds: pd.Series,
    baseline: str | None = None,
    types: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    covariates: pd.DataFrame | None = None,
    floor: bool = False,
    true_traits: pd.DataFrame | None = None,
) -> ProbeTables:
    """Probe every target in every arm, and compare each arm with the baseline.

    Parameters
    ----------
    arms : mapping of str to ndarray, shape (n, k)
        Latents by arm, of the same participants; k may differ.
    targets : DataFrame, n rows
        Aligned with the latents and indexed by sample id; a column a target.
    folds : Series
        Fold of each participant, indexed by sample id.
    baseline : str, optional
        The arm compared with; the first by default.
    types : mapping of str to {"continuous", "binary", "categorical"}, optional
        Of targets whose type `recognise_type` would not find.
    units : mapping of str to str, optional
        By target.
    covariates : DataFrame, n rows, optional
        Aligned with the latents: what latents are to add to. A target that is one of them is
        adjusted for the others.
    floor : bool
        Whether to probe shuffled labels, too.
    true_traits : DataFrame, optional
        What was planted, in numbers, indexed by sample id; targets are predicted from it, too.

    Returns
    -------
    ProbeTables

    Raises
    ------
    InputError
        As in `probe`; also if the baseline is not an arm, or a participant has no true traits.
    """
    baseline = baseline or next(iter(arms))
    if baseline not in arms:
        raise InputError(f"probes: no arm '{baseline}' (there are: {', '.join(arms)})")
    arms = {arm: check_latents(x, len(targets), f"arm '{arm}'") for arm, x in arms.items()}
    types, units = types or {}, units or {}
    prepared = [prepare_target(targets[name], folds, types.get(name)) for name in targets]
    spaces = {arm: Predictors(latents) for arm, latents in arms.items()}
    truth = _true_space(true_traits, targets.index)
    found = _Findings(baseline, units)
    for block in track(_blocks(prepared), "Probing"):
        results = {
            arm: probe_targets(space, block, targets.index if floor else None)
            for arm, space in spaces.items()
        }
        ceilings = [np.nan] * len(block)
        if truth is not None:
            ceilings = [result.score for result in probe_targets(truth, block)]
        found.add(results, ceilings)
    order = {str(name): place for place, name in enumerate(targets)}
    adjusted = None
    if covariates is not None:
        adjusted = adjusted_probes(arms, targets, folds, baseline, types, covariates)
    return found.tables(order, adjusted)


def _blocks(targets: Sequence[Target]) -> list[list[Target]]:
    """Part targets into blocks of those that can share work, as far as that goes."""
    alike = sorted(targets, key=lambda target: (target.metric, target.fold.tobytes()))
    return [alike[first : first + AT_ONCE] for first in range(0, len(alike), AT_ONCE)]


def _true_space(true_traits: pd.DataFrame | None, ids: pd.Index) -> Predictors | None:
    if true_traits is None:
        return None
    values = true_traits.reindex(ids).to_numpy(np.float64)
    absent = int((~np.isfinite(values)).any(axis=1).sum())
    if absent:
        raise InputError(
            f"probes: {absent} of {len(ids)} participants have no true traits; they are to be of "
            "the same people"
        )
    return Predictors(values)


class _Findings:
    """Rows of the tables, gathered block by block."""

    def __init__(self, baseline: str, units: Mapping[str, str]):
        self.baseline, self.units = baseline, units
        self.scores, self.differences, self.curves = [], [], []
        self.families = Families()
        self.means: dict[tuple[str, str], MeanDifference] = {}

    def add(self, results: dict[str, list[ProbeResult]], ceilings: list[float]) -> None:
        for arm, of_arm in results.items():
            for result, ceiling in zip(of_arm, ceilings, strict=True):
                self.scores.append(self._score_row(arm, result, ceiling))
                curve = result.measures.calibration
                self.curves.append(curve.assign(arm=arm, target=result.target.name))
            if arm != self.baseline:
                for pair in zip(of_arm, results[self.baseline], strict=True):
                    self._compare(arm, *pair)

    def _score_row(self, arm: str, result: ProbeResult, ceiling: float) -> dict:
        target = result.target
        row = {"arm": arm, "target": target.name, "units": self.units.get(target.name, "")}
        row |= {name: getattr(target, name) for name in ("type", "type_reason", "metric")}
        row |= {"n_missing": target.n_missing, "reason": target.reason, "ceiling": ceiling}
        row |= {name: getattr(result, name) for name in ("n", "score", "low", "high", "floor")}
        measures = dict(vars(result.measures))
        measures.pop("calibration")
        row["positive_class"] = target.classes[0] if len(target.classes) == 1 else ""
        return row | measures

    def _compare(self, arm: str, result: ProbeResult, before: ProbeResult) -> None:
        target = result.target
        difference = compare_probes(result, before)
        row = {"target": target.name, "type": target.type, "metric": target.metric}
        row |= {"units": self.units.get(target.name, ""), "n": result.n, "arm": arm}
        row |= {"baseline": self.baseline, "score": result.score, "reason": target.reason}
        row |= {"baseline_score": before.score, "difference": difference.difference}
        row |= {"low": difference.low, "high": difference.high, "p": difference.p}
        self.differences.append(row)
        self.families.add(arm, difference, (result.influence - before.influence).sum(axis=1))
        if not np.isnan(result.score):
            self.means.setdefault((target.metric, arm), MeanDifference()).add(result, before)

    def tables(self, order: Mapping[str, int], adjusted: AdjustedTables | None) -> ProbeTables:
        scores = pd.DataFrame(self.scores, columns=SCORE_COLUMNS)
        arms = {arm: place for place, arm in enumerate(dict.fromkeys(scores["arm"]))}
        differences = self.families.correct(
            pd.DataFrame(self.differences, columns=DIFFERENCE_COLUMNS)
        )
        curves = [curve for curve in self.curves if len(curve)]
        calibration = pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()
        return ProbeTables(
            scores=_sorted(scores, order, arms),
            differences=_sorted(differences, order, arms),
            means=self._means(),
            calibration=_sorted(calibration.reindex(columns=CALIBRATION_COLUMNS), order, arms),
            adjusted=adjusted,
        )

    def _means(self) -> pd.DataFrame:
        rows = [
            {"metric": metric, "arm": arm, "baseline": self.baseline} | mean.result()
            for (metric, arm), mean in self.means.items()
        ]
        # R² first, as in every figure and table.
        rows.sort(key=lambda row: row["metric"], reverse=True)
        return pd.DataFrame(rows, columns=MEAN_COLUMNS)


def _sorted(
    rows: pd.DataFrame, targets: Mapping[str, int], arms: Mapping[str, int]
) -> pd.DataFrame:
    """Sort rows by target and arm, in the order in which these were given."""
    places = pd.DataFrame({"target": rows["target"].map(targets), "arm": rows["arm"].map(arms)})
    return rows.loc[places.sort_values(["target", "arm"], kind="stable").index].reset_index(
        drop=True
    )
