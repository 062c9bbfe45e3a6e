"""Affine transforms that other programs wrote: FSL, FreeSurfer, ITK (ANTs, Slicer, SimpleITK).

Whatever the file, `read_transform` gives a 4x4 matrix that takes millimetres of the **fixed**
volume's world (RAS+: the scanner's, or MNI space) to millimetres of the **moving** volume's world,
which is where each registered voxel is to be taken from. `apply_transform` takes it so.

| file | holds | between |
| --- | --- | --- |
| FSL .mat (text) | moving to fixed | voxels times their size, x turned over where the volume's affine has a positive determinant |
| FreeSurfer .lta | moving (src) to fixed (dst) | RAS mm (type 1) or voxels (type 0) of the volumes it describes |
| MNI .xfm | moving to fixed | RAS mm; FreeSurfer's talairach.xfm goes to MNI305, some mm from MNI152 |
| ITK .tfm, .txt, .mat (binary), .h5 | fixed to moving | LPS mm: x and y point the other way |

Sources: FSL's FLIRT FAQ and Jenkinson et al. 2002 (NeuroImage 17:825); FreeSurfer's wiki
(CoordinateSystems, LTA); the ITK Software Guide (Geometric Transformations).
"""  # noqa: E501

from pathlib import Path

import numpy as np

from regreveal.errors import InputError
from regreveal.registration.volume_matrix import resample

VOXELS, RAS = 0, 1  # types of an .lta
ITK_SUFFIXES = (".tfm", ".txt", ".mat", ".h5", ".hdf5")
SUFFIXES = (".lta", ".xfm", *ITK_SUFFIXES)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_transform(path, moving=None, fixed=None) -> np.ndarray:
    """Read an affine transform of another program.

    Parameters
    ----------
    path : path
        FSL .mat, FreeSurfer .lta or .xfm, ITK .tfm, .txt, .mat or .h5.
    moving, fixed : path or (shape, affine), optional
        The volumes that the transform was made between, as NIfTI (or any file nibabel reads), or
        as shape and 4x4 affine (voxels to RAS mm). FSL's files need both; others neither.

    Returns
    -------
    ndarray of float64, shape (4, 4)
        Fixed world to moving world, RAS mm.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind, not affine, or cannot be inverted; or a
        volume that it needs is not given.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an affine transform")
    if path.suffix == ".lta":
        to_fixed = _read_lta(path)
    elif path.suffix == ".xfm":
        to_fixed = _read_xfm(path)
    elif path.suffix == ".mat" and _is_text(path):
        to_fixed = _read_fsl(path, moving, fixed)
    elif path.suffix in ITK_SUFFIXES:
        return _checked(path, _read_itk(path))
    else:
        raise InputError(
            f"{path}: suffix '{path.suffix}'; expected .mat, .lta, .xfm, .tfm, .txt or .h5"
        )
    return np.linalg.inv(_checked(path, to_fixed))


def apply_transform(volume, volume_affine, matrix, shape, affine, order: int = 1) -> np.ndarray:
    """Take a volume onto the grid of another through a transform.

    Parameters
    ----------
    volume : ndarray, shape (x, y, z)
    volume_affine : ndarray, shape (4, 4)
        Its voxels to RAS mm.
    matrix : ndarray, shape (4, 4)
        Of `read_transform`: fixed mm to the volume's mm.
    shape, affine : tuple of 3 int and ndarray (4, 4)
        Of the fixed grid, such as `regreveal.brain_atlas.grid(1)` for a transform to MNI152.
    order : int
        Of the spline: 0 for labels, 1 to interpolate linearly.

    Returns
    -------
    ndarray, `shape`
        Float32, or of the volume's type with order 0; 0 beyond the volume.
    """
    to_voxels = np.linalg.inv(volume_affine) @ matrix @ affine
    return resample(np.asarray(volume), to_voxels, tuple(shape), order)


def _checked(path: Path, matrix: np.ndarray) -> np.ndarray:
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise InputError(f"{path}: its matrix cannot be inverted; expected an affine transform")
    if not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
        raise InputError(f"{path}: last row {matrix[3].tolist()}; expected 0 0 0 1")
    return matrix


def _is_text(path: Path) -> bool:
    start = path.read_bytes()[:64]
    return bool(start) and all(byte in b"0123456789+-.eEnaifNAIF \t\r\n" for byte in start)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; expected one for its suffix") from None
    return [line.strip() for line in text.splitlines()]


def _numbers(path: Path, lines: list[str], rows: int) -> np.ndarray:
    """Read rows of four numbers; three rows are completed by 0 0 0 1."""
    try:
        values = np.array([[float(word) for word in line.split()] for line in lines[:rows]])
    except ValueError:
        values = np.empty(0)
    if values.shape != (rows, 4):
        raise InputError(f"{path}: no {rows} rows of 4 numbers; the file is damaged or cut short")
    return values if rows == 4 else np.vstack([values, [0, 0, 0, 1.0]])


def _read_fsl(path: Path, moving, fixed) -> np.ndarray:
    matrix = _numbers(path, [line for line in _lines(path) if line], 4)
    if moving is None or fixed is None:
        raise InputError(
            f"{path}: an FSL matrix has a meaning only with its volumes; give moving and fixed"
        )
    return _fsl_to_ras(fixed) @ matrix @ np.linalg.inv(_fsl_to_ras(moving))


def _fsl_to_ras(volume) -> np.ndarray:
    """FSL's millimetres to RAS mm: FSL's x is turned over where the affine keeps handedness."""
    shape, affine = _geometry(volume)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    scaled = np.diag([*sizes, 1.0])
    if np.linalg.det(affine[:3, :3]) > 0:
        scaled[0, 0], scaled[0, 3] = -sizes[0], (shape[0] - 1) * sizes[0]
    return affine @ np.linalg.inv(scaled)


def _geometry(volume) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine of a volume, given or read from its file."""
    if isinstance(volume, tuple):
        shape, affine = volume
        return tuple(shape), np.asarray(affine, float)
    import nibabel

    try:
        image = nibabel.load(volume)
    except (OSError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{volume}: not a readable volume ({error})") from None
    return image.shape[:3], image.affine


def _read_lta(path: Path) -> np.ndarray:
    lines = [line.partition("#")[0].strip() for line in _lines(path)]
    settings, section = {"": {}}, ""
    for line in lines:
        if line in ("src volume info", "dst volume info"):
            section = line
            settings[section] = {}
        elif "=" in line:
            name, _, value = line.partition("=")
            settings[section][name.strip()] = value.strip()
    kind = settings[""].get("type")
    if kind not in (str(VOXELS), str(RAS)) or settings[""].get("nxforms", "1") != "1":
        raise InputError(
            f"{path}: type {kind}, {settings[''].get('nxforms')} transforms; expected one of "
            "type 0 (voxels) or 1 (RAS), as lta_convert writes it"
        )
    if "1 4 4" not in lines:
        raise InputError(f"{path}: no matrix ('1 4 4'); the file is damaged or cut short")
    matrix = _numbers(path, lines[lines.index("1 4 4") + 1 :], 4)
    if kind == str(RAS):
        return matrix
    source, target = (_lta_affine(path, f"{name} volume info", settings) for name in ("src", "dst"))
    return target @ matrix @ np.linalg.inv(source)


def _lta_affine(path: Path, section: str, settings: dict) -> np.ndarray:
    """Voxels to RAS mm of a volume that an .lta describes."""
    info = settings.get(section, {})
    try:
        if info["valid"].split()[0] != "1":
            raise KeyError("valid")
        sizes, shape, *axes, centre = (
            np.array(info[name].split(), float)
            for name in ("voxelsize", "volume", "xras", "yras", "zras", "cras")
        )
        affine = np.eye(4)
        affine[:3, :3] = np.column_stack(axes) * sizes
        affine[:3, 3] = centre - affine[:3, :3] @ (shape / 2)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path}: {section} has no usable {error}; a transform of type 0 needs it"
        ) from None
    return affine


def _read_xfm(path: Path) -> np.ndarray:
    lines = _lines(path)
    if not lines or not lines[0].startswith("MNI Transform File"):
        raise InputError(f"{path}: does not begin with 'MNI Transform File'; not an .xfm")
    values = " ".join(line for line in lines if not line.startswith("%"))
    head, _, tail = values.partition("Linear_Transform =")
    if "Transform_Type = Linear;" not in head or not tail or "Transform_Type" in tail:
        raise InputError(f"{path}: not one linear transform; expected Transform_Type = Linear")
    words = tail.partition(";")[0].split()
    return _numbers(path, [" ".join(words[4 * row : 4 * row + 4]) for row in range(3)], 3)


def _read_itk(path: Path) -> np.ndarray:
    import SimpleITK

    try:
        transform = SimpleITK.ReadTransform(str(path))
    except RuntimeError:
        raise InputError(
            f"{path}: not a transform that ITK can read; the file is damaged or of another kind"
        ) from None
    if transform.GetDimension() != 3 or not transform.IsLinear():
        raise InputError(
            f"{path}: {transform.GetName()} in {transform.GetDimension()} dimensions; expected an "
            "affine transform in 3"
        )
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        end = transform.TransformPoint(tuple(np.eye(3)[axis]))
        matrix[:3, axis] = np.array(end) - matrix[:3, 3]
    return LPS @ matrix @ LPS
