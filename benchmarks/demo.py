"""The demo for several seeds: what each arm finds and knows, how long it takes, how much memory.

    python benchmarks/demo.py --out runs/benchmark --seeds 1 2 3

Memory is the largest sum of the resident sizes of all processes of the run, looked at twice a
second; pages that processes share count in each of them, so it is an upper bound.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil

LOOK_EVERY_SECONDS = 0.5


def run_demo(folder: Path, seed: int) -> tuple[float, float]:
    """Run the demo in a process of its own; return seconds and peak GiB."""
    code = "from regreveal.cli.main import main; main()"
    command = [sys.executable, "-c", code, "demo", "--out", str(folder), "--seed", str(seed)]
    started, peak = time.monotonic(), 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            peak = max(peak, resident_bytes(psutil.Process(process.pid)))
            time.sleep(LOOK_EVERY_SECONDS)
    if process.returncode:
        sys.exit(f"the demo of seed {seed} ended with status {process.returncode}")
    return time.monotonic() - started, peak / 2**30


def resident_bytes(process: psutil.Process) -> int:
    """Sum up the resident sizes of a process and all its descendants."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended between being listed and being looked at
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the run folders")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    pd.set_option("display.width", 200)
    for seed in arguments.seeds:
        folder = arguments.out / f"seed-{seed}"
        seconds, memory = run_demo(folder, seed)
        rows = [of_comparison(path) for path in sorted((folder / "comparisons").iterdir())]
        print(f"\nseed {seed}: {seconds / 60:.1f} min, {memory:.1f} GiB")
        print(pd.DataFrame(rows).to_string(index=False), flush=True)


def of_comparison(folder: Path) -> dict[str, str]:
    """Planted loci found, and what probes read off, before and after registration."""
    loci = pd.read_csv(folder / "truth_summary.tsv", sep="\t", index_col="arm")
    means = pd.read_csv(folder / "probe_means.tsv", sep="\t")
    differences = pd.read_csv(folder / "probe_differences.tsv", sep="\t")
    before, after = (arm for arm in loci.index if arm != "oracle")
    row = {"comparison": folder.name, "planted": loci["planted"].iloc[0]}
    for name in ("oracle", before, after):
        label = {before: "before", after: "after"}.get(name, name)
        row[f"{label} (false)"] = f"{loci['found'][name]} ({loci['false'][name]})"
    for mean in means.itertuples():
        row[f"mean {mean.metric}"] = f"{mean.baseline_score:.3f} → {mean.score:.3f}"
        row[f"difference in {mean.metric}"] = (
            f"{mean.difference:+.3f} ({mean.low:+.3f} to {mean.high:+.3f})"
        )
    told_apart = differences["q_value"] < 0.05
    better, worse = (told_apart & (sign * differences["difference"] > 0) for sign in (1, -1))
    row["better, worse"] = f"{better.sum()}, {worse.sum()} of {len(differences)}"
    return row


if __name__ == "__main__":
    main()
