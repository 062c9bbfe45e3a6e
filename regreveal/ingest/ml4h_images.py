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
from regreveal.ingest import hdf5
from regreveal.ingest.files import UnusableFileError, identity, parsing
from regreveal.ingest.image import BRAIN_ALONE, Image

NAME = "ml4h"
GROUPS = {"dxa": "ukb_dxa", "brain": "ukb_brain_mri", "cardiac": "ukb_cardiac_mri"}
DXA = re.compile(r"(?:dxa_)?(?P<scan>\d+)_(?P<series>\d+)")
BRAINS = {"native": ("T1", "T1_brain"), "mni": ("T1_brain_to_MNI",)}
CINE = re.compile(r"cine_segmented_\w+_\dch", re.IGNORECASE)
SLICE = re.compile(r"axial_(\d+)")
INSTANCE = re.compile(r"instance_(\d+)")
NUMBERED = re.compile(r"(?:frame_)?(\d+)")
MOST_VALUES = 150_000_000  # In an image.
DEEPEST = 4  # Groups between a series and its values; ml4h has two.
LATER = "later recordings left out"


def recognises(path: Path) -> bool:
    """Tell whether a file is HDF5 with one of ml4h's groups of images."""
    return hdf5.holds(path, GROUPS.values())


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
    UnusableFileError
        If the file is damaged, of another layout, or has no such image.
    """
    readers = {"dxa": _dxa, "brain": _brain, "cardiac": _cardiac}
    # All of it is parsing: h5py reads an object when it is asked for.
    with parsing(path), h5py.File(path, "r") as file:
        group = hdf5.item(path, file, GROUPS[kind])
        images = readers[kind](path, group) if isinstance(group, h5py.Group) else []
    if not images:
        raise UnusableFileError(path, f"no {kind} image", f"none known in /{GROUPS[kind]}")
    return images


def _dxa(path: Path, group: h5py.Group) -> list[Image]:
    scans: dict[int, list[tuple[int, str]]] = {}
    for matched in filter(None, map(DXA.fullmatch, group)):
        scans.setdefault(int(matched["series"]), []).append((int(matched["scan"]), matched[0]))
    images = []
    for series in sorted(scans):
        (_, name), *later = sorted(scans[series])
        pixels, flags = _first(path, hdf5.item(path, group, name))
        if later and LATER not in flags:
            flags += (LATER,)
        flags += ("grey values as stored: they may be inverted",)
        images.append(_image(path, pixels, "dxa", str(series), name, flags))
    return images


def _brain(path: Path, group: h5py.Group) -> list[Image]:
    images = []
    for series, names in BRAINS.items():
        found = {name: hdf5.item(path, group, name) for name in names if name in set(group)}
        if not found:
            continue
        name, brain = next(iter(found.items()))
        slices = _children(brain, SLICE)
        if slices:
            pixels, flags = _stacked(path, brain, slices, start=0)
        else:
            pixels, flags = _first(path, brain)
        size = None
        if series == "mni":
            size = (1.0, 1.0, 1.0)
            if pixels.shape != grid(1)[0]:
                raise UnusableFileError(
                    path, "not on the MNI152 grid", " × ".join(map(str, pixels.shape)) + " voxels"
                )
            pixels = pixels[::-1]
        else:
            flags += ("left and right not known",)
            if name != names[0]:
                flags += (BRAIN_ALONE,)
        images.append(_image(path, pixels, "brain", series, name, flags, size))
    return images


def _cardiac(path: Path, group: h5py.Group) -> list[Image]:
    images = []
    for name in filter(CINE.fullmatch, group):
        pixels, flags = _cine(path, hdf5.item(path, group, name))
        sides = (f"mri_pixel_{side}_{name}" for side in ("width", "height"))
        sizes = [hdf5.item(path, group.file, side) for side in sides]
        known = all(hdf5.has_values(size, most=1) for size in sizes)
        spacing = tuple(float(np.ravel(size[()])[0]) for size in sizes) if known else None
        images.append(_image(path, pixels, "cardiac", name, name, flags, spacing))
    return images


def _cine(path: Path, found: h5py.HLObject) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a cine of either layout: a visit's number or a frame's, as the dimensions tell."""
    flags: tuple[str, ...] = ()
    for _ in range(DEEPEST):
        if not isinstance(found, h5py.Group) or _children(found, INSTANCE):
            pixels, more = _first(path, found)
            return pixels, flags or more
        numbered = _children(found, NUMBERED)
        if not numbered:
            break
        below = hdf5.item(path, found, numbered[0][0])
        values = _first_dataset(path, below)[0] if _children(below, INSTANCE) else below
        if isinstance(values, h5py.Dataset) and values.ndim == 2:
            pixels, more = _stacked(path, found, numbered, start=numbered[0][1])
            return pixels, flags or more
        if len(numbered) > 1:
            flags = (LATER,)
        found = below
    raise UnusableFileError(path, "unreadable file", "a cine of a layout not known")


def _stacked(
    path: Path, group: h5py.Group, planes: list[tuple[str, int]], start: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Stack the first recordings of slices or frames along a last axis, none of them missing."""
    numbers = [number for _, number in planes]
    if numbers != list(range(start, start + len(planes))):
        raise UnusableFileError(
            path,
            "missing slice or frame",
            f"{len(planes)} numbered {min(numbers)} to {max(numbers)}",
        )
    flags: tuple[str, ...] = ()
    stacked = []
    for name, _ in planes:
        pixels, flags = _first(path, hdf5.item(path, group, name))
        if stacked and pixels.shape != stacked[0].shape:
            raise UnusableFileError(path, "unreadable file", "slices or frames differ in size")
        if pixels.ndim != 2 or pixels.size * len(planes) > MOST_VALUES:
            raise UnusableFileError(path, "unreadable file", "a slice or frame is no plane")
        stacked.append(pixels)
    return np.stack(stacked, axis=-1), flags


def _first(path: Path, found: h5py.HLObject) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values of a dataset, or of the first recording in a group of them."""
    dataset, flags = _first_dataset(path, found)
    pixels = np.asarray(hdf5.numbers(path, dataset, MOST_VALUES), np.float32)
    # Tensors of planes may have a channels axis of one.
    return (pixels[..., 0] if pixels.shape[-1:] == (1,) else pixels), flags


def _first_dataset(path: Path, found: h5py.HLObject) -> tuple[h5py.HLObject, tuple[str, ...]]:
    flags: tuple[str, ...] = ()
    for _ in range(DEEPEST):
        if not isinstance(found, h5py.Group):
            return found, flags
        inside = _children(found, INSTANCE) or _children(found, NUMBERED)
        if not inside:
            raise UnusableFileError(path, "unreadable file", f"no recording in {found.name}")
        if len(inside) > 1:
            flags = (LATER,)
        found = hdf5.item(path, found, inside[0][0])
    raise UnusableFileError(path, "unreadable file", "groups within groups without end")


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
