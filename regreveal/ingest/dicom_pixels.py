"""Pixels of DICOM images: from what is stored to grey values, bright where the tissue is.

All of it is done inside `dicom_files.reading`.
"""

import re
from typing import TYPE_CHECKING

import numpy as np

from regreveal.ingest.dicom_files import NO_IMAGE, TOO_LARGE
from regreveal.ingest.files import UnusableFileError

if TYPE_CHECKING:
    import pydicom

MOST_VALUES = 1 << 26  # 20 times a cine of 50 frames; as float32 256 MB.

# JPEG 2000 is decoded from the last two to RGB.
RED_GREEN_BLUE = ("RGB", "YBR_ICT", "YBR_RCT")
LUMINANCE_FIRST = ("YBR_FULL", "YBR_FULL_422")
COLOUR = (*RED_GREEN_BLUE, *LUMINANCE_FIRST)
# Of red, green and blue: ITU-R BT.601, which DICOM's own YBR_FULL uses (PS3.3, C.7.6.3.1.2).
LUMINANCE = np.array([0.299, 0.587, 0.114])
CODE = re.compile(r"[A-Z0-9_ ]{1,16}")

TRUNCATED = "truncated pixel data"
COMPRESSION, PHOTOMETRIC = "compression not supported", "photometric interpretation not supported"


def functional_group(
    dataset: "pydicom.Dataset", frame: int, keyword: str
) -> "pydicom.Dataset | None":
    """Item of an enhanced (multi-frame) dataset that holds for a frame, its own before the shared.

    Parameters
    ----------
    dataset : Dataset
    frame : int
    keyword : str
        Of the sequence, such as "PixelMeasuresSequence".

    Returns
    -------
    Dataset or None
    """
    groups = (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0))
    for name, index in groups:
        items = dataset.get(name) or ()
        if index < len(items) and items[index].get(keyword):
            return items[index].get(keyword)[0]
    return None


def spacing(dataset: "pydicom.Dataset") -> tuple[float, float] | None:
    """Distance of rows and of columns in millimetres, where the dataset tells.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    tuple of float or None
        At the object, else at the detector. ExposedArea is not used: its unit was millimetres
        once and is centimetres now (PS3.3, C.8.7.8).
    """
    measures = functional_group(dataset, 0, "PixelMeasuresSequence") or dataset
    values = (
        measures.get("PixelSpacing")
        or dataset.get("PixelSpacing")
        or dataset.get("ImagerPixelSpacing")
    )
    values = tuple(map(float, values or ()))
    return values if len(values) == 2 and all(0 < value < np.inf for value in values) else None


def is_text_burned_in(dataset: "pydicom.Dataset") -> bool:
    """Tell whether the file says that text is part of the picture; it may name the person."""
    return str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES"


def grey(where: str, dataset: "pydicom.Dataset") -> np.ndarray:
    """Grey values of every frame, rescaled, bright where the tissue is.

    Colours become their luminance. Padding gets the darkest value of the image proper. MONOCHROME1
    is turned over within the range that the stored bits allow.

    Parameters
    ----------
    where : str
    dataset : Dataset

    Returns
    -------
    ndarray of float32, shape (frames, rows, columns)

    Raises
    ------
    UnusableFileError
        If pixels are missing, too many, or coded in a way that cannot be read.
    """
    shape = _shape(where, dataset)
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    if photometric not in (*COLOUR, "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"):
        shown = photometric if CODE.fullmatch(photometric) else "none that exists"
        raise UnusableFileError(where, PHOTOMETRIC, shown)
    stored = _decoded(where, dataset).reshape(shape)
    if photometric == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        # A fourth channel would be opacity.
        return (apply_color_lut(stored[..., 0], dataset)[..., :3] @ LUMINANCE).astype(np.float32)
    if photometric in COLOUR:
        if shape[-1] != 3:
            raise UnusableFileError(where, PHOTOMETRIC, f"{photometric} of {shape[-1]} samples")
        grey_values = stored[..., 0] if photometric in LUMINANCE_FIRST else stored @ LUMINANCE
        return grey_values.astype(np.float32)
    if shape[-1] != 1:
        raise UnusableFileError(where, PHOTOMETRIC, f"{photometric} of {shape[-1]} samples")
    return _monochrome(where, dataset, stored[..., 0], inverted=photometric == "MONOCHROME1")


def _shape(where: str, dataset: "pydicom.Dataset") -> tuple[int, int, int, int]:
    frames = int(dataset.get("NumberOfFrames") or 1)
    shape = (frames, int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
    described = "{} frames of {} × {} pixels with {} samples".format(*shape)
    if min(shape) < 1:
        raise UnusableFileError(where, NO_IMAGE, described)
    if np.prod(shape, dtype=object) > MOST_VALUES:
        raise UnusableFileError(where, TOO_LARGE, described)
    return shape


def _decoded(where: str, dataset: "pydicom.Dataset") -> np.ndarray:
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.pixels.utils import get_expected_length

    if not dataset.get("PixelData"):
        raise UnusableFileError(where, TRUNCATED, "none of it is there; copy the file again")
    syntax = dataset.file_meta.TransferSyntaxUID
    # A UID that is none of DICOM's own is its own name, and may hold a device number.
    name = "one that is not DICOM's" if syntax.name == syntax else syntax.name
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise UnusableFileError(where, COMPRESSION, name) from error
    if not decoder.is_available:
        raise UnusableFileError(
            where, COMPRESSION, f"{name}; uncompress the file, or install pylibjpeg with its codecs"
        )
    if not syntax.is_encapsulated:
        # dcmread takes the end of the file for the end of the dataset.
        present, expected = len(dataset.PixelData), get_expected_length(dataset)
        if present < expected:
            share = f"{present / expected:.1%} of it is there; copy the file again"
            raise UnusableFileError(where, TRUNCATED, share)
        if dataset.BitsAllocated > 1 and dataset.HighBit != dataset.BitsStored - 1:
            raise UnusableFileError(
                where, "unreadable file", "pixels that are not in the lowest bits"
            )
        return pixel_array(dataset, raw=True)
    try:
        return pixel_array(dataset, raw=True)
    except RuntimeError as error:
        raise UnusableFileError(
            where, COMPRESSION, f"{name}: damaged, or of a variant that cannot be decoded"
        ) from error


def _monochrome(
    where: str, dataset: "pydicom.Dataset", stored: np.ndarray, inverted: bool
) -> np.ndarray:
    bits = int(dataset.BitsStored)
    lowest = -(1 << bits - 1) if dataset.PixelRepresentation else 0
    ends = np.array([lowest, lowest + (1 << bits) - 1], dtype=stored.dtype)
    values = np.empty(stored.shape, dtype=np.float32)
    for frame, pixels in enumerate(stored):
        rescaled = _rescaled(where, dataset, frame, pixels)
        if inverted:
            rescaled = _rescaled(where, dataset, frame, ends).sum() - rescaled
        values[frame] = rescaled
    padding = _padding(dataset, stored)
    if padding.any() and not padding.all():
        values[padding] = values[~padding].min()
    return values


def _rescaled(where: str, dataset: "pydicom.Dataset", frame: int, stored: np.ndarray) -> np.ndarray:
    if dataset.get("ModalityLUTSequence"):
        from pydicom.pixels import apply_modality_lut

        return apply_modality_lut(stored, dataset).astype(np.float64)
    holder = functional_group(dataset, frame, "PixelValueTransformationSequence") or dataset
    slope, intercept = (
        default if holder.get(keyword) is None else float(holder.get(keyword))
        for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise UnusableFileError(where, "unusable rescale slope", f"{slope:g}, {intercept:g}")
    return stored * slope + intercept


def _padding(dataset: "pydicom.Dataset", stored: np.ndarray) -> np.ndarray:
    """Where pixels are only there to fill the rectangle (PS3.3, C.7.5.1.1.2)."""
    ends, bits = [], int(dataset.BitsAllocated)
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        value = dataset.get(keyword)
        # Some write the padding of signed pixels as an unsigned number.
        if value is not None and -(1 << bits - 1) <= value < 1 << bits:
            ends.append(np.array(value).astype(stored.dtype))
    if "PixelPaddingValue" not in dataset or not ends:
        return np.zeros(stored.shape, dtype=bool)
    return (stored >= min(ends)) & (stored <= max(ends))
