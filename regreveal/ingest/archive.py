"""Zips as UK Biobank delivers them (1234567_20158_2_0.zip): their members as bytes in memory.

Nothing is written to disk, so no name can lead anywhere; a zip with a name, a kind of member or a
size that no honest one has is refused as a whole all the same.
"""

import lzma
import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from regreveal.ingest.files import UnusableFileError, parsing

MAGIC = b"PK\x03\x04"
# UK Biobank's own list of a zip's files, with ids and dates; some are misspelt.
MANIFESTS = ("manifest.csv", "manifest.cvs")

MOST_MEMBERS = 20_000
LARGEST_MEMBER = 1 << 29  # A brain's volumes have up to 50 MB, a cardiac cine's frame 0.1 MB.
LARGEST_TOTAL = 1 << 31
# Deflate reaches 1,032 on zeros. An honest blank image does too, but is small; what is large and
# honest is compressed already (.nii.gz) or holds noise.
HIGHEST_RATIO = 100
RATIO_MATTERS_FROM = 1 << 26

UNSAFE, TOO_LARGE, ENCRYPTED = "unsafe archive", "archive too large", "encrypted archive"


def recognises(path: Path) -> bool:
    """Tell whether a file is a zip, by its magic bytes."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def members(path: Path) -> list[str]:
    """Names of a zip's files, sorted, without folders and UK Biobank's manifest.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of str
        With "/" between folders.

    Raises
    ------
    UnusableFileError
        If the file is damaged or no zip; is encrypted; has absolute names, names with "..", the
        same name twice, links or other special files; or is larger than an honest one would be.
    """
    with parsing(path, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return _checked(path, archive)


def read_members(path: Path, names: Iterable[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Read files of a zip, one at a time.

    Parameters
    ----------
    path : Path
    names : iterable of str, optional
        Of `members`; by default all of them.

    Yields
    ------
    tuple of str and bytes
        Name and content.

    Raises
    ------
    UnusableFileError
        As by `members`; or if a member's content is damaged, as its checksum tells.
    KeyError
        If there is no such member.
    """
    with parsing(path, zipfile.BadZipFile):
        archive = zipfile.ZipFile(path)
    with archive:
        present = _checked(path, archive)
        wanted = present if names is None else list(names)
        if unknown := set(wanted).difference(present):
            raise KeyError(f"{path} has no member {min(unknown)!r}")
        for name in wanted:
            with parsing(path, zipfile.BadZipFile, lzma.LZMAError):
                content = archive.read(name)
            yield name, content


def _checked(path: Path, archive: zipfile.ZipFile) -> list[str]:
    entries = archive.infolist()
    if len(entries) > MOST_MEMBERS:
        raise UnusableFileError(path, TOO_LARGE, f"{len(entries):,} members")
    names = set()
    for number, entry in enumerate(entries, start=1):
        # Members are told by number: names hold participants' ids, dates and device numbers.
        which = f"member {number} of {len(entries)}"
        if problem := _problem(entry):
            reason, detail = problem
            raise UnusableFileError(path, reason, f"{which} {detail}")
        if entry.filename in names:
            raise UnusableFileError(path, UNSAFE, f"{which} has the name of an earlier one")
        names.add(entry.filename)
    total = sum(entry.file_size for entry in entries)
    if total > LARGEST_TOTAL:
        raise UnusableFileError(path, TOO_LARGE, f"{total / 2**20:,.0f} MB unpacked")
    return sorted(
        name
        for name in names
        if not name.endswith("/") and PurePosixPath(name).name.lower() not in MANIFESTS
    )


def _problem(entry: zipfile.ZipInfo) -> tuple[str, str] | None:
    parts = {*PurePosixPath(entry.filename).parts, *PureWindowsPath(entry.filename).parts}
    if ".." in parts:
        return UNSAFE, 'has ".." in its name'
    # Also "C:name", which Windows takes from another drive, and "\\host\share".
    if entry.filename.startswith(("/", "\\")) or PureWindowsPath(entry.filename).drive:
        return UNSAFE, "has an absolute name"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return UNSAFE, "is a link or another special file"
    if entry.flag_bits & 0x1:
        return ENCRYPTED, "needs a password; unpack the archive and hand in the folder"
    if entry.file_size > LARGEST_MEMBER:
        return TOO_LARGE, f"has {entry.file_size / 2**20:,.0f} MB unpacked"
    ratio = entry.file_size / max(entry.compress_size, 1)
    if entry.file_size > RATIO_MATTERS_FROM and ratio > HIGHEST_RATIO:
        return TOO_LARGE, f"unpacks to {ratio:,.0f} times its size, as decompression bombs do"
    return None
