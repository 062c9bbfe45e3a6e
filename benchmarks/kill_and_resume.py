"""Kill a small run of all stages at random moments, let it go on, and compare its tables.

    python benchmarks/kill_and_resume.py --out runs/killed [--moments 20] [--most-seconds 240]

A run of ECGs and DXA images, as recorded and registered, with every analysis, is made once without
disturbance. Then, for each of 20 moments drawn over its duration (one in each twentieth, so that
none of its stages is spared), a new run is killed there by SIGKILL, with all its processes, and
started again until it is done. Its tables, `comparisons/` and `tables/`, are compared with those of
the run that was left alone.

The same means: the same files, the same texts, and numbers that differ by no more than 1e-3 of
themselves or of one. A training goes on at its last epoch with the batches that would have come,
so most files are the same to the byte, and how many is told; but a network's sums over threads may
come in any order, so that no two trainings need agree to the last digit, killed or not.

OUT keeps what is done: the same command goes on, and `--most-seconds` ends it before a trial that
would take it over that time. Processor time: some 20 times that of the small run.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.store.atomic import write_json

EXPERIMENT = """
title = "All stages in little"
seed = 3

[data.simulate]
participants = 240
variants = 1000

[splits]
train = 0.2
validation = 0.1
analysis = 0.7

[autoencoder]
latent_size = 4
steps = 20
batch_size = 16

[arms.ecg_native]
tensor_map = "ecg.rest_10s"

[arms.ecg_registered]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }

[arms.dxa_native]
tensor_map = "dxa.body"

[arms.dxa_registered]
tensor_map = "dxa.body"
registration = { method = "Homography", input = "dxa.body", exemplar = "bmi" }

[comparisons.ecg]
baseline = "ecg_native"
against = "ecg_registered"

[comparisons.dxa]
baseline = "dxa_native"
against = "dxa_registered"

[probes]
targets = ["qrs_duration", "sex", "age"]

[gwas]
covariates = ["age", "sex", "pc_1"]

[phewas]
covariates = ["age", "sex"]

[clusters]
bootstraps = 5

[replication]

[recurrence]
arms = ["ecg_registered"]
seeds = 1

[directions]
"""
COMMAND = "from regreveal.cli.start import start; start()"
TOLERANCE = 1e-3
COMPARED = ("comparisons", "tables")
# Of a run itself, not its results; and the report's table of them.
MEASURED, MEASURED_TABLE = ("seconds", "peak_memory_mib"), "what-it-took"


def start(experiment: Path, folder: Path) -> subprocess.Popen:
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, "run", str(experiment), "--out", str(folder)],
            stdout=log,
            stderr=log,
        )


def run_alone(experiment: Path, folder: Path) -> float:
    """Make the run that is left alone; return its seconds, also where it was made before."""
    noted = folder.parent / "undisturbed.json"
    if not noted.exists():
        shutil.rmtree(folder, ignore_errors=True)  # it was broken off
        started = time.monotonic()
        if status := start(experiment, folder).wait():
            sys.exit(f"the run ended with status {status}")
        write_json({"seconds": time.monotonic() - started}, noted)
    return json.loads(noted.read_text())["seconds"]


def run_killed(experiment: Path, folder: Path, moment: float) -> tuple[str, int]:
    """Kill a run at a moment and let it go on to its end; say in which stages, and the status."""
    process = start(experiment, folder)
    time.sleep(moment)
    alive = process.poll() is None
    if alive:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    at_work = unfinished_stages(folder) if alive else "it had ended"
    return at_work, start(experiment, folder).wait()


def unfinished_stages(folder: Path) -> str:
    manifest = folder / "manifest.json"
    stages = json.loads(manifest.read_text())["stages"] if manifest.exists() else {}
    return ", ".join(name for name, entry in stages.items() if not entry["finished"]) or "none"


def compare(expected: Path, found: Path) -> tuple[int, int, list[str]]:
    """Count the files compared and those that are the same to the byte; name those that differ."""
    names = sorted(_files(expected) | _files(found))
    same = [name for name in names if _bytes(expected / name) == _bytes(found / name)]
    differ = [name for name in set(names) - set(same) if not _alike(expected / name, found / name)]
    return len(names), len(same), sorted(differ)


def _files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for part in COMPARED
        for path in (folder / part).rglob("*")
        if path.is_file() and path.name != ".lock" and MEASURED_TABLE not in path.name
    }


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _alike(expected: Path, found: Path) -> bool:
    if not (expected.is_file() and found.is_file()):
        return False
    if expected.suffix == ".json":
        first, second = (_flat(json.loads(path.read_text())) for path in (expected, found))
        return list(first) == list(second) and _close(pd.Series(first), pd.Series(second))
    if ".tsv" in expected.suffixes:
        tables = [pd.read_csv(path, sep="\t") for path in (expected, found)]
    elif expected.suffix == ".parquet":
        tables = [pd.read_parquet(path) for path in (expected, found)]
    elif expected.suffix == ".npz":
        with np.load(expected) as first, np.load(found) as second:
            return first.files == second.files and all(
                _close(pd.Series(first[name].ravel()), pd.Series(second[name].ravel()))
                for name in first.files
            )
    else:
        return False
    first, second = tables
    return (
        list(first.columns) == list(second.columns)
        and len(first) == len(second)
        and all(_close(first[column], second[column]) for column in first.columns)
    )


def _flat(content: object, at: str = "") -> dict[str, object]:
    """Values of nested dicts and lists, by where they are; without what was measured of the run."""
    if isinstance(content, dict):
        parts = [(key, value) for key, value in content.items() if key not in MEASURED]
    elif isinstance(content, list):
        parts = list(enumerate(content))
    else:
        return {at: content}
    return {k: v for key, value in parts for k, v in _flat(value, f"{at}/{key}").items()}


def _close(first: pd.Series, second: pd.Series) -> bool:
    if len(first) != len(second):
        return False
    numbers = [pd.to_numeric(series, errors="coerce") for series in (first, second)]
    texts = [
        series.astype(str).where(number.isna())
        for series, number in zip((first, second), numbers, strict=True)
    ]
    first, second = (series.to_numpy(float) for series in numbers)
    close = np.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return texts[0].equals(texts[1]) and close


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the run folders")
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most-seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    began = time.monotonic()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    experiment, results = out / "little.toml", out / "trials.json"
    experiment.write_text(EXPERIMENT)
    duration = run_alone(experiment, out / "undisturbed")
    print(f"left alone: {duration:.0f} s", flush=True)
    drawn = np.random.default_rng(arguments.seed).random(arguments.moments)
    moments = (np.arange(arguments.moments) + drawn) * duration / arguments.moments
    trials = json.loads(results.read_text()) if results.exists() else []
    for number in range(len(trials), arguments.moments):
        if time.monotonic() - began + 1.5 * duration > arguments.most_seconds:
            break
        folder = out / f"killed-{number + 1:02d}"
        shutil.rmtree(folder, ignore_errors=True)  # of a trial that was broken off
        at_work, status = run_killed(experiment, folder, moments[number])
        files, same, differ = compare(out / "undisturbed", folder)
        hidden = [path.name for path in folder.rglob(".*") if path.name != ".lock"]
        trials.append(
            {
                "killed at": f"{moments[number]:.1f} s",
                "stages at work": at_work,
                "status": status,
                "files": files,
                "same bytes": same,
                "differ": ", ".join(differ),
                "left behind": ", ".join(hidden),
            }
        )
        write_json(trials, results)
        print(trials[-1], flush=True)
    print(pd.DataFrame(trials).to_string(index=False))
    good = sum(trial["status"] == 0 and not trial["differ"] for trial in trials)
    print(f"{good} of {len(trials)} have the same tables ({arguments.moments} moments)")


if __name__ == "__main__":
    main()
