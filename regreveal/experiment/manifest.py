"""The manifest of a run: which stages are done, from which inputs, with which versions."""

import contextlib
import datetime
import functools
import hashlib
import importlib.metadata
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from regreveal.errors import InputError
from regreveal.experiment.workers import Workers, measured
from regreveal.store.atomic import remove_unfinished, resumable, take_lock, write_json

REPORTED_PACKAGES = (
    "bed-reader", "h5py", "keras", "matplotlib", "numba", "numpy", "pandas", "pyarrow", "pysam",
    "scikit-learn", "scipy", "tensorflow",
)  # fmt: skip
WHOLE_FILE, SAMPLE, SAMPLES = 2**26, 2**20, 18


class Manifest:
    """`manifest.json` of a run folder: stages run once for the same inputs.

    A stage's key is a hash of its settings, of the files it reads from outside the run, of the
    keys of the stages it builds on, and of RegReveal's version. A stage that finished under the
    same key is not run again; one that was killed under the same key finds its unfinished files;
    under another key its files are removed first, and those of all stages that build on it.

    Parameters
    ----------
    folder : Path
        The run folder. It is locked for this process until the manifest is closed.
    seed : int
        Recorded for whoever reproduces the run.

    Raises
    ------
    InputError
        If another process works in the folder, or its manifest is damaged.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder, self.seed = folder, seed
        self.path = folder / "manifest.json"
        self._lock = take_lock(folder / ".lock", wait=False)
        remove_unfinished(folder)
        self.stages, self._first_seen = self._read()
        self.used: list[str] = []
        self._fingerprints: dict[tuple, str] = {}
        self._queue: dict[str, tuple[Callable[[], object], dict]] | None = None

    def _read(self) -> tuple[dict, dict]:
        """Read the stages of an earlier run in the folder, and when it saw which files."""
        if not self.path.exists():
            return {}, {}
        try:
            return _records(json.loads(self.path.read_text()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._lock.close()
            raise InputError(
                f"{self.path}: not the manifest of a run ({error}); delete it to run all stages "
                "again, or name another folder"
            ) from None

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, *error) -> None:
        self._lock.truncate(0)
        self._lock.close()

    def __getstate__(self) -> dict:
        """Give what a worker process is sent: where the run is, not the right to run stages."""
        return {"folder": self.folder, "seed": self.seed, "path": self.path}

    def first_seen(self, files: Mapping[str, Path]) -> datetime.date:
        """Give the day on which files were first seen as they are, by this run or an earlier one.

        What depends on the day must not change when a run goes on after midnight, or when the
        clock is put right.

        Parameters
        ----------
        files : mapping of str to Path
            By what they are.
        """
        prints = {role: self._fingerprint(path) for role, path in files.items()}
        key = hashlib.sha256(json.dumps(prints, sort_keys=True).encode()).hexdigest()
        if key not in self._first_seen:
            self._first_seen[key] = datetime.date.today().isoformat()
            self._write()
        return datetime.date.fromisoformat(self._first_seen[key])

    @contextlib.contextmanager
    def together(self, accelerated: bool = False, alone: bool = False) -> Iterator[None]:
        """Let stages that are run within this block go side by side, in processes of their own.

        They are done when the block ends, each after those of them that it builds on. Their work
        must be something that another process can be sent: a function of a module, a method of a
        plain object, or a partial of these.

        Parameters
        ----------
        accelerated : bool
            Run them one by one after all if there is an accelerator, which they would share.
        alone : bool
            Run them one by one after all. So they are, too, on a single core.
        """
        if alone:
            yield
            return
        self._queue = {}
        try:
            yield
            if self._queue:
                self._run_queue(accelerated)
        finally:
            self._queue = None

    def _run_queue(self, accelerated: bool) -> None:
        with Workers() as workers:
            if not workers.alone_is_better(accelerated):
                self._run_side_by_side(workers)
                return
        # Not before the process has ended that looked for an accelerator, and has memory of it.
        for name, (work, entry) in self._queue.items():
            self._run_here(name, work, entry)

    def _run_side_by_side(self, workers: Workers) -> None:
        """Start each stage, in their order, once those it builds on are done."""
        waiting, unfinished = dict(self._queue), set(self._queue)
        while unfinished:
            for name, (work, entry) in list(waiting.items()):
                if workers.free and not unfinished & set(entry["after"]):
                    print(f"{name} …", file=sys.stderr, flush=True)
                    workers.start(name, work)
                    del waiting[name]
            for name, seconds, peak_memory in workers.finished():
                self._finish(name, self._queue[name][1], seconds, peak_memory)
                unfinished.remove(name)

    def _run_here(self, name: str, work: Callable[[], object], entry: dict) -> None:
        print(f"{name} …", file=sys.stderr, flush=True)
        self._finish(name, entry, *measured(work))

    def run(
        self,
        name: str,
        work: Callable[[], object],
        *,
        outputs: Iterable[Path],
        settings: object = None,
        files: Mapping[str, Path] | None = None,
        after: Iterable[str] = (),
    ) -> None:
        """Run a stage unless it is done.

        Parameters
        ----------
        name : str
            Such as "arms/native/train".
        work : callable
            Does it.
        outputs : iterable of Path
            Files or folders of the run that the stage alone writes.
        settings : object
            What JSON can hold of the experiment that decides the result.
        files : mapping of str to Path
            Files or folders outside the run that it reads, by what they are.
        after : iterable of str
            Stages of this run whose results it reads.
        """
        self.used.append(name)
        after, outputs = sorted(set(after)), list(outputs)
        inputs = {role: self._fingerprint(path) for role, path in (files or {}).items()}
        key = self._key(name, settings, inputs, after)
        before = self.stages.get(name, {})
        if before.get("key") == key and before["finished"] and all(p.exists() for p in outputs):
            print(f"{name}: done before", file=sys.stderr, flush=True)
            return
        if before.get("key") != key:
            for earlier in [name, *self._that_wrote_to(outputs)]:
                self._discard(earlier)
            for output in outputs:  # nothing in them is of this stage, whoever left it
                self._remove(output)
        entry = {
            "key": key,
            "finished": False,
            "after": after,
            "inputs": inputs,
            "outputs": [str(path.relative_to(self.folder)) for path in outputs],
        }
        self._record(name, entry)
        if self._queue is None:
            self._run_here(name, work, entry)
        else:
            self._queue[name] = work, entry

    def _finish(self, name: str, entry: dict, seconds: float, peak_memory: int | None) -> None:
        entry |= {
            "finished": True,
            "seconds": round(seconds, 1),
            "peak_memory_mib": peak_memory,
            "seed": self.seed,
            **_versions(),
        }
        self._record(name, entry)
        print(f"{name}: {entry['seconds']:.1f} s", file=sys.stderr, flush=True)

    def _that_wrote_to(self, outputs: list[Path]) -> list[str]:
        """Name the recorded stages with one of these outputs."""
        places = {str(path.relative_to(self.folder)) for path in outputs}
        return [name for name, entry in self.stages.items() if places & set(entry["outputs"])]

    def forget_unused(self, keep: Iterable[str] = ()) -> None:
        """Remove the records and files of stages that this experiment no longer has."""
        for name in [n for n in self.stages if n not in self.used and n not in keep]:
            self._discard(name)
            self.stages.pop(name, None)
        self._write()

    def _discard(self, name: str) -> None:
        """Remove a stage's files and, since they are now of the past, those of its successors.

        The record goes first: a process killed meanwhile must not find half a folder "finished".
        """
        entry = self.stages.pop(name, None)
        if entry is None:
            return
        self._write()
        for output in entry["outputs"]:
            self._remove(self.folder / output)
        for successor in [n for n, other in self.stages.items() if name in other["after"]]:
            self._discard(successor)

    def _remove(self, path: Path) -> None:
        """Remove a file, or a folder and what was begun of one, but nothing outside of the run."""
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise InputError(
                f"{path}: leads out of the run by a link, where nothing is removed; name a run "
                "folder on the disk that is to hold it all, or take the link away"
            )
        if resumable(path).is_dir():
            shutil.rmtree(resumable(path))
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _key(self, name: str, settings: object, inputs: dict, after: list[str]) -> str:
        content = {
            "stage": name,
            "regreveal": importlib.metadata.version("regreveal"),
            "settings": settings,
            "inputs": inputs,
            "after": {stage: self.stages[stage]["key"] for stage in after},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _fingerprint(self, path: Path) -> str:
        """Fingerprint a file or folder, each as it is now only once."""
        state = tuple(
            (str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _files_of(path)
        )
        if state not in self._fingerprints:
            self._fingerprints[state] = fingerprint(path)
        return self._fingerprints[state]

    def _record(self, name: str, entry: dict) -> None:
        self.stages[name] = entry
        self._write()

    def _write(self) -> None:
        content = {
            **_versions(),
            "seed": self.seed,
            "first_seen": self._first_seen,
            "stages": self.stages,
        }
        write_json(content, self.path)


def _records(content: dict) -> tuple[dict, dict]:
    """Take from a manifest its stages, and when it saw which files.

    A run may come from elsewhere, and a stage that is not wanted any more has its outputs removed:
    they must lie in the run.
    """
    stages, first_seen = content["stages"], content.get("first_seen", {})
    for name, entry in stages.items():
        if not {"key", "finished", "after", "outputs"} <= entry.keys():
            raise ValueError(f"stage '{name}' is not recorded in full")
        for place in map(Path, entry["outputs"]):
            if place.is_absolute() or ".." in place.parts or not place.parts:
                raise ValueError(f"stage '{name}' names '{place}', which is not within the run")
    for day in first_seen.values():
        datetime.date.fromisoformat(day)
    return stages, first_seen


def fingerprint(path: Path) -> str:
    """Hash a file or folder: whole up to 64 MiB, else size, time and 18 MiB from all over it.

    A biobank's tensors and genotypes take longer to read than most stages take to run, hence the
    short cut for large files. Besides its first and last MiB, what is read of one shows a hole of a
    seventeenth of it, such as a download in several parts leaves when one breaks off.
    """
    digest = hashlib.sha256()
    for file in _files_of(path):
        state = file.stat()
        digest.update(f"{file.relative_to(path)} {state.st_size}".encode())
        with file.open("rb") as stream:
            if state.st_size <= WHOLE_FILE:
                digest.update(stream.read())
            else:
                digest.update(str(state.st_mtime_ns).encode())
                for number in range(SAMPLES):
                    stream.seek((state.st_size - SAMPLE) * number // (SAMPLES - 1))
                    digest.update(stream.read(SAMPLE))
    return digest.hexdigest()


def _files_of(path: Path) -> list[Path]:
    """List the files of a folder, but hidden ones (locks, files being written); or the file."""
    if not path.is_dir():
        return [path]
    files = (file for file in path.rglob("*") if file.is_file())
    return sorted(file for file in files if not file.name.startswith("."))


def _versions() -> dict:
    return {
        "regreveal": importlib.metadata.version("regreveal"),
        "python": sys.version.split()[0],
        "versions": {package: _version(package) for package in REPORTED_PACKAGES},
    }


@functools.cache  # asked for with every stage; to look takes a millisecond a package
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
