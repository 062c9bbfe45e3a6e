"""Tries all hostile files, and prints what each got as a table of docs/security.md.

`python hostile_files.py FOLDER` tries them in one process that may not have more memory than an
honest file needs, and writes what each got to FOLDER/outcomes.json. With `--table` it prints them.
"""

import json
import resource
import sys
import time
from pathlib import Path

from hostile import (  # noqa: F401
    arrays,
    descriptions,
    genotypes,
    images,
    recordings,
    stores,
    tables,
)
from hostile.cases import CASES

from regreveal.errors import InputError

MEMORY = 3 << 30  # Bytes beyond what the process has when it begins.


def outcome(function, folder):
    """What a hostile file got: the kind of error, its message, seconds of the processor."""
    folder.mkdir(parents=True)
    start = time.process_time()
    try:
        function(folder)
    except InputError as error:
        kind, message = "InputError", str(error)
    # Whatever else it is, the test wants to know.
    except BaseException as error:
        kind, message = type(error).__name__, str(error)
    else:
        kind, message = "read", ""
    return kind, message.replace(str(folder), ""), time.process_time() - start


def limit_memory():
    """Let this process have little more memory than it has."""
    import pydicom  # noqa: F401

    import regreveal.genetics.genotypes
    import regreveal.ingest.dicom
    import regreveal.registration  # noqa: F401

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def as_table(outcomes):
    """Rows of Markdown: what was tried, and what it got."""
    rows = [
        (CASES[name][0], message if kind == "InputError" else kind)
        for name, (kind, message, _) in outcomes.items()
    ]
    return "\n".join(f"| {tried} | {got} |" for tried, got in rows)


def main():
    """Try all, or those named, in the folder given."""
    limit_memory()
    folder = Path(sys.argv[1])
    outcomes = {
        name: outcome(function, folder / name.replace(" ", "-"))
        for name, (_, _, function) in CASES.items()
    }
    (folder / "outcomes.json").write_text(json.dumps(outcomes))
    if "--table" in sys.argv:
        print(as_table(outcomes))


if __name__ == "__main__":
    main()
