"""What a variant costs, from a .bed to statistics, beside the bare matrix product.

Every step is timed in turn, over and over, and the least time of each is told, in microseconds a
variant of wall time, or of processor time where a machine is shared with others (--processor-time).
The bare product is that of float32 design rows (two a variant in the genotype coding, one in the
additive) with phenotypes and covariates, by numpy, already in memory.

    python benchmarks/genetics/kernel.py
    python benchmarks/genetics/kernel.py --participants 400000 --dimensions 64 --variants 512
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.kernel.dosages import summarise_dosages
from regreveal.genetics.kernel.products import genotype_sets
from regreveal.genetics.manova import LatentSpace

FREQUENCIES = (0.0005, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5)


def spectrum(generator, variants):
    """Frequencies of rarer alleles with a density of 1/(p(1 − p)) from 0.001 on, as by drift."""
    return 1 / (1 + np.exp(-generator.uniform(np.log(0.001 / 0.999), 0, variants)))


def draw(generator, frequencies, n, missing):
    dosages = np.empty((len(frequencies), n), dtype=np.int8)
    for row, frequency in zip(dosages, frequencies, strict=True):
        row[:] = generator.binomial(2, frequency, n)
        row[generator.random(n) < missing] = -1
    return dosages


def write_bed(path, dosages):
    """PLINK 1 files of the dosages, in whole bytes of four people."""
    codes = np.array([3, 2, 0, 1], dtype=np.uint8)[dosages]
    codes = np.pad(codes, ((0, 0), (0, -codes.shape[1] % 4)))
    packed = codes[:, 0::4] | codes[:, 1::4] << 2 | codes[:, 2::4] << 4 | codes[:, 3::4] << 6
    path.write_bytes(b"\x6c\x1b\x01" + packed.tobytes())
    path.with_suffix(".bim").write_text(
        "".join(f"1\trs{row}\t0\t{row + 1}\tA\tG\n" for row in range(len(dosages)))
    )
    path.with_suffix(".fam").write_text(
        "".join(f"0 person{i} 0 0 0 -9\n" for i in range(dosages.shape[1]))
    )


def least_times(steps, repeats, clock):
    """Least seconds of each step, all of them in turn, after a round that compiles."""
    least = dict.fromkeys(steps, np.inf)
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            started = clock()
            step()
            if repeat:
                least[name] = min(least[name], clock() - started)
    return least


def measure(space, dosages, path, bare, options, clock):
    """Microseconds a variant of each step; `projections` are all from dosages on to products."""
    write_bed(path, dosages)
    genotypes = open_genotypes(path)
    product = space._projector._product
    sets = genotype_sets(dosages, options.threads)
    projections = space.project(dosages, "genotype")
    additive = projections.additive()
    steps = {
        "bare product": bare,
        "read and unpack": lambda: list(genotypes.blocks(size=len(dosages))),
        "count and pack": lambda: genotype_sets(dosages, options.threads),
        "sums": lambda: product.indicators(sets),
        "projections": lambda: space.project(dosages, "genotype"),
        "additive projections": lambda: space.project(dosages, "additive"),
        "joint test": lambda: space.joint_test(projections),
        "effects": lambda: space.effects(additive),
    }
    times = least_times(steps, options.repeats, clock)
    return {name: seconds / len(dosages) * 1e6 for name, seconds in times.items()}


def measure_fractional(space, dosages, options, clock):
    """Time fractional dosages, additive, beside the bare product of one row a variant."""
    product = space._projector._product
    fractional = np.where(dosages < 0, np.nan, dosages * np.float32(0.97) + 0.01)
    fractional = fractional.astype(np.float32)
    mean = summarise_dosages(fractional, options.threads)[1]
    design = np.nan_to_num(fractional)
    columns = product._columns
    steps = {
        "bare product": lambda: design @ columns,
        "summarise": lambda: summarise_dosages(fractional, options.threads),
        "centre and multiply": lambda: product.centred(fractional, mean),
        "projections": lambda: space.project(fractional, "additive"),
    }
    times = least_times(steps, options.repeats, clock)
    return {name: seconds / len(dosages) * 1e6 for name, seconds in times.items()}


def print_table(rows):
    names = list(rows[0][1])
    print("variants\t" + "\t".join(names) + "\tprojections over bare product")
    for label, times in rows:
        share = times["projections"] / times["bare product"]
        told = "\t".join(f"{times[name]:.1f}" for name in names)
        print(f"{label}\t{told}\t{share:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--participants", type=int, default=38_000)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--covariates", type=int, default=13)
    parser.add_argument("--variants", type=int, default=1024, help="in a block")
    parser.add_argument("--missing", type=float, default=0.0, help="share of genotypes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    generator = np.random.default_rng(options.seed)
    n = options.participants
    space = LatentSpace(
        generator.standard_normal((n, options.dimensions)),
        generator.standard_normal((n, options.covariates)),
        "float32",
        threads=options.threads,
    )
    columns = space._projector._product._columns
    design = generator.integers(0, 2, (2 * options.variants, n), dtype=np.int8).astype(np.float32)
    by_frequency = {str(p): np.full(options.variants, p) for p in FREQUENCIES}
    by_frequency["spectrum"] = spectrum(generator, options.variants)
    rows = []
    with (
        threadpool_limits(options.threads, user_api="blas"),
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "genome.bed"
        for label, frequencies in by_frequency.items():
            dosages = draw(generator, frequencies, n, options.missing)
            times = measure(space, dosages, path, lambda: design @ columns, options, clock)
            rows.append((label, times))
        print_table(rows)
        print("fractional dosages")
        print_table([("spectrum", measure_fractional(space, dosages, options, clock))])


if __name__ == "__main__":
    main()
