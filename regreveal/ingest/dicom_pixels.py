"""DICOM images, whatever they show: from bytes to grey values, bright where the tissue is.

pydicom decodes an element when it is asked for, and quotes odd values, which may be names or dates,
in its warnings, its log and its errors: all work on a dataset is done inside `reading`.
"""

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regreveal.ingest.files import UnusableFileError, identity, parsing

if TYPE_CHECKING:
    import pydicom

MAGIC_OFFSET, MAGIC = 128, b"DICM"
LARGEST_FILE = 1 << 29
MOST_VALUES = 1 << 26  # 20 times a cine of 50 frames; as float32 256 MB.

# JPEG 2000 is decoded from the last two to RGB.
RED_GREEN_BLUE = ("RGB", "YBR_ICT", "YBR_RCT")
LUMINANCE_FIRST = ("YBR_FULL", "YBR_FULL_422")
COLOUR = (*RED_GREEN_BLUE, *LUMINANCE_FIRST)
# Of red, green and blue: ITU-R BT.601, which DICOM's own YBR_FULL uses (PS3.3, C.7.6.3.1.2).
LUMINANCE = np.array([0.299, 0.587, 0.114])
DEFLATED = b"1.2.840.10008.1.2.1.99"
UID = re.compile(r"\d+(\.\d+){4,}")
CODE = re.compile(r"[A-Z0-9_ ]{1,16}")

NO_IMAGE, TRUNCATED, TOO_LARGE = "no image", "truncated pixel data", "image too large"
SEVERAL_PEOPLE = "images of several people"
COMPRESSION, PHOTOMETRIC = "compression not supported", "photometric interpretation not supported"


@contextmanager
def reading(where: str | Path) -> Iterator[None]:
    """Parse with pydicom: in silence, its errors turned into an unreadable file.

    Parameters
    ----------
    where : str or Path
        What errors are to name.

    Raises
    ------
    UnusableFileError
    """
    from PIL.Image import DecompressionBombWarning
    from pydicom.errors import BytesLengthException, InvalidDicomError

    log = logging.getLogger("pydicom")
    was_disabled = log.disabled
    with parsing(where, InvalidDicomError, BytesLengthException), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", DecompressionBombWarning)
        log.disabled = True
        try:
            yield
        finally:
            log.disabled = was_disabled


def recognises(path: Path) -> bool:
    """Tell whether a file is DICOM, by its magic bytes."""
    with open(path, "rb") as file:
        file.seek(MAGIC_OFFSET)
        return file.read(len(MAGIC)) == MAGIC


def open_datasets(
    files: Iterable[tuple[str, bytes | Path]], source: Path
) -> list[tuple[str, str, "pydicom.Dataset"]]:
    """Open the DICOM images among files of one participant.

    Files that are not DICOM, and DICOM objects that are no images (reports, waveforms), are passed
    over; a file that ends in .dcm and is not DICOM is damaged.

    Parameters
    ----------
    files : iterable of (str, bytes or Path)
        Names with contents, or with where these are.
    source : Path
        The file, folder or zip they are from.

    Returns
    -------
    list of (str, str, Dataset)
        What errors about it are to name, the file's name, and the dataset; sorted by name.

    Raises
    ------
    UnusableFileError
        If a file is damaged, there is no image, or the images are of several people.
    """
    import pydicom

    files = sorted(files, key=lambda named: named[0])
    opened, patients = [], set()
    for number, (name, file) in enumerate(files, start=1):
        # By number, since DICOM files are named after dates and devices.
        where = f"{source}, file {number} of {len(files)}" if len(files) > 1 else str(source)
        with reading(where):
            content = file if isinstance(file, bytes) else _content(where, file)
            is_dicom = content[MAGIC_OFFSET:][: len(MAGIC)] == MAGIC
            if not is_dicom and not name.lower().endswith(".dcm"):
                continue
            _refuse_bomb(where, content)
            dataset = pydicom.dcmread(BytesIO(content))
            if "Rows" in dataset and "FloatPixelData" not in dataset:
                opened.append((where, name, dataset))
                patients.add(str(dataset.get("PatientID") or ""))
    if not opened:
        raise UnusableFileError(
            source, NO_IMAGE, f"none of {len(files)} files is an image in DICOM"
        )
    if len(patients) > 1:
        raise UnusableFileError(
            source, SEVERAL_PEOPLE, f"{len(patients)} patient ids; make a folder of each"
        )
    return opened


def owner(source: Path) -> tuple[str, int | None]:
    """Sample id and visit, from the name of a file, folder or zip, never from its contents.

    Parameters
    ----------
    source : Path
        A file named by its DICOM UID takes them from its folder.

    Returns
    -------
    tuple of str and int or None

    Raises
    ------
    UnusableFileError
        If the folder is named by a UID too: UIDs hold dates and device numbers.
    """
    for path in (source, source.absolute().parent):
        if not UID.match(path.name):
            return identity(path)
    raise UnusableFileError(
        source, "no sample id", "named by its DICOM UID; name it or its folder by the participant"
    )


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
        At the object, else at the detector; for GE's DXA, which has neither, the exposed area
        (along a row, along a column; PS3.3, C.8.7.2) over the number of pixels.
    """
    measures = functional_group(dataset, 0, "PixelMeasuresSequence") or dataset
    values = (
        measures.get("PixelSpacing")
        or dataset.get("PixelSpacing")
        or dataset.get("ImagerPixelSpacing")
    )
    if not values and "ExposedArea" in dataset and dataset["ExposedArea"].VM == 2:
        along_row, along_column = dataset.ExposedArea
        values = (along_column / dataset.Rows, along_row / dataset.Columns)
    values = tuple(map(float, values or ()))
    return values if len(values) == 2 and all(0 < value < np.inf for value in values) else None


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


def _content(where: str, path: Path) -> bytes:
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise UnusableFileError(where, TOO_LARGE, f"a file of {size / 2**20:,.0f} MB")
    # All at once: pydicom would otherwise allocate whatever length a damaged element gives.
    return path.read_bytes()


def _refuse_bomb(where: str, content: bytes) -> None:
    """Refuse a deflated file that grows beyond bounds; pydicom would unpack all of it."""
    if DEFLATED not in content:
        return
    # PS3.10, 7.1: the first element is the length of those about the file; the rest is deflated.
    start = 144 + struct.unpack_from("<I", content, 140)[0]
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:], LARGEST_FILE + 1)
    if len(unpacked) > LARGEST_FILE:
        raise UnusableFileError(where, TOO_LARGE, "a deflated file that unpacks without end")


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
