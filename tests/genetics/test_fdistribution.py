import mpmath
import numpy as np
import pytest
from scipy import stats

from regreveal.genetics.fdistribution import neg_log10_f


def exact_neg_log10_f(f, df1, df2):
    """Sum the hypergeometric series of the incomplete beta function with 40 digits."""
    with mpmath.workdps(40):
        a, b = mpmath.mpf(df2) / 2, mpmath.mpf(df1) / 2
        x = mpmath.mpf(df2) / (df2 + df1 * mpmath.mpf(f))
        term = total = mpmath.mpf(1)
        n = 0
        while term > total * mpmath.mpf(10) ** -20:
            term *= (a + b + n) / (a + 1 + n) * x
            total += term
            n += 1
        log_beta = mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)
        log_p = a * mpmath.log(x) + b * mpmath.log(1 - x) - log_beta - mpmath.log(a)
        return float(-(log_p + mpmath.log(total)) / mpmath.log(10))


def f_with_neg_log10_p(wanted, df1, df2):
    low, high = 1e-6, 1e9
    for _ in range(80):
        middle = np.sqrt(low * high)
        low, high = (low, middle) if neg_log10_f(middle, df1, df2) > wanted else (middle, high)
    return low


@pytest.mark.parametrize("wanted", [1, 10, 249, 251, 300, 1000, 5000])
@pytest.mark.parametrize(
    ("df1", "df2"), [(1, 2950), (2, 3000), (32, 5900), (256, 37000), (2000, 1500)]
)
def test_p_values_are_right_far_below_what_a_double_holds(wanted, df1, df2):
    f = f_with_neg_log10_p(wanted, df1, df2)
    assert neg_log10_f(f, df1, df2) == pytest.approx(exact_neg_log10_f(f, df1, df2), rel=1e-11)


def test_ordinary_p_values_are_scipys():
    f = np.random.default_rng(0).f(6, 200, 1000)
    np.testing.assert_allclose(neg_log10_f(f, 6, 200), -np.log10(stats.f.sf(f, 6, 200)), rtol=1e-10)


def test_it_goes_on_smoothly_where_the_method_changes():
    f = np.linspace(10, 60, 4001)
    steps = np.diff(neg_log10_f(f, 16, 3000))
    assert (steps > 0).all()
    assert np.abs(np.diff(steps)).max() < 1e-3 * steps.max()


def test_zero_infinity_and_missing_pass_through():
    assert neg_log10_f(0.0, 2, 10) == 0
    assert np.isinf(neg_log10_f(np.inf, 2, 10))
    assert np.isnan(neg_log10_f(np.nan, 2, 10))


def test_near_one_p_keeps_its_digits():
    tiny = 1e-8
    expected = -np.log1p(-stats.f.cdf(tiny, 4, 100)) / np.log(10)
    assert neg_log10_f(tiny, 4, 100) == pytest.approx(expected, rel=1e-10)
