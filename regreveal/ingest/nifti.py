"""NIfTI volumes of the brain, single (.nii, .nii.gz) or in the zip that UK Biobank delivers.

Axes are turned and flipped to RAS+ (x to the right, y to the front, z upwards); nothing is
interpolated. A volume on one of the MNI152 grids of `regreveal.brain_atlas`, such as those of FSL's
templates at 1 mm and 2 mm, is "mni", any other "native".

Field 20252 of UK Biobank is a zip with the head as scanned and defaced (`T1/T1.nii.gz`), the brain
alone (`T1/T1_brain.nii.gz`), and the brain warped nonlinearly onto the 1 mm template by FNIRT
(`T1/T1_brain_to_MNI.nii.gz`), beside masks, segmentations and `T1/transforms`; where the scan was
found useless, they lie in `T1/unusable` (Alfaro-Almagro et al. 2018, NeuroImage 166:400).
"""

import gzip
import io
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regreveal.brain_atlas import grid
from regreveal.ingest import archive
from regreveal.ingest.files import UnusableFileError, identity, parsing
from regreveal.ingest.image import BRAIN_ALONE, Image

NAME = "nifti"
GZIP_MAGIC = b"\x1f\x8b"
# By the size of the header: where the magic bytes are, and what they are.
MAGIC = {348: (344, b"n+1\0"), 540: (4, b"n+2\0")}
LARGEST_HEADER = max(MAGIC)
MOST_VOXELS = 150_000_000  # 600 MB; 512×512×256 is 67 million. A damaged size may ask for anything.
MOST_BYTES_BESIDE_DATA = 10_000_000
MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
VOXEL_SIZES = (0.1, 30.0)  # In millimetres: beyond these a unit or an affine is wrong.
OBLIQUE_DEGREES = 1.0
NATIVE, MNI = "native", "mni"
MNI_SFORM_CODE = 4
SAME_GRID = 1e-3  # In millimetres: headers hold single precision.
# In UK Biobank's zip, the better first.
ZIP_MEMBERS = {
    NATIVE: ("T1/T1.nii.gz", "T1/T1_brain.nii.gz"),
    MNI: ("T1/T1_brain_to_MNI.nii.gz",),
}
USELESS_IN_ZIP = "T1/unusable/"


def recognises(path: Path) -> bool:
    """Tell whether a file is single-file NIfTI, compressed or not, or a zip, by its magic bytes."""
    if archive.recognises(path):
        return True
    try:
        with _opened(path) as stream:
            start = stream.read(LARGEST_HEADER)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        # Damaged in its first bytes: it is NIfTI by its name alone, and `read` says what is wrong.
        return path.name.endswith(".nii.gz")
    return _header_size(start) is not None


def read(path: Path, series: str = "") -> list[Image]:
    """Read a volume; or of UK Biobank's zip the volume of one series, or of each.

    Parameters
    ----------
    path : Path
    series : "native", "mni" or ""
        What to read of a zip; each of the two by default.

    Returns
    -------
    list of Image

    Raises
    ------
    UnusableFileError
        If the file is damaged or truncated, its orientation is not known, or it is no volume; or
        if a zip has no such volume.
    """
    if archive.recognises(path):
        return _read_zip(path, [series] if series else [NATIVE, MNI])
    with parsing(path), _opened(path) as stream:
        return [_read_stream(path, stream)]


def _read_zip(path: Path, wanted: list[str]) -> list[Image]:
    present = set(archive.members(path))
    chosen = []
    for series in wanted:
        name = next((name for name in ZIP_MEMBERS.get(series, ()) if name in present), None)
        if name:
            chosen.append(name)
    if not chosen:
        if any(name.startswith(USELESS_IN_ZIP) for name in present):
            raise UnusableFileError(
                path, "found useless by UK Biobank", f"its volumes lie in {USELESS_IN_ZIP}"
            )
        expected = " or ".join(name for series in wanted for name in ZIP_MEMBERS.get(series, ()))
        raise UnusableFileError(path, "no such volume", f"no {expected} in the zip")
    images = []
    for name, content in archive.read_members(path, chosen):
        with parsing(path), gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            image = _read_stream(path, stream, name)
        if (image.series == MNI) != (name in ZIP_MEMBERS[MNI]):
            raise UnusableFileError(
                path, "not in the space its name says", f"{name} is {image.series}"
            )
        if name in ZIP_MEMBERS[NATIVE][1:]:
            image = replace(image, flags=(*image.flags, BRAIN_ALONE))
        images.append(image)
    return images


def _read_stream(path: Path, stream: BinaryIO, member: str = "") -> Image:
    """Read a volume from an open, uncompressed stream; `member` is its name in an archive."""
    import nibabel
    from nibabel.affines import obliquity, voxel_sizes

    with parsing(path, nibabel.spatialimages.HeaderDataError), _silence():
        header = _header(path, stream)
        stream.seek(0)
        kinds = {348: nibabel.Nifti1Image, 540: nibabel.Nifti2Image}
        volume = kinds[int(header["sizeof_hdr"])].from_stream(stream)
        code = _check_orientation(path, volume)
        scale = MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
        tilt = float(np.degrees(obliquity(volume.affine).max()))
        if volume.ndim > 3:
            volume = nibabel.funcs.squeeze_image(volume)
        volume = nibabel.as_closest_canonical(volume)
        voxel_size = tuple(float(size) * scale for size in voxel_sizes(volume.affine))
        if not all(VOXEL_SIZES[0] <= size <= VOXEL_SIZES[1] for size in voxel_size):
            found = " × ".join(f"{size:.3g}" for size in voxel_size)
            raise UnusableFileError(
                path, "unreadable file", f"voxels of {found} mm; expected 0.1 to 30 mm"
            )
        with np.errstate(over="ignore"):  # What is too large becomes infinite, and is told.
            pixels = volume.get_fdata(dtype=np.float32, caching="unchanged")
        # A compressed stream is compared with its checksum only where it ends.
        stream.read(MOST_BYTES_BESIDE_DATA)
    flags = (f"oblique: {tilt:.0f}°",) if tilt > OBLIQUE_DEGREES else ()
    series = MNI if _on_mni_grid(pixels.shape, scale * volume.affine[:3]) else NATIVE
    if series == MNI and code != MNI_SFORM_CODE:
        flags += ("on the MNI152 grid, though its header does not say so",)
    return Image(
        pixels=np.ascontiguousarray(pixels),
        voxel_size=tuple(round(size, 4) for size in voxel_size),
        kind="brain",
        sample_id=sample_identity(path)[0],
        visit=sample_identity(path)[1],
        series=series,
        flags=flags,
        member=member,
    )


def sample_identity(path: Path) -> tuple[str, int | None]:
    """Sample id and visit of a file, whose name may end in two suffixes."""
    return identity(path.with_suffix("") if path.name.endswith(".nii.gz") else path)


@contextmanager
def _opened(path: Path):
    with open(path, "rb") as file:
        compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        if not compressed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream


@contextmanager
def _silence():
    """Keep nibabel from writing what it finds odd in a header to standard error."""
    from nibabel.imageglobals import logger

    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled


def _header_size(start: bytes) -> int | None:
    for size, (at, magic) in MAGIC.items():
        said = (int.from_bytes(start[:4], order) for order in ("little", "big"))
        if size in said and start[at : at + len(magic)] == magic:
            return size
    return None


def _header(path: Path, stream: BinaryIO):
    """Read a header, and refuse it before anything is read or allocated by what it says."""
    import nibabel

    start = stream.read(LARGEST_HEADER)
    size = _header_size(start)
    if size is None:
        raise UnusableFileError(path, "unreadable file", "no NIfTI header")
    kinds = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
    header = kinds[size](start[:size])
    shape = [int(count) for count in header["dim"][1 : 1 + int(header["dim"][0])]]
    if any(count < 1 for count in shape) or np.prod(shape, dtype=float) > MOST_VOXELS:
        raise UnusableFileError(
            path, "unreadable file", f"a volume of {' × '.join(map(str, shape))} voxels"
        )
    volumes = int(np.prod(shape[3:], dtype=int))
    if volumes > 1:
        raise UnusableFileError(path, "more than one volume", f"{volumes} volumes")
    if len(shape) < 3 or min(shape[:3]) < 2:
        raise UnusableFileError(path, "no volume", " × ".join(map(str, shape)) + " voxels")
    if not 0 <= float(header["vox_offset"]) <= MOST_BYTES_BESIDE_DATA:
        raise UnusableFileError(path, "unreadable file", "its data start too far from it")
    if header.get_data_dtype().kind not in "iuf":
        raise UnusableFileError(path, "no grey values", "complex numbers or colours")
    return header


def _check_orientation(path: Path, volume) -> int:
    """Return the code of the sform; an affine of nothing but voxel sizes would be a guess."""
    codes = [int(volume.header[name]) for name in ("qform_code", "sform_code")]
    if not any(codes):
        raise UnusableFileError(
            path, "orientation unknown", "neither qform nor sform; set one, as by fslorient"
        )
    affine = volume.affine[:3, :3]
    if not np.isfinite(volume.affine).all() or np.linalg.matrix_rank(affine) < 3:
        raise UnusableFileError(path, "orientation unknown", "its affine has no inverse")
    return codes[1]


def _on_mni_grid(shape: tuple[int, ...], affine: np.ndarray) -> bool:
    size = float(affine[0, 0])
    if not 1 <= round(size, 3) <= VOXEL_SIZES[1]:
        return False
    mni_shape, mni_affine = grid(round(size, 3))
    return shape == mni_shape and np.allclose(affine, mni_affine[:3], rtol=0, atol=SAME_GRID)
