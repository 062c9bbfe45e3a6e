"""Cross-validation folds that are the same in every arm, also where classes have to be balanced."""

import hashlib

import numpy as np
import pandas as pd

from regreveal.errors import InputError

# Standard errors of areas take products of two folds' models that both were fitted to a person.
FEWEST = 3


def stratified_folds(labels: pd.Series, folds: pd.Series) -> pd.Series:
    """Folds in which each class is spread evenly, as near to the given folds as that allows.

    Each class is lined up by given fold and cut into equal runs, so that only those beyond a fold's
    share move, to a neighbouring fold. Who moves is settled by a digest of the sample id: the
    result depends on participants, their class and their given fold, not on arm or row order.

    Parameters
    ----------
    labels : Series, length n
        Classes, indexed by sample id; none missing.
    folds : Series
        Given folds, indexed by sample id.

    Returns
    -------
    Series
        New folds, indexed as `labels`. Each fold's number of a class differs from another's by at
        most one, and so do the sizes of folds.
    """
    names = np.unique(folds)
    digests = [hashlib.blake2b(str(i).encode(), digest_size=8).hexdigest() for i in labels.index]
    line = pd.DataFrame(
        {"label": labels.astype(str), "fold": folds.loc[labels.index], "digest": digests}
    ).sort_values(["label", "fold", "digest"])
    stratified = pd.Series(0, index=line.index)
    dealt = 0
    for rows in line.groupby("label", sort=True).indices.values():
        sizes = np.full(len(names), len(rows) // len(names))
        extra = len(rows) % len(names)
        sizes[(dealt + np.arange(extra)) % len(names)] += 1
        dealt += extra
        stratified.iloc[rows] = np.repeat(names, sizes)
    return stratified.loc[labels.index]


def check_folds(target: pd.Series, folds: pd.Series) -> None:
    """Raise InputError if a participant of the target has no fold, or there are too few folds."""
    unknown = target.index.difference(folds.index)
    if len(unknown):
        raise InputError(
            f"probes: {len(unknown)} of {len(target)} participants have no fold; "
            "make one split file for all of them"
        )
    found = folds.nunique()
    if found < FEWEST:
        raise InputError(f"probes: {found} folds; expected at least {FEWEST}, such as five")
