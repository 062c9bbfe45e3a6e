"""DICOM images of a participant: DXA, one image a file; cardiac MRI is passed on to `cine`.

UK Biobank's zips of field 20158 hold hips, knees, spine and whole body from GE Lunar iDXA scanners,
named by their UIDs: 1.2.840.113619.2.110.DEVICE.TIME.SCAN.VIEW.12.1. The view is what tells images
apart, and is the number in the tensor maps' names. By public code that reads these files, and not
by any document, 2 is the lumbar spine, 5 and 8 are hips, 6 and 9 knees, 7 is the lateral spine, 11
the whole body and 12 its skeleton.
"""

import re
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from regreveal.ingest import cine
from regreveal.ingest.dicom_files import open_datasets, owner, reading, recognises
from regreveal.ingest.dicom_pixels import grey, is_text_burned_in, spacing
from regreveal.ingest.files import UnusableFileError
from regreveal.ingest.image import BURNED_IN, Image

if TYPE_CHECKING:
    import pydicom

__all__ = ["NAME", "read", "read_files", "recognises"]

NAME = "dicom image"
# PS3.16, CID 29: densitometers call their images BMD, radiographs or, as secondary captures, OT.
MODALITIES = ("BMD", "CR", "DX", "OT", "RG")
GE_LUNAR_UID = re.compile(
    r"1\.2\.840\.113619\.2\.110\.\d+\.\d{14}\.(?P<scan>\d{1,3})\.(?P<view>\d{1,3})\.\d+\.\d+"
)
OTHER_KIND, SEVERAL_FRAMES = "another kind of image", "several frames"
LEFT_OUT, TURNED = "other images of the series left out", "turned to be head up, left on the right"


def read(path: Path, series: Collection[str] | None = None) -> list[Image]:
    """Read one DICOM file: a DXA image, or a multi-frame cine.

    Parameters
    ----------
    path : Path
    series : collection of str, optional
        As for `read_files`.

    Returns
    -------
    list of Image

    Raises
    ------
    UnusableFileError
        As by `read_files`.
    """
    return read_files([(path.name, path)], path, series)


def read_files(
    files: Iterable[tuple[str, bytes | Path]],
    source: Path,
    series: Collection[str] | None = None,
) -> list[Image]:
    """Read the DICOM files of one participant: the members of a zip, or the files of a folder.

    Parameters
    ----------
    files : iterable of (str, bytes or Path)
        Names with contents, or with where these are. What is no DICOM image is passed over.
    source : Path
        The file, folder or zip they are from, whose name tells participant and visit.
    series : collection of str, optional
        Names (`Image.series`) of the series to read; others may then be damaged. By default all.

    Returns
    -------
    list of Image
        One a series, in the order of the series.

    Raises
    ------
    UnusableFileError
        If there is no image, none of these series, or one of them cannot be used.
    """
    opened = open_datasets(files, source)
    with reading(source):
        modalities = {str(dataset.get("Modality") or "") for _, _, dataset in opened}
        if modalities == {"MR"}:
            return cine.read_cines([(where, data) for where, _, data in opened], source, series)
        return _read_dxa(opened, source, series)


def _read_dxa(
    opened: list[tuple[str, str, "pydicom.Dataset"]],
    source: Path,
    series: Collection[str] | None,
) -> list[Image]:
    by_series: dict[int, list] = {}
    for where, name, dataset in opened:
        with reading(where):
            view, scan = _view(name, dataset)
            order = (scan, int(dataset.get("InstanceNumber") or 0), name)
            by_series.setdefault(view, []).append((order, where, dataset))
    chosen = [view for view in sorted(by_series) if series is None or _name(view) in series]
    if not chosen:
        there = ", ".join(_name(view) or "one without a number" for view in sorted(by_series))
        raise UnusableFileError(source, "no such series", f"there are {there}")
    sample_id, visit = owner(source)
    images = []
    for view in chosen:
        (_, where, dataset), *others = sorted(by_series[view], key=lambda one: one[0])
        with reading(where):
            pixels, turned = _upright(dataset, _single(where, dataset))
            images.append(
                Image(
                    pixels=np.ascontiguousarray(pixels),
                    voxel_size=spacing(dataset),
                    kind="dxa",
                    sample_id=sample_id,
                    visit=visit,
                    series=_name(view),
                    flags=(
                        *([TURNED] if turned else []),
                        *([BURNED_IN] if is_text_burned_in(dataset) else []),
                        *([f"{LEFT_OUT}: {len(others)}"] if others else []),
                    ),
                )
            )
    return images


def _name(view: int) -> str:
    return str(view) if view else ""


def _view(name: str, dataset: "pydicom.Dataset") -> tuple[int, int]:
    """Find the number of the series, and of the scan: for other devices than GE's SeriesNumber, 0.

    GE's UIDs come first: in what ml4h made of the same files (dxa_1_2 to dxa_1_12) the scan takes
    the place of the series' number, and so would not tell a hip from a spine.
    """
    for uid in (str(dataset.get("SOPInstanceUID") or ""), PurePosixPath(name).stem):
        if matched := GE_LUNAR_UID.fullmatch(uid):
            return int(matched["view"]), int(matched["scan"])
    return int(dataset.get("SeriesNumber") or 0), 0


def _single(where: str, dataset: "pydicom.Dataset") -> np.ndarray:
    modality = str(dataset.get("Modality") or "")
    if modality not in MODALITIES:
        shown = modality if re.fullmatch("[A-Z]{2,8}", modality) else "unknown"
        raise UnusableFileError(
            where, OTHER_KIND, f"modality {shown}; expected {', '.join(MODALITIES)} or all MR"
        )
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise UnusableFileError(where, SEVERAL_FRAMES, f"{frames}, of a DXA image one")
    return grey(where, dataset)[0]


def _upright(dataset: "pydicom.Dataset", pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """Turn rows from head to foot and columns from right to left, where the file tells otherwise.

    PatientOrientation (PS3.3, C.7.6.1.1.1) says where rows lead and where columns lead.
    """
    directions = [str(direction) for direction in dataset.get("PatientOrientation") or ()]
    along_row, along_column = directions if len(directions) == 2 else ("", "")
    if along_column.startswith("H"):
        pixels = pixels[::-1]
    if along_row.startswith("R"):
        pixels = pixels[:, ::-1]
    return pixels, along_column.startswith("H") or along_row.startswith("R")
