"""Iterated nullspace projection: latents from which confounders can no longer be read linearly.

In-model covariates are the usual way to deal with confounders. This is the other one: find the
directions that predict the confounders, and keep only what is orthogonal to them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

from regreveal.errors import InputError
from regreveal.genetics.projection import covariate_basis, residuals, whiten

RIDGE_PENALTIES = np.logspace(-2, 5, 15)

# What guessing scores, and how much better than that, on held-out people, a confounder must be
# predicted to count as still there; also by as many standard errors, so that noise does not.
GUESSING = {"r2": 0.0, "auc": 0.5}
LEAST_GAIN = {"r2": 0.01, "auc": 0.05}
STANDARD_ERRORS = 2
SCORING_FOLDS = 5

# Directions that say the same as others up to this share are not counted again.
SAME_DIRECTION = 1e-3


@dataclass(frozen=True)
class NullspaceProjection:
    """Latents without the confounders, and how well these were predicted before and after.

    Attributes
    ----------
    latents : ndarray, shape (n, k - removed)
        Whitened, less the removed directions.
    report : DataFrame
        One row a confounder: confounder, measure ("r2" for numbers, "auc" for categories), before,
        after; on participants that the predictor was not fitted on.
    passes : int
        How many times directions were found and removed.
    removed : int
        Dimensions given up.
    """

    latents: np.ndarray
    report: pd.DataFrame
    passes: int
    removed: int


def project_out(
    latents: np.ndarray | pd.DataFrame,
    confounders: pd.DataFrame,
    *,
    max_passes: int = 3,
    seed: int = 0,
) -> NullspaceProjection:
    """Remove the directions of latent space that predict confounders.

    Latents are whitened first: then the direction that predicts a confounder best is also the only
    one correlated with it, and one pass is usually enough. Predictors (ridge regression for
    numbers, logistic for categories) are fitted on one half of the participants and removed from
    the other, each half in turn, and the two halves' coordinates are rotated onto each other.
    Each pass removes those confounders that are still predicted on held-out people: R² above 0.01
    or AUC above 0.55, and above guessing by two standard errors of the cross-validated score.

    Parameters
    ----------
    latents : ndarray or DataFrame, shape (n, k)
    confounders : DataFrame, n rows in the same order
        Numeric columns are numbers; others are categories.
    max_passes : int
        Most passes; each costs a dimension per number, and per category but one, still predicted.
    seed : int
        Which participants are in which half.

    Returns
    -------
    NullspaceProjection

    Raises
    ------
    InputError
        Values that are missing, rows that do not match, a category with one value, or no
        dimension left.

    References
    ----------
    Ravfogel et al. (2020), ACL, 7237 (iterative nullspace projection). Nadeau and Bengio (2003),
    Mach. Learn. 52:239 (variance of cross-validated scores). docs/statistics.md, "Confounders".
    """
    values, names = residuals(latents, covariate_basis(None, len(latents)), "latent")
    _check_confounders(confounders, len(values))
    order = np.random.default_rng(seed).permutation(len(values))
    first, second = np.array_split(order, 2)
    halves = [(first, second), (second, first)]
    remaining = whiten(values, names)[0] * np.sqrt(len(values))
    before = left = _held_out_scores(remaining, confounders, halves, seed)
    passes = 0
    while passes < max_passes and left["still_there"].any():
        still_there = left.loc[left["still_there"], "confounder"]
        remaining = _one_pass(remaining, confounders[still_there], halves)
        left = _held_out_scores(remaining, confounders, halves, seed)
        passes += 1
    report = before.drop(columns="still_there").rename(columns={"score": "before"})
    report["after"] = left["score"]
    return NullspaceProjection(remaining, report, passes, values.shape[1] - remaining.shape[1])


def _one_pass(latents: np.ndarray, confounders: pd.DataFrame, halves: list) -> np.ndarray:
    """Project each half on the nullspace of the directions found in the other."""
    everyone = _nullspace(_directions(latents, confounders))
    projected = np.empty((len(latents), everyone.shape[1]))
    for fitted_on, applied_to in halves:
        directions = _directions(latents[fitted_on], confounders.iloc[fitted_on])
        basis = _nullspace(directions, rank=latents.shape[1] - everyone.shape[1])
        # Nullspaces of the halves are close, but their bases are arbitrary: turn each onto the
        # same third one (orthogonal Procrustes), or the halves would not share coordinates.
        left, _, right = np.linalg.svd(basis.T @ everyone)
        projected[applied_to] = latents[applied_to] @ (basis @ (left @ right))
    return projected


def _directions(latents: np.ndarray, confounders: pd.DataFrame) -> np.ndarray:
    """Find unit vectors of latent space that predict the confounders, (directions, k)."""
    found = [_predictor(latents, column).coef_ for _, column in confounders.items()]
    rows = np.vstack([np.atleast_2d(coefficients) for coefficients in found])
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(lengths, np.finfo(float).tiny)


def _nullspace(directions: np.ndarray, rank: int | None = None) -> np.ndarray:
    """Orthonormal basis, in columns, of what is orthogonal to all `directions`."""
    _, sizes, vt = np.linalg.svd(directions)
    if rank is None:
        rank = int((sizes > SAME_DIRECTION * sizes[0]).sum())
    if rank >= directions.shape[1]:
        raise InputError(
            f"confounders: they take all {directions.shape[1]} latent dimensions; "
            "use them as covariates instead"
        )
    return vt[rank:].T


def _held_out_scores(
    latents: np.ndarray, confounders: pd.DataFrame, halves: list, seed: int
) -> pd.DataFrame:
    """R² or AUC of each confounder, by cross-validation within each half; is it still predicted.

    What was removed from a half was found without it, so its people are as good as new ones. Across
    halves, or over everyone, what chance leaves of a confounder cancels out, and predictions would
    be worse than guessing.
    """
    rows = []
    for name, column in confounders.items():
        is_number = pd.api.types.is_numeric_dtype(column)
        splitter = KFold if is_number else StratifiedKFold
        folds = splitter(SCORING_FOLDS, shuffle=True, random_state=seed)
        scores = [
            _score(
                _predictor(latents[half[fit]], column.iloc[half[fit]]),
                latents[half[held_out]],
                column.iloc[half[held_out]],
            )
            for _, half in halves
            for fit, held_out in folds.split(half, column.iloc[half])
        ]
        measure, score = "r2" if is_number else "auc", float(np.mean(scores))
        # Folds are fitted on people they share, so that their scores vary together: a share 1/5 of
        # people tested to 4/5 fitted on adds 1/4 to each half's 1/5 (Nadeau and Bengio).
        shared = 1 / SCORING_FOLDS + 1 / (SCORING_FOLDS - 1)
        noise = STANDARD_ERRORS * np.std(scores, ddof=1) * np.sqrt(shared / len(halves))
        still_there = score > GUESSING[measure] + max(LEAST_GAIN[measure], noise)
        rows.append((name, measure, score, still_there))
    return pd.DataFrame(rows, columns=["confounder", "measure", "score", "still_there"])


def _predictor(latents: np.ndarray, column: pd.Series) -> RidgeCV | LogisticRegression:
    if pd.api.types.is_numeric_dtype(column):
        return RidgeCV(RIDGE_PENALTIES).fit(latents, column.to_numpy(float))
    return LogisticRegression(max_iter=1000).fit(latents, column.astype(str))


def _score(
    predictor: RidgeCV | LogisticRegression, latents: np.ndarray, column: pd.Series
) -> float:
    if isinstance(predictor, RidgeCV):
        return predictor.score(latents, column.to_numpy(float))
    probabilities = predictor.predict_proba(latents)
    labels = column.astype(str)
    if len(predictor.classes_) == 2:
        return roc_auc_score(labels == predictor.classes_[1], probabilities[:, 1])
    return roc_auc_score(labels, probabilities, multi_class="ovr", labels=predictor.classes_)


def _check_confounders(confounders: pd.DataFrame, participants: int) -> None:
    if len(confounders) != participants:
        raise InputError(f"confounders: {len(confounders)} rows for {participants} participants")
    for name, column in confounders.items():
        if column.isna().any():
            raise InputError(
                f"confounders: '{name}' is missing for {column.isna().sum()} participants; "
                "leave them out or fill it in"
            )
        if column.nunique() < 2:
            raise InputError(f"confounders: '{name}' has one value only; leave it out")
