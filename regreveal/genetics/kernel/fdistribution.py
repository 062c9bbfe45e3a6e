"""F-test p-values on the log scale, right however small they are, and quick by the million."""

from functools import lru_cache
from math import factorial

import numpy as np
from scipy import special

# scipy's survival function is trusted down to here; double precision itself ends at 1e-308.
SMALLEST_DIRECT = 1e-250

# Above, the digits of −log p are those of the cumulative probability.
NEARLY_ONE = 0.99

FRACTION_TOLERANCE = 1e-13
FRACTION_TERMS = 20_000

# Where the series for one numerator degree of freedom holds to 1e-13: its terms fall as (w/2π)²ⁿ,
# w = log(1 + f/df2), and those left out as n!/df2ⁿ.
SERIES_TERMS = 8
SERIES_LARGEST_LOG = 1.0
SERIES_SMALLEST_DF2 = 100

# Values worked on at a time: intermediate results stay in the processor's cache.
CHUNK = 8192


def neg_log10_f(f: np.ndarray, df1: np.ndarray, df2: np.ndarray) -> np.ndarray:
    """−log10 of the probability that an F variable exceeds `f`.

    With x = df2 / (df2 + df1·f) the probability is the regularised incomplete beta function
    I_x(df2/2, df1/2). Where that underflows, its logarithm comes from the continued fraction. With
    single numbers for `df1` = 1 and `df2`, as for the effects on every dimension, it comes from a
    series that is several times as quick.

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
    if np.ndim(df1) == np.ndim(df2) == 0 and df1 == 1 and df2 >= SERIES_SMALLEST_DF2:
        return _neg_log_t(np.asarray(f, dtype=float), float(df2)) / np.log(10)
    f, df1, df2 = np.broadcast_arrays(
        np.asarray(f, dtype=float), np.asarray(df1, dtype=float), np.asarray(df2, dtype=float)
    )
    return _neg_log_survival(f.ravel(), df1.ravel(), df2.ravel()).reshape(f.shape) / np.log(10)


def _neg_log_survival(f: np.ndarray, df1: np.ndarray, df2: np.ndarray) -> np.ndarray:
    survival = special.fdtrc(df1, df2, f)
    with np.errstate(divide="ignore"):
        result = -np.log(survival)
    upper = survival > NEARLY_ONE
    if upper.any():
        result[upper] = -np.log1p(-special.fdtr(df1[upper], df2[upper], f[upper]))
    far = survival <= SMALLEST_DIRECT
    if far.any():
        result[far] = -_log_survival_far_out(f[far], df1[far], df2[far])
    return np.abs(result)


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


def _neg_log_t(f: np.ndarray, df2: float) -> np.ndarray:
    """−log p with one numerator degree of freedom.

    With w = log(1 + f/df2) and T = df2/2 − 1/4 the probability is proportional to the integral over
    s from w to infinity of exp(−T s) (2 sinh(s/2))^(−1/2). Expanding the power of sinh in s leaves
    incomplete gamma functions, all of which recurrence brings down to erfc(√(T w)):

        p = exp(−T w) [erfcx(√(T w)) + √(T w/π) · polynomial(w)]

    References
    ----------
    DiDonato & Morris (1992), ACM Trans. Math. Softw. 18:360, section 9 (the expansion).
    """
    shape_parameter = df2 / 2 - 0.25
    coefficients = _t_polynomial(df2)
    result = np.empty(f.size)
    flat = f.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        w = np.log1p(flat[start : start + CHUNK] / df2)
        u = shape_parameter * w
        root = np.sqrt(u)
        # Infinities and overflow arise only where the series is not used.
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            polynomial = np.full(w.shape, coefficients[0])
            for coefficient in coefficients[1:]:
                polynomial *= w
                polynomial += coefficient
            polynomial *= root
            polynomial += special.erfcx(root)
            chunk = u - np.log(polynomial)
        # Too near one for the logarithm's digits, or outside the series.
        rest = (chunk < -np.log(NEARLY_ONE)) | (w > SERIES_LARGEST_LOG)
        if rest.any():
            left = flat[start : start + CHUNK][rest]
            degrees = np.full(left.shape, df2)
            chunk[rest] = _neg_log_survival(left, np.ones_like(left), degrees)
        result[start : start + CHUNK] = chunk
    return result.reshape(f.shape)


@lru_cache
def _t_polynomial(df2: float) -> np.ndarray:
    """Coefficients of the polynomial in `_neg_log_t`, over √π, the highest power first.

    (sinh(s/2) / (s/2))^(−1/2) = Σ pₙ (s/2)²ⁿ, and Γ(2n + ½, u) is (½)₂ₙ Γ(½, u) plus
    exp(−u) √u Σ (½)₂ₙ / (½)ⱼ₊₁ uʲ, j from 0 to 2n − 1. That p = 1 at w = 0 gives the scale.
    """
    shape_parameter = df2 / 2 - 0.25
    b = 0.5
    series = [1.0]
    for n in range(1, SERIES_TERMS + 1):
        lower = sum((m * b - n) * series[n - m] / factorial(2 * m + 1) for m in range(1, n))
        series.append((b - 1) / factorial(2 * n + 1) + lower / n)
    scale = 0.0
    powers = np.zeros(2 * SERIES_TERMS)
    for n, p in enumerate(series):
        rising = special.poch(b, 2 * n)
        share = p / 4**n * rising
        scale += share / shape_parameter ** (2 * n)
        for j in range(2 * n):
            powers[j] += share / special.poch(b, j + 1) * shape_parameter ** (j - 2 * n)
    return powers[::-1] / scale / np.sqrt(np.pi)
