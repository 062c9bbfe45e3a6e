"""Logistic regressions of many diseases at once, on covariates that they share.

By maximum likelihood, and Firth's where cases are few. Firth's penalty, half the log determinant of
the information, takes away the leading bias of the estimate and keeps it finite where a covariate
separates cases from controls. Both are tested by the signed root of their (penalised) likelihood
ratio, which stays right where Wald's test does not.

References
----------
Firth (1993), Biometrika 80:27; Heinze and Schemper (2002), Stat. Med. 21:2409;
docs/phewas.md, "Logistic regression of a phecode".
"""

from dataclasses import dataclass, fields

import numpy as np

from regreveal.phenome.phewas.newton import Fit, evaluate, maximise

REDUNDANT = 1e-9  # share of a covariate's variance that the ones before it leave


@dataclass(frozen=True)
class CoefficientTests:
    """One coefficient of each of m regressions, and its test.

    Parameters
    ----------
    coefficient, standard_error : ndarray, shape (m,)
        Log odds ratio a unit of the component; the error from the information at the estimate.
    z : ndarray, shape (m,)
        Signed root of the likelihood ratio, standard normal where the coefficient is zero.
    converged : ndarray of bool, shape (m,)
        False where there is no finite estimate, as with separated cases without Firth's penalty;
        the others are NaN there.
    """

    coefficient: np.ndarray
    standard_error: np.ndarray
    z: np.ndarray
    converged: np.ndarray

    def __getitem__(self, chosen) -> "CoefficientTests":
        """Choose some of the regressions."""
        return CoefficientTests(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def halves(self) -> tuple["CoefficientTests", "CoefficientTests"]:
        """Divide them into the first half and the second."""
        middle = len(self.z) // 2
        return self[:middle], self[middle:]

    def interval(self, quantile: float) -> tuple[np.ndarray, np.ndarray]:
        """Where the signed root of the likelihood ratio passes plus and minus a quantile.

        Parameters
        ----------
        quantile : float
            Of the standard normal distribution, such as 1.96.

        Returns
        -------
        low, high : ndarray, shape (m,)
            Of the coefficient. Zero is outside just where |z| exceeds the quantile, but for the
            rare z beyond which the parabola turns.

        References
        ----------
        docs/phewas.md, "Logistic regression of a phecode".
        """
        wald = self.coefficient / self.standard_error
        # Zero and the estimate near each other tell the bend badly, and zero is well inside then.
        bend = (self.z - wald) / np.maximum(wald**2, 1.0)

        def distance(root):
            radicand = np.maximum(1 + 4 * bend * root, 0.0)
            return self.standard_error * 2 * root / (1 + np.sqrt(radicand))

        return self.coefficient - distance(quantile), self.coefficient - distance(-quantile)


@dataclass(frozen=True)
class FittedComponents:
    """The component's coefficient in m regressions of n people.

    Parameters
    ----------
    coefficient, standard_error : ndarray, shape (m,)
        NaN where there is no finite estimate.
    residuals, weights : ndarray, shape (m, n)
        Outcome less probability (with Firth's term, where so fitted), and the variance of the
        outcome; zero for people who do not take part.
    reach : ndarray, shape (m, n)
        The component's row of the covariance matrix times the person's row of the design.
    """

    coefficient: np.ndarray
    standard_error: np.ndarray
    residuals: np.ndarray
    weights: np.ndarray
    reach: np.ndarray

    @property
    def influence(self) -> np.ndarray:
        """Derivative of the coefficient with respect to a person's weight, which is one: (m, n)."""
        return self.reach * self.residuals

    def __setitem__(self, chosen, other: "FittedComponents") -> None:
        """Put other fits in the place of some."""
        for field in fields(self):
            getattr(self, field.name)[chosen] = getattr(other, field.name)


class SharedCovariates:
    """Covariates of many regressions, with the products of every two.

    Parameters
    ----------
    covariates : ndarray, shape (n, c)
        Without an intercept, which is added in front. They are standardised.
    """

    def __init__(self, covariates: np.ndarray):
        covariates = np.asarray(covariates, np.float64)
        scale = covariates.std(axis=0)
        scaled = (covariates - covariates.mean(axis=0)) / np.where(scale > 0, scale, 1)
        self.design = np.column_stack([np.ones(len(covariates)), scaled])
        self.rows, self.columns = np.triu_indices(self.design.shape[1])
        self.products = self.design[:, self.rows] * self.design[:, self.columns]

    @property
    def count(self) -> int:
        """Columns of the design, the intercept among them."""
        return self.design.shape[1]

    def independent(self, included: np.ndarray) -> np.ndarray:
        """Say which covariates are not explained by those before them, among some of the people.

        Among people of one sex, the covariate sex is constant; in a half, a rare ancestry may be.

        Parameters
        ----------
        included : ndarray, shape (m, n)
            1 for people of a regression, 0 for others.

        Returns
        -------
        ndarray of bool, shape (m, c + 1)
        """
        left = self.symmetric(included.astype(np.float64) @ self.products)
        size = np.einsum("mii->mi", left).copy()
        kept = np.zeros((len(left), self.count), bool)
        for column in range(self.count):
            pivot = left[:, column, column]
            kept[:, column] = pivot > REDUNDANT * size[:, column]
            divisor = np.where(kept[:, column], pivot, 1.0)
            explained = left[:, :, column] * kept[:, column, None]
            left -= explained[:, :, None] * explained[:, None, :] / divisor[:, None, None]
        return kept

    def symmetric(self, sums: np.ndarray) -> np.ndarray:
        """Unfold weighted sums of products, (m, pairs), into matrices (m, c + 1, c + 1)."""
        matrices = np.empty((len(sums), self.count, self.count))
        matrices[:, self.rows, self.columns] = sums
        matrices[:, self.columns, self.rows] = sums
        return matrices

    def folded(self, matrices: np.ndarray) -> np.ndarray:
        """Fold symmetric matrices so that x'Mx is their product with the products of x."""
        folded = matrices[:, self.rows, self.columns].copy()
        folded[:, self.rows != self.columns] *= 2
        return folded


class LogisticRegressions:
    """Regressions of m outcomes, each on shared covariates and a component of its own.

    Parameters
    ----------
    shared : SharedCovariates
        Of n people.
    components : ndarray, shape (m, n)
    outcomes : ndarray of bool, shape (m, n)
        Hold both values among those included.
    included : ndarray of bool, shape (m, n)
        Who takes part in a regression.
    """

    def __init__(self, shared, components, outcomes, included):
        self.shared = shared
        self.components = np.asarray(components, np.float64)
        self.included = np.asarray(included, np.float64)
        self.outcomes = np.asarray(outcomes, np.float64) * self.included
        self.kept = np.column_stack(
            [shared.independent(self.included), np.ones(len(components), bool)]
        )

    def __len__(self) -> int:
        """Count the regressions."""
        return len(self.components)

    def subset(self, chosen: np.ndarray) -> "LogisticRegressions":
        """Keep some of the regressions, given by position or by a mask."""
        other = object.__new__(LogisticRegressions)
        other.shared = self.shared
        for name in ("components", "included", "outcomes", "kept"):
            setattr(other, name, getattr(self, name)[chosen])
        return other

    def test(self, firth: bool) -> CoefficientTests:
        """Test the component in each regression.

        Parameters
        ----------
        firth : bool
            Penalised likelihood, in the null model too (with the information of the whole design).

        Returns
        -------
        CoefficientTests
        """
        null, full = self._null_and_full(firth)
        ratio = np.maximum(2 * (full.likelihood - null.likelihood), 0.0)
        converged = null.converged & full.converged
        coefficient = np.where(converged, full.coefficients[:, -1], np.nan)
        return CoefficientTests(
            coefficient=coefficient,
            standard_error=np.sqrt(np.where(converged, full.covariance()[:, -1, -1], np.nan)),
            z=np.sign(coefficient) * np.sqrt(ratio),
            converged=converged,
        )

    def fit(self, firth: bool) -> "FittedComponents":
        """Estimate each component's coefficient, with what its influence is made of."""
        _, fit = self._null_and_full(firth)
        covariance = fit.covariance()
        last = covariance[:, -1]
        _, residuals, probability = evaluate(self, fit.coefficients, firth)
        return FittedComponents(
            coefficient=np.where(fit.converged, fit.coefficients[:, -1], np.nan),
            standard_error=np.sqrt(np.where(fit.converged, last[:, -1], np.nan)),
            residuals=residuals,
            weights=probability * (1 - probability) * self.included,
            reach=last[:, :-1] @ self.shared.design.T + last[:, -1:] * self.components,
        )

    def _null_and_full(self, firth: bool) -> tuple[Fit, Fit]:
        """Fit the models without and with the component."""
        without = self.kept.copy()
        without[:, -1] = False
        null = maximise(self, without, self._start(), firth)
        return null, maximise(self, self.kept, null.coefficients, firth)

    def _start(self) -> np.ndarray:
        """Give the coefficients of a model with an intercept only."""
        cases = self.outcomes.sum(axis=1)
        start = np.zeros(self.kept.shape)
        start[:, 0] = np.log(cases / (self.included.sum(axis=1) - cases))
        return start
