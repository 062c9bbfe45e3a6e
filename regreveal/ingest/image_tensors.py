"""One source of images: from its reader to a tensor of the shape that is wanted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regreveal.errors import InputError
from regreveal.ingest.field_of_view import fit_shape, to_frames, to_voxel_size
from regreveal.ingest.files import UnusableFileError, shown
from regreveal.ingest.image import BURNED_IN, Image
from regreveal.ingest.image_sources import EXPECTED, Source, read_source
from regreveal.ingest.outcomes import DROPPED, KEPT, Outcome
from regreveal.tensormap import TensorMap

SAME_VOXEL_SIZE = 0.01  # Relative; scanners' gradients are not known better.
MOST_VALUES = 150_000_000  # After resampling: a damaged spacing may ask for terabytes.
TISSUE_CUT_TOLD = 0.01
# More than that and the voxel size is not the one meant. A cine shows the chest around the heart.
MOST_TISSUE_CUT = {"dxa": 0.5, "brain": 0.5, "cardiac": 1.0}


@dataclass(frozen=True)
class Wanted:
    """What an image is to become.

    Attributes
    ----------
    kind : "dxa", "brain" or "cardiac"
    series : str or None
    shape : tuple of int
        Axes of space first, then channels.
    spatial : int
        Number of axes of space.
    voxel_size : tuple of float or None
        In millimetres, one an axis of space.
    resample_frames, allow_burned_in_text : bool
    """

    kind: str
    series: str | None
    shape: tuple[int, ...]
    spatial: int
    voxel_size: tuple[float, ...] | None
    resample_frames: bool
    allow_burned_in_text: bool


@dataclass(frozen=True)
class Read:
    """A source's outcome with its tensor, on the way from the reader to the store.

    Attributes
    ----------
    outcome : Outcome
    tensor : ndarray of float32 or None
    voxel_size : tuple of float or None
        Of the tensor, in millimetres.
    row : dict or None
        For the table beside the tensor.
    """

    outcome: Outcome
    tensor: np.ndarray | None = None
    voxel_size: tuple[float, ...] | None = None
    row: dict | None = None


def default_series(tensor_map: TensorMap) -> str | None:
    """Which series a tensor map is of, by the name of its tensor.

    Returns
    -------
    str or None
        "11" for `dxa/dxa_11`, "mni" or "native" for a brain, "cine_segmented_lax_4ch" (as UK
        Biobank names it) for `cardiac/lax_4ch`; None where the name does not tell.
    """
    name = tensor_map.path.rpartition("/")[2]
    if tensor_map.modality == "brain":
        return "mni" if "mni" in name else "native"
    if tensor_map.modality == "dxa":
        numbered = re.fullmatch(r"dxa_(\d+)", name)
        return numbered and numbered[1]
    view = re.match(r"[ls]ax_\dch", name)
    return view and f"cine_segmented_{view[0]}"


def wanted_of(
    tensor_map: TensorMap,
    series: str | None,
    voxel_size: Sequence[float] | None,
    resample_frames: bool,
    allow_burned_in_text: bool,
) -> Wanted:
    """Say what images of a tensor map are to become.

    Raises
    ------
    InputError
        If the tensor map is not of images, or the voxel size does not suit it.
    """
    if tensor_map.modality not in EXPECTED:
        raise InputError(
            f"{tensor_map.name} is of modality '{tensor_map.modality}'; "
            f"expected one of {', '.join(EXPECTED)}"
        )
    shape = tensor_map.stored_shape
    spatial = tensor_map.spatial_dimensions or len(shape) - 1
    if voxel_size is not None:
        voxel_size = tuple(map(float, voxel_size))
        if len(voxel_size) != spatial or not all(0 < size < np.inf for size in voxel_size):
            raise InputError(
                f"voxel size {written(voxel_size)}: expected {spatial} lengths in millimetres, "
                f"one an axis of {tensor_map.name}"
            )
    series = series or default_series(tensor_map)
    return Wanted(
        tensor_map.modality,
        series,
        shape,
        spatial,
        voxel_size,
        resample_frames,
        allow_burned_in_text,
    )


def outcome_of(
    source: Source, outcome: str, reason: str = "", detail: str = "", flags: str = ""
) -> Outcome:
    """Outcome of a source."""
    return Outcome(
        str(source.path), source.format, source.sample_id, outcome, reason, detail, flags
    )


def read_tensor(wanted: Wanted, source: Source) -> Read:
    """Read a source's image and bring it into the shape wanted; or tell why it is dropped."""
    try:
        image, flags = _choose(source, wanted)
        return _fitted(source, image, flags, wanted)
    except UnusableFileError as error:
        return Read(outcome_of(source, DROPPED, error.reason, error.detail))


def _choose(source: Source, wanted: Wanted) -> tuple[Image, list[str]]:
    images = read_source(source, wanted.kind, wanted.series)
    if len(images) > 1:
        there = shown(", ".join(image.series for image in images))
        raise UnusableFileError(
            source.path, "several series", f"{shown(there)}; choose one by its name"
        )
    image = images[0]
    finite = np.isfinite(image.pixels)
    if not finite.all():
        raise UnusableFileError(
            source.path, "values not finite", f"{(~finite).mean():.2%} of the voxels"
        )
    if BURNED_IN in image.flags and not wanted.allow_burned_in_text:
        raise UnusableFileError(
            source.path, BURNED_IN, "it may name the person; look at it, then allow burned-in text"
        )
    if image.pixels.min() == image.pixels.max():
        raise UnusableFileError(source.path, "blank image", "the same value everywhere")
    return image, list(image.flags)


def _fitted(source: Source, image: Image, flags: list[str], wanted: Wanted) -> Read:
    pixels, voxel_size = _with_axes(source, image, flags, wanted), image.voxel_size
    if image.series == "mni" and pixels.shape != wanted.shape:
        found = written(pixels.shape)
        raise UnusableFileError(source.path, "on another MNI152 grid", f"{found} voxels")
    if wanted.voxel_size and voxel_size is None:
        raise UnusableFileError(
            source.path,
            "voxel size not known",
            f"cannot be resampled to {written(wanted.voxel_size)} mm",
        )
    if wanted.voxel_size and not is_same_size(voxel_size, wanted.voxel_size):
        if image.series == "mni":
            raise UnusableFileError(
                source.path, "other voxel size", f"{written(voxel_size)} mm, in MNI space"
            )
        growth = np.prod(np.asarray(voxel_size) / np.asarray(wanted.voxel_size))
        if pixels.size * growth > MOST_VALUES:
            raise UnusableFileError(
                source.path, "too large to resample", f"voxels of {written(voxel_size)} mm"
            )
        pixels = to_voxel_size(pixels, voxel_size, wanted.voxel_size)
        flags.append(f"resampled: from voxels of {written(voxel_size)} mm")
        voxel_size = wanted.voxel_size
    fitted = fit_shape(pixels, wanted.shape[: wanted.spatial])
    if fitted.tissue_cut > MOST_TISSUE_CUT[wanted.kind]:
        raise UnusableFileError(
            source.path,
            "most of it would be cut off",
            f"{fitted.tissue_cut:.0%} of the tissue; give a voxel size to resample to",
        )
    if fitted.tissue_cut >= TISSUE_CUT_TOLD:
        flags.append(f"tissue cut off: {fitted.tissue_cut:.0%}")
    row = {
        "source": source.format,
        "series": wanted.series or "",
        "member": image.member,
        "voxel_size": written(image.voxel_size),
        "shape": written(image.pixels.shape),
        "cropped": written(fitted.cropped),
        "padded": written(fitted.padded),
        "tissue_cut": round(fitted.tissue_cut, 4),
    }
    outcome = outcome_of(source, KEPT, flags="; ".join(flags))
    return Read(outcome, fitted.pixels, voxel_size, row)


def _with_axes(source: Source, image: Image, flags: list[str], wanted: Wanted) -> np.ndarray:
    """Pixels with as many axes and frames as the tensor map has."""
    pixels, beyond_space = image.pixels, wanted.shape[wanted.spatial :]
    if pixels.ndim == wanted.spatial and beyond_space == (1,):
        pixels = pixels[..., None]
    if pixels.ndim != len(wanted.shape):
        raise UnusableFileError(
            source.path,
            "other dimensions",
            f"{written(pixels.shape)}; expected {len(wanted.shape)} axes",
        )
    if pixels.shape[wanted.spatial :] == beyond_space:
        return pixels
    if not wanted.resample_frames:
        raise UnusableFileError(
            source.path,
            "other number of frames",
            f"{pixels.shape[-1]}; expected {beyond_space[0]}",
        )
    flags.append(f"frames resampled: from {pixels.shape[-1]}")
    return to_frames(pixels, beyond_space[0])


def is_same_size(voxel_size: Sequence[float], other: Sequence[float]) -> bool:
    """Tell whether two sizes of voxels are the same as far as they are known."""
    return np.allclose(voxel_size, other, rtol=SAME_VOXEL_SIZE, atol=0)


def written(numbers: Sequence[float] | None) -> str:
    """Lengths or counts as tables and errors give them."""
    return " × ".join(f"{number:g}" for number in numbers) if numbers is not None else "unknown"
