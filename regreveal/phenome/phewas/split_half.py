"""Halves of the people, and a disease's direction in a latent space learnt in either half.

In one half, the direction from the centroid of controls to that of cases in the whitened latent
space; the other half is projected on it. The PheWAS tests that projection.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from regreveal.cluster import cluster_address, cluster_map
from regreveal.compute import available_cores
from regreveal.errors import InputError
from regreveal.phenome.phewas.logistic import LogisticRegressions, SharedCovariates
from regreveal.progress import track

# Worked on together: 8 MB an array and, of few people, so few phecodes that all cores have some.
# The same on any machine: what is added up together decides about the last digits.
PEOPLE_TIMES_PHECODES, PHECODES = 2**20, 32

Result = TypeVar("Result")


@dataclass(frozen=True)
class Block:
    """Some phecodes, with everybody on the directions of either half.

    Parameters
    ----------
    first : int
        The position of its first phecode among all.
    cases, controls : ndarray of bool, shape (2, b, n)
        By the half they are in.
    contrast : ndarray, shape (2, b, n)
        What each person of a half weighs in its direction: one over the cases of the half, minus
        one over its controls.
    directions : ndarray, shape (2, b, k)
    components : ndarray, shape (2, b, n)
        Each half on the direction of the *other*, standardised; zero for people not of the half.
    deviations : ndarray, shape (2, b, 1)
        Their standard deviation before.
    varying : ndarray of bool, shape (b,)
        False where a component is the same for everybody in a half.
    """

    first: int
    cases: np.ndarray
    controls: np.ndarray
    contrast: np.ndarray
    directions: np.ndarray
    components: np.ndarray
    deviations: np.ndarray
    varying: np.ndarray

    @property
    def status(self) -> np.ndarray:
        """What it was made of, (n, b): 1 case, 0 control, NaN neither."""
        known = np.where(self.controls.any(axis=0), 0.0, np.nan)
        return np.where(self.cases.any(axis=0), 1.0, known).T

    def regressions(self, shared: SharedCovariates) -> LogisticRegressions:
        """Give the regressions of the first half, then those of the second."""
        n = self.components.shape[2]
        cases, controls, components = (
            values.reshape(-1, n) for values in (self.cases, self.controls, self.components)
        )
        return LogisticRegressions(shared, components, cases, cases | controls)


@dataclass(frozen=True)
class SplitSpace:
    """A whitened latent space, the covariates, and the order in which people are halved.

    Parameters
    ----------
    whitened : ndarray, shape (n, k)
    shared : SharedCovariates
    order : ndarray of int, shape (n,)
    """

    whitened: np.ndarray
    shared: SharedCovariates
    order: np.ndarray

    @classmethod
    def of(
        cls,
        latents: np.ndarray,
        covariates: np.ndarray | None,
        sample_ids: pd.Index,
        seed: int,
    ) -> "SplitSpace":
        """Whiten latents and draw the order.

        Raises
        ------
        InputError
            As in `whiten`.
        """
        n = len(sample_ids)
        whitened = whiten(latents, covariates, n)
        shared = SharedCovariates(np.empty((n, 0)) if covariates is None else covariates)
        return cls(whitened, shared, random_order(sample_ids, seed))

    def block(self, status: np.ndarray, first: int = 0) -> Block:
        """Learn the directions of some phecodes.

        Parameters
        ----------
        status : ndarray, shape (n, b)
            1 case, 0 control, anything else neither; cases and controls in both halves.
        first : int
        """
        halves = split_halves(status, self.order).T
        cases = np.stack([(halves == half) & (status.T == 1) for half in (0, 1)])
        controls = np.stack([(halves == half) & (status.T == 0) for half in (0, 1)])
        contrast = cases / cases.sum(axis=2, keepdims=True)
        contrast -= controls / controls.sum(axis=2, keepdims=True)
        directions = contrast @ self.whitened
        components = directions[::-1] @ self.whitened.T
        included = cases | controls
        components *= included
        count = included.sum(axis=2, keepdims=True)
        size = np.sqrt(np.sum(components**2, axis=2, keepdims=True) / count)
        components -= included * (components.sum(axis=2, keepdims=True) / count)
        deviation = np.sqrt(np.sum(components**2, axis=2, keepdims=True) / count)
        varying = deviation > 1e-10 * size  # the rest is rounding
        deviation[~varying] = 1.0
        components /= deviation
        return Block(
            first, cases, controls, contrast, directions, components, deviation,
            varying.all(axis=(0, 2)),
        )  # fmt: skip

    def over_blocks(
        self, status: np.ndarray, work: Callable[[Block], Result], description: str
    ) -> Iterator[Result]:
        """Work on all phecodes, a block after the other, on all cores or a cluster.

        Parameters
        ----------
        status : ndarray, shape (n, phecodes)
        work : callable
            Of a `Block`; a function of a module, or a partial of one.
        description : str
            For the progress shown.

        Yields
        ------
        object
            What `work` gave, in the order of the phecodes.
        """
        size = max(1, min(PEOPLE_TIMES_PHECODES // len(status), PHECODES))
        starts = range(0, status.shape[1], size)

        def at(start):
            return start, status[:, start : start + size]

        of_block, described = partial(_of_block, self, work), f"{description}, {size} at once"
        if cluster_address():
            # Everybody's status may be larger than all else: workers get that of their blocks.
            blocks = ((start, in_bytes(columns)) for start, columns in map(at, starts))
            results = cluster_map(of_block, blocks, cluster_address())
            yield from track(results, described, len(starts))
            return
        # Each block is worked on by one thread: matrices this small gain nothing from more.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(available_cores()) as pool:
            results = pool.map(lambda start: of_block(at(start)), starts)
            yield from track(results, described, len(starts))


def _of_block(
    space: SplitSpace, work: Callable[[Block], Result], part: tuple[int, np.ndarray]
) -> Result:
    first, status = part
    return work(space.block(status, first))


def in_bytes(status: np.ndarray) -> np.ndarray:
    """Write a status in a byte each, for what travels: 1 case, 0 control, -1 neither."""
    return np.nan_to_num(status, nan=-1).astype(np.int8)


def whiten(latents: np.ndarray, covariates: np.ndarray | None, n: int) -> np.ndarray:
    """Take the covariates out of the latents and make them uncorrelated, of variance one.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    covariates : ndarray, shape (n, c), or None
        An intercept is added.
    n : int
        How many participants there should be.

    Returns
    -------
    ndarray, shape (n, rank)
        The rank is k, less latents that are constant or combinations of others.

    Raises
    ------
    InputError
        As in `phewas`.
    """
    latents = np.asarray(latents, np.float64)
    if latents.ndim != 2 or len(latents) != n or not n:
        raise InputError(
            f"phewas: latents have shape {latents.shape}; expected ({n}, dimensions), "
            "a row a participant"
        )
    design = np.ones((n, 1))
    if covariates is not None:
        if np.shape(covariates)[0] != n:
            raise InputError(f"phewas: {len(covariates)} rows of covariates for {n} participants")
        design = np.column_stack([design, covariates])
    for name, values in (("latents", latents), ("covariates", design)):
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise InputError(
                f"phewas: {name} have values that are not finite for {bad.sum()} of {n} "
                "participants; leave them out"
            )
    if n < 2 * (latents.shape[1] + design.shape[1]):
        raise InputError(
            f"phewas: {n} participants for {latents.shape[1]} dimensions and {design.shape[1]} "
            "covariates; expected at least twice as many"
        )
    basis = np.linalg.qr(design)[0]
    scale = latents.std(axis=0)
    residuals = latents - basis @ (basis.T @ latents)
    residuals -= basis @ (basis.T @ residuals)
    residuals /= np.where(scale > 0, scale, 1)
    eigenvalues, axes = np.linalg.eigh(residuals.T @ residuals / n)
    kept = eigenvalues > 1e-10
    if not kept.any():
        raise InputError("phewas: latents are constant or combinations of the covariates")
    return residuals @ axes[:, kept] / np.sqrt(eigenvalues[kept])


def split_halves(status: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Halve cases and controls separately.

    Parameters
    ----------
    status : ndarray, shape (n, phecodes)
    order : ndarray of int, shape (n,)
        A random order of the participants, in which they go to the halves by turns.

    Returns
    -------
    ndarray of int, shape (n, phecodes)
        0 or 1; -1 for those who are neither case nor control.
    """
    halves = np.full(status.shape, -1)
    for value in (0, 1):
        of_value = status[order] == value
        turn = np.cumsum(of_value, axis=0) % 2
        halves[order] = np.where(of_value, turn, halves[order])
    return halves


def random_order(sample_ids: pd.Index, seed: int) -> np.ndarray:
    """Shuffle the participants, the same way however they are ordered."""
    by_id = np.argsort(sample_ids.astype(str).to_numpy(), kind="stable")
    return by_id[np.random.default_rng(seed).permutation(len(by_id))]
