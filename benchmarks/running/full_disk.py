"""Fill the disk in one kind of stage after another, make room, go on, and compare all files.

    mount -t tmpfs tmpfs /mnt/small        # as root, on Linux
    OMP_NUM_THREADS=1 python benchmarks/running/full_disk.py --runs runs/killed --disk /mnt/small

RUNS is what `kill_and_resume.py` left, whose undisturbed run is compared with. For each kind of
stage that run is copied to the disk, one stage of the kind and all that is built on it are taken
out of it, and the disk is left with room for half of what the stage writes. The run must end with
status 1 and one line, and leave nothing half-written. Then the disk has room again, and the same
command must end with the same files.
"""

import argparse
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
from kill_and_resume import KINDS, Attempt, compare, one_core

from regreveal.store.atomic import UNFINISHED, write_json

PAGE = 4096
ROOM = 2**30


def take_away(folder: Path, kind: str) -> tuple[str, int]:
    """Take a stage of a kind, and what is built on it, out of a run; give its name and bytes."""
    manifest = json.loads((folder / "manifest.json").read_text())
    stages = manifest["stages"]
    first = next(name for name in stages if re.fullmatch(KINDS[kind], name))
    size = sum(bytes_of(folder / output) for output in stages[first]["outputs"])
    gone = {first}
    while more := {n for n, s in stages.items() if n not in gone and gone & set(s["after"])}:
        gone |= more
    for name in gone:
        for output in stages.pop(name)["outputs"]:
            path = folder / output
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)  # it lay in a folder that has gone
    write_json(manifest, folder / "manifest.json")
    return first, size


def bytes_of(path: Path) -> int:
    """Give what a file or folder takes of the disk."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(PAGE * -(-file.stat().st_size // PAGE) for file in files)


def resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def make_trial(kind: str, runs: Path, disk: Path) -> dict[str, object]:
    resize(disk, ROOM)
    folder = disk / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(runs / "undisturbed", folder)
    stage, size = take_away(folder, kind)
    resize(disk, bytes_of(folder) + PAGE * sum(1 for _ in folder.rglob("*")) + size // 2)
    free = shutil.disk_usage(disk).free
    log, experiment = runs / f"full-{kind}.log", runs / "little.toml"
    status = Attempt(experiment, folder, log, one_core()).follow()
    told = [line for line in log.read_text().splitlines() if line.startswith("regreveal: ")]
    left = [path.name for path in folder.rglob(".*") if UNFINISHED.fullmatch(path.name)]
    resize(disk, ROOM)
    again = Attempt(experiment, folder, runs / f"full-{kind}-again.log", one_core()).follow()
    files, differ = compare(runs / "undisturbed", folder)
    return {
        "stage": stage,
        "writes kB": size // 1000,
        "free kB": free // 1000,
        "status": status,
        "told": " | ".join(told),
        "left behind": ", ".join(left),
        "again": again,
        "files": files,
        "differ": ", ".join(differ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="of kill_and_resume.py")
    parser.add_argument("--disk", type=Path, required=True, help="where a tmpfs is mounted")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    arguments = parser.parse_args()
    trials = []
    for kind in arguments.kinds:
        trials.append(make_trial(kind, arguments.runs, arguments.disk))
        print(trials[-1], flush=True)
        write_json(trials, arguments.runs / "full_disk.json")
    print(pd.DataFrame(trials).drop(columns="told").to_string(index=False))


if __name__ == "__main__":
    main()
