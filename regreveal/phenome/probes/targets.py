"""A phenotype made ready to be predicted: who has a value, in which fold, and what is predicted."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.phenome.phenotypes import class_names, order_of_classes, recognise_type
from regreveal.phenome.probes.cross_validation import LEFT_OUT
from regreveal.phenome.probes.folds import check_folds, stratified_folds

MINIMUM_CLASS = 10  # participants, and two a fold
MINIMUM_FOLD = 5  # participants of a fold, for a number
MAXIMUM_CLASSES = 50  # more are hardly classes: free text, codes of places, dates


@dataclass(frozen=True)
class Target:
    """What is predicted, the same in every arm.

    Parameters
    ----------
    name : str
    type : {"continuous", "binary", "categorical"}
    type_reason : str
        Why it is that type.
    fold : ndarray of int, shape (n,)
        -1 of those left out.
    outcomes : ndarray, shape (n, c)
        The number; whether of the last of two classes; or whether of each of several classes.
    classes : tuple of str, length c
        Those classes; empty for a number.
    strata : ndarray of int, shape (n,)
        Fold, or class within fold; -1 of those left out.
    n_missing : int
        Participants without a value.
    reason : str
        Why it cannot be scored, or which classes are left out; empty otherwise.
    scorable : bool
    """

    name: str
    type: str
    type_reason: str
    fold: np.ndarray
    outcomes: np.ndarray
    classes: tuple[str, ...]
    strata: np.ndarray
    n_missing: int
    reason: str = ""
    scorable: bool = True

    @property
    def metric(self) -> str:
        """What it is scored by: "r2" or "auc"."""
        return "r2" if self.type == "continuous" else "auc"

    @property
    def scored(self) -> np.ndarray:
        """Who is scored, (n,) of bool."""
        return self.fold != LEFT_OUT

    def shuffled(self, ids: pd.Index) -> np.ndarray:
        """Give each participant the outcome of another of the same fold, drawn at random.

        The draw depends on the target, the fold and the ids in it: not on arm or row order.
        """
        shuffled = self.outcomes.copy()
        digest = hashlib.blake2b(self.name.encode(), digest_size=8).digest()
        generator = np.random.default_rng(int.from_bytes(digest, "big"))
        by_id = np.argsort(ids.to_numpy(str), kind="stable")
        for name in np.unique(self.fold[self.scored]):
            rows = by_id[self.fold[by_id] == name]
            shuffled[rows] = self.outcomes[generator.permutation(rows)]
        return shuffled


def prepare_target(
    values: pd.Series, folds: pd.Series, given_type: str | None = None, usable=True
) -> Target:
    """Make a phenotype ready to be predicted.

    Parameters
    ----------
    values : Series, length n
        Named, indexed by sample id; participants without a value are left out and counted.
    folds : Series
        Fold of each participant (and maybe of others), indexed by sample id.
    given_type : {"continuous", "binary", "categorical"}, optional
        As recognised by default.
    usable : bool or ndarray of bool, shape (n,)
        Who may be predicted at all, such as those with all covariates; others are left out.

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If a participant has no fold, values are infinite, or not of the type given.
    """
    check_folds(values, folds)
    _check_finite(values)
    recognised = recognise_type(values, given_type)
    common = {
        "name": str(values.name),
        "type": recognised.type,
        "type_reason": recognised.reason,
        "n_missing": int(values.isna().sum()),
    }
    present = values.notna().to_numpy() & usable
    given = folds.loc[values.index].to_numpy()
    if recognised.type == "continuous":
        return _continuous(values, present, given, common)
    return _classes(values, present, folds, common)


def _check_finite(values: pd.Series) -> None:
    if pd.api.types.is_numeric_dtype(values):
        infinite = int(np.isinf(values.dropna().to_numpy(np.float64)).sum())
        if infinite:
            raise InputError(
                f"target '{values.name}': {infinite} values are infinite; leave them empty or "
                "correct them"
            )


def _continuous(values, present, given, common) -> Target:
    numbers = np.where(present, values.to_numpy(np.float64), 0.0)
    fold = np.where(present, given, LEFT_OUT)
    names = np.unique(given)
    if min(np.sum(fold == name) for name in names) < MINIMUM_FOLD:
        return _not_scored(common, len(fold), f"fewer than {MINIMUM_FOLD} participants in a fold")
    if min(np.ptp(numbers[fold == name]) for name in names) == 0:
        return _not_scored(common, len(fold), "constant, in all participants or in a fold")
    return Target(fold=fold, outcomes=numbers[:, None], classes=(), strata=fold, **common)


def _classes(values, present, folds, common) -> Target:
    labels = class_names(values[present])
    counts = labels.value_counts()
    minimum = max(MINIMUM_CLASS, 2 * folds.nunique())
    classes = order_of_classes(list(counts.index[counts >= minimum]))
    small = order_of_classes(list(counts.index[counts < minimum]))
    if len(classes) > MAXIMUM_CLASSES:
        return _not_scored(
            common,
            len(values),
            f"{len(classes)} classes of at least {minimum} participants, more than "
            f"{MAXIMUM_CLASSES}: codes or free text?",
        )
    if len(classes) < 2:
        return _not_scored(
            common,
            len(values),
            f"fewer than two classes of at least {minimum} participants",
        )
    kept = labels.isin(classes).to_numpy()
    labels, rows = labels[kept], np.flatnonzero(present)[kept]
    fold, strata = (np.full(len(values), LEFT_OUT) for _ in range(2))
    fold[rows] = stratified_folds(labels, folds).to_numpy()
    code = np.array([classes.index(label) for label in labels])
    strata[rows] = fold[rows] * len(classes) + code
    told = classes if len(classes) > 2 else classes[1:]
    outcomes = np.zeros((len(values), len(told)), bool)
    outcomes[rows] = labels.to_numpy()[:, None] == np.array(told, dtype=object)
    reason = f"classes of fewer than {minimum}: {_listed(small)}" if small else ""
    return Target(
        fold=fold, outcomes=outcomes, classes=tuple(told), strata=strata, reason=reason, **common
    )


def _listed(names: list[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _not_scored(common: dict, n: int, reason: str) -> Target:
    nobody = np.full(n, LEFT_OUT)
    return Target(
        fold=nobody,
        outcomes=np.zeros((n, 1)),
        classes=(),
        strata=nobody,
        reason=reason,
        scorable=False,
        **common,
    )
