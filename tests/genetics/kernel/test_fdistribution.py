import mpmath
import numpy as np
import pytest
from scipy import stats

from regreveal.genetics.kernel.fdistribution import neg_log10_f


def exact_neg_log10_f(f, df1, df2):
    """With 40 digits: a finite sum for even df1, quadrature of the density for others."""
    with mpmath.workdps(40):
        a, b = mpmath.mpf(df2) / 2, mpmath.mpf(df1) / 2
        x = a / (a + b * mpmath.mpf(f))
        if df1 % 2:
            integral = mpmath.quad(
                lambda v: mpmath.exp(-v) * (1 - x * mpmath.exp(-v / a)) ** (b - 1),
                [0, 1e-6, 1e-4, 1e-2, 0.1, 1, 3, 10, 30, 100],
            )
            log_p = a * mpmath.log(x) + mpmath.log(integral / a / mpmath.beta(a, b))
        else:
            term = total = mpmath.mpf(1)
            for j in range(df1 // 2 - 1):
                term *= (a + j) / (j + 1) * (1 - x)
                total += term
            log_p = a * mpmath.log(x) + mpmath.log(total)
        return float(-log_p / mpmath.log(10))


def f_with_neg_log10_p(wanted, df1, df2):
    low, high = -30.0, 300.0
    for _ in range(60):
        middle = (low + high) / 2
        above = neg_log10_f(np.exp(middle), df1, df2) > wanted
        low, high = (low, middle) if above else (middle, high)
    return np.exp(low)


@pytest.mark.parametrize("wanted", [1e-4, 0.004, 0.005, 0.3, 3, 10, 249, 251, 300, 1000, 5000])
@pytest.mark.parametrize("df2", [100, 5900, 76_000, 800_000])
@pytest.mark.parametrize("df1", [1, 2, 64, 256, 512])
def test_p_values_are_right_far_below_what_a_double_holds(df1, df2, wanted):
    f = f_with_neg_log10_p(wanted, df1, df2)
    assert neg_log10_f(f, df1, df2) == pytest.approx(exact_neg_log10_f(f, df1, df2), rel=1e-10)


@pytest.mark.parametrize("df2", [99, 100, 101, 3000])
@pytest.mark.parametrize("log_ratio", [0.5, 0.99, 0.9999999, 1.0000001, 1.01, 2])
def test_one_degree_of_freedom_is_right_where_its_series_ends(log_ratio, df2):
    f = df2 * np.expm1(log_ratio)
    assert neg_log10_f(f, 1, df2) == pytest.approx(exact_neg_log10_f(f, 1, df2), rel=1e-12)


def test_the_series_for_one_degree_of_freedom_gives_what_the_general_way_gives():
    f = np.random.default_rng(1).f(1, 2000, (40, 500))
    f[0, :4] = [0, np.inf, np.nan, 1e300]
    general = neg_log10_f(f, np.ones_like(f), np.full_like(f, 2000))
    np.testing.assert_allclose(neg_log10_f(f, 1, 2000), general, rtol=1e-11)
    np.testing.assert_array_equal(neg_log10_f(f.T, 1, 2000), neg_log10_f(f, 1, 2000).T)


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
