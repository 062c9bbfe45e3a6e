"""What readers of any format share: whose file it is, and what becomes of one that is of no use.

A reader checks what it relies on, and has its format's parser work inside `parsing`, since no
parser is safe on damaged bytes.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regreveal.errors import InputError

# UK Biobank's bulk files are named participant_field_visit_array, such as 1000012_20205_2_0.xml.
UK_BIOBANK_STEM = re.compile(r"(?P<participant>\d{7})_\d+_(?P<visit>\d+)_\d+")

# UIDs, by which DICOM files are named, hold dates and device numbers.
UID = re.compile(r"\d+(\.\d+){4,}")

# What h5py, pydicom, wfdb and expat raise on damaged bytes besides errors of their own: they check
# little, so a damaged length, type or name surfaces wherever it is used first.
PARSER_ERRORS = (
    ArithmeticError,  # A rate of 0, a number too large for its type.
    AttributeError,  # An element that is absent, or of another kind.
    EOFError,
    LookupError,  # KeyError, IndexError, and an unknown text encoding.
    MemoryError,  # A damaged size asks for more than there is.
    NotImplementedError,  # A type or format that exists nowhere.
    OSError,
    RuntimeError,  # Most of HDF5's own errors; nesting without end.
    TypeError,  # An element without a value, or text where a number belongs.
    ValueError,  # Also text that cannot be decoded.
    struct.error,
    zlib.error,
)
QUOTED = re.compile(r"""(?<!\w)b?(["'`]).*?(\1(?!\w)|$)""")
LONGEST_NUMBER_SHOWN = 3  # Digits: fewer than any date or id has.
LONG_NUMBER = re.compile(rf"\d{{{LONGEST_NUMBER_SHOWN + 1},}}")
LONGEST_MESSAGE_SHOWN = 160


class UnusableFileError(InputError):
    """A file that no recording or image can be had from.

    Attributes
    ----------
    reason : str
        A few fixed words, by which such files are counted.
    detail : str
        What was found in this one.
    """

    def __init__(self, where: str | Path, reason: str, detail: str):
        # A damaged name or unit may hold line breaks and the like.
        detail = "".join(sign if sign.isprintable() else "?" for sign in detail)
        super().__init__(f"{where}: {reason}: {detail}")
        self.reason = reason
        self.detail = detail


@contextmanager
def parsing(path: Path, *others: type[Exception]) -> Iterator[None]:
    """Turn what a parser raises on a damaged file into an unreadable file.

    Parameters
    ----------
    path : Path
    others : exception types
        What this parser raises besides `PARSER_ERRORS`.

    Raises
    ------
    UnusableFileError
        With the error's type and the first line of its message, less anything that may be quoted
        from the file, which could be a name, an id or a date.
    """
    try:
        yield
    except UnusableFileError:
        raise
    except (*PARSER_ERRORS, *others) as error:
        raise UnusableFileError(path, "unreadable file", _described(error)) from error


def _described(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    words = QUOTED.sub("…", lines[0][:LONGEST_MESSAGE_SHOWN]).split()
    shown = [word if sum(map(str.isdigit, word)) <= LONGEST_NUMBER_SHOWN else "…" for word in words]
    return ": ".join(filter(None, (type(error).__name__, " ".join(shown))))


def shown(text: str) -> str:
    """Text of a file as errors give it: less numbers that could be a date or an id."""
    return LONG_NUMBER.sub("…", text)


def identity(path: Path) -> tuple[str, int | None]:
    """Sample id of a file, and the visit where its name tells.

    Parameters
    ----------
    path : Path
        The file, a WFDB header, or a folder of one participant.

    Returns
    -------
    tuple of str and int or None
        The name without its suffix; or, for a UK Biobank bulk file, participant and visit.

    Raises
    ------
    UnusableFileError
        If it is named by a DICOM UID, which holds a date and the device's number.
    """
    whole = Path(os.path.abspath(path))  # The folder "." has no name of its own.
    if UID.match(whole.name):
        raise UnusableFileError(
            path, "no sample id", "named by its DICOM UID; name it by the participant"
        )
    matched = UK_BIOBANK_STEM.fullmatch(whole.stem)
    if matched is None:
        return whole.stem, None
    return matched["participant"], int(matched["visit"])
