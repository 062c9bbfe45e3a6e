"""How long a PheWAS takes, against statsmodels' Logit fit by fit on the same computations.

Phecodes are drawn with prevalences as of a biobank's (log-uniform from 22 cases to a fifth of the
people), with related people excluded and some limited to one sex; latents know of them. Of a sample
of phecodes each regression is made again by statsmodels, by maximum likelihood even where ours is
Firth's, and coefficients and p-values are compared with ours by maximum likelihood. Ratios are of
processor time, which others on the machine disturb least.
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.stats import chi2, norm
from threadpoolctl import threadpool_limits

from regreveal.phenome.phewas.scan import scan
from regreveal.phenome.phewas.split_half import SplitSpace


def simulate(people: int, phecodes: int, dimensions: int, covariates: int, seed: int):
    """Latents, covariates (the second is sex) and status."""
    generator = np.random.default_rng(seed)
    latents = generator.standard_normal((people, dimensions))
    known = generator.standard_normal((people, covariates))
    known[:, 1] = generator.integers(0, 2, people)
    latents += 0.2 * known[:, :1]
    cases = np.exp(generator.uniform(np.log(22), np.log(people / 5), phecodes)).astype(int)
    status = np.zeros((people, phecodes), np.float32)
    for column, count in enumerate(cases):
        risk = 0.4 * known[:, 0] + 0.2 * latents[:, column % dimensions]
        order = np.argsort(-(risk + generator.logistic(size=people)))
        status[order[:count], column] = 1
        status[order[count : count + count // 3], column] = np.nan
        if column % 10 == 0:
            status[known[:, 1] == 0, column] = np.nan
    ids = pd.Index([f"{row:07d}" for row in range(people)])
    return latents, known, pd.DataFrame(status, ids, [f"{j}" for j in range(phecodes)])


def by_statsmodels(space: SplitSpace, status: pd.DataFrame, known: np.ndarray, columns) -> tuple:
    """Fit some phecodes by maximum likelihood, together and one by one by statsmodels.

    Returns
    -------
    ours, theirs : float
        Seconds of processor time a phecode: two halves, each without and with the component.
    beta, p : float
        Largest differences of coefficient and p.
    """
    columns = list(columns)
    block = space.block(status.to_numpy()[:, columns])
    regressions = block.regressions(space.shared)
    started = time.process_time()
    tests = regressions.test(firth=False)
    ours = time.process_time() - started
    theirs, differences = 0.0, []
    for row in range(2 * len(columns)):
        half, column = divmod(row, len(columns))
        included = (block.cases | block.controls)[half, column]
        design = sm.add_constant(known[included][:, regressions.kept[row, 1:-1]])
        outcome = block.cases[half, column, included].astype(float)
        full = np.column_stack([design, block.components[half, column, included]])
        started = time.process_time()
        fit = sm.Logit(outcome, full).fit(disp=0, maxiter=100)
        null = sm.Logit(outcome, design).fit(disp=0, maxiter=100)
        theirs += time.process_time() - started
        if tests.converged[row]:
            p = chi2.sf(2 * (fit.llf - null.llf), 1)
            beta = abs(fit.params[-1] - tests.coefficient[row])
            differences.append((beta, abs(p - 2 * norm.sf(abs(tests.z[row])))))
    return ours / len(columns), theirs / len(columns), *np.max(differences, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--phecodes", type=int, default=1800)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--covariates", type=int, default=13)
    parser.add_argument("--sample", type=int, default=20, help="Phecodes fitted by statsmodels.")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print("        all phecodes: wall, processor   | maximum likelihood, a phecode: ours, Logit")
    print(
        "dims  tested  firth  seconds  seconds   |  ours     Logit    ratio  max |Δbeta|  max |Δp|"
    )
    for dimensions in arguments.dimensions:
        latents, known, status = simulate(
            arguments.people, arguments.phecodes, dimensions, arguments.covariates, arguments.seed
        )
        started, processor = time.perf_counter(), time.process_time()
        space = SplitSpace.of(latents, known, status.index, arguments.seed)
        table = scan(space, status)
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        tested = int((table["reason"] == "").sum())
        step = max(1, arguments.phecodes // arguments.sample)
        with threadpool_limits(1):
            ours, theirs, beta, p = by_statsmodels(
                space, status, known, range(0, arguments.phecodes, step)
            )
        print(
            f"{dimensions:4}  {tested:6}  {np.sum(table['method'] == 'firth'):5}  {seconds:7.1f}  "
            f"{processor:7.1f}   | {1000 * ours:5.1f} ms  {1000 * theirs:5.1f} ms  "
            f"{theirs / ours:5.1f}  {beta:11.1e}  {p:.1e}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
