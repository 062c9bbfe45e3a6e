"""Kill a small run of all stages at random moments, let it go on, and compare all its files.

    OMP_NUM_THREADS=1 python benchmarks/running/kill_and_resume.py --out runs/killed

A run of ECGs as recorded and registered, with every analysis, is made once without disturbance, on
one core. Then a new run is killed by SIGKILL and started again until it is done, 20 times: once in
each kind of stage, and else at moments drawn over the whole of the run, one in each part of it. A
moment is kept as a stage and the seconds since it began, so that a busier machine does not shift
it. Every fourth of these runs has all cores, so that stages go side by side in processes of their
own.

The same means the same to the byte, of every file of the run: tensors, tables, figures,
embeddings. All randomness of a step follows from its number and the seed, and what is added up is
added up in the same order. Left out is what tells seconds, memory and processes (see `_facts`): of
tables of these the other columns are compared, of networks, whose files hold the time they were
written, the weights.

OUT keeps what is done: the same command goes on, and `--most-seconds` ends it before a trial that
would take it over that time.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from bed_reader import open_bed, to_bed

from regreveal.simulation.biobank import simulate_biobank
from regreveal.store.atomic import write_json
from regreveal.store.cohort import read_table

EXPERIMENT = """
title = "All stages in little"
seed = 1

[data]
folder = "{data}"

[training.simulate]
participants = 120
variants = 500

[splits]
train = 0.8
validation = 0.2
analysis = 0.0

[autoencoder]
latent_size = 4
steps = 110
batch_size = 16

[arms.native]
tensor_map = "ecg.rest_10s"
autoencoder = {{ steps = 20 }}

[arms.registered]
tensor_map = "ecg.median"
registration = {{ method = "QRSAlignment", input = "ecg.rest_10s" }}

[comparisons.alignment]
baseline = "native"
against = "registered"

[probes]
targets = ["qrs_duration", "sex", "age"]

[gwas]
coding = "additive"
covariates = ["age", "sex", "pc_1"]

[phewas]
covariates = ["age", "sex"]

[clusters]
bootstraps = 5

[replication]

[directions]
"""
PARTICIPANTS, VARIANTS = 240, 9000
# So few people have no locus of what is simulated; variants made of these phenotypes are some.
MARKED = ("heart_rate", "pr_interval", "qrs_duration", "qt_interval", "frontal_axis", "r_amplitude")
ALL_CORES_EVERY = 4  # trials; in between, on one core, all stages go in one process
COMMAND = "from regreveal.cli.start import start; start()"
KINDS = {
    "simulate": "training",
    "register": ".*/register",
    "train": ".*/train",
    "embed": ".*/embed",
    "probes": ".*/probes",
    "gwas": ".*/gwas",
    "phewas": ".*/phewas",
    "clusters": ".*/clusters",
    "directions": ".*/directions",
    "report": "report",
}
BEGAN, ENDED = re.compile(r"(\S.*) …"), re.compile(r"(\S.*): \d+\.\d s")
MEASURED = re.compile(r"seconds.*|peak_memory_mib")  # keys, and columns of tables
# The manifest and the page tell seconds, too, and the report has a table of nothing else.
LEFT_OUT = re.compile(r"manifest\.json|report\.html|.*what-it-took.*|table2\.tex|(.*/)?\.lock")


class Attempt:
    """A process that runs the experiment, and which of its stages are under way.

    Parameters
    ----------
    experiment, folder : Path
    log : Path
        Takes what it prints.
    cores : set of int
        That it may use.
    """

    def __init__(self, experiment: Path, folder: Path, log: Path, cores: set[int]):
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self._started, self._log = time.monotonic(), log
        with log.open("w") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "run", str(experiment), "--out", str(folder)],
                stdout=stream,
                stderr=stream,
            )
        os.sched_setaffinity(self._process.pid, cores)

    def follow(self, stage: str | None = None) -> int | None:
        """Wait until a stage begins; or to the end, and give the status."""
        while True:
            status = self._process.poll()
            now = time.monotonic() - self._started
            for line in self._log.read_text(errors="replace").splitlines():
                if match := BEGAN.fullmatch(line):
                    self.began.setdefault(match[1], now)
                elif match := ENDED.fullmatch(line):
                    self.ended.setdefault(match[1], now)
            if status is not None or stage in self.began:
                return status
            time.sleep(0.01)

    def kill(self, stage: str | None, seconds: float) -> str:
        """Kill it so long after a stage began, or after it was started; say what was at work.

        It alone is killed, as for want of memory; its processes have to end by themselves.
        """
        if stage is not None:
            self.follow(stage)
        time.sleep(seconds)
        alive = self._process.poll() is None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.follow()
        if not alive:
            return "it had ended"
        if at_work := [name for name in self.began if name not in self.ended]:
            return ", ".join(at_work)
        return f"none, after {list(self.ended)[-1]}" if self.ended else "none yet"


def one_core() -> set[int]:
    return set(sorted(os.sched_getaffinity(0))[:1])


def make_data(folder: Path) -> None:
    """Simulate people to analyse, and let some variants tell much of what is measured of ECGs."""
    if folder.exists():
        return
    simulate_biobank(folder, PARTICIPANTS, VARIANTS, seed=1, modalities=["ecg"])
    bed_file = folder / "genotypes" / "genome.bed"
    with open_bed(bed_file) as bed:
        genotypes, properties = bed.read(dtype="int8"), bed.properties
    rng, phenotypes = np.random.default_rng(1), read_table(folder / "phenotypes.tsv")
    for column, name in zip(range(0, VARIANTS, VARIANTS // len(MARKED)), MARKED, strict=False):
        ranks = phenotypes[name].rank(pct=True, na_option="keep").fillna(0.5)
        noisy = pd.Series(ranks + 0.2 * rng.standard_normal(len(ranks))).rank(pct=True)
        genotypes[:, column] = np.digitize(noisy, [0.49, 0.91])
    to_bed(bed_file, genotypes, properties=properties)


def run_alone(experiment: Path, folder: Path) -> dict:
    """Make the run that is left alone; return when which stage began and ended."""
    noted = folder.parent / "undisturbed.json"
    if not noted.exists():
        shutil.rmtree(folder, ignore_errors=True)  # it was broken off
        attempt = Attempt(experiment, folder, folder.parent / "undisturbed.log", one_core())
        started = time.monotonic()
        if status := attempt.follow():
            sys.exit(f"the run ended with status {status}")
        seconds = time.monotonic() - started
        write_json({"seconds": seconds, "began": attempt.began, "ended": attempt.ended}, noted)
    return json.loads(noted.read_text())


def draw_moments(alone: dict, count: int, seed: int) -> list[tuple[str | None, float]]:
    """Draw moments to kill at, in their order: a stage, and seconds since it began."""
    rng = np.random.default_rng(seed)
    drawn = []
    for pattern in KINDS.values():
        stage = rng.choice([name for name in alone["ended"] if re.fullmatch(pattern, name)])
        drawn.append((rng.uniform(alone["began"][stage], alone["ended"][stage]), stage))
    parts = count - len(drawn)
    for moment in (np.arange(parts) + rng.random(parts)) * alone["seconds"] / parts:
        before = [name for name, began in alone["began"].items() if began <= moment]
        drawn.append((moment, before[-1] if before else None))
    return [
        (stage, float(moment - (alone["began"][stage] if stage else 0)))
        for moment, stage in sorted(drawn, key=lambda each: each[0])
    ]


def compare(expected: Path, found: Path) -> tuple[int, list[str]]:
    """Count the files compared, and name those that differ."""
    files = [
        {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        for folder in (expected, found)
    ]
    names = sorted(name for name in set.union(*files) if not LEFT_OUT.fullmatch(name))
    differ = [
        name
        for name in names
        if not all(name in there for there in files)
        or _facts(expected / name) != _facts(found / name)
    ]
    return len(names), differ


def _facts(path: Path) -> bytes:
    """Give a file's bytes, but of what tells seconds or memory only the rest."""
    if path.suffix == ".json":
        return json.dumps(_without_measured(json.loads(path.read_text()))).encode()
    if path.name in ("history.csv", "table2.tsv"):
        table = pd.read_csv(path, sep=None, engine="python", dtype=str)
        kept = [column for column in table.columns if not MEASURED.fullmatch(column)]
        return table[kept].to_csv().encode()
    if path.suffix == ".keras":
        return _weights(path)
    return path.read_bytes()


def _without_measured(content: object) -> object:
    if isinstance(content, dict):
        kept = {key: value for key, value in content.items() if not MEASURED.fullmatch(key)}
        return {key: _without_measured(value) for key, value in kept.items()}
    if isinstance(content, list):
        return [_without_measured(value) for value in content]
    return content


def _weights(path: Path) -> bytes:
    digest = hashlib.sha256()

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        digest.update(name.encode())
        if isinstance(item, h5py.Dataset):
            digest.update(np.ascontiguousarray(item[()]).tobytes())

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as weights:
        weights.visititems(add)
    return digest.digest()


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
    make_data(out / "people")
    experiment.write_text(EXPERIMENT.format(data=out.absolute() / "people"))
    alone = run_alone(experiment, out / "undisturbed")
    print(f"left alone: {alone['seconds']:.0f} s", flush=True)
    moments = draw_moments(alone, arguments.moments, arguments.seed)
    trials = json.loads(results.read_text()) if results.exists() else []
    longest = alone["seconds"]
    for number in range(len(trials), arguments.moments):
        started = time.monotonic()
        if started - began + 1.3 * longest > arguments.most_seconds:
            break
        trials.append(make_trial(experiment, out, number, moments[number]))
        write_json(trials, results)
        print(trials[-1], flush=True)
        longest = max(longest, time.monotonic() - started)
    print(pd.DataFrame(trials).to_string(index=False))
    good = sum(trial["status"] == 0 and not trial["differ"] for trial in trials)
    print(f"{good} of {len(trials)} have the same files ({arguments.moments} moments)")
    at_work = [stage for trial in trials for stage in trial["killed in"].split(", ")]
    for kind, pattern in KINDS.items():
        print(f"{kind}: hit {sum(bool(re.fullmatch(pattern, stage)) for stage in at_work)} times")


def make_trial(
    experiment: Path, out: Path, number: int, moment: tuple[str | None, float]
) -> dict[str, object]:
    """Kill a run at a moment, let it go on to its end, and compare it with the one left alone."""
    stage, seconds = moment
    everywhere = (number + 1) % ALL_CORES_EVERY == 0
    cores = os.sched_getaffinity(0) if everywhere else one_core()
    folder = out / f"killed-{number + 1:02d}"
    shutil.rmtree(folder, ignore_errors=True)  # of a trial that was broken off
    first = Attempt(experiment, folder, out / f"{folder.name}-first.log", cores)
    killed_in = first.kill(stage, seconds)
    status = Attempt(experiment, folder, out / f"{folder.name}-again.log", cores).follow()
    files, differ = compare(out / "undisturbed", folder)
    left = [path.name for path in folder.rglob(".*") if path.name != ".lock"]
    return {
        "moment": f"{seconds:.1f} s of {stage or 'loading'}",
        "cores": len(cores),
        "killed in": killed_in,
        "status": status,
        "files": files,
        "differ": ", ".join(differ),
        "left behind": ", ".join(left),
    }


if __name__ == "__main__":
    main()
