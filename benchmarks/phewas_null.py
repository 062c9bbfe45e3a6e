"""Whether a PheWAS is flat where there is nothing: uniform p, and errors of a family.

Diseases follow age and latents, and each other; each kind of null takes the latents' part away.
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.stats import binomtest, kstest

from regreveal.phenome.phewas.null import KINDS, null_scans
from regreveal.phenome.phewas.split_half import SplitSpace


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
    arguments = parser.parse_args()
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
