"""What a run costs in hours, memory, disk and network: a model fitted to small points only.

    python benchmarks/running/cost.py measure FOLDER    # small points, here and now: constants
    python benchmarks/running/cost.py show FOLDER       # what follows for the size asked for
    python benchmarks/running/cost.py scan FOLDER       # a point held out: --people, --dimensions
    python benchmarks/running/cost.py stages FOLDER     # runs of 500, 1,000 and 2,000 people

`measure` writes FOLDER/constants.json with its date and machine; nothing is typed in here. Times
are of processor cores, which others on the machine disturb least. What they mean on a cluster is
asked of cost_cluster.py. docs/cost.md has what came of it.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from regreveal.compute import available_cores
from regreveal.genetics.scan import unit_size

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.genetics.speed import write_genotypes, write_people

COVARIATES = 13
# People, dimensions and the block's variants (None: as the product chooses) of the small points.
SCANS = [
    (5_000, 32, None),
    (5_000, 128, None),
    (10_000, 64, None),
    (20_000, 32, None),
    (20_000, 128, None),
    (20_000, 32, 256),
    (5_000, 128, 256),
    (10_000, 128, 512),
]
BLOCKS = 5  # of a scan, at least
PHEWAS = [(4_000, 32), (4_000, 128), (12_000, 32), (12_000, 128)]
PHECODES = 60


@dataclass(frozen=True)
class Constants:
    """What small points say; seconds are of one core, bytes are bytes.

    Attributes
    ----------
    date, machine : str
        When and where they were measured.
    variant, piece, genotype, product, tables : float
        Seconds a variant; a block; a variant and person; a variant, person and column (latents and
        covariates with the intercept); a block, person and column, for what its variants share.
    start, whitening, transform : float
        Seconds before the first block: in any case; a person and squared dimension; a person and
        dimension.
    base, latent, block : float
        Bytes of the process: in any case; a person and dimension; a genotype of a block.
    shipped : float
        Bytes that each worker process of a cluster is sent, a person and column.
    row : float
        Bytes a variant of all files together, while the scan runs.
    head : float
        Seconds a block takes who writes it.
    phecode, phecode_person, phecode_latent : float
        Seconds a phecode of a PheWAS; a phecode and person; a phecode, person and dimension.
    """

    date: str
    machine: str
    variant: float
    piece: float
    genotype: float
    product: float
    tables: float
    start: float
    whitening: float
    transform: float
    base: float
    latent: float
    block: float
    shipped: float
    row: float
    head: float
    phecode: float
    phecode_person: float
    phecode_latent: float


def variant_seconds(of: Constants, people: int, dimensions: int, block: int | None = None) -> float:
    """Core seconds of one variant, from the .bed to its line of the table."""
    block = block or unit_size(people)
    columns = dimensions + COVARIATES + 1
    products = people * columns * (of.product + of.tables / block)
    return of.variant + of.piece / block + people * of.genotype + products


def prepare_seconds(of: Constants, people: int, dimensions: int) -> float:
    """Core seconds before the first block: matching, transforming, whitening."""
    return of.start + people * dimensions * (of.transform + dimensions * of.whitening)


def scan_bytes(of: Constants, people: int, dimensions: int, block: int | None = None) -> float:
    """Memory of the process that scans, here or as a cluster's worker."""
    genotypes = people * (block or unit_size(people))
    return of.base + of.latent * people * dimensions + of.block * genotypes


def shipped_bytes(of: Constants, people: int, dimensions: int, covariates: int = COVARIATES):
    """Bytes that each worker process of a cluster is sent, once."""
    return of.shipped * people * (dimensions + covariates)


def phewas_seconds(of: Constants, people: int, phecodes: int, dimensions: int) -> float:
    """Core seconds of a PheWAS."""
    return phecodes * (of.phecode + people * (of.phecode_person + dimensions * of.phecode_latent))


def bed_bytes(people: int, variants: int) -> float:
    """Bytes of a .bed: four genotypes a byte."""
    return -(-people // 4) * variants


def tensor_bytes(people: int, shape: tuple[int, ...]) -> float:
    """Size of a modality's tensors, in single precision."""
    return 4.0 * people * np.prod(shape, dtype=float)


# --- measuring -----------------------------------------------------------------------------------


def task_scan(folder: str, dtype: str, block: str) -> dict:
    """Run a GWAS in this process; processor seconds before, within and after the scan."""
    import regreveal.genetics.gwas as gwas
    from regreveal.cluster import _packed
    from regreveal.genetics.output.files import ResultFiles

    folder, written = Path(folder), []
    add_unit, scanned, shipped, heads = ResultFiles.add_unit, gwas.scanned, [], []

    def note_unit(files, parts, counts):
        started = time.perf_counter()
        add_unit(files, parts, counts)
        heads.append(time.perf_counter() - started)
        size = sum(map(len, parts.values()))
        written.append((time.perf_counter(), time.process_time(), counts["read"], size))

    def note_scanner(folder, scanner, *others):
        if os.environ.get("SHIPPED"):
            shipped.append(len(_packed(scanner)))
        return scanned(folder, scanner, *others)

    ResultFiles.add_unit, gwas.scanned = note_unit, note_scanner
    wall, processor = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        (genotypes,) = folder.glob("*.bed")
        files = folder / "embedding.parquet", genotypes, folder / "covariates.parquet", out
        gwas.run_gwas(*files, dtype=dtype, block_size=int(block) or None, threads=1)
    variants = sum(count for *_, count, _ in written[1:])
    first, last = written[0], written[-1]
    return {
        "wall": (last[0] - first[0]) / variants,
        "processor": (last[1] - first[1]) / variants,
        "before": first[1] - processor,
        "before_wall": first[0] - wall,
        "after": time.process_time() - last[1],
        "row": sum(size for *_, size in written) / sum(count for *_, count, _ in written),
        "head": float(np.median(heads)),
        "shipped": shipped[0] if shipped else None,
    }


def task_phewas(people: str, dimensions: str) -> dict:
    """Run a PheWAS in this process; processor seconds."""
    from benchmarks.phenome.phewas_speed import simulate
    from regreveal.phenome.phewas.scan import scan
    from regreveal.phenome.phewas.split_half import SplitSpace

    latents, known, status = simulate(int(people), PHECODES, int(dimensions), COVARIATES, 0)
    started = time.process_time()
    scan(SplitSpace.of(latents, known, status.index, 0), status)
    return {"processor": time.process_time() - started}


TASKS = {"scan": task_scan, "phewas": task_phewas}


def in_new_process(task: str, *arguments, shipped: bool = False) -> dict:
    """Run one of `TASKS` in a process of its own; with it, peak memory in bytes."""
    command = [sys.executable, __file__, "task", task, *map(str, arguments)]
    # Threads of linear algebra that wait for each other use processor time, too.
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({"SHIPPED": "1"} if shipped else {})
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    return json.loads(output.splitlines()[-1])


def scan_point(
    people: int, dimensions: int, variants: int, block: int | None, repeats: int, shipped: bool
) -> dict:
    """Measure a scan of made people and genotypes: of several runs the least of each time."""
    with tempfile.TemporaryDirectory() as folder:
        write_people(Path(folder), people, dimensions, COVARIATES)
        write_genotypes(Path(folder), people, variants, "population")
        runs = [
            in_new_process("scan", folder, "float32", block or 0, shipped=shipped)
            for _ in range(repeats)
        ]
    return {name: min(run[name] for run in runs) for name in runs[0] if runs[0][name] is not None}


def fit(columns: list, values: list) -> np.ndarray:
    """Least squares of relative errors, without negative coefficients."""
    from scipy.optimize import nnls

    values = np.array(values)
    return nnls(np.array(columns) / values[:, None], np.ones(len(values)))[0]


def measure(repeats: int) -> Constants:
    """Measure the small points and fit the constants."""
    scans = []
    for people, dimensions, block in SCANS:
        variants = max(BLOCKS * (block or unit_size(people)), 8_192)
        point = scan_point(people, dimensions, variants, block, repeats, True)
        scans.append(point)
        told = {name: float(f"{value:.4g}") for name, value in point.items()}
        print(f"{people} people, {dimensions} dimensions, block {block}: {told}", flush=True)
    n, k = np.array([(people, dimensions) for people, dimensions, _ in SCANS], float).T
    m = np.array([block or unit_size(people) for people, _, block in SCANS], float)
    columns = n * (k + COVARIATES + 1)
    variant = fit(
        np.column_stack([np.ones(len(n)), 1 / m, n, columns, columns / m]),
        [point["processor"] for point in scans],
    )
    before = fit(
        np.column_stack([np.ones(len(n)), n * k**2, n * k]),
        [point["before"] for point in scans],
    )
    memory = fit(
        np.column_stack([np.ones(len(n)), n * k, n * m]), [point["peak"] for point in scans]
    )
    shipped = np.array([point["shipped"] for point in scans]) / (n * (k + COVARIATES))
    tests = []
    for people, dimensions in PHEWAS:
        tests.append(in_new_process("phewas", people, dimensions)["processor"] / PHECODES)
        print(f"PheWAS of {people}, {dimensions} dimensions: {1e3 * tests[-1]:.1f} ms a phecode")
    n, k = np.array(PHEWAS, float).T
    phecode = fit(np.column_stack([np.ones(len(n)), n, n * k]), tests)
    return Constants(
        datetime.date.today().isoformat(),
        f"{platform.machine()}, {available_cores()} cores, {_processor()}",
        *variant,
        *before,
        *memory,
        float(shipped[np.argmax(n * k)]),
        float(np.mean([point["row"] for point in scans])),
        float(np.median([point["head"] for point in scans])),
        *phecode,
    )


def _processor() -> str:
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else "unknown processor"


# --- showing -------------------------------------------------------------------------------------


def show(of: Constants, people: int, variants: int, dimensions: int, phecodes: int) -> None:
    """Print what the constants say of a size."""
    print(f"constants of {of.date}, {of.machine}")
    each = variant_seconds(of, people, dimensions)
    rows = {
        "GWAS, before the first block, core hours": prepare_seconds(of, people, dimensions) / 3600,
        "GWAS, µs of a core a variant": 1e6 * each,
        "GWAS, core hours": each * variants / 3600,
        "GWAS, GB of memory": scan_bytes(of, people, dimensions) / 1e9,
        "GWAS, GB sent to each worker process": shipped_bytes(of, people, dimensions) / 1e9,
        ".bed, TB": bed_bytes(people, variants) / 1e12,
        "table and points, GB": of.row * variants / 1e9,
        "who writes, hours": of.head * variants / unit_size(people) / 3600,
        "PheWAS, core hours": phewas_seconds(of, people, phecodes, dimensions) / 3600,
        "embedding, GB": 4e-9 * people * dimensions,
        "ecg.rest_10s, TB": tensor_bytes(people, (5000, 12)) / 1e12,
        "dxa.dxa_11, TB": tensor_bytes(people, (928, 352)) / 1e12,
        "brain.t1_native, TB": tensor_bytes(people, (216, 256, 216)) / 1e12,
    }
    for name, value in rows.items():
        print(f"{name:45} {value:12.3f}")


def hold_out(of: Constants, people: int, dimensions: int, variants: int) -> None:
    """Measure a point that the constants were not fitted to, beside what they say of it."""
    point = scan_point(people, dimensions, variants, None, 1, False)
    expected = {
        "processor": variant_seconds(of, people, dimensions),
        "before": prepare_seconds(of, people, dimensions),
        "peak": scan_bytes(of, people, dimensions),
    }
    print(f"{people} people, {dimensions} dimensions, {variants} variants: {point}")
    for name, value in expected.items():
        error = 100 * (value / point[name] - 1)
        print(f"{name}: expected {value:.4g}, measured {point[name]:.4g}, {error:+.0f} %")


def main() -> None:
    if sys.argv[1:2] == ["task"]:
        result = TASKS[sys.argv[2]](*sys.argv[3:])
        result["peak"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps(result))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["measure", "show", "scan", "stages"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=500_000)
    parser.add_argument("--variants", type=int, help="40 million to show, 4,096 to scan")
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--phecodes", type=int, default=1_800)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "constants.json"
    if options.what == "stages":
        from cost_stages import compare_runs

        compare_runs(options.folder)
        return
    if options.what == "measure":
        file.write_text(json.dumps(asdict(measure(options.repeats)), indent=2) + "\n")
    constants = Constants(**json.loads(file.read_text()))
    people, dimensions = options.people, options.dimensions
    if options.what == "scan":
        hold_out(constants, people, dimensions, options.variants or 4_096)
    else:
        show(constants, people, options.variants or 40_000_000, dimensions, options.phecodes)


if __name__ == "__main__":
    main()
