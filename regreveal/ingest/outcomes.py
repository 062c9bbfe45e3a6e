"""What becomes of the files handed to an ingest: found, planned, and counted by reason."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NoReturn

import pandas as pd

from regreveal.errors import InputError

KEPT, DROPPED, SKIPPED = "kept", "dropped", "skipped"
LATER_VISIT, PRESENT = "later visit", "already in the store"


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    file : str
    format : str
        Empty where it was not recognised.
    sample_id : str
    outcome : "kept", "dropped" or "skipped"
    reason : str
        Why it was dropped or skipped, in a few fixed words; empty when kept.
    detail : str
        What was found.
    flags : str
        What to know about a kept recording, joined by "; ".
    """

    file: str
    format: str
    sample_id: str
    outcome: str
    reason: str = ""
    detail: str = ""
    flags: str = ""


def find_files(paths: Iterable[str | os.PathLike]) -> list[Path]:
    """List files, and those in folders with all their subfolders, each once; links are followed.

    Raises
    ------
    InputError
        If a path does not exist, or a folder cannot be read.
    """
    files: dict[Path, Path] = {}
    for given in map(Path, paths):
        if not given.exists():
            raise InputError(f"{given}: no such file or folder")
        for path in sorted(_files_below(given)) if given.is_dir() else [given]:
            files.setdefault(path.resolve(), path)
    return list(files.values())


def _files_below(folder: Path) -> Iterator[Path]:
    seen = set()
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()  # A link that leads back.
            continue
        seen.add(real)
        for path in (Path(parent, name) for name in names):
            if path.is_symlink() and not path.exists():
                raise InputError(f"{path}: a link that leads nowhere; mend or remove it")
            if path.is_file():
                yield path


def _refuse(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error


def first_visits(
    recordings: Iterable[tuple[Path, str, int | None]],
) -> tuple[list[Path], dict[Path, str]]:
    """Divide recordings into the first of each participant and the later ones.

    Parameters
    ----------
    recordings : iterable of (path, sample id, visit or None)

    Returns
    -------
    first : list of Path
        In the order in which participants came.
    later : dict of Path to str
        With what to say of it.

    Raises
    ------
    InputError
        If a participant has two of the first visit.
    """
    visits: dict[str, list[tuple[int | None, Path]]] = {}
    for path, sample_id, visit in recordings:
        visits.setdefault(sample_id, []).append((visit, path))
    first, later = [], {}
    for sample_id, of_one in visits.items():
        earliest = min(visit or 0 for visit, _ in of_one)
        firsts = [path for visit, path in of_one if (visit or 0) == earliest]
        if len(firsts) > 1:
            raise InputError(
                f"{firsts[0]} and {firsts[1]}: both have the sample id '{sample_id}'; "
                "rename one, or ingest one only"
            )
        first.append(firsts[0])
        later |= {
            path: f"visit {visit}; kept {earliest}" for visit, path in of_one if path != firsts[0]
        }
    return first, later


def as_report(outcomes: Sequence[Outcome], expected: str) -> pd.DataFrame:
    """Make the table that an ingest returns, one row a file.

    Parameters
    ----------
    outcomes : sequence of Outcome
    expected : str
        Which files there should have been, for the error if there were none.

    Raises
    ------
    InputError
        If nothing was kept, nor there already.
    """
    report = pd.DataFrame(outcomes, columns=[field.name for field in fields(Outcome)])
    if not report["outcome"].isin((KEPT, SKIPPED)).any():
        raise InputError(_why_nothing(report, expected))
    return report.sort_values("file", ignore_index=True)


def summarise(report: pd.DataFrame) -> pd.DataFrame:
    """Count the report of an ingest by reason.

    Parameters
    ----------
    report : DataFrame

    Returns
    -------
    DataFrame
        Columns `outcome` (read, kept, flagged, skipped, dropped), `reason` and `count`; a recording
        with several flags is counted under each.
    """
    counts = [("read", "", len(report)), (KEPT, "", int((report["outcome"] == KEPT).sum()))]
    flags = Counter(
        flag.partition(": ")[0] for joined in report["flags"] for flag in joined.split("; ") if flag
    )
    counts += [("flagged", kind, count) for kind, count in flags.most_common()]
    for outcome in (SKIPPED, DROPPED):
        reasons = report.loc[report["outcome"] == outcome, "reason"]
        counts += [(outcome, reason, count) for reason, count in reasons.value_counts().items()]
    return pd.DataFrame(counts, columns=["outcome", "reason", "count"])


def _why_nothing(report: pd.DataFrame, expected: str) -> str:
    if report.empty:
        return f"no files found; expected {expected}"
    first = report.iloc[0]
    if len(report) == 1:
        return f"{first['file']}: {first['reason']}: {first['detail']}"
    counts = ", ".join(f"{n} {reason}" for reason, n in report["reason"].value_counts().items())
    return f"none of {len(report)} files could be used: {counts} (such as {first['file']})"
