"""F-test p-values on the log scale, right however small they are."""

import numpy as np
from scipy import special

# scipy's survival function is trusted down to here; double precision itself ends at 1e-308.
SMALLEST_DIRECT = 1e-250

FRACTION_TOLERANCE = 1e-13
FRACTION_TERMS = 20_000


def neg_log10_f(f: np.ndarray, df1: np.ndarray, df2: np.ndarray) -> np.ndarray:
    """−log10 of the probability that an F variable exceeds `f`.

    With x = df2 / (df2 + df1·f) the probability is the regularised incomplete beta function
    I_x(df2/2, df1/2). Where that underflows, its logarithm comes from the continued fraction.

    Parameters
    ----------
    f : array_like
        F statistics, not negative; NaN gives NaN.
    df1, df2 : array_like
        Degrees of freedom, broadcast against `f`.

    Returns
    -------
    ndarray
        −log10 p, of the broadcast shape; infinite only where `f` is.

    References
    ----------
    NIST Digital Library of Mathematical Functions, 8.17.4 and 8.17.22.
    """
    f, df1, df2 = np.broadcast_arrays(
        np.asarray(f, dtype=float), np.asarray(df1, dtype=float), np.asarray(df2, dtype=float)
    )
    survival = special.fdtrc(df1, df2, f)
    result = np.full(f.shape, np.nan)
    # Near p = 1 the digits of −log p are those of the cumulative probability.
    upper = survival > 0.5
    result[upper] = -np.log1p(-special.fdtr(df1[upper], df2[upper], f[upper]))
    direct = (survival <= 0.5) & (survival > SMALLEST_DIRECT)
    result[direct] = -np.log(survival[direct])
    far = survival <= SMALLEST_DIRECT
    result[far] = -_log_survival_far_out(f[far], df1[far], df2[far])
    return np.abs(result) / np.log(10)


def _log_survival_far_out(f: np.ndarray, df1: np.ndarray, df2: np.ndarray) -> np.ndarray:
    """Log of I_x(a, b), a = df2/2, b = df1/2, for x far below a/(a + b)."""
    a, b = df2 / 2, df1 / 2
    with np.errstate(divide="ignore", over="ignore"):
        log_x = -np.log1p(df1 * f / df2)
        log_1_minus_x = -np.log1p(df2 / (df1 * f))
    fraction = _beta_fraction(a, b, np.exp(log_x))
    return a * log_x + b * log_1_minus_x - special.betaln(a, b) - np.log(a * fraction)


def _beta_fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Evaluate 1 + d₁/(1 + d₂/(1 + …)) of DLMF 8.17.22, by Lentz's method."""
    value = np.ones_like(x)
    numerator_ratio = np.ones_like(x)
    denominator_ratio = np.zeros_like(x)
    tiny = np.finfo(float).tiny
    for term in range(1, FRACTION_TERMS):
        m = term // 2
        if term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator_ratio = 1 / _away_from_zero(1 + d * denominator_ratio, tiny)
        numerator_ratio = _away_from_zero(1 + d / numerator_ratio, tiny)
        step = numerator_ratio * denominator_ratio
        value = value * step
        if np.all(np.abs(step - 1) < FRACTION_TOLERANCE):
            break
    return value


def _away_from_zero(values: np.ndarray, tiny: float) -> np.ndarray:
    return np.where(np.abs(values) < tiny, tiny, values)
