"""Penalised linear models of one target on latents, the penalty chosen by leaving one out.

Both fits clip the latents and standardise them, leave the intercept unpenalised, and compare
penalties by their leave-one-out predictions: exact for the ridge, by one Newton step for the
logistic model. Nothing but the rows given is looked at, so a fit inside a fold knows nothing of the
rows held out.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm

# Penalties are these times the number of participants: the eigenvalues of the standardised Gram
# matrix grow with it, so the same grid serves 100 and 40,000 of them.
RIDGE_PENALTIES = np.logspace(-5, 4, 28)
LOGISTIC_PENALTIES = np.logspace(-5, 4, 19)

# Deep latents have heavy tails, and one person far out would move a fit, and a score, more than a
# hundred others. They are clipped at this many standard deviations from the median, as the range
# from the 5th to the 95th percentile tells them: a deviation itself is led by those far out.
CLIP = 3.0
NINETY_PERCENT_OF_NORMAL = 2 * norm.ppf(0.95)

MAX_NEWTON_STEPS = 50


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear predictor, and what is needed to say how each participant moved it.

    Parameters
    ----------
    low, high : ndarray, shape (k,)
        What a latent is clipped at, before it is standardised.
    mean, scale : ndarray, shape (k,)
        What standardises a latent; scale is infinite for a constant one, which then counts nothing.
    coefficients : ndarray, shape (1 + k,)
        Intercept first, then those of the standardised latents.
    penalty : float
        The one chosen, λ in the objective's λ/2 Σ coefficients².
    hessian : ndarray, shape (1 + k, 1 + k)
        Of half the squared error, or of minus the log likelihood, plus the penalty.
    residuals : ndarray, shape (n,)
        Outcome less fitted value, or less fitted probability.
    """

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    penalty: float
    hessian: np.ndarray
    residuals: np.ndarray

    def design(self, latents: np.ndarray) -> np.ndarray:
        """Put a column of ones before the latents, clipped and standardised: (n, 1 + k)."""
        clipped = np.clip(latents, self.low, self.high)
        return np.column_stack([np.ones(len(latents)), (clipped - self.mean) / self.scale])

    def predict(self, latents: np.ndarray) -> np.ndarray:
        """Linear predictor of (n, k) latents: the number itself, or the log odds."""
        return self.design(latents) @ self.coefficients

    def influence(self, latents: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Change of a function of the coefficients with the weight of each fitted participant.

        Parameters
        ----------
        latents : ndarray, shape (n, k)
            Those it was fitted to.
        gradient : ndarray, shape (1 + k,)
            Of the function, with respect to the coefficients.

        Returns
        -------
        ndarray, shape (n,)
        """
        return self.design(latents) @ np.linalg.solve(self.hessian, gradient) * self.residuals


def fit_ridge(latents: np.ndarray, target: np.ndarray) -> LinearFit:
    """Ridge regression with the penalty of least leave-one-out squared error.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    target : ndarray, shape (n,)

    Returns
    -------
    LinearFit

    References
    ----------
    Golub, Heath and Wahba (1979), Technometrics 21:215; docs/phenome.md, "Ridge".
    """
    standardised, *standards = _standardise(latents)
    n = len(target)
    centred = target - target.mean()
    gram = standardised.T @ standardised
    eigenvalues, axes = np.linalg.eigh(gram)
    scores = standardised @ axes
    moments = scores.T @ centred

    penalties = n * RIDGE_PENALTIES
    shrinkage = 1 / (np.maximum(eigenvalues, 0)[:, None] + penalties)  # (k, penalties)
    residuals = centred[:, None] - scores @ (moments[:, None] * shrinkage)
    leverage = 1 / n + scores**2 @ shrinkage
    best = int(np.argmin(np.sum((residuals / (1 - leverage)) ** 2, axis=0)))

    coefficients = np.append(target.mean(), axes @ (moments * shrinkage[:, best]))
    hessian = np.diag(np.append(n, np.full(len(gram), penalties[best])))
    hessian[1:, 1:] += gram
    return LinearFit(*standards, coefficients, float(penalties[best]), hessian, residuals[:, best])


def fit_ridge_logistic(latents: np.ndarray, outcome: np.ndarray) -> LinearFit:
    """L2-penalised logistic regression with the penalty of least leave-one-out deviance.

    The leave-one-out predictions are approximate: one Newton step from the fit to everybody. The
    search starts at the penalty that is best for a ridge regression of the 0/1 outcome, and walks
    along the grid for as long as the deviance falls.

    Parameters
    ----------
    latents : ndarray, shape (n, k)
    outcome : ndarray of bool, shape (n,)
        Holds both values.

    Returns
    -------
    LinearFit

    References
    ----------
    Rad and Maleki (2020), J. R. Statist. Soc. B 82:965; docs/phenome.md, "Logistic regression".
    """
    standardised, *standards = _standardise(latents)
    n, k = standardised.shape
    outcome = np.asarray(outcome, float)
    design = np.column_stack([np.ones(n), standardised])
    rate = outcome.mean()
    coefficients = np.zeros(k + 1)
    coefficients[0] = np.log(rate / (1 - rate))
    # Near the null model the log likelihood curves rate·(1 − rate) times as the squared error does.
    start = fit_ridge(latents, outcome).penalty / n * rate * (1 - rate)
    start = int(np.argmin(np.abs(np.log(LOGISTIC_PENALTIES / start))))

    def try_penalty(index: int, coefficients: np.ndarray) -> tuple[float, LinearFit]:
        penalty = float(n * LOGISTIC_PENALTIES[index])
        coefficients, hessian = _newton(design, outcome, penalty, coefficients)
        predictor = design @ coefficients
        residuals = outcome - expit(predictor)
        reach = np.sum((design @ np.linalg.inv(hessian)) * design, axis=1)
        weight = np.abs(residuals) * (1 - np.abs(residuals))
        left_out = predictor - reach / (1 - weight * reach) * residuals
        fit = LinearFit(*standards, coefficients, penalty, hessian, residuals)
        return _minus_log_likelihood(left_out, outcome), fit

    best = start
    deviance, fit = try_penalty(start, coefficients)
    for direction in (-1, 1):
        while 0 <= best + direction < len(LOGISTIC_PENALTIES):
            trial_deviance, trial = try_penalty(best + direction, fit.coefficients)
            if trial_deviance >= deviance:
                break
            deviance, fit, best = trial_deviance, trial, best + direction
        if best < start:
            break  # it fell towards weaker penalties, so the stronger ones are worse
    return fit


def _standardise(latents: np.ndarray) -> tuple[np.ndarray, ...]:
    """Clip and standardise latents; also what they were clipped at and standardised by."""
    fifth, centre, last = np.quantile(latents, [0.05, 0.5, 0.95], axis=0)
    spread = (last - fifth) / NINETY_PERCENT_OF_NORMAL
    spread = np.where(spread > 0, spread, latents.std(axis=0))  # all but a few are the same
    low, high = centre - CLIP * spread, centre + CLIP * spread
    clipped = np.clip(latents, low, high)
    mean = clipped.mean(axis=0)
    centred = clipped - mean
    scale = np.sqrt(np.mean(centred**2, axis=0))
    scale[scale <= 1e-10 * np.abs(mean)] = np.inf  # constant, but for rounding
    return centred / scale, low, high, mean, scale


def _newton(
    design: np.ndarray, outcome: np.ndarray, penalty: float, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of largest penalised likelihood, and minus its Hessian one step before."""
    ridge = np.full(len(start), penalty)
    ridge[0] = 0

    def objective(coefficients):
        likelihood = _minus_log_likelihood(design @ coefficients, outcome)
        return likelihood + 0.5 * np.sum(ridge * coefficients**2)

    coefficients, value = start, objective(start)
    for _ in range(MAX_NEWTON_STEPS):
        probability = expit(design @ coefficients)
        gradient = design.T @ (probability - outcome) + ridge * coefficients
        hessian = (design * (probability * (1 - probability))[:, None]).T @ design
        hessian[np.diag_indices_from(hessian)] += ridge
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (trial := objective(coefficients - size * step)) > value and size > 1e-6:
            size /= 2
        coefficients, value = coefficients - size * step, trial
        if gradient @ step <= 1e-8 * len(outcome):
            break  # convergence is quadratic: after this step the error is in the last digits
    return coefficients, hessian


def _minus_log_likelihood(predictor: np.ndarray, outcome: np.ndarray) -> float:
    return float(np.sum(np.logaddexp(0, predictor) - outcome * predictor))
