"""Ridge regression and logistic regression on latents, the penalty chosen by leaving one out.

Both leave the covariates, the intercept among them, unpenalised, and compare penalties by their
leave-one-out predictions: exact for the ridge, by one Newton step for the logistic model. Only the
participants fitted to choose a penalty, so a fit inside a fold knows no outcome of those held out.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from regreveal.phenome.probes.predictors import Predictors, Rotation

# Penalties are these times the number of participants: the eigenvalues of the standardised Gram
# matrix grow with it, so the same grid serves 100 and 40,000 of them.
RIDGE_PENALTIES = np.logspace(-5, 4, 28)
LOGISTIC_PENALTIES = np.logspace(-5, 4, 19)

FITTED_AT_ONCE = 64  # ridge regressions: a product with so many columns costs little more than one
REACH = 2  # steps of the grid over which a fit tells how well another penalty would do
STEPS_TO_NEIGHBOURS = 3
MAX_ROUNDS = 8
MAX_STEPS = 200
CONVERGED = 1e-16  # Newton decrement, a participant
SLOW = 0.25  # of the decrement before it: then the axes are turned to the weights of now


@dataclass(frozen=True)
class LinearFits:
    """Fitted linear predictors of t outcomes, and what is needed to say how people moved them.

    Parameters
    ----------
    rotation : Rotation
        Whose curvature is that of the fit: of half the squared error, or of minus the log
        likelihood.
    penalties : ndarray, shape (t,)
        Those chosen, λ in the objective's λ/2 Σ coefficients².
    on_axes : ndarray, shape (axes, t)
        Coefficients of the rotation's basis.
    residuals : ndarray, shape (n, t)
        Outcome less fitted value, or less fitted probability; 0 for those held out.
    """

    rotation: Rotation
    penalties: np.ndarray
    on_axes: np.ndarray
    residuals: np.ndarray

    @property
    def coefficients(self) -> np.ndarray:
        """Of the design, (c + k, t)."""
        return self.rotation.axes @ self.on_axes

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Linear predictor of some of all participants, (rows, t): the number, or the log odds."""
        return self.rotation.basis[rows] @ self.on_axes

    def influence(self, slopes: np.ndarray) -> np.ndarray:
        """Change of functions of the predictions with the weight of each fitted participant.

        Parameters
        ----------
        slopes : ndarray, shape (n, t)
            Derivative of each function with respect to each prediction.

        Returns
        -------
        ndarray, shape (n, t)
        """
        basis = self.rotation.basis
        moved = (basis.T @ slopes) * self.rotation.inverse(self.penalties)
        return (basis @ moved) * self.residuals


def fit_ridge(rotation: Rotation, outcomes: np.ndarray, fitted: np.ndarray) -> LinearFits:
    """Ridge regressions with the penalty of least leave-one-out squared error of each.

    Parameters
    ----------
    rotation : Rotation
        Of those fitted to.
    outcomes : ndarray, shape (n, t)
        Finite; of those not fitted to it does not matter.
    fitted : ndarray of bool, shape (n,)

    Returns
    -------
    LinearFits

    References
    ----------
    Golub, Heath and Wahba (1979), Technometrics 21:215; docs/probes.md, "Ridge".
    """
    basis, penalties = rotation.basis, fitted.sum() * RIDGE_PENALTIES
    outcomes = outcomes * fitted[:, None]
    moments = basis.T @ outcomes
    inverse = rotation.inverse(penalties)
    # Of those held out it could be anything, and they count nothing.
    kept_apart = fitted[:, None] / np.where(fitted[:, None], 1 - basis**2 @ inverse, 1)
    n, t = outcomes.shape
    errors = np.empty((len(penalties), t))
    together = max(1, FITTED_AT_ONCE // t)
    for first in range(0, len(penalties), together):
        some = slice(first, first + together)
        on_axes = moments[:, None, :] * inverse[:, some, None]
        left_out = (basis @ on_axes.reshape(len(moments), -1)).reshape(n, -1, t)
        left_out -= outcomes[:, None, :]
        left_out *= kept_apart[:, some, None]
        errors[some] = np.einsum("ipt,ipt->pt", left_out, left_out)
    chosen = penalties[errors.argmin(axis=0)]
    on_axes = moments * rotation.inverse(chosen)
    residuals = (outcomes - basis @ on_axes) * fitted[:, None]
    return LinearFits(rotation, chosen, on_axes, residuals)


def fit_ridge_logistic(
    predictors: Predictors,
    outcome: np.ndarray,
    fitted: np.ndarray,
    start: LinearFits | None = None,
    near: float | None = None,
) -> LinearFits:
    """L2-penalised logistic regression with the penalty of least leave-one-out deviance.

    The leave-one-out predictions are approximate: one Newton step from the fit to everybody. From
    each fit it is told, nearly as well, how neighbouring penalties would do; the best of them is
    fitted next, until a fit is the best of its neighbourhood.

    Parameters
    ----------
    predictors : Predictors
    outcome : ndarray of bool, shape (n,)
        Holds both values among those fitted to.
    fitted : ndarray of bool, shape (n,)
    start : LinearFits, optional
        Of one similar outcome, such as that of another fold, from which less is left to do. It
        lends its coefficients, which change nothing but the way to the maximum.
    near : float, optional
        Penalty, on the scale of squared errors, where the search begins: by default that of ridge
        regression of the outcome. It may decide between minima, so it must not know of those held
        out.

    Returns
    -------
    LinearFits

    References
    ----------
    Rad and Maleki (2020), J. R. Statist. Soc. B 82:965; docs/probes.md, "Logistic regression".
    """
    model = _Logistic(predictors, np.asarray(outcome, float), fitted)
    state, index = model.begin(start, near)
    deviances: dict[int, float] = {}
    settled = False
    while True:
        state = model.solve(state, model.penalties[index])
        if settled:
            break
        neighbours = np.arange(len(model.penalties))
        neighbours = neighbours[np.abs(neighbours - index) <= REACH]
        of_neighbours = model.left_out_deviances(state, model.penalties[neighbours])
        deviances[index] = of_neighbours[neighbours == index][0]
        best = int(neighbours[of_neighbours.argmin()])
        if best == index:
            break
        # Back at one that was fitted before: the better of those, each judged by its own fit.
        settled = best in deviances or len(deviances) == MAX_ROUNDS
        index = min(deviances, key=deviances.get) if settled else best
    return state


class _Logistic:
    """Log likelihood of one outcome, and steps towards its maximum."""

    def __init__(self, predictors: Predictors, outcome: np.ndarray, fitted: np.ndarray):
        self.predictors, self.outcome, self.fitted = predictors, outcome, fitted
        self.n = int(fitted.sum())
        self.penalties = self.n * LOGISTIC_PENALTIES

    def begin(self, start: LinearFits | None, near: float | None) -> tuple[LinearFits, int]:
        """Give a first state, and the place on the grid of the penalty to begin with."""
        rate = self.outcome[self.fitted].mean()
        # Near the null model the log likelihood curves rate·(1 − rate) times as the squared error
        # does.
        curves = rate * (1 - rate)
        if start is None or near is None:
            rotation = self.predictors.rotate(self.fitted)
            ridge = fit_ridge(rotation, (self.outcome - rate)[:, None], self.fitted)
            near = ridge.penalties[0]
        if start is None:
            null = np.zeros(len(rotation.axes))
            null[0] = np.log(rate / (1 - rate))
            on_axes = rotation.coordinates @ null + ridge.on_axes[:, 0] / curves
            rotation = replace(rotation, curvature=curves * rotation.curvature)
            start = replace(ridge, rotation=rotation, on_axes=on_axes[:, None])
        nearest = np.abs(np.log(self.penalties / (near * curves))).argmin()
        return start, int(nearest)

    def solve(self, state: LinearFits, penalty: float) -> LinearFits:
        """Climb to the maximum, and turn the axes to the weights there.

        Steps along given axes cost little; where they gain too little, the axes are turned to the
        weights of now, which makes the next one Newton's.
        """
        rotation, on_axes = state.rotation, state.on_axes[:, 0]
        predictor = rotation.basis @ on_axes
        last = np.inf
        for _ in range(MAX_STEPS):
            residuals = self._residuals(predictor)
            ridge = penalty * rotation.penalised
            gradient = rotation.basis.T @ residuals - ridge * on_axes
            direction = gradient / (rotation.curvature + ridge)
            decrement = gradient @ direction
            if decrement <= CONVERGED * self.n:
                break
            if decrement > SLOW * last:
                rotation, on_axes = self._turn(rotation, on_axes, predictor)
                last = np.inf
                continue
            last = decrement
            ahead = rotation.basis @ direction
            size = self._step_size(predictor, ahead, on_axes, direction, ridge)
            on_axes = on_axes + size * direction
            predictor = predictor + size * ahead
        rotation, on_axes = self._turn(rotation, on_axes, predictor)
        residuals = self._residuals(predictor)
        return LinearFits(rotation, np.array([penalty]), on_axes[:, None], residuals[:, None])

    def left_out_deviances(self, state: LinearFits, penalties: np.ndarray) -> np.ndarray:
        """Approximate half the leave-one-out deviance at penalties near the one fitted.

        Those near it are fitted by a few steps along the axes of the one fitted, with the curvature
        along each axis as it then is; at the one fitted, nothing is left to do.
        """
        rotation = state.rotation
        squares = rotation.basis**2
        outcome, fitted = self.outcome[:, None], self.fitted[:, None]
        ridge = np.outer(rotation.penalised, penalties)
        on_axes, curvature = state.on_axes, rotation.curvature[:, None]
        residuals = state.residuals
        for _ in range(STEPS_TO_NEIGHBOURS):
            gradient = rotation.basis.T @ residuals - ridge * on_axes
            on_axes = on_axes + gradient / (curvature + ridge)
            predictor = rotation.basis @ on_axes
            probability = expit(predictor)
            residuals = (outcome - probability) * fitted
            weights = probability * (1 - probability)
            curvature = squares.T @ (weights * fitted)
        reach = squares @ (1 / (curvature + ridge))
        # Those held out count nothing, and their reach could be anything.
        kept_apart = np.where(fitted, 1 - weights * reach, 1)
        left_out = predictor - reach / kept_apart * (outcome - probability)
        return self.fitted @ (np.logaddexp(0, left_out) - outcome * left_out)

    def _residuals(self, predictor: np.ndarray) -> np.ndarray:
        return (self.outcome - expit(predictor)) * self.fitted

    def _turn(
        self, rotation: Rotation, on_axes: np.ndarray, predictor: np.ndarray
    ) -> tuple[Rotation, np.ndarray]:
        probability = expit(predictor)
        turned = self.predictors.rotate_weighted(probability * (1 - probability) * self.fitted)
        return turned, turned.coordinates @ (rotation.axes @ on_axes)

    def _step_size(self, predictor, ahead, on_axes, direction, ridge) -> float:
        """Halve the step until the penalised likelihood rises."""
        before = self._objective(predictor, on_axes, ridge)
        size = 1.0
        while size > 1e-6:
            after = self._objective(predictor + size * ahead, on_axes + size * direction, ridge)
            # Near the maximum the rise is lost in the rounding of the sum.
            if after <= before + 1e-12 * abs(before):
                return size
            size /= 2
        return size

    def _objective(self, predictor: np.ndarray, on_axes: np.ndarray, ridge: np.ndarray) -> float:
        losses = np.logaddexp(0, predictor) - self.outcome * predictor
        return float(self.fitted @ losses + 0.5 * np.sum(ridge * on_axes**2))
