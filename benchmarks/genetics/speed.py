"""Speed and memory of the latent GWAS, from a .bed on disk to the finished table.

    python benchmarks/genetics/speed.py            # 38,000 people, 256 dimensions, 13 covariates
    python benchmarks/genetics/speed.py --large    # 400,000 people, 64 dimensions
    python benchmarks/genetics/speed.py --linear   # ten times the variants: time and memory

The reference is the bare float32 matrix product of the genotype design (two rows a variant) with
the latents and covariates, made in the same run, with nothing read or written; and statsmodels'
MANOVA of one variant. The time a variant is that from the first block in the table to the last;
what is done once is the rest: starting, reading, transforming and whitening, looking for
relatives, loci, indexing.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.store.embedding import Embedding

CODE_OF_DOSAGE = np.array([3, 2, 0], dtype=np.uint8)  # PLINK 1: two bits a genotype


def frequencies(generator, count, spectrum):
    """Allele frequencies: evenly from 0.05 to 0.5, or as in a population, 1/(p(1 - p)) from 0.001.

    Both are of variants that a GWAS tests; sequencing adds many more that are rarer still.
    """
    if spectrum == "even":
        return generator.uniform(0.05, 0.5, count)
    low, high = np.log(0.001 / 0.999), 0.0
    return 1 / (1 + np.exp(-generator.uniform(low, high, count)))


def write_genotypes(folder, people, variants, spectrum, seed=1):
    """Write a .bed of independent variants in Hardy-Weinberg equilibrium."""
    generator = np.random.default_rng(seed)
    path = folder / f"{spectrum}_{variants}.bed"
    with path.open("wb") as bed:
        bed.write(b"\x6c\x1b\x01")
        for frequency in frequencies(generator, variants, spectrum):
            copies = np.zeros(-(-people // 4) * 4, np.uint8)
            for _ in range(2):
                copies[:people] += generator.random(people, dtype=np.float32) < frequency
            codes = CODE_OF_DOSAGE[copies]
            codes[people:] = 0
            packed = codes[0::4] | codes[1::4] << 2 | codes[2::4] << 4 | codes[3::4] << 6
            bed.write(packed.tobytes())
    rows = np.arange(variants)
    pd.DataFrame(
        {
            "chromosome": 1 + rows * 22 // variants,
            "id": [f"rs{row}" for row in rows],
            "centimorgan": 0,
            "position": 1000 * (rows + 1),
            "alt": "A",
            "ref": "G",
        }
    ).to_csv(path.with_suffix(".bim"), sep="\t", header=False, index=False)
    fam = pd.DataFrame({"fid": 0, "iid": ids(people), "father": 0, "mother": 0, "sex": 0, "y": -9})
    fam.to_csv(path.with_suffix(".fam"), sep=" ", header=False, index=False)
    return path


def ids(people):
    return [f"person{number}" for number in range(people)]


def write_people(folder, people, dimensions, covariates, seed=2):
    generator = np.random.default_rng(seed)
    latents = generator.standard_normal((people, dimensions), dtype=np.float32)
    Embedding(ids(people), latents).write(folder / "embedding.parquet")
    names = [f"covariate_{number}" for number in range(covariates)]
    table = pd.DataFrame(generator.standard_normal((people, covariates)), columns=names)
    table.insert(0, "sample_id", ids(people))
    table.to_parquet(folder / "covariates.parquet", index=False)


def in_new_process(task, *arguments):
    """Run one of `TASKS` in a process of its own; what it returns, and its peak memory in GB."""
    command = [sys.executable, __file__, "--task", task, *map(str, arguments)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def task_gwas(folder, genotypes, dtype, block_size=None):
    """Run the GWAS; time it, and by itself the scan from its first written block to its last."""
    from regreveal.genetics.gwas import run_gwas
    from regreveal.genetics.output.files import ResultFiles

    folder, written = Path(folder), []
    add_unit = ResultFiles.add_unit

    def note_time(files, parts, counts):
        add_unit(files, parts, counts)
        written.append((time.perf_counter(), counts["read"]))

    ResultFiles.add_unit = note_time
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        result = run_gwas(
            folder / "embedding.parquet",
            genotypes,
            folder / "covariates.parquet",
            out,
            dtype=dtype,
            block_size=block_size and int(block_size),
        )
    seconds = time.perf_counter() - started
    tested = result.summary["variants"]["tested"]
    each = (written[-1][0] - written[0][0]) / sum(count for _, count in written[1:])
    return {"seconds": seconds, "each": each, "once": seconds - each * tested}


def task_product(people, columns, rows):
    """Time bare products of (rows, people) with (people, columns), float32, the best of five."""
    generator = np.random.default_rng(0)
    people, columns, rows = int(people), int(columns), int(rows)
    design = generator.integers(0, 2, (rows, people)).astype(np.float32)
    right = generator.standard_normal((people, columns), dtype=np.float32)
    seconds = {"numpy": best_of_five(lambda: design @ right)}
    import tensorflow as tf

    tensors = tf.constant(design), tf.constant(right)
    seconds["tensorflow"] = best_of_five(lambda: tf.linalg.matmul(*tensors).numpy())
    return {name: value / rows for name, value in seconds.items()}


def task_statsmodels(folder, genotypes, variants):
    """Time statsmodels' MANOVA, by its array interface, of a few variants."""
    from statsmodels.multivariate.manova import MANOVA

    from regreveal.genetics.genotypes import open_genotypes

    folder = Path(folder)
    latents = np.ascontiguousarray(Embedding.read(folder / "embedding.parquet").latents, float)
    covariates = pd.read_parquet(folder / "covariates.parquet").set_index("sample_id").to_numpy()
    dosages = open_genotypes(genotypes).dosages(np.arange(int(variants)))
    started = time.perf_counter()
    for dosage in dosages:
        indicators = np.column_stack([dosage == 1, dosage == 2]).astype(float)
        design = np.column_stack([indicators, np.ones(len(dosage)), covariates])
        contrast = np.eye(2, design.shape[1])
        MANOVA(latents, design).mv_test([("genotype", contrast)])
    return {"seconds": (time.perf_counter() - started) / len(dosages)}


TASKS = {"gwas": task_gwas, "product": task_product, "statsmodels": task_statsmodels}


def best_of_five(work):
    times = []
    for _ in range(6):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def measure_main(folder, options):
    people, dimensions, covariates = 38_000, 256, 13
    write_people(folder, people, dimensions, covariates)
    columns = dimensions + covariates
    product = in_new_process("product", people, columns, 512)
    bare = 2 * min(product["numpy"], product["tensorflow"])
    print(
        f"bare product, 2 rows a variant: numpy {2e6 * product['numpy']:.0f} µs, "
        f"TensorFlow {2e6 * product['tensorflow']:.0f} µs"
    )
    for spectrum in ("even", "population"):
        path = write_genotypes(folder, people, options.variants, spectrum)
        if spectrum == "even":
            in_new_process("gwas", folder, path, "float32")  # compiles the loops
            reference = in_new_process("statsmodels", folder, path, 12)["seconds"]
            print(f"statsmodels: {1e3 * reference:.0f} ms a variant")
        for dtype in ("float32", "float64"):
            run = in_new_process("gwas", folder, path, dtype)
            print(
                f"{spectrum} frequencies, {dtype}: {1e6 * run['each']:.0f} µs a variant "
                f"({bare / run['each']:.2f} × the rate of the bare product, "
                f"{reference / run['each']:.0f} × statsmodels), once {run['once']:.0f} s, "
                f"peak {run['peak_gb']:.2f} GB",
                flush=True,
            )


def measure_large(folder, options):
    people, dimensions, covariates = 400_000, 64, 13
    write_people(folder, people, dimensions, covariates)
    product = in_new_process("product", people, dimensions + covariates, 128)
    bare = 2 * min(product["numpy"], product["tensorflow"])
    path = write_genotypes(folder, people, options.variants // 4, "population")
    run = in_new_process("gwas", folder, path, "float32")
    print(
        f"{people} people, {dimensions} dimensions: {1e6 * run['each']:.0f} µs a variant "
        f"({bare / run['each']:.2f} × the rate of the bare product), once {run['once']:.0f} s, "
        f"peak {run['peak_gb']:.2f} GB"
    )


def measure_linear(folder, options):
    """Ten times the variants, in blocks of the same size."""
    people = 5_000
    write_people(folder, people, 32, 13)
    runs = {}
    for count in (10_000, 100_000):
        path = write_genotypes(folder, people, count, "population")
        in_new_process("gwas", folder, path, "float32", 450)
        runs[count] = run = in_new_process("gwas", folder, path, "float32", 450)
        print(
            f"{count} variants: {run['seconds']:.2f} s, of which the scan "
            f"{run['each'] * count:.2f} s; {run['peak_gb']:.3f} GB"
        )
    few, many = runs.values()
    print(
        f"scan × {10 * many['each'] / few['each']:.2f}, memory × "
        f"{many['peak_gb'] / few['peak_gb']:.3f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=16_384)
    parser.add_argument("--large", action="store_true", help="400,000 people")
    parser.add_argument("--linear", action="store_true", help="time and memory by variants")
    parser.add_argument("--task", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        result = TASKS[options.task[0]](*options.task[1:])
        result["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps(result))
        return
    measure = measure_main
    if options.large or options.linear:
        measure = measure_large if options.large else measure_linear
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options)


if __name__ == "__main__":
    main()
