"""Clumping: which significant variants stand for themselves, and which lead the others, by LD."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from regreveal.genetics.kernel.whitening import covariate_basis

INDEPENDENT_R2 = 0.6
LEAD_R2 = 0.1

# Farther apart than this, variants count as unlinked: at sample sizes of thousands, and with
# relatives, r² of 0.1 and more comes about by chance across a whole chromosome.
LD_WINDOW = 1_000_000

# Values in single precision of independent variants that are held together, and of variants that
# are compared with them at a time: 256 and 64 MB. With few participants, how many variants are.
_HELD_VALUES, _MOST_HELD = 2**26, 256
_CHUNK_VALUES, _LARGEST_CHUNK = 2**24, 1024

# Genotypes that are kept rather than read again.
_KEPT_BYTES = 2**30


def clump(
    read_dosages: Callable[[np.ndarray], np.ndarray],
    positions: np.ndarray,
    covariates: np.ndarray | pd.DataFrame | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Independent variants, and each variant's lead, from the most significant variant down.

    A variant is independent if its r² with all independent ones before it is below 0.6, and of
    these it is a lead if it is below 0.1 with all leads before it.

    Parameters
    ----------
    read_dosages : callable
        Given rows, the dosages of these variants, (rows, n): int8 with -1 where missing, or float32
        with NaN. Rows are of one chromosome, the most significant first.
    positions : ndarray of int, shape (variants,)
        Base pairs; variants more than `LD_WINDOW` apart count as uncorrelated.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
        Regressed out of the dosages before they are correlated.

    Returns
    -------
    independent : ndarray of bool, shape (variants,)
    lead_of : ndarray of int, shape (variants,)
        Row of the lead variant that each correlates with most; leads have their own.

    Notes
    -----
    Memory does not grow with the number of variants but for a few bytes each. Stretches farther
    apart than the window go one by one. In each, independent variants are found in batches; each
    batch is then compared with the others around it in one pass over their genotypes.
    """
    count = len(positions)
    independent, lead_of = np.zeros(count, bool), np.full(count, -1)
    if not count:
        return independent, lead_of
    first = read_dosages(np.array([0]))
    basis = covariate_basis(covariates, first.shape[1]).astype(np.float32)
    # A batch of the most significant variants would be from all over the chromosome, and so would
    # be what is compared with it: each variant would be read again for every batch.
    for rows in _stretches(positions):
        genotypes = _Standardised(lambda some, rows=rows: read_dosages(rows[some]), basis, first)
        independent[rows], leads = _clump_stretch(genotypes, positions[rows])
        lead_of[rows] = rows[leads]
    return independent, lead_of


def _stretches(positions: np.ndarray) -> list[np.ndarray]:
    """Rows of variants that no window joins with others, each in the order given."""
    by_position = np.argsort(positions, kind="stable")
    gaps = np.flatnonzero(np.diff(positions[by_position]) > LD_WINDOW) + 1
    return [np.sort(rows) for rows in np.split(by_position, gaps)]


def _clump_stretch(
    genotypes: "_Standardised", positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    count = len(positions)
    independent, lead_of = np.zeros(count, bool), np.full(count, -1)
    by_position = np.argsort(positions, kind="stable")
    near_independent, near_lead = np.zeros(count, bool), np.zeros(count, bool)
    best_r2 = np.zeros(count, np.float32)
    while not near_independent.all():
        batch, held = _next_independent(genotypes, positions, near_independent)
        around, r2 = _correlate_around(genotypes, positions, by_position, batch, held)
        for place, row in enumerate(batch):
            r2[place, around == row] = 1
            independent[row] = True
            near_independent[around[r2[place] >= INDEPENDENT_R2]] = True
            if near_lead[row]:
                continue
            near_lead[around[r2[place] >= LEAD_R2]] = True
            closer = r2[place] > best_r2[around]
            lead_of[around[closer]] = row
            best_r2[around[closer]] = r2[place, closer]
    return independent, lead_of


def squared_correlations(
    dosages: np.ndarray, covariates: np.ndarray | pd.DataFrame | None = None
) -> np.ndarray:
    """r² between variants, by which they are clumped.

    Parameters
    ----------
    dosages : ndarray, shape (variants, n)
        int8 with -1 where missing, or float32 with NaN.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
        Regressed out first.

    Returns
    -------
    ndarray of float32, shape (variants, variants)
    """
    basis = covariate_basis(covariates, dosages.shape[1]).astype(np.float32)
    standardised = _Standardised(lambda rows: dosages[rows], basis, dosages[:1])
    values = standardised(np.arange(len(dosages)))
    return np.minimum((values @ values.T) ** 2, 1)


def _next_independent(
    genotypes: "_Standardised", positions: np.ndarray, near_independent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Next independent variants, as many as may be held, and their standardised dosages.

    Those found on the way to be near one of them are marked.
    """
    most = int(np.clip(_HELD_VALUES // genotypes.participants, 1, _MOST_HELD))
    rows, held = [], np.empty((most, genotypes.participants), np.float32)
    for candidates in _chunks(np.flatnonzero(~near_independent), genotypes.chunk):
        dosages = genotypes(candidates)
        taken = len(rows)
        before = _r2(held[:taken], positions[rows], dosages, positions[candidates])
        among = _r2(dosages, positions[candidates], dosages, positions[candidates])
        is_near = (before >= INDEPENDENT_R2).any(axis=0)
        for place, row in enumerate(candidates):
            if is_near[place]:
                near_independent[row] = True
                continue
            if len(rows) == most:
                return np.array(rows), held
            held[len(rows)] = dosages[place]
            rows.append(row)
            near_independent[row] = True
            is_near |= among[place] >= INDEPENDENT_R2
    return np.array(rows), held[: len(rows)]


def _correlate_around(
    genotypes: "_Standardised",
    positions: np.ndarray,
    by_position: np.ndarray,
    batch: np.ndarray,
    held: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows within the window of any of a batch, and r² of the batch with them, (batch, rows)."""
    in_order = positions[by_position]
    is_around = np.zeros(len(positions), bool)
    starts = np.searchsorted(in_order, positions[batch] - LD_WINDOW)
    ends = np.searchsorted(in_order, positions[batch] + LD_WINDOW, side="right")
    for start, end in zip(starts, ends, strict=True):
        is_around[start:end] = True
    around = by_position[is_around]
    r2 = np.zeros((len(batch), len(around)), np.float32)
    for places in _chunks(np.arange(len(around)), genotypes.chunk):
        rows = around[places]
        low, high = positions[rows[0]] - LD_WINDOW, positions[rows[-1]] + LD_WINDOW
        linked = np.flatnonzero((positions[batch] >= low) & (positions[batch] <= high))
        r2[np.ix_(linked, places)] = _r2(
            held[linked], positions[batch[linked]], genotypes(rows), positions[rows]
        )
    return around, r2


def _r2(
    one: np.ndarray, one_positions: np.ndarray, other: np.ndarray, other_positions: np.ndarray
) -> np.ndarray:
    """r² of standardised dosages; 0 beyond the window."""
    r2 = (one @ other.T) ** 2
    r2[np.abs(one_positions[:, None] - other_positions) > LD_WINDOW] = 0
    return r2


def _chunks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


class _Standardised:
    """Rows of mean zero and unit length, covariates regressed out; missing values at the mean.

    As many rows as `_KEPT_BYTES` hold are read only once. `basis` is of the covariates, `one` the
    dosages of any variant, (1, n).
    """

    def __init__(
        self,
        read_dosages: Callable[[np.ndarray], np.ndarray],
        basis: np.ndarray,
        one: np.ndarray,
    ):
        self._read, self._kept, self._basis = read_dosages, {}, basis
        self.participants = one.shape[1]
        self._room = _KEPT_BYTES // max(one.nbytes, 1)
        self.chunk = int(np.clip(_CHUNK_VALUES // self.participants, 1, _LARGEST_CHUNK))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        dosages = self._dosages(rows)
        is_missing = np.isnan(dosages) if dosages.dtype.kind == "f" else dosages < 0
        values = dosages.astype(np.float32)
        values[is_missing] = 0
        known = values.shape[1] - is_missing.sum(axis=1, keepdims=True)
        values -= values.sum(axis=1, keepdims=True, dtype=np.float64) / np.maximum(known, 1)
        values[is_missing] = 0
        values -= (values @ self._basis) @ self._basis.T
        length = np.linalg.norm(values, axis=1, keepdims=True)
        values /= np.where(length > 0, length, 1)
        return values

    def _dosages(self, rows: np.ndarray) -> np.ndarray:
        unread = np.array([row for row in rows if row not in self._kept], dtype=int)
        fresh = {}
        if len(unread):
            fresh = dict(zip(unread.tolist(), self._read(unread), strict=True))
            for row in unread[: self._room - len(self._kept)].tolist():
                # A copy, or one row would keep its whole block in memory.
                self._kept[row] = fresh[row].copy()
        return np.stack([fresh[row] if row in fresh else self._kept[row] for row in rows.tolist()])
