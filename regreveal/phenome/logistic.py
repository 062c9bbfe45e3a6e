"""Logistic regression of a disease: by maximum likelihood, and Firth's where cases are few.

Firth's penalty, half the log determinant of the information, takes away the leading bias of the
estimate and keeps it finite where a covariate separates cases from controls. Both are tested by
the signed root of their (penalised) likelihood ratio, which stays right where Wald's test does not.

References
----------
Firth (1993), Biometrika 80:27; Heinze and Schemper (2002), Stat. Med. 21:2409;
docs/phenome.md, "Logistic regression of a phecode".
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

MAX_STEPS = 100
MAX_STEP = 5.0  # of any coefficient at once, in Firth's fit
TOLERANCE = 1e-12  # of the Newton decrement; Firth's fit converges linearly only
SEPARATED = 20.0  # log odds beyond which a maximum likelihood fit is taken to run away


@dataclass(frozen=True)
class LogisticTest:
    """The coefficient of one column, and its test.

    Parameters
    ----------
    coefficient, standard_error : float
        Log odds ratio a unit of the column; the error from the information at the estimate.
    z : float
        Signed root of the likelihood ratio, standard normal where the coefficient is zero.
    converged : bool
        False where there is no finite estimate, as with separated cases without Firth's penalty.
    """

    coefficient: float
    standard_error: float
    z: float
    converged: bool

    def interval(self, quantile: float) -> tuple[float, float]:
        """Where the signed root of the likelihood ratio passes plus and minus a quantile.

        Parameters
        ----------
        quantile : float
            Of the standard normal distribution, such as 1.96.

        Returns
        -------
        low, high : float
            Of the coefficient. Zero is outside just where |z| exceeds the quantile, but for the
            rare z beyond which the parabola turns.

        References
        ----------
        docs/phenome.md, "Logistic regression of a phecode".
        """
        wald = self.coefficient / self.standard_error
        # Zero and the estimate near each other tell the bend badly, and zero is well inside then.
        bend = (self.z - wald) / max(wald**2, 1.0)

        def distance(root):
            radicand = max(1 + 4 * bend * root, 0.0)
            return self.standard_error * 2 * root / (1 + np.sqrt(radicand))

        return self.coefficient - distance(quantile), self.coefficient - distance(-quantile)


def coefficient_test(design: np.ndarray, outcome: np.ndarray, firth: bool = False) -> LogisticTest:
    """Test the last column of a logistic regression.

    Parameters
    ----------
    design : ndarray, shape (n, p)
        Intercept first; of full rank.
    outcome : ndarray of bool, shape (n,)
        Holds both values.
    firth : bool
        Penalised likelihood, in the null model too (with the information of the whole design).

    Returns
    -------
    LogisticTest
    """
    outcome = np.asarray(outcome, float)
    start = np.zeros(design.shape[1])
    start[0] = np.log(outcome.sum() / np.sum(1 - outcome))
    if firth:
        null, null_likelihood, _, null_converged = _fit_firth(design, outcome, start, free=-1)
        full, likelihood, information, converged = _fit_firth(design, outcome, null, free=None)
    else:
        covariates = design[:, :-1]
        null, null_likelihood, _, null_converged = _fit(covariates, outcome, start[:-1])
        full, likelihood, information, converged = _fit(design, outcome, np.append(null, 0.0))
    coefficient = full[-1]
    ratio = max(2 * (likelihood - null_likelihood), 0.0)
    if not (converged and null_converged):
        return LogisticTest(np.nan, np.nan, np.nan, False)
    error = np.sqrt(np.linalg.inv(information)[-1, -1])
    z = np.sign(coefficient) * np.sqrt(ratio)
    return LogisticTest(float(coefficient), float(error), float(z), True)


def _fit(design, outcome, start):
    """Maximum likelihood by Newton's method: coefficients, log likelihood, information, success."""
    coefficients, value = start, _log_likelihood(design @ start, outcome)
    for _ in range(MAX_STEPS):
        predictor = design @ coefficients
        if np.abs(predictor).max() > SEPARATED:
            return coefficients, value, None, False
        probability = expit(predictor)
        information = _information(design, probability)
        score = design.T @ (outcome - probability)
        step = np.linalg.solve(information, score)
        coefficients, value = _climb(
            lambda trial: _log_likelihood(design @ trial, outcome), coefficients, value, step
        )
        if score @ step <= TOLERANCE:
            information = _information(design, expit(design @ coefficients))
            return coefficients, value, information, True
    return coefficients, value, None, False


def _fit_firth(design, outcome, start, free):
    """As `_fit`, of the penalised likelihood; with `free` = -1 the last coefficient stays as is."""
    columns = slice(free)

    def penalised(coefficients):
        predictor = design @ coefficients
        sign, log_determinant = np.linalg.slogdet(_information(design, expit(predictor)))
        return _log_likelihood(predictor, outcome) + 0.5 * log_determinant if sign > 0 else -np.inf

    coefficients, value = start, penalised(start)
    for _ in range(MAX_STEPS):
        probability = expit(design @ coefficients)
        information = _information(design, probability)
        reach = np.sum((design @ np.linalg.inv(information)) * design, axis=1)
        leverage = reach * probability * (1 - probability)
        score = design.T @ (outcome - probability + leverage * (0.5 - probability))
        step = np.zeros(len(start))
        step[columns] = np.linalg.solve(information[columns, columns], score[columns])
        decrement = score @ step
        step *= MAX_STEP / max(np.abs(step).max(), MAX_STEP)
        coefficients, value = _climb(penalised, coefficients, value, step)
        if decrement <= TOLERANCE:
            information = _information(design, expit(design @ coefficients))
            return coefficients, value, information, True
    return coefficients, value, None, False


def _climb(objective, coefficients, value, step):
    """Take the step, or so much of it that the objective does not fall."""
    size, floor = 1.0, value - 1e-12 * abs(value)
    while (trial := objective(coefficients + size * step)) < floor and size > 1e-6:
        size /= 2
    return coefficients + size * step, trial


def _information(design: np.ndarray, probability: np.ndarray) -> np.ndarray:
    return (design * (probability * (1 - probability))[:, None]).T @ design


def _log_likelihood(predictor: np.ndarray, outcome: np.ndarray) -> float:
    return float(np.sum(outcome * predictor - np.logaddexp(0, predictor)))
