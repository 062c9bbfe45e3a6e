"""How often the latent GWAS calls a variant without effect significant, by carriers and latents.

Each null variant is a group of carriers drawn at random, tested against the others (one regressor,
which is also what the three-group test makes of a variant with few carriers). Observed over nominal
share of p-values below a level: 1 is right, 2 is twice too often.

    python benchmarks/gwas_calibration.py
    python benchmarks/gwas_calibration.py --embedding RUN/arms/registered/embedding.parquet \
        --covariates RUN/data/cohort.tsv --columns age sex pc_1 pc_2
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import sparse, stats

from regreveal.genetics.manova import LatentSpace, pillai_trace
from regreveal.genetics.transforms import TRANSFORMS, transform_latents
from regreveal.store.cohort import design_matrix, read_table
from regreveal.store.embedding import Embedding

# Simulated latents are drawn anew as often, so that no single draw decides.
DRAWS = 10


def gaussian(generator, n, k):
    return generator.standard_normal((n, k))


def t5(generator, n, k):
    return generator.standard_t(5, (n, k))


def elliptical_t5(generator, n, k):
    return generator.standard_normal((n, k)) / np.sqrt(generator.chisquare(5, (n, 1)) / 5)


def lognormal(generator, n, k):
    return np.exp(generator.standard_normal((n, k)))


LATENTS = (gaussian, t5, elliptical_t5, lognormal)


def draw_groups(generator, groups, carriers, n):
    """Draw groups of distinct people; gives their indicators, a sparse (groups, n) matrix."""
    people = np.empty((0, carriers), dtype=np.int64)
    while len(people) < groups:
        drawn = np.sort(generator.integers(0, n, (groups, carriers)), axis=1)
        people = np.vstack([people, drawn[(np.diff(drawn, axis=1) > 0).all(axis=1)]])[:groups]
    starts = np.arange(0, groups * carriers + 1, carriers)
    return sparse.csr_array((np.ones(people.size), people.ravel(), starts), shape=(groups, n))


def inflation(latents, covariates, transform, groups, levels):
    """Observed over nominal share at each level."""
    space = LatentSpace(transform_latents(latents, transform, covariates), covariates)
    n, k = space.whitened.shape
    design = np.ones((n, 1)) if covariates is None else np.column_stack([np.ones(n), covariates])
    basis = np.linalg.qr(design)[0]
    left = groups.sum(axis=1) - ((groups @ basis) ** 2).sum(axis=1)
    trace = pillai_trace((groups @ space.whitened)[:, None], left[:, None, None])
    # With one regressor and Gaussian latents, the trace has exactly this distribution.
    nominal = stats.beta(k / 2, (n - basis.shape[1] - k) / 2)
    return [np.mean(trace > nominal.isf(level)) / level for level in levels]


def measure(name, draw, options):
    """Print a line a transform and number of carriers; `draw` gives latents and covariates."""
    for transform in options.transforms:
        for carriers in options.carriers:
            generator = np.random.default_rng(options.seed)
            ratios = []
            for _ in range(DRAWS):
                latents, covariates = draw(generator)
                count = options.variants // DRAWS
                drawn = draw_groups(generator, count, carriers, len(latents))
                ratios.append(inflation(latents, covariates, transform, drawn, options.levels))
            told = "\t".join(f"{ratio:.2f}" for ratio in np.mean(ratios, axis=0))
            print(f"{name}\t{transform}\t{carriers}\t{told}", flush=True)


def read_real(path, covariates, columns):
    """Read an embedding and, of the same people, covariates."""
    embedding = Embedding.read(path)
    if covariates is None:
        return embedding.latents, None
    table = read_table(covariates)
    ids = [name for name in embedding.sample_ids if name in table.index]
    return embedding.select(ids), design_matrix(table, columns, ids)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=200_000, help="null variants a line")
    parser.add_argument("--carriers", type=int, nargs="*", default=[5, 10, 20, 50])
    parser.add_argument("--levels", type=float, nargs="*", default=[1e-3, 1e-4])
    parser.add_argument("--transforms", nargs="*", default=TRANSFORMS[::-1], choices=TRANSFORMS)
    parser.add_argument("--participants", type=int, default=3000, help="of simulated latents")
    parser.add_argument("--dimensions", type=int, default=32, help="of simulated latents")
    parser.add_argument("--embedding", type=Path, nargs="*", default=[], help="latents instead")
    parser.add_argument("--covariates", type=Path, help="table of the embedded people")
    parser.add_argument("--columns", nargs="*", default=[], help="of the covariates")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(
        "latents\ttransform\tcarriers\t"
        + "\t".join(f"at {level:.0e}" for level in arguments.levels)
    )
    for path in arguments.embedding:
        real = read_real(path, arguments.covariates, arguments.columns)
        measure(path.parent.name, lambda _, real=real: real, arguments)
    if arguments.embedding:
        return
    shape = arguments.participants, arguments.dimensions
    for distribution in LATENTS:

        def draw(generator, distribution=distribution):
            # As encoders do: every dimension a mixture of all directions.
            mixing = generator.standard_normal((shape[1], shape[1]))
            return distribution(generator, *shape) @ mixing, None

        measure(distribution.__name__, draw, arguments)


if __name__ == "__main__":
    main()
