"""Blocks of dosages: what is in them, and as hard calls."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from regreveal.errors import InputError

# PLINK's --hard-call-threshold: a dosage farther from a whole number is no called genotype. The
# last millionth lets in 0.1 itself, which single precision does not hold.
HARD_CALL_MARGIN = 0.1 + 1e-6


def as_block(dosages: np.ndarray) -> np.ndarray:
    """Dosages as a contiguous block of int8, float32 or float64, (variants, participants)."""
    dosages = np.asarray(dosages)
    if dosages.ndim != 2:
        raise InputError(f"dosages: shape {dosages.shape}; expected (variants, participants)")
    if dosages.dtype in (np.int8, np.float32, np.float64):
        return np.ascontiguousarray(dosages)
    whole = dosages.astype(np.int8)
    if not np.array_equal(whole, dosages):
        raise no_whole_dosages(dosages)
    return np.ascontiguousarray(whole)


def whole_dosages(dosages: np.ndarray) -> np.ndarray:
    """Genotypes as int8, -1 where missing or where a fractional dosage calls none.

    Parameters
    ----------
    dosages : ndarray, shape (variants, n)
        0, 1, 2, and -1 where missing; or 0 to 2 in floating point, and NaN where missing, of which
        those within 0.1 of a whole number are called.

    Returns
    -------
    ndarray of int8, shape (variants, n)

    Raises
    ------
    InputError
        Values that are no dosages, or an array of another number of dimensions.
    """
    dosages = as_block(dosages)
    if dosages.dtype != np.int8:
        return hard_calls(dosages, 1)
    if dosages.size and (dosages.max() > 2 or dosages.min() < -1):
        raise no_whole_dosages(dosages)
    return dosages


def hard_calls(dosages: np.ndarray, threads: int) -> np.ndarray:
    """Call genotypes from fractional dosages, see `whole_dosages`."""
    from regreveal.genetics.kernel import loops

    calls = np.empty(dosages.shape, dtype=np.int8)
    right = in_parts(
        lambda first, last: loops.hard_calls(
            dosages[first:last], HARD_CALL_MARGIN, calls[first:last]
        ),
        len(dosages),
        threads,
    )
    if not all(right):
        raise _no_fractional_dosages(dosages)
    return calls


def summarise_dosages(
    dosages: np.ndarray, threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say what there is of fractional dosages.

    Parameters
    ----------
    dosages : ndarray of float, shape (variants, n)
        0 to 2, and NaN where missing.
    threads : int

    Returns
    -------
    nearest : ndarray of int64, shape (variants, 3)
        How many are nearest to 0, 1 and 2.
    mean : ndarray, shape (variants,)
        NaN where all are missing.
    info : ndarray, shape (variants,)
        MaCH's r², the variance over that of genotypes in Hardy-Weinberg equilibrium; 1 where all
        that are known are whole numbers, NaN where none is known.

    Raises
    ------
    InputError
        Values outside 0 to 2.

    References
    ----------
    Li et al. (2010), Genet. Epidemiol. 34:816 (r²).
    """
    from regreveal.genetics.kernel import loops

    nearest = np.empty((len(dosages), 3), dtype=np.int64)
    sums = np.empty((len(dosages), 3))
    right = in_parts(
        lambda first, last: loops.summarise(dosages, first, last, nearest, sums),
        len(dosages),
        threads,
    )
    if not all(right):
        raise _no_fractional_dosages(dosages)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, mean_square, between = sums.T / nearest.sum(axis=1)
        info = np.where(between == 0, 1.0, (mean_square - mean**2) / (mean * (1 - mean / 2)))
    return nearest, mean, info


def no_whole_dosages(dosages: np.ndarray) -> InputError:
    """Name the values that are no whole dosages."""
    return InputError(
        f"dosages: values from {dosages.min()} to {dosages.max()}; expected 0, 1, 2, "
        "and -1 where missing"
    )


def _no_fractional_dosages(dosages: np.ndarray) -> InputError:
    return InputError(
        f"dosages: values from {np.nanmin(dosages):g} to {np.nanmax(dosages):g}; expected 0 to 2, "
        "and NaN where missing"
    )


def in_parts(function: Callable[[int, int], object], count: int, threads: int) -> list:
    """Call with ranges that make up 0 to `count`, at the same time."""
    edges = np.linspace(0, count, min(threads, count) + 1).astype(int)
    return in_threads(lambda edge: function(*edge), list(pairwise(edges)), threads)


def in_threads(function: Callable, jobs: list, threads: int) -> list:
    """Call with each of the jobs, as many at the same time as there are threads."""
    if threads == 1 or len(jobs) == 1:
        return [function(job) for job in jobs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, jobs))
