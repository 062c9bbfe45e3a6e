"""Output files that grow block by block, and go on where they were after a kill."""

import json
import os
import shutil
import warnings
from collections import Counter
from pathlib import Path

from regreveal.store.faults import explaining

WORK_FOLDER = ".unfinished"
STATE_FILE = "state.json"


class UnfinishedFiles:
    """Files of a run, appended to unit of work by unit of work.

    They stand in a hidden folder until `move`. After each unit their sizes are noted, so that a
    run that was killed in mid-unit is cut back to its last whole one, and the same bytes follow as
    if nothing had happened.

    Parameters
    ----------
    folder : path-like
        Where the finished files are to be.
    fingerprint : str
        Of everything that decides their content; what another run left is started anew.
    headers : dict of str to bytes
        What each file begins with, by its name relative to `folder`.

    Attributes
    ----------
    units_done : int
        Units of work that the files hold.
    counts : Counter
        Sums of the counts that came with them.
    """

    def __init__(self, folder: str | os.PathLike, fingerprint: str, headers: dict[str, bytes]):
        self.folder = Path(folder)
        self._work = self.folder / WORK_FOLDER
        self._fingerprint = fingerprint
        state = self._read_state()
        if state is None:
            if self._work.exists():
                warnings.warn(
                    f"{self.folder}: an unfinished run of other inputs or options is there; it is "
                    "started anew",
                    stacklevel=2,
                )
                shutil.rmtree(self._work)
            self.units_done, self.counts = 0, Counter()
            self._sizes = dict.fromkeys(headers, 0)
            self._append(headers)
            self._write_state()
        else:
            self.units_done, self.counts = state["units_done"], Counter(state["counts"])
            self._sizes = state["sizes"]
            for name, size in self._sizes.items():
                os.truncate(self.path(name), size)

    def path(self, name: str) -> Path:
        """Where a file stands while it grows."""
        return self._work / name

    def add_unit(self, parts: dict[str, bytes], counts: Counter) -> None:
        """Append one unit's part of each file, and add to the counts."""
        self._append(parts)
        self.counts.update(counts)
        self.units_done += 1
        self._write_state()

    def move(self, names: list[str]) -> None:
        """Move files, complete now, to where they belong, and drop the rest."""
        for name in names:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.path(name), self.folder / name)
        shutil.rmtree(self._work)

    def _append(self, parts: dict[str, bytes]) -> None:
        for name, part in parts.items():
            path = self.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with explaining(path), path.open("ab") as stream:
                stream.write(part)
            self._sizes[name] += len(part)

    def _read_state(self) -> dict | None:
        """State of an earlier run of the same fingerprint whose files are all still there."""
        try:
            state = json.loads(self.path(STATE_FILE).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if state["fingerprint"] != self._fingerprint:
            return None
        whole = all(
            self.path(name).is_file() and self.path(name).stat().st_size >= size
            for name, size in state["sizes"].items()
        )
        return state if whole else None

    def _write_state(self) -> None:
        state = {
            "fingerprint": self._fingerprint,
            "units_done": self.units_done,
            "sizes": self._sizes,
            "counts": self.counts,
        }
        temporary = self.path(STATE_FILE + ".new")
        with explaining(temporary):
            temporary.write_text(json.dumps(state))
        os.replace(temporary, self.path(STATE_FILE))
