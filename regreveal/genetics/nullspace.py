"""Iterated nullspace projection: latents from which confounders can no longer be read linearly.

In-model covariates are the usual way to deal with confounders. This is the other one: find the
directions that predict the confounders, and keep only what is orthogonal to them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

from regreveal.errors import InputError
from regreveal.genetics.kernel.whitening import covariate_basis, residuals, whiten

RIDGE_PENALTIES = np.logspace(-2, 6, 17)

# In double precision and to scikit-learn's default 1e-4, a category of 22 takes four times as long
# to score.
LOGISTIC = {"max_iter": 1000, "tol": 1e-3}

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
    centre : ndarray, shape (k,)
        Mean latents of the participants.
    matrix : ndarray, shape (k, k - removed)
        From centred latents to whitened ones less the directions found in everyone.
    """

    latents: np.ndarray
    report: pd.DataFrame
    passes: int
    removed: int
    centre: np.ndarray
    matrix: np.ndarray

    def project(self, latents: np.ndarray | pd.DataFrame) -> np.ndarray:
        """Project people who took no part, in the coordinates of `latents`.

        Parameters
        ----------
        latents : ndarray or DataFrame, shape (m, k)

        Returns
        -------
        ndarray, shape (m, k - removed)
        """
        return (np.asarray(latents, dtype=np.float64) - self.centre) @ self.matrix


def project_out(
    latents: np.ndarray | pd.DataFrame,
    confounders: pd.DataFrame,
    *,
    max_passes: int = 3,
    seed: int = 0,
) -> NullspaceProjection:
    """Remove the directions of latent space that predict confounders.

    Latents are whitened first: then the direction that predicts a confounder best is also the only
    one correlated with it, and one pass is usually enough. The directions (ridge regression of
    numbers and of indicators of categories) are found in one half of the participants and removed
    from the other, each half in turn, and the two halves' coordinates are rotated onto each other.
    Each pass removes those confounders that are still predicted on held-out people: R² of ridge
    regression above 0.01 or AUC of logistic regression above 0.55, and above guessing by two
    standard errors of the cross-validated score.

    Parameters
    ----------
    latents : ndarray or DataFrame, shape (n, k)
    confounders : DataFrame, n rows in the same order
        Numeric columns are numbers; others are categories, so codes must be text.
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
        Values that are missing or not finite, rows that do not match, a confounder with one value,
        a category too rare to be found in each half, or no dimension left.

    References
    ----------
    Ravfogel et al. (2020), ACL, 7237 (iterative nullspace projection). Belrose et al. (2023),
    NeurIPS 36 (after whitening one projection is enough, categories by their means). Nadeau and
    Bengio (2003), Mach. Learn. 52:239 (variance of cross-validated scores). docs/statistics.md,
    "Confounders".
    """
    values, names = residuals(latents, covariate_basis(None, len(latents)), "latent")
    if len(values) <= 2 * values.shape[1]:
        raise InputError(
            f"latents: {len(values)} participants are too few to find directions in each half of "
            f"them; {values.shape[1]} dimensions take more than {2 * values.shape[1]}"
        )
    order = np.random.default_rng(seed).permutation(len(values))
    first, second = np.array_split(order, 2)
    halves = [(first, second), (second, first)]
    _check_confounders(confounders, len(values), halves)
    whitened, triangle = whiten(values, names)
    scale = np.sqrt(len(values))
    remaining, matrix = whitened * scale, solve_triangular(triangle, np.eye(len(triangle))) * scale
    before = left = _held_out_scores(remaining, confounders, halves, seed)
    passes = 0
    while passes < max_passes and left["still_there"].any():
        still_there = left.loc[left["still_there"], "confounder"]
        remaining, everyone = _one_pass(remaining, confounders[still_there], halves)
        matrix = matrix @ everyone
        left = _held_out_scores(remaining, confounders, halves, seed)
        passes += 1
    report = before.drop(columns="still_there").rename(columns={"score": "before"})
    report["after"] = left["score"]
    removed = values.shape[1] - remaining.shape[1]
    centre = np.asarray(latents, dtype=np.float64).mean(axis=0)
    return NullspaceProjection(remaining, report, passes, removed, centre, matrix)


def _one_pass(
    latents: np.ndarray, confounders: pd.DataFrame, halves: list
) -> tuple[np.ndarray, np.ndarray]:
    """Project each half on the nullspace of the directions found in the other.

    Gives the projected latents and the basis, in columns, of the nullspace found in everyone.
    """
    everyone = _nullspace(_directions(latents, confounders))
    projected = np.empty((len(latents), everyone.shape[1]))
    for fitted_on, applied_to in halves:
        directions = _directions(latents[fitted_on], confounders.iloc[fitted_on])
        basis = _nullspace(directions, rank=latents.shape[1] - everyone.shape[1])
        # Nullspaces of the halves are close, but their bases are arbitrary: turn each onto the
        # same third one (orthogonal Procrustes), or the halves would not share coordinates.
        left, _, right = np.linalg.svd(basis.T @ everyone)
        projected[applied_to] = latents[applied_to] @ (basis @ (left @ right))
    return projected, everyone


def _directions(latents: np.ndarray, confounders: pd.DataFrame) -> np.ndarray:
    """Find unit vectors of latent space that predict the confounders, (directions, k)."""
    numbers, categories = _by_kind(confounders)
    # Of a category, what takes its means apart is what any linear classifier lives on. Logistic
    # coefficients point elsewhere by chance where few people lie between the categories.
    indicators = [
        pd.get_dummies(confounders[name].astype(str), drop_first=True) for name in categories
    ]
    rows = _ridge(latents, np.hstack([confounders[numbers], *indicators]).astype(float))[0].T
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
    numbers, categories = _by_kind(confounders)
    scores = {name: [] for name in confounders}
    for _, half in halves:
        folds = KFold(SCORING_FOLDS, shuffle=True, random_state=seed)
        for fit, held_out in folds.split(half) if numbers else ():
            known, new = half[fit], half[held_out]
            values = confounders[numbers].to_numpy(float)
            slopes, intercepts = _ridge(latents[known], values[known])
            predicted = latents[new] @ slopes + intercepts
            for name, score in zip(
                numbers, r2_score(values[new], predicted, multioutput="raw_values"), strict=True
            ):
                scores[name].append(score)
        folds = StratifiedKFold(SCORING_FOLDS, shuffle=True, random_state=seed)
        for name in categories:
            column = confounders[name].astype(str).to_numpy()
            for fit, held_out in folds.split(half, column[half]):
                model = _logistic(latents[half[fit]], column[half[fit]])
                scores[name].append(_auc(model, latents[half[held_out]], column[half[held_out]]))
    rows = []
    for name, folded in scores.items():
        measure, score = "r2" if name in numbers else "auc", float(np.mean(folded))
        # Folds are fitted on people they share, so that their scores vary together: a share 1/5 of
        # people tested to 4/5 fitted on adds 1/4 to each half's 1/5 (Nadeau and Bengio).
        shared = 1 / SCORING_FOLDS + 1 / (SCORING_FOLDS - 1)
        noise = STANDARD_ERRORS * np.std(folded, ddof=1) * np.sqrt(shared / len(halves))
        still_there = score > GUESSING[measure] + max(LEAST_GAIN[measure], noise)
        rows.append((name, measure, score, still_there))
    return pd.DataFrame(rows, columns=["confounder", "measure", "score", "still_there"])


def _by_kind(confounders: pd.DataFrame) -> tuple[list, list]:
    """Names of the columns that hold numbers, and of those that hold categories."""
    numbers = [name for name in confounders if pd.api.types.is_numeric_dtype(confounders[name])]
    return numbers, [name for name in confounders if name not in numbers]


def _ridge(latents: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression of several numbers, each with the penalty that cross-validates best.

    One eigendecomposition of the latents' k × k Gram matrix serves all numbers and penalties. The
    criterion is generalised cross-validation, RSS / (n − 1 − trace of the smoother)².

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    numbers : ndarray, shape (n, t)

    Returns
    -------
    slopes : ndarray, shape (k, t)
    intercepts : ndarray, shape (t,)

    References
    ----------
    Golub, Heath and Wahba (1979), Technometrics 21:215.
    """
    centre, mean = latents.mean(axis=0), numbers.mean(axis=0)
    centred = latents - centre
    sizes, vectors = np.linalg.eigh(centred.T @ centred)
    sizes = np.maximum(sizes, 0)[:, None]
    moments = vectors.T @ (centred.T @ (numbers - mean))
    total = ((numbers - mean) ** 2).sum(axis=0)
    shares = [sizes / (sizes + penalty) for penalty in RIDGE_PENALTIES]
    criteria = [
        (total - (moments**2 / (sizes + penalty) * (2 - share)).sum(axis=0))
        / (len(numbers) - 1 - share.sum()) ** 2
        for penalty, share in zip(RIDGE_PENALTIES, shares, strict=True)
    ]
    best = RIDGE_PENALTIES[np.argmin(criteria, axis=0)]
    slopes = vectors @ (moments / (sizes + best))
    return slopes, mean - centre @ slopes


def _logistic(latents: np.ndarray, labels: np.ndarray | pd.Series) -> LogisticRegression:
    labels = np.asarray(labels).astype(str)
    return LogisticRegression(**LOGISTIC).fit(latents.astype(np.float32), labels)


def _auc(model: LogisticRegression, latents: np.ndarray, labels: np.ndarray) -> float:
    probabilities = model.predict_proba(latents)
    if len(model.classes_) == 2:
        return roc_auc_score(labels == model.classes_[1], probabilities[:, 1])
    return roc_auc_score(labels, probabilities, multi_class="ovr", labels=model.classes_)


def _check_confounders(confounders: pd.DataFrame, participants: int, halves: list) -> None:
    if len(confounders) != participants:
        raise InputError(f"confounders: {len(confounders)} rows for {participants} participants")
    repeated = confounders.columns[confounders.columns.duplicated()]
    if len(repeated):
        raise InputError(f"confounders: '{repeated[0]}' is given more than once")
    numbers, categories = _by_kind(confounders)
    for name, column in confounders.items():
        missing = column.isna()
        if name in numbers:
            missing |= ~np.isfinite(column.astype(float))
        if missing.any():
            raise InputError(
                f"confounders: '{name}' is missing for {missing.sum()} participants; "
                "leave them out or fill it in"
            )
        if column.nunique() < 2:
            raise InputError(f"confounders: '{name}' has one value only; leave it out")
    for name in categories:
        labels = confounders[name].astype(str)
        counts = pd.DataFrame([labels.iloc[half].value_counts() for half, _ in halves]).fillna(0)
        rarest = counts.min().idxmin()
        if counts[rarest].min() < SCORING_FOLDS:
            raise InputError(
                f"confounders: value '{rarest}' of '{name}' has {counts[rarest].sum():.0f} "
                f"participants, too few for {SCORING_FOLDS} folds of each half; "
                "join it with another"
            )
