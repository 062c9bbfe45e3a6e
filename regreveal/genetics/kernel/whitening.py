"""Covariates and phenotypes made ready for projection: orthonormal, residual, whitened."""

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from regreveal.errors import InputError

# Rank decisions, on columns of unit length. Latents and dosages are stored in single precision, so
# what is left of a column below a millionth of its length is rounding.
COLLINEAR = 1e-6
NEARLY_COLLINEAR = 1e-4

# The same of a genotype design, as a share of its sum of squares.
SINGULAR = COLLINEAR**2


def covariate_basis(covariates: np.ndarray | pd.DataFrame | None, participants: int) -> np.ndarray:
    """Orthonormal basis of the covariates with the intercept taken out of them.

    Parameters
    ----------
    covariates : ndarray or DataFrame, shape (n, c - 1), or None
        Without an intercept.
    participants : int
        How many rows there must be.

    Returns
    -------
    ndarray, shape (n, c - 1)
        Orthogonal to the intercept.

    Raises
    ------
    InputError
        Wrong shape, values that are not finite, or a column that the intercept and the columns
        before it explain; the message names it.
    """
    if covariates is None:
        return np.empty((participants, 0))
    values, names = named_columns(covariates, "covariate")
    if len(values) != participants:
        raise InputError(
            f"covariates: {len(values)} rows for {participants} participants; expected as many"
        )
    _check_finite(values, names, "covariates")
    basis, kept = orthonormal_columns(values)
    if not kept.all():
        name = names[int(np.argmin(kept))]
        raise InputError(
            f"covariates: '{name}' is constant or a linear combination of those before it; "
            "leave it out"
        )
    return basis


def residuals(
    phenotypes: np.ndarray | pd.DataFrame, basis: np.ndarray, what: str
) -> tuple[np.ndarray, list[str]]:
    """Phenotypes with intercept and covariates regressed out.

    Parameters
    ----------
    phenotypes : ndarray or DataFrame, shape (n, k)
    basis : ndarray, shape (n, c - 1)
        From `covariate_basis`.
    what : str
        What the columns are, for messages and default names, such as "latent".

    Returns
    -------
    residuals : ndarray of float64, shape (n, k)
    names : list of str, length k

    Raises
    ------
    InputError
        Values that are not finite, a constant column, one that the covariates explain entirely,
        or too few participants.
    """
    values, names = named_columns(phenotypes, what)
    if not names:
        raise InputError(f"{what}s: no columns")
    _check_finite(values, names, f"{what}s")
    centred = values - values.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    constant = length <= COLLINEAR * np.maximum(np.abs(values).max(axis=0), 1e-30)
    if constant.any():
        raise InputError(
            f"{what}s: '{names[int(np.argmax(constant))]}' is constant "
            f"({constant.sum()} of {len(names)} columns are); leave such columns out"
        )
    rest = centred - basis @ (basis.T @ centred)
    rest -= basis @ (basis.T @ rest)
    explained = np.linalg.norm(rest, axis=0) <= COLLINEAR * length
    if explained.any():
        raise InputError(
            f"{what}s: '{names[int(np.argmax(explained))]}' is a linear combination of the "
            "covariates; nothing is left to test"
        )
    return rest - rest.mean(axis=0), names


def whiten(values: np.ndarray, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates with identity Gram matrix: Z and upper triangular R with values = Z R.

    Cholesky factorisation of the Gram matrix, applied twice, which costs matrix products only and
    is as orthogonal as Householder's method unless columns are nearly collinear; then that is used.

    Parameters
    ----------
    values : ndarray, shape (n, k)
    names : list of str, length k
        Of the columns, for the message.

    Returns
    -------
    coordinates : ndarray, shape (n, k)
    triangle : ndarray, shape (k, k)

    Raises
    ------
    InputError
        A column is a linear combination of those before it.

    References
    ----------
    Yamamoto et al. (2015), Electron. Trans. Numer. Anal. 44:306 (CholeskyQR2).
    """
    scale = np.linalg.norm(values, axis=0)
    coordinates, triangle = values / scale, np.eye(len(scale))
    try:
        for _ in range(2):
            factor = np.linalg.cholesky(coordinates.T @ coordinates)
            coordinates = solve_triangular(factor, coordinates.T, lower=True).T
            triangle = factor.T @ triangle
    except np.linalg.LinAlgError:
        left = np.zeros(1)
    else:
        left = np.abs(np.diagonal(triangle))
    if left.min() < NEARLY_COLLINEAR:
        coordinates, triangle = np.linalg.qr(values / scale)
        left = np.abs(np.diagonal(triangle))
    if (left < COLLINEAR).any():
        raise InputError(
            f"latents: '{names[int(np.argmax(left < COLLINEAR))]}' is a linear combination of the "
            f"dimensions before it ({(left < COLLINEAR).sum()} such); leave it out"
        )
    return coordinates, triangle * scale


def named_columns(table: np.ndarray | pd.DataFrame, what: str) -> tuple[np.ndarray, list[str]]:
    """Values of a table as (rows, columns) float64, and its column names or `what`_0, `what`_1…."""
    if isinstance(table, pd.DataFrame):
        return table.to_numpy(np.float64), [str(name) for name in table.columns]
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f"{what}s: shape {values.shape}; expected (participants, columns)")
    return values, [f"{what}_{column}" for column in range(values.shape[1])]


def orthonormal_columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis of centred columns, leaving out those that earlier ones explain.

    Parameters
    ----------
    values : ndarray, shape (n, c)

    Returns
    -------
    basis : ndarray, shape (n, kept.sum())
    kept : ndarray of bool, shape (c,)
    """
    basis = np.empty(values.shape)
    kept = np.zeros(values.shape[1], dtype=bool)
    for column, original in enumerate(values.T):
        vector = original - original.mean()
        length = np.linalg.norm(vector)
        so_far = basis[:, : kept.sum()]
        # Twice: one pass leaves rounding errors as large as what it took out.
        for _ in range(2):
            vector = vector - so_far @ (so_far.T @ vector)
            vector -= vector.mean()
        rest = np.linalg.norm(vector)
        if rest > COLLINEAR * max(length, np.abs(original).max(initial=0) * COLLINEAR):
            basis[:, kept.sum()] = vector / rest
            kept[column] = True
    return basis[:, : kept.sum()].copy(), kept


def _check_finite(values: np.ndarray, names: list[str], what: str) -> None:
    finite = np.isfinite(values).all(axis=0)
    if not finite.all():
        column = int(np.argmin(finite))
        count = int((~np.isfinite(values[:, column])).sum())
        raise InputError(
            f"{what}: '{names[column]}' is not finite for {count} of {len(values)} participants; "
            "leave them out or fill it in"
        )
