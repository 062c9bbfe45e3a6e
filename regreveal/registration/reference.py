"""The image that others are registered to: from a file, or a participant in the middle of all."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.ingest.png import MOST_PIXELS
from regreveal.registration.familiarity import Familiarity, coarse_picture, learn
from regreveal.registration.images import spread, unusable_reason
from regreveal.registration.volume_files import open_volume, voxels_of
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

OTHERS = 200


def find_column(name: str, tables: Iterable[pd.DataFrame]) -> pd.Series:
    """Find a column of numbers in the first table, indexed by sample id, that has it.

    Raises
    ------
    InputError
        If none has it, or it holds something else than numbers.
    """
    tables = list(tables)
    for table in tables:
        if name in table:
            if not pd.api.types.is_numeric_dtype(table[name]):
                raise InputError(f"exemplar: column '{name}' holds no numbers; a median needs them")
            return table[name]
    there = ", ".join(column for table in tables for column in table) or "none"
    raise InputError(f"exemplar: no column '{name}' in phenotypes or cohort (there are: {there})")


def median_participant(
    values: pd.Series, store: TensorStore, tensor_map: TensorMap, sample_ids: Sequence[str]
) -> str:
    """Choose the participant nearest to the median of a phenotype, such as body mass index.

    Parameters
    ----------
    values : Series
        Of the phenotype, by sample id; missing values are allowed.
    store : TensorStore
    tensor_map : TensorMap
    sample_ids : sequence of str
        Who may be chosen; those without a value or an image, or whose image is blank or not
        finite, are passed over, and those whose image is unlike that of the others: whose coarse
        picture up to 200 of them, spread evenly over all, explain less than they do each other's
        (`familiarity.usual_bound`; not asked where there are fewer than 20).

    Returns
    -------
    str

    Raises
    ------
    InputError
        If there is nobody to choose.
    """
    present = set(store.sample_ids(tensor_map.path))
    known = values.reindex([i for i in sample_ids if i in present]).dropna().sort_index()
    away = (known - known.median()).abs().sort_values(kind="stable")
    usable = _usable(store, tensor_map, away.index)
    familiarity = _learn_from_some(store, tensor_map, known.index)
    for sample_id, image in usable:
        picture = coarse_picture(image)
        if familiarity is None or familiarity.unexplained(picture) <= familiarity.most_unexplained:
            return sample_id
    raise InputError(
        f"exemplar: none of {len(sample_ids)} participants has '{values.name}' and a usable "
        f"{tensor_map.name}"
    )


def _usable(
    store: TensorStore, tensor_map: TensorMap, sample_ids: Iterable[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Read one image after the other, and pass over those of no use to any registration."""
    for sample_id in sample_ids:
        image = tensor_map.read(store, [sample_id])[0]
        if not unusable_reason(image):
            yield sample_id, image


def _learn_from_some(
    store: TensorStore, tensor_map: TensorMap, sample_ids: pd.Index
) -> Familiarity | None:
    """Learn from up to 200 participants what their images look like; None if there are none."""
    some = sample_ids[spread(len(sample_ids), OTHERS)]
    pictures = [coarse_picture(image) for _, image in _usable(store, tensor_map, some)]
    # An exemplar must be usual: none is spared for being one of those learned from.
    return learn(np.stack(pictures), most_rejected=1) if pictures else None


def read_reference(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read the image to register to from a NumPy, NIfTI or PNG file.

    Parameters
    ----------
    path : Path
        `.npy`, `.nii`, `.nii.gz` (brought to RAS+) or `.png`.
    shape : tuple of int
        (*shape, channels) of the images that are registered; where the file has another number of
        axes, it may leave out a last one of length 1.

    Returns
    -------
    ndarray of float32, shape (*shape of the file, channels)

    Raises
    ------
    InputError
        If the file is not readable, of another kind, or no image of that dimension.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the image to register to")
    image = _read_image(path)
    if image is None or image.dtype.kind not in "biuf":
        raise InputError(f"{path}: not a readable image; expected numbers")
    if image.ndim == len(shape) - 1 and shape[-1] == 1:
        image = image[..., None]
    if image.ndim != len(shape) or image.shape[-1] != shape[-1]:
        raise InputError(
            f"{path}: an image of shape {image.shape}; expected {len(shape) - 1} dimensions of "
            f"space and {shape[-1]} channels"
        )
    reason = unusable_reason(image)
    if reason:
        raise InputError(f"{path}: {reason}; expected an image to register to")
    return image.astype(np.float32)


def _read_image(path: Path) -> np.ndarray | None:
    if path.suffix == ".npy":
        try:
            # Mapped first: what the file promises and does not hold is then an error, not memory.
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, OverflowError) as error:
            raise InputError(f"{path}: not a readable image ({error})") from error
    if path.suffix == ".png":
        import cv2

        _check_picture(path)
        return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if path.suffix == ".nii" or path.suffixes[-2:] == [".nii", ".gz"]:
        import nibabel

        volume = open_volume(path, "image")
        return voxels_of(path, nibabel.as_closest_canonical(volume), "image")
    raise InputError(f"{path}: suffix '{path.suffix}'; expected .npy, .nii, .nii.gz or .png")


def _check_picture(path: Path) -> None:
    """Raise InputError if a picture promises more pixels than any has; OpenCV would believe it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            pixels = picture.width * picture.height
    except (Image.DecompressionBombError, UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: not a readable image ({error})") from error
    if pixels > MOST_PIXELS:
        raise InputError(
            f"{path}: not a readable image (it promises {pixels:,} pixels; expected at most "
            f"{MOST_PIXELS:,})"
        )
