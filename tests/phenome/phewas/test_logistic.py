import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize
from scipy.special import expit
from scipy.stats import chi2, norm

from regreveal.phenome.phewas.logistic import (
    CoefficientTests,
    LogisticRegressions,
    SharedCovariates,
)


def _people(n, columns, seed, rate=0.3):
    generator = np.random.default_rng(seed)
    design = np.column_stack([np.ones(n), generator.normal(size=(n, columns))])
    log_odds = np.log(rate / (1 - rate)) + design[:, 1:] @ generator.normal(size=columns) / 2
    return design, generator.random(n) < expit(log_odds)


def _test(design, outcome, firth=False):
    """Test the last column of one design, the first of which is the intercept."""
    everybody = np.ones((1, len(design)), bool)
    shared = SharedCovariates(design[:, 1:-1])
    regressions = LogisticRegressions(shared, design[:, -1][None], outcome[None], everybody)
    tests = regressions.test(firth)
    return CoefficientTests(*(values[0] for values in vars(tests).values()))


@pytest.mark.parametrize(("n", "columns"), [(200, 1), (500, 4), (5000, 12)])
def test_maximum_likelihood_is_that_of_statsmodels(n, columns):
    design, outcome = _people(n, columns, seed=n)
    test = _test(design, outcome)
    full = sm.Logit(outcome, design).fit(disp=0, tol=1e-12)
    null = sm.Logit(outcome, design[:, :-1]).fit(disp=0, tol=1e-12)
    assert test.coefficient == pytest.approx(full.params[-1], abs=1e-6)
    assert test.standard_error == pytest.approx(full.bse[-1], abs=1e-6)
    assert test.z**2 == pytest.approx(2 * (full.llf - null.llf), abs=1e-6)
    assert np.sign(test.z) == np.sign(test.coefficient)


@pytest.mark.parametrize("firth", [False, True])
@pytest.mark.parametrize(("rate", "seed"), [(0.1, 5), (0.1, 6), (0.4, 7), (0.05, 8)])
def test_the_interval_is_near_that_of_the_profile_likelihood(firth, rate, seed):
    design, outcome = _people(200, 2, seed=seed, rate=rate)
    test = _test(design, outcome, firth)

    def root(value):
        """Signed root of the likelihood ratio between the estimate and a given coefficient."""

        def minus_likelihood(others):
            predictor = design @ np.append(others, value)
            p = expit(predictor)
            penalty = 0.0
            if firth:
                penalty = 0.5 * np.linalg.slogdet((design * (p * (1 - p))[:, None]).T @ design)[1]
            return np.sum(np.logaddexp(0, predictor) - outcome * predictor) - penalty

        return minimize(minus_likelihood, np.zeros(2), method="BFGS", options={"gtol": 1e-8}).fun

    best = root(test.coefficient)
    for limit, side in zip(test.interval(1.96), (-1, 1), strict=True):
        profile = brentq(
            lambda value: 2 * (root(value) - best) - 1.96**2,
            test.coefficient,
            test.coefficient + side * 6 * test.standard_error,
        )
        assert limit == pytest.approx(profile, abs=0.2 * test.standard_error)


@given(st.floats(-4, 4), st.floats(0.1, 2), st.floats(0.8, 1.2))
def test_the_interval_leaves_out_zero_where_the_test_says_so(wald, error, ratio):
    test = CoefficientTests(wald * error, error, wald * ratio, converged=True)
    low, high = test.interval(1.96)
    assert low < test.coefficient < high
    if abs(abs(test.z) - 1.96) > 1e-6 and abs(wald) > 1:
        assert (low > 0 or high < 0) == (abs(test.z) > 1.96)


def test_separated_cases_have_no_maximum_likelihood_estimate():
    design = np.column_stack([np.ones(40), np.arange(40.0)])
    outcome = np.arange(40) >= 30
    assert not _test(design, outcome).converged
    firth = _test(design, outcome, firth=True)
    assert firth.converged
    assert np.isfinite(firth.standard_error)
    assert firth.z > 3


@pytest.mark.parametrize("table", [(7, 13, 5, 15), (0, 20, 6, 14), (0, 10, 10, 0), (3, 0, 2, 40)])
def test_firth_of_a_two_by_two_table_adds_a_half_to_each_cell(table):
    # For a saturated model Jeffreys' penalty is half an observation a cell (Firth 1993, section 3).
    cases_without, controls_without, cases_with, controls_with = table
    exposed = np.repeat([0, 0, 1, 1], table)
    outcome = np.repeat([1, 0, 1, 0], table).astype(bool)
    test = _test(np.column_stack([np.ones(len(exposed)), exposed]), outcome, firth=True)
    a, b, c, d = (cell + 0.5 for cell in table)
    assert test.coefficient == pytest.approx(np.log(c * b / (d * a)), abs=1e-6)
    # The error is of the data's information at that estimate.
    n_without, n_with = cases_without + controls_without, cases_with + controls_with
    p, q = a / (a + b), c / (c + d)
    variance = 1 / (n_without * p * (1 - p)) + 1 / (n_with * q * (1 - q))
    assert test.standard_error == pytest.approx(np.sqrt(variance), abs=1e-6)

    # Without the effect, the penalty is one observation more on either side.
    def likelihood(p, q):
        plain = cases_without * np.log(p) + controls_without * np.log(1 - p)
        plain += cases_with * np.log(q) + controls_with * np.log(1 - q)
        return plain + 0.5 * np.log(n_without * p * (1 - p) * n_with * q * (1 - q))

    r = (cases_without + cases_with + 1) / (len(outcome) + 2)
    assert test.z**2 == pytest.approx(2 * (likelihood(p, q) - likelihood(r, r)), abs=1e-6)


# logistf's example sex2, urinary tract infections of 239 college women: age, oc, vic, vicl, vis and
# dia of a pattern, and how many with it were cases and controls.
SEX2 = [
    ("000010", 1, 1),
    ("001000", 14, 2),
    ("001010", 3, 1),
    ("001100", 10, 8),
    ("001110", 12, 18),
    ("001111", 1, 0),
    ("010000", 44, 42),
    ("010001", 3, 0),
    ("010010", 0, 1),
    ("011000", 15, 1),
    ("011001", 1, 0),
    ("011010", 2, 0),
    ("011100", 7, 5),
    ("011110", 3, 6),
    ("101000", 2, 0),
    ("101010", 1, 0),
    ("101011", 1, 0),
    ("101100", 1, 2),
    ("101110", 0, 4),
    ("101111", 1, 0),
    ("110000", 5, 14),
    ("110010", 0, 1),
    ("111000", 3, 1),
    ("111110", 0, 2),
]
# What R's logistf prints of each: the coefficient and the chi-square of the penalised likelihood
# ratio (the example of Heinze and Schemper 2002).
LOGISTF = {
    "age": (-1.10598131, 7.50773092),
    "oc": (-0.06881673, 0.02467044),
    "vic": (2.26887464, 22.93139022),
    "vicl": (-2.11140817, 19.10407252),
    "vis": (-0.78831694, 3.69740975),
    "dia": (3.09601166, 7.89693139),
}


def test_firth_gives_what_logistf_publishes_of_its_example():
    patterns = [[int(digit) for digit in pattern] for pattern, *_ in SEX2]
    people = np.repeat(np.tile(patterns, (2, 1)), np.array(SEX2)[:, 1:].astype(int).T.ravel(), 0)
    cases = np.arange(len(people)) < sum(cases for _, cases, _ in SEX2)
    assert (len(people), cases.sum()) == (239, 130)
    for column, (coefficient, chi_square) in enumerate(LOGISTF.values()):
        others = np.delete(people, column, axis=1)
        design = np.column_stack([np.ones(239), others, people[:, column]])
        test = _test(design, cases, firth=True)
        assert test.coefficient == pytest.approx(coefficient, abs=1e-6)
        assert test.z**2 == pytest.approx(chi_square, abs=1e-6)


def test_many_at_once_are_those_of_statsmodels_one_by_one():
    """Fifty outcomes of one to fifty per cent, in people of their own, one in five of one sex."""
    generator = np.random.default_rng(41)
    n, m = 1500, 50
    covariates = np.column_stack(
        [generator.normal(60, 8, n), generator.integers(0, 2, n), generator.random(n) < 0.1]
    )
    components = generator.normal(size=(m, n))
    included = generator.random((m, n)) < 0.7
    included[::5] &= covariates[:, 1] == 1
    rate = np.linspace(-3.5, 0, m)[:, None] + (covariates[:, 0] - 60) / 16 + 0.2 * components
    outcomes = generator.random((m, n)) < expit(rate)
    regressions = LogisticRegressions(SharedCovariates(covariates), components, outcomes, included)
    tests = regressions.test(firth=False)
    assert tests.converged.sum() >= 45
    for j in np.flatnonzero(tests.converged):
        columns = [0, 2] if j % 5 == 0 else [0, 1, 2]
        design = sm.add_constant(np.column_stack([covariates[:, columns], components[j]]))
        design, outcome = design[included[j]], outcomes[j, included[j]]
        full = sm.Logit(outcome, design).fit(disp=0, tol=1e-12)
        null = sm.Logit(outcome, design[:, :-1]).fit(disp=0, tol=1e-12)
        assert tests.coefficient[j] == pytest.approx(full.params[-1], abs=1e-6)
        assert tests.standard_error[j] == pytest.approx(full.bse[-1], abs=1e-6)
        p = 2 * norm.sf(abs(tests.z[j]))
        assert p == pytest.approx(chi2.sf(2 * (full.llf - null.llf), 1), abs=1e-6)
        assert p == pytest.approx(chi2.sf(2 * (full.llf - null.llf), 1), rel=1e-5)


@pytest.mark.parametrize("firth", [False, True])
def test_an_influence_is_what_leaving_somebody_out_does(firth):
    design, outcome = _people(400, 3, seed=43)
    shared, component = SharedCovariates(design[:, 1:-1]), design[:, -1][None]
    included = np.ones((1, 400), bool)
    whole = LogisticRegressions(shared, component, outcome[None], included)
    fitted = whole.fit(firth)
    coefficient, influence = fitted.coefficient, fitted.influence
    assert coefficient == pytest.approx(whole.test(firth).coefficient, abs=1e-6)
    for person in range(0, 400, 37):
        without = included.copy()
        without[0, person] = False
        left = LogisticRegressions(shared, component, outcome[None], without).test(firth)
        change = coefficient[0] - left.coefficient[0]
        assert influence[0, person] == pytest.approx(change, rel=0.15, abs=2e-4)


def test_firth_maximises_the_penalised_likelihood():
    design, outcome = _people(60, 3, seed=2, rate=0.1)

    def objective(coefficients):
        p = expit(design @ coefficients)
        information = (design * (p * (1 - p))[:, None]).T @ design
        likelihood = np.sum(np.where(outcome, np.log(p), np.log(1 - p)))
        return -likelihood - 0.5 * np.linalg.slogdet(information)[1]

    def best(start, free):
        def restricted(values):
            return objective(np.append(values, np.zeros(4 - free)))

        return minimize(restricted, start[:free], method="BFGS", options={"gtol": 1e-7})

    full, null = best(np.zeros(4), 4), best(np.zeros(4), 3)
    test = _test(design, outcome, firth=True)
    assert test.coefficient == pytest.approx(full.x[-1], abs=1e-4)
    assert test.z**2 == pytest.approx(2 * (null.fun - full.fun), abs=1e-6)


def test_firth_takes_the_small_sample_bias_away():
    # Twelve people in a hundred are cases; the log odds ratio is 1.
    generator = np.random.default_rng(3)
    estimates = []
    for _ in range(400):
        exposure = generator.normal(size=100)
        outcome = generator.random(100) < expit(-2.4 + exposure)
        design = np.column_stack([np.ones(100), generator.normal(size=(100, 3)), exposure])
        if outcome.any():
            estimates.append([_test(design, outcome, f).coefficient for f in (0, 1)])
    plain, firth = np.nanmean(estimates, axis=0)
    assert plain > 1.08
    assert firth == pytest.approx(1, abs=0.06)
