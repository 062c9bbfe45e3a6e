"""Newton's method for many logistic regressions at once.

The steps of all regressions go together. What they share is the covariates: with the products of
every two of them in one matrix, the informations of all regressions are one matrix product of
weights and products, and so are the leverages of Firth's score. A step that would lower a
likelihood is halved, and a regression that has arrived is put aside, each for itself.

References
----------
docs/phewas.md, "Logistic regression of a phecode".
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from regreveal.phenome.phewas.logistic import LogisticRegressions

MAX_STEPS = 100
MAX_STEP = 5.0  # of any coefficient at once, in Firth's fit
TOLERANCE = 1e-12  # of the Newton decrement; Firth's fit converges linearly only
SEPARATED = 20.0  # log odds beyond which a maximum likelihood fit is taken to run away
PEOPLE_AT_ONCE = 512  # so that what is worked on stays in the processor's cache


@dataclass
class _Place:
    """Where m regressions stand, and what is needed to step on.

    coefficients, score (m, p); information (m, p, p), with the unit matrix for what is left out;
    likelihood (m,), penalised where so fitted; largest (m,), of the log odds.
    """

    coefficients: np.ndarray
    likelihood: np.ndarray
    score: np.ndarray
    information: np.ndarray
    largest: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> "_Place":
        return _Place(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def __setitem__(self, chosen: np.ndarray, other: "_Place") -> None:
        for field in fields(self):
            getattr(self, field.name)[chosen] = getattr(other, field.name)


@dataclass
class Fit:
    """Where the steps of m regressions of p coefficients ended.

    Parameters
    ----------
    coefficients : ndarray, shape (m, p)
    likelihood : ndarray, shape (m,)
        Its logarithm, penalised where so fitted.
    information : ndarray, shape (m, p, p)
        With the unit matrix for covariates that are left out.
    converged : ndarray of bool, shape (m,)
    """

    coefficients: np.ndarray
    likelihood: np.ndarray
    information: np.ndarray
    converged: np.ndarray

    def covariance(self) -> np.ndarray:
        """Invert the information, where there is one."""
        unit = np.eye(self.information.shape[1])
        return np.linalg.inv(np.where(self.converged[:, None, None], self.information, unit))


def maximise(
    regressions: "LogisticRegressions", moving: np.ndarray, start: np.ndarray, firth: bool
) -> Fit:
    """Maximise the likelihoods.

    Parameters
    ----------
    regressions : LogisticRegressions
        m of them, of p coefficients, the component's last.
    moving : ndarray of bool, shape (m, p)
        Coefficients that are not held where they start.
    start : ndarray, shape (m, p)
    firth : bool
        With Firth's penalty, whose information is that of all coefficients that are kept.

    Returns
    -------
    Fit
    """
    everyone = np.arange(len(regressions))
    place, _, _ = evaluate(regressions, start, firth)
    fit = Fit(start.copy(), place.likelihood.copy(), place.information.copy(), everyone < 0)
    for _ in range(MAX_STEPS):
        step = _newton_step(place, moving)
        decrement = np.sum(place.score * step, axis=1)
        done = decrement <= TOLERANCE
        ended = done if firth else done | (place.largest > SEPARATED)
        fit.coefficients[everyone[done]] = (place.coefficients + step)[done]
        fit.likelihood[everyone[done]] = place.likelihood[done]
        fit.information[everyone[done]] = place.information[done]
        fit.converged[everyone[done]] = True
        if ended.all():
            break
        if ended.any():
            everyone, moving, step = everyone[~ended], moving[~ended], step[~ended]
            regressions, place = regressions.subset(~ended), place[~ended]
        if firth:
            step *= MAX_STEP / np.maximum(np.abs(step).max(axis=1), MAX_STEP)[:, None]
        place = _climb(regressions, place, step, firth)
    return fit


def _newton_step(place: _Place, moving: np.ndarray) -> np.ndarray:
    information = place.information * (moving[:, :, None] & moving[:, None, :])
    diagonal = np.arange(moving.shape[1])
    information[:, diagonal, diagonal] += ~moving
    return np.linalg.solve(information, (place.score * moving)[:, :, None])[:, :, 0]


def _climb(regressions, place: _Place, step: np.ndarray, firth: bool) -> _Place:
    """Take the steps, or so much of each that its likelihood does not fall."""
    floor = place.likelihood - 1e-12 * np.abs(place.likelihood)
    reached, _, _ = evaluate(regressions, place.coefficients + step, firth)
    size = 1.0
    while size > 1e-6:
        fell = np.flatnonzero(~(reached.likelihood >= floor))
        if not len(fell):
            break
        size /= 2
        shorter = place.coefficients[fell] + size * step[fell]
        reached[fell], _, _ = evaluate(regressions.subset(fell), shorter, firth)
    return reached


def evaluate(
    regressions: "LogisticRegressions", coefficients: np.ndarray, firth: bool
) -> tuple[_Place, np.ndarray, np.ndarray]:
    """Find where regressions stand at coefficients (m, p).

    Returns
    -------
    place : _Place
    residuals, probability : ndarray, shape (m, n)
        Residuals with Firth's term, where so fitted; zero for people who do not take part.
    """
    shared, m = regressions.shared, len(regressions)
    p, n = shared.count + 1, len(shared.design)
    likelihood, largest = np.zeros(m), np.zeros(m)
    products = np.zeros((m, len(shared.rows)))
    with_component, of_component = np.zeros((m, shared.count)), np.zeros(m)
    probability = np.empty((m, n))
    for rows in _in_blocks(n):
        component, included = regressions.components[:, rows], regressions.included[:, rows]
        log_odds = coefficients[:, :-1] @ shared.design[rows].T
        log_odds += coefficients[:, -1:] * component
        size = np.abs(log_odds)
        np.maximum(largest, np.max(size * included, axis=1), out=largest)
        smaller = np.exp(-size)  # exp of what is negative cannot overflow
        larger = 1 / (1 + smaller)
        smaller *= larger
        probability[:, rows] = np.where(log_odds >= 0, larger, smaller)
        likelihood += np.einsum("mn,mn->m", regressions.outcomes[:, rows], log_odds)
        softplus = np.maximum(log_odds, 0)
        softplus -= np.log(larger)
        likelihood -= np.einsum("mn,mn->m", included, softplus)
        weight = np.multiply(smaller, larger, out=smaller)
        weight *= included
        products += weight @ shared.products[rows]
        weight *= component
        with_component += weight @ shared.design[rows]
        of_component += np.einsum("mn,mn->m", weight, component)
    information = np.empty((m, p, p))
    information[:, :-1, :-1] = shared.symmetric(products)
    information[:, -1, :-1] = information[:, :-1, -1] = with_component
    information[:, -1, -1] = of_component
    information *= regressions.kept[:, :, None] & regressions.kept[:, None, :]
    information[:, np.arange(p), np.arange(p)] += ~regressions.kept
    residuals = regressions.outcomes - probability * regressions.included
    if firth:
        likelihood += _penalise(regressions, information, probability, residuals)
    score = np.empty((m, p))
    score[:, :-1] = residuals @ shared.design
    score[:, -1] = np.einsum("mn,mn->m", residuals, regressions.components)
    return _Place(coefficients, likelihood, score, information, largest), residuals, probability


def _penalise(regressions, information, probability, residuals) -> np.ndarray:
    """Give Firth's penalty of the likelihood, (m,), and add its part to the residuals."""
    shared, kept = regressions.shared, regressions.kept
    sign, log_determinant = np.linalg.slogdet(information)
    sound = (sign > 0) & np.isfinite(log_determinant)
    inverse = np.linalg.inv(np.where(sound[:, None, None], information, np.eye(kept.shape[1])))
    inverse *= kept[:, :, None] & kept[:, None, :]
    folded = shared.folded(inverse[:, :-1, :-1])
    for rows in _in_blocks(len(shared.design)):
        component = regressions.components[:, rows]
        reach = inverse[:, -1, :-1] @ (2 * shared.design[rows].T)
        reach += inverse[:, -1:, -1] * component
        reach *= component
        reach += folded @ shared.products[rows].T
        of_block = probability[:, rows]
        reach *= of_block * (1 - of_block)  # the leverage, for those included
        reach *= 0.5 - of_block
        reach *= regressions.included[:, rows]
        residuals[:, rows] += reach
    return np.where(sound, 0.5 * log_determinant, -np.inf)


def _in_blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, PEOPLE_AT_ONCE):
        yield slice(start, min(start + PEOPLE_AT_ONCE, n))
