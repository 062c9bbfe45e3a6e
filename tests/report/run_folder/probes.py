"""Probes of a comparison: scores, their differences and means, calibration."""

from pathlib import Path

import numpy as np
import pandas as pd

from .files import write_tsv

TARGETS = {
    # target: metric, native, registered
    "heart_rate": ("r2", 0.62, 0.08),
    "pr_interval": ("r2", 0.03, 0.88),
    "qrs_duration": ("r2", 0.05, 0.91),
    "qt_interval": ("r2", 0.11, 0.83),
    "frontal_axis": ("r2", 0.48, 0.93),
    "p_amplitude": ("r2", 0.02, 0.71),
    "age": ("r2", 0.10, 0.24),
    "bmi": ("r2", 0.02, 0.03),
    "sex": ("auc", 0.66, 0.74),
    "smoking": ("auc", 0.53, 0.52),
}


def write_probes(comparison: Path, arms: tuple[str, str]) -> None:
    scores, differences = [], []
    sides = {"arm": arms[1], "baseline": arms[0]}
    for target, (metric, native, registered) in TARGETS.items():
        shared = {"target": target, "type": "continuous" if metric == "r2" else "binary"}
        shared |= {
            "metric": metric,
            "n": 291,
            "reason": "",
            "units": "ms" if metric == "r2" else "",
        }
        for arm, score in zip(arms, (native, registered), strict=True):
            interval = {"score": score, "low": score - 0.03, "high": score + 0.03}
            scores.append(
                shared | {"arm": arm, "n_missing": 9} | interval | _measures(metric, score)
            )
        difference = registered - native
        differences.append(
            shared
            | sides
            | {"score": registered}
            | {"baseline_score": native, "difference": difference, "p": 0.001}
            | {"low": difference - 0.04, "high": difference + 0.04}
            | {"q_value": 0.001 if abs(difference) > 0.04 else 0.4}
            | {"p_corrected": 0.0001 if abs(difference) > 0.04 else 0.7}
        )
    nothing = {"target": "sinus_rhythm", "type": "categorical", "metric": "auc", "n": 3}
    nothing["reason"] = "fewer than two classes of at least 10 participants"
    write_tsv(
        pd.DataFrame([*scores, *(nothing | {"arm": arm} for arm in arms)]),
        comparison / "probes.tsv",
    )
    differences.append(nothing | sides)
    write_tsv(pd.DataFrame(differences), comparison / "probe_differences.tsv")
    means = []
    for metric in ("r2", "auc"):
        scored = [scores for name, *scores in TARGETS.values() if name == metric]
        native, registered = np.mean(scored, axis=0)
        difference = registered - native
        means.append(
            sides
            | {"metric": metric, "targets": len(scored)}
            | {"score": registered, "baseline_score": native, "difference": difference}
            | {"low": difference - 0.02, "high": difference + 0.02, "p": 0.001}
        )
    write_tsv(pd.DataFrame(means), comparison / "probe_means.tsv")
    _write_calibration(comparison, arms)


def _measures(metric: str, score: float) -> dict:
    if metric == "r2":
        numbers = {"pearson_r": np.sqrt(max(score, 0)), "rmse": 12.5 - 8 * score, "sd": 12.5}
        return numbers | {"floor": -0.01, "ceiling": 0.96}
    classes = {"average_precision": score - 0.1, "prevalence": 0.4, "calibration_slope": 1.05}
    return classes | {"positive_class": "yes", "floor": 0.49, "ceiling": 0.97}


def _write_calibration(comparison: Path, arms: tuple[str, str]) -> None:
    rows = [
        {"arm": arm, "target": target, "class": "yes", "bin": place, "n": 58, "predicted": share}
        | {"observed": share + 0.02, "low": share - 0.08, "high": share + 0.12}
        for target, (metric, *_) in TARGETS.items()
        if metric == "auc"
        for arm in arms
        for place, share in enumerate((0.1, 0.2, 0.4, 0.6, 0.8), start=1)
    ]
    write_tsv(pd.DataFrame(rows), comparison / "probe_calibration.tsv")
