"""Whole runs of 500 and 1,000 people, what they foretell of one of 2,000, and what that takes.

Called by `python benchmarks/running/cost.py stages FOLDER`. Every stage's seconds and memory are
those of the run's own manifest; of each, a straight line through the two small runs is taken as far
as the third. Steps of training are the same in all.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

SMALL, HELD_OUT = (500, 1_000), 2_000

EXPERIMENT = """
title = "What it costs"
seed = 3

[data.simulate]
participants = {people}
variants = 3000

[splits]
train = 0.2
validation = 0.1
analysis = 0.7

[autoencoder]
latent_size = 16
steps = 30
batch_size = 16

[arms.native]
tensor_map = "ecg.rest_10s"

[arms.registered]
tensor_map = "ecg.median"
registration = {{ method = "QRSAlignment", input = "ecg.rest_10s" }}

[comparisons.alignment]
baseline = "native"
against = "registered"

[probes]
targets = ["age", "heart_rate"]

[gwas]
covariates = ["age", "sex", "pc_1"]

[phewas]
covariates = ["age", "sex"]
null = ["labels"]
null_repeats = 10

[replication]
"""


def run(folder: Path, people: int) -> pd.DataFrame:
    """Run the experiment; a row a stage, with `seconds` and `memory` (GB), and the whole's."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "experiment.toml"
    file.write_text(EXPERIMENT.format(people=people))
    command = [Path(sys.executable).with_name("regreveal"), "run", file, "--out", folder / "run"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    stages = json.loads((folder / "run/manifest.json").read_text())["stages"]
    table = pd.DataFrame(stages).T[["seconds", "peak_memory_mib"]].astype(float)
    table["memory"] = table.pop("peak_memory_mib") * 2**20 / 1e9
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = sum(path.stat().st_size for path in (folder / "run").rglob("*") if path.is_file())
    table.loc["whole run, wall"] = seconds, table["memory"].max()
    table.loc["whole run, processor"] = processor, table["memory"].max()
    table["disk"] = size / 1e9
    print(f"{people} people: {seconds:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    return table


def compare_runs(folder: Path) -> None:
    """Run all three and print what was expected of the largest beside what it took."""
    first, second = (run(folder / str(people), people) for people in SMALL)
    took = run(folder / str(HELD_OUT), HELD_OUT)
    beyond = (HELD_OUT - SMALL[1]) / (SMALL[1] - SMALL[0])
    expected = second + beyond * (second - first)
    for stage in took.index:
        told = [
            f"{what} {expected.loc[stage, what]:7.2f} {took.loc[stage, what]:7.2f} "
            f"({100 * (expected.loc[stage, what] / took.loc[stage, what] - 1):+4.0f} %)"
            for what in ("seconds", "memory")
            if took.loc[stage, what] >= 0.05
        ]
        print(f"{stage:45} {'   '.join(told)}")
    disk = expected["disk"].iloc[0], took["disk"].iloc[0]
    print(
        f"disk: {disk[0]:.3f} GB expected, {disk[1]:.3f} ({100 * (disk[0] / disk[1] - 1):+.0f} %)"
    )
