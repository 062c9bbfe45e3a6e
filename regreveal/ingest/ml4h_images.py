"""Images in the HD5 layout of ml4h: one file a person, a group a modality.

What ml4h's tensorize code writes and its tensor maps read (github.com/broadinstitute/ml4h,
`tensorize/tensor_writer_ukbb.py` and `tensormap/ukb/`):

- DXA: `/ukb_dxa/dxa_1_{series}/instance_k`, rows and columns as in the DICOM file.
- Brain: `/ukb_brain_mri/{T1, T1_brain, T1_brain_to_MNI}`, as in the NIfTI files: either one slice
  a dataset, `axial_{i}/instance_k` with i counting the third axis, or whole, `instance_k`.
- Cine: `/ukb_cardiac_mri/cine_segmented_lax_4ch`, either one dataset of rows, columns and frames,
  `instance_k` or `{visit}/instance_k`, or one dataset a frame, `{frame}/instance_k`, also below a
  visit; frames are numbered by the DICOM instance number. `mri_pixel_width_{series}` and
  `mri_pixel_height_{series}` hold the spacing of rows and of columns, in this order.

What it does not keep, and is therefore not known here:

- Of DXA, the photometric interpretation, the rescale slope and the voxel size: values are those
  stored, so an image may be dark where tissue is dense. Such images are flagged.
- Of brains, the header. FSL writes `T1_brain_to_MNI` on its template's grid, x from right to left:
  it is flipped to RAS+. For a brain as scanned left and right are not known: it is used as stored,
  and flagged.
- Which visit an instance is of: ml4h numbers them in the order it came across the files.
"""

import re
from operator import itemgetter
from pathlib import Path

import h5py
import numpy as np

from regreveal.brain_atlas import grid
from regreveal.ingest.image import Image
from regreveal.ingest.recording import (
    PARSER_ERRORS,
    UnusableRecordingError,
    identity,
    parsing,
)

NAME = "ml4h"
MAGIC = b"\x89HDF\r\n\x1a\n"
GROUPS = {"dxa": "ukb_dxa", "brain": "ukb_brain_mri", "cardiac": "ukb_cardiac_mri"}
DXA = re.compile(r"(?:dxa_)?\d+_(\d+)")
BRAINS = {"native": ("T1", "T1_brain"), "mni": ("T1_brain_to_MNI",)}
CINE = re.compile(r"cine_segmented_\w+_\dch", re.IGNORECASE)
SLICE = re.compile(r"axial_(\d+)")
INSTANCE = re.compile(r"instance_(\d+)")
NUMBERED = re.compile(r"(?:frame_)?(\d+)")
MOST_VALUES = 150_000_000  # In an image; a damaged size may ask for terabytes.


def recognises(path: Path) -> bool:
    """Tell whether a file is HDF5 with one of ml4h's groups of images."""
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
    try:
        with h5py.File(path, "r") as file:
            return any(group in file for group in GROUPS.values())
    except PARSER_ERRORS:
        # A damaged HDF5 file: it is ml4h's by its suffix alone, and `read` says what is wrong.
        return path.suffix == ".hd5"


def read(path: Path, kind: str) -> list[Image]:
    """Read a person's images of one modality, the first recording of each series.

    Parameters
    ----------
    path : Path
    kind : "dxa", "brain" or "cardiac"

    Returns
    -------
    list of Image
        With a flag where the file holds later recordings too, which are left out.

    Raises
    ------
    UnusableRecordingError
        If the file is damaged, of another layout, or has no such image.
    """
    readers = {"dxa": _dxa, "brain": _brain, "cardiac": _cardiac}
    # All of it is parsing: h5py reads an object when it is asked for.
    with parsing(path), h5py.File(path, "r") as file:
        group = file.get(GROUPS[kind])
        images = readers[kind](path, group) if isinstance(group, h5py.Group) else []
    if not images:
        raise UnusableRecordingError(path, f"no {kind} image", f"none known in /{GROUPS[kind]}")
    return images


def _dxa(path: Path, group: h5py.Group) -> list[Image]:
    images = []
    for name, number in _children(group, DXA):
        pixels, flags = _first(path, group[name])
        flags += ("grey values as stored: they may be inverted",)
        images.append(_image(path, pixels, "dxa", str(number), name, flags))
    return images


def _brain(path: Path, group: h5py.Group) -> list[Image]:
    images = []
    for series, names in BRAINS.items():
        name = next((name for name in names if name in group), None)
        if name is None:
            continue
        slices = _children(group[name], SLICE)
        if slices:
            pixels, flags = _stacked(path, group[name], slices, start=0)
        else:
            pixels, flags = _first(path, group[name])
        size = None
        if series == "mni":
            size = (1.0, 1.0, 1.0)
            if pixels.shape != grid(1)[0]:
                raise UnusableRecordingError(
                    path, "not on the MNI152 grid", " × ".join(map(str, pixels.shape)) + " voxels"
                )
            pixels = pixels[::-1]
        else:
            flags += ("left and right not known",)
        images.append(_image(path, pixels, "brain", series, name, flags, size))
    return images


def _cardiac(path: Path, group: h5py.Group) -> list[Image]:
    images = []
    for name in filter(CINE.fullmatch, group):
        pixels, flags = _cine(path, group[name])
        sizes = [group.file.get(f"mri_pixel_{side}_{name}") for side in ("width", "height")]
        known = all(isinstance(size, h5py.Dataset) and size.size == 1 for size in sizes)
        spacing = tuple(float(np.ravel(size[()])[0]) for size in sizes) if known else None
        images.append(_image(path, pixels, "cardiac", name, name, flags, spacing))
    return images


def _cine(path: Path, item: h5py.Group) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a cine of either layout: a visit's number or a frame's, as the dimensions tell."""
    if not isinstance(item, h5py.Group) or _children(item, INSTANCE):
        return _first(path, item)
    numbered = _children(item, NUMBERED)
    if not numbered:
        raise UnusableRecordingError(path, "unreadable file", "a cine of a layout not known")
    below = item[numbered[0][0]]
    while isinstance(below, h5py.Group) and _children(below, INSTANCE):
        below = below[_children(below, INSTANCE)[0][0]]
    if isinstance(below, h5py.Dataset) and below.ndim == 2:
        return _stacked(path, item, numbered, start=numbered[0][1])
    pixels, flags = _cine(path, item[numbered[0][0]])
    return pixels, flags + (("later recordings left out",) if len(numbered) > 1 else ())


def _stacked(
    path: Path, group: h5py.Group, planes: list[tuple[str, int]], start: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Stack the first recordings of slices or frames along a last axis, none of them missing."""
    numbers = [number for _, number in planes]
    if numbers != list(range(start, start + len(planes))):
        raise UnusableRecordingError(
            path,
            "missing slice or frame",
            f"{len(planes)} numbered {min(numbers)} to {max(numbers)}",
        )
    flags: tuple[str, ...] = ()
    stacked = []
    for name, _ in planes:
        pixels, flags = _first(path, group[name])
        if stacked and pixels.shape != stacked[0].shape:
            raise UnusableRecordingError(path, "unreadable file", "slices or frames differ in size")
        if pixels.ndim != 2 or pixels.size * len(planes) > MOST_VALUES:
            raise UnusableRecordingError(path, "unreadable file", "a slice or frame is no plane")
        stacked.append(pixels)
    return np.stack(stacked, axis=-1), flags


def _first(path: Path, item: h5py.HLObject) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a dataset, or the first recording of a group of them."""
    flags: tuple[str, ...] = ()
    while isinstance(item, h5py.Group):
        inside = _children(item, INSTANCE) or _children(item, NUMBERED)
        if not inside:
            raise UnusableRecordingError(path, "unreadable file", f"no recording in {item.name}")
        if len(inside) > 1:
            flags = ("later recordings left out",)
        item = item[inside[0][0]]
    numeric = isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf"
    if not numeric or not 0 < (item.size or 0) <= MOST_VALUES:
        raise UnusableRecordingError(
            path, "unreadable file", f"{item.name} is no dataset of 1 to {MOST_VALUES} numbers"
        )
    pixels = np.asarray(item[()], np.float32)
    # Tensors of planes may have a channels axis of one.
    return (pixels[..., 0] if pixels.shape[-1:] == (1,) else pixels), flags


def _children(group: h5py.HLObject, pattern: re.Pattern) -> list[tuple[str, int]]:
    """Names in a group that match a pattern whole, with their numbers and in their order."""
    if not isinstance(group, h5py.Group):
        return []
    matched = filter(None, map(pattern.fullmatch, group))
    return sorted(((match[0], int(match[1])) for match in matched), key=itemgetter(1))


def _image(path, pixels, kind, series, member, flags, voxel_size=None) -> Image:
    sample_id, visit = identity(path)
    return Image(
        np.ascontiguousarray(pixels), voxel_size, kind, sample_id, visit, series, flags, member
    )
