"""How long phecodes take from hospital records on disk, and how much memory.

Invents hesin_diag and hesin as UK Biobank delivers them, with codes of a published map in the
frequencies of a power law, and measures each step, each way in a process of its own. The reference
is pandas reading the same two files as text and merging them.

    python benchmarks/phenome/phecodes.py --phecodes phecodeX_WHO.csv --people 38000 500000
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from regreveal.phenome.phecodes.hospital_records import read_diagnoses
from regreveal.phenome.phecodes.phecode_map import PhecodeMap, read_phecode_map
from regreveal.phenome.phecodes.phecode_records import phecode_records
from regreveal.phenome.phecodes.status import phecode_status

EPISODES = 7  # a person, on average
FIRST_DAY, DAYS = np.datetime64("1995-01-01"), 10_000
PEOPLE_AT_ONCE = 20_000


def write_records(
    folder: Path, people: int, rows: int, phecode_map: PhecodeMap, rng: np.random.Generator
) -> None:
    """Write hesin_diag.txt with `rows` rows a person on average, and hesin.txt."""
    codes = phecode_map.codes.loc[phecode_map.codes["vocabulary"] == "icd10", "code"].unique()
    rng.shuffle(codes)
    share = 1 / np.arange(10, len(codes) + 10)
    eid = np.sort(rng.integers(people, size=people * rows))
    episode = rng.integers(EPISODES, size=len(eid))
    code = rng.choice(len(codes), len(eid), p=share / share.sum())
    diagnoses = {
        "eid": eid + 1_000_000,
        "ins_index": episode,
        "arr_index": np.zeros(len(eid), int),
        "level": rng.integers(1, 3, len(eid)),
        "diag_icd9": pa.nulls(len(eid), pa.string()),
        "diag_icd10": pa.DictionaryArray.from_arrays(code, list(codes)).cast(pa.string()),
    }
    options = pa.csv.WriteOptions(delimiter="\t")
    pa.csv.write_csv(pa.table(diagnoses), folder / "hesin_diag.txt", options)
    day = pd.Series(FIRST_DAY + rng.integers(DAYS, size=people * EPISODES))
    start = day.dt.strftime("%d/%m/%Y").mask(rng.random(len(day)) < 0.01, "")
    episodes = {
        "eid": np.repeat(np.arange(people) + 1_000_000, EPISODES),
        "ins_index": np.tile(np.arange(EPISODES), people),
        "epistart": start,
        "admidate": day.dt.strftime("%d/%m/%Y"),
    }
    pa.csv.write_csv(pa.table(episodes), folder / "hesin.txt", options)


def read(folder: Path, phecodes: list[Path]) -> dict[str, float]:
    """Time the steps from the files to the tables of status."""
    times, start = {}, time.process_time()

    def lap(step: str) -> None:
        nonlocal start
        now = time.process_time()
        times[step], start = now - start, now

    phecode_map = read_phecode_map(*phecodes)
    lap("map")
    diagnoses = read_diagnoses(folder / "hesin_diag.txt", folder / "hesin.txt")
    lap("diagnoses")
    records = phecode_records(diagnoses, phecode_map)
    del diagnoses
    lap("records")
    sex = pd.Series("female", index=records.people)
    sex.iloc[::2] = "male"
    for first in range(0, len(sex), PEOPLE_AT_ONCE):
        phecode_status(records, sex.iloc[first : first + PEOPLE_AT_ONCE])
    lap("status")
    return times


def read_with_pandas(folder: Path, phecodes: list[Path]) -> dict[str, float]:
    """Time reading and merging the same files as a script would."""
    start = time.process_time()
    tables = [
        pd.read_csv(folder / name, sep="\t", dtype=str) for name in ("hesin_diag.txt", "hesin.txt")
    ]
    merged = tables[0].merge(tables[1], on=["eid", "ins_index"], how="left")
    pd.to_datetime(merged["epistart"], format="%d/%m/%Y")
    return {"diagnoses": time.process_time() - start}


def measured(work: Callable, *arguments) -> tuple[dict[str, float], float]:
    """Run in a process of its own; give what it gives, and its largest memory in GB."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_with_memory, (work, arguments))


def _with_memory(work: Callable, arguments: tuple) -> tuple[dict[str, float], float]:
    times = work(*arguments)
    return times, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print a line for each number of people."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--phecodes", type=Path, nargs="+", required=True, help="published map")
    parser.add_argument("--people", type=int, nargs="+", default=[38_000])
    parser.add_argument("--rows", type=int, default=20, help="diagnoses a person")
    parser.add_argument("--pandas", action="store_true", help="measure the reference, too")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    phecode_map = read_phecode_map(*arguments.phecodes)
    print("people\trows\tway\tprocessor seconds by step\tGB")
    for people in arguments.people:
        with tempfile.TemporaryDirectory() as name:
            rng = np.random.default_rng(arguments.seed)
            write_records(Path(name), people, arguments.rows, phecode_map, rng)
            ways = {"regreveal": read} | ({"pandas": read_with_pandas} if arguments.pandas else {})
            for way, work in ways.items():
                times, memory = measured(work, Path(name), arguments.phecodes)
                steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in times.items())
                print(f"{people}\t{people * arguments.rows}\t{way}\t{steps}\t{memory:.2f}")


if __name__ == "__main__":
    main()
