"""What p-values of small groups say far out, where loci are decided, and what is true there.

The true tail is that of permutations, by subset simulation that goes on until it is reached, with a
seed of its own; "permuted" is what `permuted_tests` would report there with another. All is given
for the Pillai's trace that permutations exceed with the probability of the first column.

    python benchmarks/genetics/tail.py
    python benchmarks/genetics/tail.py --embedding RUN/arms/registered/embedding.parquet \
        --covariates RUN/data/cohort.tsv --columns age sex pc_1 pc_2
"""

import argparse
import time
from pathlib import Path

import numpy as np
from calibration import read_real
from latent_distributions import draw_latents

from regreveal.genetics.kernel.fdistribution import neg_log10_f
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.permuted import design_weights, permutation_tail
from regreveal.genetics.pillai import pillai_f
from regreveal.genetics.transforms import transform_latents

TAILS = (4.0, 6.0, 7.3, 8.0)

# Simulations of the truth, each of `permuted.SIMULATIONS`.
TRUTHS = 3


def measure(name, latents, covariates, carriers):
    """Print a line for each tail."""
    space = LatentSpace(transform_latents(latents, "radial", covariates), covariates)
    n, k = space.whitened.shape
    dosages = np.zeros(n)
    dosages[:carriers] = 1
    weights = design_weights(dosages, "genotype", both=False)
    depth = int(max(TAILS)) + 1
    truths = [permutation_tail(space.whitened, weights, depth, seed=1 + i) for i in range(TRUTHS)]
    for tail in TAILS:
        traces = np.concatenate([truth.traces(tail) for truth in truths])
        trace = traces.mean()
        started = time.perf_counter()
        permuted, error, _ = permutation_tail(
            space.whitened, weights, depth, trace, seed=0
        ).neg_log10_p(trace)
        seconds = time.perf_counter() - started
        # The trace is of a permuted design, from which no covariates were taken.
        f, df1, df2 = pillai_f(np.array([trace]), np.array([1]), n, k, 1)
        test = {
            "n_ref": np.array([n - carriers]),
            "n_het": np.array([carriers]),
            "n_hom": np.zeros(1),
            "df1": df1,
            "neg_log10_p": neg_log10_f(f, df1, df2),
        }
        corrected = space.skewness.neg_log10_p(test, "genotype")[0]
        figures = test["neg_log10_p"][0], corrected, permuted, error
        told = "\t".join(f"{figure:.2f}" for figure in figures)
        print(f"{name}\t{carriers}\t{tail}\t{told}\t{seconds:.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--carriers", type=int, nargs="*", default=[20, 50, 100])
    parser.add_argument("--participants", type=int, default=3000, help="of simulated latents")
    parser.add_argument("--dimensions", type=int, default=32, help="of simulated latents")
    parser.add_argument("--embedding", type=Path, nargs="*", default=[], help="latents instead")
    parser.add_argument("--covariates", type=Path, help="table of the embedded people")
    parser.add_argument("--columns", nargs="*", default=[], help="of the covariates")
    options = parser.parse_args()
    print("latents\tcarriers\ttrue\tF\tcorrected\tpermuted\t±\tseconds")
    spaces = {}
    for path in options.embedding:
        latents, covariates, _ = read_real(path, options.covariates, options.columns)
        spaces[path.parent.name] = latents, covariates
    if not spaces:
        for distribution in ("Gaussian", "lognormal"):
            latents = draw_latents(
                np.random.default_rng(0),
                distribution,
                options.participants,
                options.dimensions,
                mixed=True,
            )
            spaces[f"{distribution}, mixed"] = latents, None
    for name, (latents, covariates) in spaces.items():
        for carriers in options.carriers:
            measure(name, latents, covariates, carriers)


if __name__ == "__main__":
    main()
