"""What holds one participant's images: a file, a zip, or a folder of files; found and read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from regreveal.errors import InputError
from regreveal.ingest import archive, dicom_files, dicom_image, ml4h_images, nifti, png
from regreveal.ingest.files import UID, UnusableFileError, identity, shown
from regreveal.ingest.image import Image
from regreveal.ingest.outcomes import DROPPED, Outcome

UNKNOWN = "not a known image format"
ZIP = "dicom zip"
# By kind of image, in the order they are tried.
FORMATS: dict[str, dict[str, Callable[[Path], bool]]] = {
    "dxa": {
        ZIP: archive.recognises,
        dicom_image.NAME: dicom_image.recognises,
        png.NAME: lambda path: png.recognises(path) and not png.is_frame(path),
        ml4h_images.NAME: ml4h_images.recognises,
    },
    "brain": {nifti.NAME: nifti.recognises, ml4h_images.NAME: ml4h_images.recognises},
    "cardiac": {
        ZIP: archive.recognises,
        dicom_image.NAME: dicom_image.recognises,
        png.NAME: lambda path: png.recognises(path) and png.is_frame(path),
        ml4h_images.NAME: ml4h_images.recognises,
    },
}
EXPECTED = {
    "dxa": "DICOM files or zips of them, PNG or ml4h HD5 files",
    "brain": "NIfTI files, UK Biobank's zips of them, or ml4h HD5 files",
    "cardiac": "DICOM files or zips of them, folders of PNG frames, or ml4h HD5 files",
}


@dataclass(frozen=True)
class Source:
    """The images of one participant and visit.

    Attributes
    ----------
    path : Path
        The file, or the folder of the files.
    files : tuple of Path
    format : str
    sample_id : str
    visit : int or None
    """

    path: Path
    files: tuple[Path, ...]
    format: str
    sample_id: str
    visit: int | None


def find_sources(files: Sequence[Path], kind: str) -> tuple[list[Source], list[Outcome]]:
    """Put files together to sources of images.

    Frames of a cine that are files of their own make one source with the others in their folder,
    and so do pictures that are named by their series and DICOM files that are named by their UIDs.
    Any other file is a source by itself.

    Parameters
    ----------
    files : sequence of Path
    kind : "dxa", "brain" or "cardiac"

    Returns
    -------
    sources : list of Source
    outcomes : list of Outcome
        Of the files that are none.
    """
    outcomes = []
    loose: dict[tuple[str, Path], list[Path]] = {}
    for path in files:
        name = _recognise(path, kind)
        if name:
            loose.setdefault((name, path.parent), []).append(path)
        else:
            detail = "empty file" if path.stat().st_size == 0 else f"suffix '{path.suffix}'"
            outcomes.append(Outcome(str(path), "", path.stem, DROPPED, UNKNOWN, detail))
    sources = []
    for (name, folder), paths in loose.items():
        for path, members in _together(name, folder, paths, kind):
            try:
                sources.append(Source(path, members, name, *_identity(path, members, name)))
            except UnusableFileError as error:
                # What it is named by may be a device number or a date.
                outcomes.append(Outcome(str(path), name, "", DROPPED, error.reason, error.detail))
    return sources, outcomes


def read_source(source: Source, kind: str, series: str | None) -> list[Image]:
    """Read a source's images of a kind.

    Parameters
    ----------
    source : Source
    kind : "dxa", "brain" or "cardiac"
    series : str or None
        Only this one, where the source tells series apart.

    Returns
    -------
    list of Image
        At least one.

    Raises
    ------
    UnusableFileError
        If it is damaged or has no such image.
    """
    images = _read(source, kind, series)
    of_kind = [image for image in images if image.kind == kind]
    if not of_kind:
        raise UnusableFileError(
            source.path, "another kind of image", f"{images[0].kind}; expected {kind}"
        )
    # A picture that does not tell its series is the one asked for.
    wanted = [image for image in of_kind if series in (None, image.series) or not image.series]
    if not wanted:
        there = ", ".join(sorted({image.series for image in of_kind}))
        raise UnusableFileError(source.path, "no such series", f"there are {shown(there)}")
    return wanted


def _read(source: Source, kind: str, series: str | None) -> list[Image]:
    if source.format == nifti.NAME:
        return nifti.read(source.path, series or "")
    if source.format == ml4h_images.NAME:
        return ml4h_images.read(source.path, kind)
    if source.format == png.NAME:
        return (
            png.read_frames(source.files) if kind == "cardiac" else _read_pictures(source, series)
        )
    chosen = None if series is None else [series]
    if source.format == ZIP:
        return dicom_image.read_files(archive.read_members(source.path), source.path, chosen)
    return dicom_image.read_files([(p.name, p) for p in source.files], source.path, chosen)


def _read_pictures(source: Source, series: str | None) -> list[Image]:
    """Read the picture of a series; if there is none, each, so that an error can name them."""
    chosen = [path for path in source.files if png.series(path) in (series, "")]
    return [image for path in chosen or source.files for image in png.read(path)]


def _recognise(path: Path, kind: str) -> str:
    try:
        return next((name for name, knows in FORMATS[kind].items() if knows(path)), "")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _together(
    name: str, folder: Path, paths: list[Path], kind: str
) -> list[tuple[Path, tuple[Path, ...]]]:
    """Divide the files of one format in one folder into sources."""
    if name == png.NAME and kind == "cardiac":
        return [(folder, tuple(paths))]
    joined: list[Path] = []
    if name == png.NAME:
        joined = [path for path in paths if png.series(path)]
    elif name == dicom_image.NAME:
        is_cine = kind == "cardiac" and len(paths) > 1 and _are_frames(paths)
        joined = [path for path in paths if is_cine or UID.match(path.name)]
    apart = [(path, (path,)) for path in paths if path not in set(joined)]
    return apart + ([(folder, tuple(joined))] if joined else [])


def _are_frames(paths: list[Path]) -> bool:
    """Tell whether DICOM files hold one frame each, as the first whole image of them does."""
    import pydicom

    for path in paths:
        try:
            with dicom_files.reading(path):
                header = pydicom.dcmread(
                    path, specific_tags=["NumberOfFrames", "Rows"], stop_before_pixels=True
                )
                if "Rows" in header:
                    return int(header.get("NumberOfFrames") or 1) == 1
        except UnusableFileError:
            continue
    return True


def _identity(path: Path, files: tuple[Path, ...], name: str) -> tuple[str, int | None]:
    if name == nifti.NAME:
        return nifti.sample_identity(path)
    if name == png.NAME:
        return png.sample_identity(files[0])
    if name == ml4h_images.NAME:
        return identity(path)
    return dicom_files.owner(path)
