"""Whether a PheWAS is flat where there is nothing: uniform p, and errors of a family.

Diseases follow age and latents, and each other; each kind of null takes the latents' part away.
With --by-cases, diseases are nobody's in particular, or of age and sex alone, in latents that carry
both, and are told apart by their number of cases: shares of p, and of 95 % intervals of the odds
ratio, by the likelihood ratio and by Wald, that leave out 1. Then, given a component that does tell
of a disease, how often these intervals hold its odds ratio.

    python benchmarks/phenome/phewas_null.py
    python benchmarks/phenome/phewas_null.py --by-cases --phecodes 1500
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binomtest, kstest, norm

from regreveal.phenome.phewas.logistic import LogisticRegressions, SharedCovariates
from regreveal.phenome.phewas.null import KINDS, null_scans
from regreveal.phenome.phewas.scan import RARER_PER_COEFFICIENT, TWO_SIDED_95, scan
from regreveal.phenome.phewas.split_half import SplitSpace

# Cases, people, dimensions, and whether age and sex decide who is a case.
BY_CASES = [
    (22, 800, 12, False),
    (25, 800, 32, False),
    (60, 800, 12, False),
    (100, 800, 12, False),
    (240, 800, 32, False),
    (22, 3000, 12, False),
    (60, 3000, 12, False),
    (300, 3000, 32, False),
    (150, 1000, 12, True),
    (100, 800, 2, False),
]
# People, cases on average, and the log odds ratio of a standard deviation.
GIVEN = [(400, 24, 1.0), (3000, 300, 2.0)]


def simulate(people: int, phecodes: int, dimensions: int, tails: float, related: float, seed: int):
    """Make a space, and diseases of 20 cases to a fifth of the people."""
    generator = np.random.default_rng(seed)
    latents = generator.standard_normal((people, dimensions))
    if np.isfinite(tails):
        latents /= np.sqrt(generator.chisquare(tails, (people, 1)) / tails)
    age, sex = generator.normal(60, 8, people), generator.integers(0, 2, people)
    latents += 0.05 * (age - 60)[:, None]
    risk = latents @ generator.standard_normal((dimensions, phecodes)) / np.sqrt(dimensions)
    risk += 0.06 * (age - 60)[:, None] + generator.logistic(size=(people, phecodes))
    risk += related * generator.logistic(size=(people, 1))
    cases = np.geomspace(20, people / 5, phecodes).round().astype(int)
    status = np.zeros((people, phecodes), np.float32)
    for column, count in enumerate(cases):
        status[np.argsort(-risk[:, column])[:count], column] = 1
    ids = pd.Index([f"{row:07d}" for row in range(people)])
    space = SplitSpace.of(latents, np.column_stack([age, sex]), ids, seed)
    return space, pd.DataFrame(status, ids, [f"{column}" for column in range(phecodes)])


def by_cases(phecodes: int, seed: int) -> None:
    """Print a row for each of `BY_CASES`."""
    print("cases  people  k  of age and sex  method  < 0.05  < 0.01  without 1  Wald's  seconds")
    for cases, people, dimensions, confounded in BY_CASES:
        generator = np.random.default_rng(seed)
        age, sex = generator.normal(60, 8, people), generator.integers(0, 2, people)
        latents = generator.standard_normal((people, dimensions))
        latents += 0.05 * (age - 60)[:, None] + 0.5 * sex[:, None]
        risk = generator.logistic(size=(people, phecodes))
        if confounded:
            risk += 0.08 * (age - 60)[:, None] + 0.8 * sex[:, None]
        status = np.zeros((people, phecodes), np.float32)
        np.put_along_axis(status, np.argsort(-risk, axis=0)[:cases], 1, axis=0)
        ids = pd.Index([f"{row:07d}" for row in range(people)])
        space = SplitSpace.of(latents, np.column_stack([age, sex]), ids, seed)
        started = time.perf_counter()
        table = scan(space, pd.DataFrame(status, ids, [f"{i}" for i in range(phecodes)]))
        p = norm.sf(table["z"])
        outside = (table["low"] > 0) | (table["high"] < 0)
        wald = np.abs(table["beta"] / table["standard_error"]) > TWO_SIDED_95
        print(
            f"{cases:5}  {people:6}  {dimensions:2}  {confounded!s:5}  "
            f"{'/'.join(sorted(table['method'].unique()))}  {np.mean(p < 0.05):.3f}  "
            f"{np.mean(p < 0.01):.3f}  {outside.mean():.3f}  {wald.mean():.3f}  "
            f"{time.perf_counter() - started:5.1f}",
            flush=True,
        )


def _excess(intercept: float, risk: np.ndarray, share: float) -> float:
    """How far the mean probability is above a share."""
    return expit(intercept + risk).mean() - share


def given_component(draws: int, seed: int) -> None:
    """Print how often intervals hold a log odds ratio that is not 0, for each of `GIVEN`."""
    print("people  cases  log odds ratio  method  held  Wald's")
    for people, cases, effect in GIVEN:
        generator = np.random.default_rng(seed)
        covariates = np.column_stack(
            [generator.normal(size=people), generator.integers(0, 2, people)]
        )
        components = generator.standard_normal((draws, people))
        risk = effect * components + 0.3 * covariates[:, 0]
        intercept = brentq(_excess, -20, 5, args=(risk, cases / people))
        outcomes = generator.random((draws, people)) < expit(intercept + risk)
        shared = SharedCovariates(covariates)
        regressions = LogisticRegressions(shared, components, outcomes, np.ones_like(outcomes))
        firth = cases < RARER_PER_COEFFICIENT * (shared.count + 1)
        tests = regressions.test(firth)
        low, high = tests.interval(TWO_SIDED_95)
        wald = np.abs(tests.coefficient - effect) < TWO_SIDED_95 * tests.standard_error
        print(
            f"{people:6}  {cases:5}  {effect:14}  {'firth' if firth else 'logistic'}  "
            f"{np.mean((low < effect) & (effect < high)):.3f}  {wald.mean():.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1500)
    parser.add_argument("--phecodes", type=int, default=60)
    parser.add_argument("--dimensions", type=int, default=16)
    parser.add_argument("--tails", type=float, default=np.inf, help="Degrees of freedom of t.")
    parser.add_argument(
        "--related", type=float, default=0.0, help="Weight of a risk that all share."
    )
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--by-cases", action="store_true", help="Of diseases of few and many.")
    arguments = parser.parse_args()
    if arguments.by_cases:
        by_cases(arguments.phecodes, arguments.seed)
        given_component(arguments.phecodes, arguments.seed)
        return
    space, status = simulate(
        arguments.people, arguments.phecodes, arguments.dimensions,
        arguments.tails, arguments.related, arguments.seed,
    )  # fmt: skip
    print("null      tests   < 0.05  < 0.01  < 0.001  KS D    KS p   family-wise (95 %)    seconds")
    for kind in arguments.kinds:
        started = time.perf_counter()
        nulls = null_scans(space, status, [kind], arguments.repeats, arguments.seed)
        p = 10.0 ** -nulls["neg_log10_p"]
        uniform = kstest(p, "uniform")
        largest = nulls.groupby("repeat")["neg_log10_p"].max()
        tested = len(nulls) // arguments.repeats
        wrong = int(np.sum(largest > -np.log10(0.05 / tested)))
        low, high = binomtest(wrong, arguments.repeats).proportion_ci()
        print(
            f"{kind:8}  {len(p):6}  {np.mean(p < 0.05):.4f}  {np.mean(p < 0.01):.4f}  "
            f"{np.mean(p < 0.001):.5f}  {uniform.statistic:.4f}  {uniform.pvalue:.3f}  "
            f"{wrong / arguments.repeats:.3f} ({low:.3f} to {high:.3f})  "
            f"{time.perf_counter() - started:7.1f}"
        )


if __name__ == "__main__":
    main()
