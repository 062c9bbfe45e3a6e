"""DICOM files: which are images, whose they are, and how to open them without harm.

pydicom decodes an element when it is asked for, and quotes odd values, which may be names or dates,
in its warnings, its log and its errors: all work on a dataset is done inside `reading`.
"""

import logging
import os
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from regreveal.ingest.files import UnusableFileError, identity, parsing

if TYPE_CHECKING:
    import pydicom

MAGIC_OFFSET, MAGIC = 128, b"DICM"
LARGEST_FILE = 1 << 29
LARGEST_TOTAL = 1 << 31  # Of one participant; a cardiac exam has 0.1 GB.
DEFLATED = b"1.2.840.10008.1.2.1.99"
# PS3.10, 7.1: what a file begins with, after its magic bytes.
GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"

NO_IMAGE, TOO_LARGE, SEVERAL_PEOPLE = "no image", "image too large", "images of several people"


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
    opened, patients, total = [], set(), 0
    for number, (name, file) in enumerate(files, start=1):
        # By number, since DICOM files are named after dates and devices.
        where = f"{source}, file {number} of {len(files)}" if len(files) > 1 else str(source)
        with reading(where):
            content = file if isinstance(file, bytes) else _content(where, file, LARGEST_FILE)
            is_dicom = content[MAGIC_OFFSET:][: len(MAGIC)] == MAGIC
            if not is_dicom and not name.lower().endswith(".dcm"):
                continue
            _refuse_bomb(where, content, LARGEST_FILE)
            dataset = pydicom.dcmread(BytesIO(content))
            if "Rows" not in dataset or "FloatPixelData" in dataset:
                continue
            opened.append((where, name, dataset))
            patients.add(str(dataset.get("PatientID") or ""))
        total += len(content)
        if len(patients) > 1:
            raise UnusableFileError(
                source, SEVERAL_PEOPLE, "more than one patient id; make a folder of each"
            )
        if total > LARGEST_TOTAL:
            raise UnusableFileError(
                source, TOO_LARGE, f"files of more than {LARGEST_TOTAL / 2**30:.0f} GB together"
            )
    if not opened:
        raise UnusableFileError(
            source, NO_IMAGE, f"none of {len(files)} files is an image in DICOM"
        )
    return opened


def open_dataset(path: Path, largest: int) -> "pydicom.Dataset":
    """Open a DICOM file of any kind, inside `reading`.

    Parameters
    ----------
    path : Path
    largest : int
        Bytes it may have, packed or not.

    Raises
    ------
    UnusableFileError
        If it is larger than an honest one, or inflates beyond that.
    """
    import pydicom

    content = _content(str(path), path, largest)
    _refuse_bomb(str(path), content, largest)
    return pydicom.dcmread(BytesIO(content))


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
        If the folder is named by a UID too.
    """
    try:
        return identity(source)
    except UnusableFileError:
        return identity(Path(os.path.abspath(source)).parent)


def _content(where: str, path: Path, largest: int) -> bytes:
    if (size := path.stat().st_size) > largest:
        raise UnusableFileError(where, TOO_LARGE, f"a file of {size / 2**20:,.0f} MB")
    # All at once: pydicom would otherwise allocate whatever length a damaged element gives.
    return path.read_bytes()


def _refuse_bomb(where: str, content: bytes, largest: int) -> None:
    """Refuse a deflated file that grows beyond bounds; pydicom would unpack all of it."""
    if DEFLATED not in content:
        return
    from pydicom.filereader import read_dataset

    header = MAGIC_OFFSET + len(MAGIC)
    if content[header:][: len(GROUP_LENGTH)] != GROUP_LENGTH:
        raise UnusableFileError(where, "unreadable file", "deflated, with an odd header")
    # Deflated is what follows the elements of group 2, whatever length the first of them gives.
    file = BytesIO(content[header:])
    read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), largest + 1)
    if len(unpacked) > largest:
        raise UnusableFileError(where, TOO_LARGE, "a deflated file that unpacks without end")
