"""Cardiac cines in DICOM: one file a frame, or all frames of a series in one file.

Frames are put in the order of the heart beat by what they say about themselves, never by the order
or the names of the files. A series that lacks a frame, or has one twice, is refused: its frames
would no longer lie where the beat has them.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regreveal.ingest.dicom_files import TOO_LARGE, owner, reading
from regreveal.ingest.dicom_pixels import (
    MOST_VALUES,
    functional_group,
    grey,
    is_text_burned_in,
    spacing,
)
from regreveal.ingest.files import UnusableFileError, shown
from regreveal.ingest.image import BURNED_IN, Image

if TYPE_CHECKING:
    import pydicom

NO_CINE, MISSING, DUPLICATED = "no cine", "missing frames", "duplicated frames"
MIXED, UNORDERED = "frames that do not belong together", "frames without an order"
REPEATED, LATE_START = "other acquisitions of the series left out", "frame numbers start late"
LONGEST_NAME = 64
SHOWN = 3  # Numbers of frames in an error.
MOST_FRAMES = 10_000  # In a file or series; a cine has 50.
SAME_PLACE = 0.1  # In millimetres; slices of one stack are several apart.
# Between frames of one beat steps are equal up to rounding: one that is half as long again, or
# more, has lost a frame.
LONGEST_STEP = 1.5


@dataclass(frozen=True)
class _Frame:
    where: str
    dataset: "pydicom.Dataset"
    index: int
    is_alone: bool  # In its file.


def read_cines(
    datasets: Iterable[tuple[str, "pydicom.Dataset"]],
    source: Path,
    series: Collection[str] | None = None,
) -> list[Image]:
    """Read the cines among the MR images of one participant.

    Series of one frame (scouts) are passed over. Where a series was acquired more than once, the
    last that is whole is taken, since one is repeated when it was not good.

    Parameters
    ----------
    datasets : iterable of (str, Dataset)
        What errors are to name, and the dataset, in any order.
    source : Path
        The file, folder or zip they are from, whose name tells participant and visit.
    series : collection of str, optional
        Names of the series to read, as in what is returned; others may then be damaged. By default
        all.

    Returns
    -------
    list of Image
        One a series, sorted by name. `series` is the series description in lower case with "_" for
        all but letters, digits, "+", "-" and ".", such as "cine_segmented_lax_4ch".

    Raises
    ------
    UnusableFileError
        If there is no cine, none of these series, or one of them lacks frames, has one twice, mixes
        slices or sizes, or cannot be decoded.
    """
    with reading(source):
        named: dict[str, list[list[_Frame]]] = {}
        for frames in _acquisitions(datasets):
            named.setdefault(_name(frames[0].dataset), []).append(frames)
        if not named:
            raise UnusableFileError(source, NO_CINE, "no MR series of several frames in it")
        chosen = [name for name in sorted(named) if series is None or name in series]
        if not chosen:
            there = shown(", ".join(sorted(named)))
            raise UnusableFileError(source, "no such series", f"there are {there}")
        return [_last_whole(source, name, named[name]) for name in chosen]


def _acquisitions(datasets: Iterable[tuple[str, "pydicom.Dataset"]]) -> list[list[_Frame]]:
    """Frames by series, in the order of the series' numbers; series of a single frame left out."""
    by_uid: dict[str, list[_Frame]] = {}
    for where, dataset in datasets:
        count = int(dataset.get("NumberOfFrames") or 1)
        if count > MOST_FRAMES or count * int(dataset.Rows) * int(dataset.Columns) > MOST_VALUES:
            raise UnusableFileError(where, TOO_LARGE, f"{count} frames in one file")
        by_uid.setdefault(str(dataset.get("SeriesInstanceUID") or ""), []).extend(
            _Frame(where, dataset, index, is_alone=count == 1) for index in range(count)
        )
    cines = [
        frames for frames in by_uid.values() if len(frames) > 1 or _expected(frames[0].dataset) > 1
    ]
    return sorted(
        cines,
        key=lambda frames: (
            int(frames[0].dataset.get("SeriesNumber") or 0),
            str(frames[0].dataset.get("SeriesInstanceUID") or ""),
        ),
    )


def _last_whole(source: Path, name: str, acquisitions: list[list[_Frame]]) -> Image:
    if not name and len(acquisitions) > 1:
        raise UnusableFileError(
            source, MIXED, f"{len(acquisitions)} series that nothing tells apart"
        )
    others = len(acquisitions) - 1
    *earlier, last = acquisitions
    flags = [f"{REPEATED}: {others}"] if others else []
    try:
        return _read(source, name, last, flags)
    except UnusableFileError:
        for frames in reversed(earlier):
            try:
                return _read(source, name, frames, flags)
            except UnusableFileError:
                continue
        raise


def _read(source: Path, name: str, frames: list[_Frame], flags: list[str]) -> Image:
    where = f"{source}, series {shown(name)}" if name else str(source)
    with reading(where):
        _check_they_belong_together(where, frames)
        numbers = [_number(frame) for frame in frames]
        flags = [*flags, *_check_numbers(where, frames, numbers)]
        if any(is_text_burned_in(frame.dataset) for frame in frames):
            flags.append(BURNED_IN)
        decoded: dict[int, np.ndarray] = {}
        for frame in frames:
            if id(frame.dataset) not in decoded:
                decoded[id(frame.dataset)] = grey(frame.where, frame.dataset)
        pixels = np.stack(
            [decoded[id(frame.dataset)][frame.index] for frame in _ordered(where, frames)], axis=-1
        )
        sample_id, visit = owner(source)
        return Image(
            pixels=pixels,
            voxel_size=spacing(frames[0].dataset),
            kind="cardiac",
            sample_id=sample_id,
            visit=visit,
            series=name,
            flags=tuple(flags),
        )


def _name(dataset: "pydicom.Dataset") -> str:
    described = str(dataset.get("SeriesDescription") or "").lower()
    return re.sub(r"[^a-z0-9+.-]+", "_", described).strip("_")[:LONGEST_NAME]


def _expected(dataset: "pydicom.Dataset") -> int:
    return int(dataset.get("CardiacNumberOfImages") or 0)


def _check_they_belong_together(where: str, frames: list[_Frame]) -> None:
    files = {frame.where for frame in frames}
    if len(files) > 1 and not all(frame.is_alone for frame in frames):
        raise UnusableFileError(where, MIXED, f"{len(files)} files, some of several frames")
    for what, of_frame in (
        ("sizes", lambda frame: (int(frame.dataset.Rows), int(frame.dataset.Columns))),
        ("pixel spacings", lambda frame: spacing(frame.dataset)),
    ):
        if (found := len({of_frame(frame) for frame in frames})) > 1:
            raise UnusableFileError(where, MIXED, f"{found} different {what}")
    values = len(frames) * int(frames[0].dataset.Rows) * int(frames[0].dataset.Columns)
    if len(frames) > MOST_FRAMES or values > MOST_VALUES:
        raise UnusableFileError(where, TOO_LARGE, f"{len(frames)} frames")
    places = [place for frame in frames if (place := _place(frame)) is not None]
    if places and np.ptp(places, axis=0).max() > SAME_PLACE:
        raise UnusableFileError(where, MIXED, "several slices, where one was expected")


def _place(frame: _Frame) -> list[float] | None:
    group = functional_group(frame.dataset, frame.index, "PlanePositionSequence")
    place = (group or frame.dataset).get("ImagePositionPatient")
    return [float(coordinate) for coordinate in place] if place and len(place) == 3 else None


def _check_numbers(where: str, frames: list[_Frame], numbers: list[int | None]) -> list[str]:
    """Refuse missing and duplicated frames as far as numbers and the expected count tell."""
    expected = _expected(frames[0].dataset)
    known = sorted(number for number in numbers if number is not None)
    if len(known) == len(frames):
        if doubled := [number for number, count in Counter(known).items() if count > 1]:
            raise UnusableFileError(where, DUPLICATED, f"number {_some(doubled)}")
        # Only a few of them, however far apart two numbers lie.
        between = chain.from_iterable(range(one + 1, after) for one, after in pairwise(known))
        if gaps := list(islice(between, SHOWN + 1)):
            raise UnusableFileError(
                where,
                MISSING,
                f"{len(frames)} frames, numbered {known[0]} to {known[-1]} without {_some(gaps)}",
            )
    if expected > 1 and len(frames) != expected:
        reason = MISSING if len(frames) < expected else MIXED
        raise UnusableFileError(where, reason, f"{len(frames)} frames of {expected}")
    starts_late = len(known) == len(frames) and known[0] > 1 and expected != len(frames)
    return [f"{LATE_START}: at {known[0]}"] if starts_late else []


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:SHOWN])) + (", …" if len(numbers) > SHOWN else "")


def _ordered(where: str, frames: list[_Frame]) -> list[_Frame]:
    keys: tuple[tuple[str, Callable[[_Frame], float | None]], ...] = (
        ("trigger time", _trigger_time),
        ("number", _number),
        ("acquisition time", _acquisition_time),
    )
    for name, key in keys:
        values = [key(frame) for frame in frames]
        # A key that is the same for all, such as a trigger time of 0, tells nothing.
        if None in values or (len(set(values)) == 1 and len(frames) > 1):
            continue
        if len(set(values)) < len(values):
            raise UnusableFileError(where, DUPLICATED, f"two have the same {name}")
        order = np.argsort(values)
        steps = np.diff(np.array(values, dtype=float)[order])
        if key is not _number and None in map(_number, frames) and len(steps) > 1:
            lost = int((steps > LONGEST_STEP * np.median(steps)).sum())
            if lost:
                raise UnusableFileError(where, MISSING, f"{lost} gaps between {name}s")
        return [frames[index] for index in order]
    raise UnusableFileError(
        where, UNORDERED, "no trigger time, number or acquisition time tells them apart"
    )


def _trigger_time(frame: _Frame) -> float | None:
    """Milliseconds after the R peak."""
    group = functional_group(frame.dataset, frame.index, "CardiacSynchronizationSequence")
    value = None if group is None else group.get("NominalCardiacTriggerDelayTime")
    if value is None and frame.is_alone:
        value = frame.dataset.get("TriggerTime")
    time = np.nan if value in (None, "") else float(value)
    return time if np.isfinite(time) else None


def _number(frame: _Frame) -> int | None:
    if frame.is_alone:
        value = frame.dataset.get("InstanceNumber")
        return None if value in (None, "") else int(value)
    content = functional_group(frame.dataset, frame.index, "FrameContentSequence")
    value = None if content is None else content.get("TemporalPositionIndex")
    # A multi-frame file that says nothing else has its frames in order.
    return frame.index + 1 if value is None else int(value)


def _acquisition_time(frame: _Frame) -> float | None:
    """Seconds after midnight."""
    from pydicom.valuerep import TM

    time = TM(str(frame.dataset.get("AcquisitionTime") or ""))
    if not time:
        return None
    return ((time.hour * 60 + time.minute) * 60) + time.second + time.microsecond / 1e6
