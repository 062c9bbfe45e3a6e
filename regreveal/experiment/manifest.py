"""The manifest of a run: which stages are done, from which inputs, with which versions."""

import hashlib
import importlib.metadata
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from regreveal.store.atomic import atomic_path

REPORTED_PACKAGES = (
    "bed-reader", "h5py", "keras", "matplotlib", "numba", "numpy", "pandas", "pyarrow", "pysam",
    "scikit-learn", "scipy", "tensorflow",
)  # fmt: skip
WHOLE_FILE = 2**26


class Manifest:
    """`manifest.json` of a run folder: stages run once for the same inputs.

    A stage's key is a hash of its settings, of the files it reads from outside the run, and of the
    keys of the stages it builds on. A stage that finished under the same key is not run again; one
    that was killed under the same key finds its unfinished files; under another key its files are
    removed first.

    Parameters
    ----------
    folder : Path
        The run folder.
    seed : int
        Recorded for whoever reproduces the run.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder = folder
        self.path = folder / "manifest.json"
        self.stages = json.loads(self.path.read_text())["stages"] if self.path.exists() else {}
        self.seed = seed
        self.used: list[str] = []

    def run(
        self,
        name: str,
        work: Callable[[], None],
        *,
        outputs: Iterable[Path],
        settings: object = None,
        files: Iterable[Path] = (),
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
            Files or folders that the stage alone writes.
        settings : object
            What JSON can hold of the experiment that decides the result.
        files : iterable of Path
            Files or folders outside the run that it reads.
        after : iterable of str
            Stages of this run whose results it reads.
        """
        self.used.append(name)
        key = self._key(name, settings, files, after)
        before = self.stages.get(name, {})
        outputs = list(outputs)
        if before.get("key") == key and before["finished"] and all(p.exists() for p in outputs):
            print(f"{name}: done before", file=sys.stderr, flush=True)
            return
        if before.get("key") != key:
            for output in outputs:
                _remove(output)
        print(f"{name} …", file=sys.stderr, flush=True)
        self._record(name, {"key": key, "finished": False})
        started = time.monotonic()
        work()
        seconds = round(time.monotonic() - started, 1)
        self._record(name, {"key": key, "finished": True, "seconds": seconds})
        print(f"{name}: {seconds:.1f} s", file=sys.stderr, flush=True)

    def forget_unused(self) -> None:
        """Drop stages that this experiment no longer has from the record."""
        self.stages = {name: self.stages[name] for name in self.used}
        self._write()

    def _key(self, name, settings, files, after) -> str:
        content = {
            "stage": name,
            "regreveal": importlib.metadata.version("regreveal"),
            "settings": settings,
            "files": {file.name: fingerprint(file) for file in files},
            "after": {stage: self.stages[stage]["key"] for stage in after},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _record(self, name: str, entry: dict) -> None:
        self.stages[name] = entry
        self._write()

    def _write(self) -> None:
        content = {
            "regreveal": importlib.metadata.version("regreveal"),
            "python": sys.version.split()[0],
            "versions": {package: _version(package) for package in REPORTED_PACKAGES},
            "seed": self.seed,
            "stages": self.stages,
        }
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")


def fingerprint(path: Path) -> str:
    """Hash a file or folder: whole up to 64 MiB, else size, time and the first and last MiB.

    A biobank's tensors and genotypes take longer to read than most stages take to run, hence the
    short cut for large files.
    """
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        state = file.stat()
        digest.update(f"{file.relative_to(path)} {state.st_size}".encode())
        with file.open("rb") as stream:
            if state.st_size <= WHOLE_FILE:
                digest.update(stream.read())
            else:
                digest.update(str(state.st_mtime_ns).encode())
                digest.update(stream.read(2**20))
                stream.seek(-(2**20), 2)
                digest.update(stream.read())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
