"""Ten people's label maps as images with exact truth: what registration benchmarks are scored on.

The maps (`brain/synthseg_labels` of the data folder) are read at 2 mm, each 2 mm voxel taking the
most frequent label of its eight 1 mm voxels, turned to RAS+, and cut to one grid of 96 x 112 x 96
voxels centred on each person's brain; heads keep the orientation they were scanned in.

An image is painted from a map: every label gets the T1-weighted brightness of its tissue, changed
by a random 4 % of white matter's for each label of each person; a smooth field of 8 % (SD, 40 mm)
multiplies it; it is blurred (SD 1 mm), as a voxel is an average; and noise of 3 % is added.
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

VOXEL_SIZE = 2.0
SHAPE = (96, 112, 96)
AFFINE = np.array(
    [[2.0, 0, 0, -95.0], [0, 2.0, 0, -111.0], [0, 0, 2.0, -95.0], [0, 0, 0, 1.0]]
)  # voxel to mm, 0 at the grid's centre

# FreeSurfer's labels. The 27 structures are those of the VoxelMorph papers' list that all ten maps
# have, less "CSF" (24), which here is all fluid about the brain; left and right count as two.
STRUCTURES = {
    2: "left cerebral white matter", 41: "right cerebral white matter",
    3: "left cerebral cortex", 42: "right cerebral cortex",
    4: "left lateral ventricle", 43: "right lateral ventricle",
    7: "left cerebellum white matter", 46: "right cerebellum white matter",
    8: "left cerebellum cortex", 47: "right cerebellum cortex",
    10: "left thalamus", 49: "right thalamus",
    11: "left caudate", 50: "right caudate",
    12: "left putamen", 51: "right putamen",
    13: "left pallidum", 52: "right pallidum",
    17: "left hippocampus", 53: "right hippocampus",
    18: "left amygdala", 54: "right amygdala",
    28: "left ventral diencephalon", 60: "right ventral diencephalon",
    14: "third ventricle", 15: "fourth ventricle", 16: "brain stem",
}  # fmt: skip

WHITE, DEEP, GREY, FLUID, VESSEL = 1.0, 0.85, 0.65, 0.2, 0.4
BRIGHTNESS = {
    2: WHITE, 41: WHITE, 7: WHITE, 46: WHITE, 16: 0.95, 28: 0.9, 60: 0.9, 85: 0.8,
    10: DEEP, 49: DEEP, 13: 0.92, 52: 0.92, 12: 0.75, 51: 0.75, 11: 0.7, 50: 0.7, 26: 0.7, 58: 0.7,
    3: GREY, 42: GREY, 8: GREY, 47: GREY, 17: GREY, 53: GREY, 18: GREY, 54: GREY,
    4: FLUID, 43: FLUID, 5: FLUID, 44: FLUID, 14: FLUID, 15: FLUID, 24: FLUID,
    30: VESSEL, 62: VESSEL,
}  # fmt: skip
OTHER_BRAIN, OTHER_HEAD = 0.8, 0.5
FIRST_OUTSIDE = 500  # labels from here on are skull, scalp, eyes, neck
HEAD = {515: 0.1, 516: 0.7, 507: 0.7, 511: 0.6, 509: 0.25, 514: 0.4, 530: 0.9}


def load_people(folder: str | Path) -> np.ndarray:
    """Read the label maps of the ten people.

    Parameters
    ----------
    folder : path
        With `training_seg_01.nii.gz` and so on: 1 mm maps of 256 x 256 x 256.

    Returns
    -------
    ndarray of int16, shape (10, 96, 112, 96)
        RAS+, 2 mm, the middle of each brain's bounding box at the middle of the grid.
    """
    import nibabel

    paths = sorted(Path(folder).glob("training_seg_*.nii.gz"))
    if not paths:
        raise SystemExit(f"{folder}: no training_seg_*.nii.gz")
    people = []
    for path in paths:
        image = nibabel.as_closest_canonical(nibabel.load(path))
        people.append(_on_grid(np.asarray(image.dataobj).astype(np.int16)))
    return np.stack(people)


def _on_grid(labels: np.ndarray) -> np.ndarray:
    """Cut a 1 mm map about its brain and halve it: the most frequent label of each eight."""
    brain = (labels > 0) & (labels < FIRST_OUTSIDE) & (labels != 24)
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    fine = 2 * np.array(SHAPE)
    start = [(s.start + s.stop) // 2 - n // 2 for s, n in zip(box, fine, strict=True)]
    padded = np.pad(labels, 128)
    cut = padded[tuple(slice(s + 128, s + 128 + n) for s, n in zip(start, fine, strict=True))]
    x, y, z = SHAPE
    eight = cut.reshape(x, 2, y, 2, z, 2).transpose(1, 3, 5, 0, 2, 4).reshape(8, x, y, z)
    votes = np.stack([(eight == candidate).sum(axis=0) for candidate in eight])
    return np.take_along_axis(eight, votes.argmax(axis=0)[None], axis=0)[0]


def paint(labels: np.ndarray, rng: np.random.Generator, head: bool = False) -> np.ndarray:
    """Make a T1-weighted image of a label map, as the top of this file says.

    Parameters
    ----------
    labels : ndarray of int, shape (x, y, z)
    rng : numpy.random.Generator
    head : bool
        Paint skull, scalp and the rest about the brain too; else it is left out, as after skull
        stripping.

    Returns
    -------
    ndarray of float32, shape (x, y, z)
        White matter about 1, outside 0 and noise.
    """
    brightness = np.zeros(labels.max() + 1)
    for label in np.unique(labels[labels > 0]):
        if label < FIRST_OUTSIDE:
            brightness[label] = BRIGHTNESS.get(label, OTHER_BRAIN) + rng.normal(0, 0.04)
        elif head:
            brightness[label] = HEAD.get(label, OTHER_HEAD) + rng.normal(0, 0.04)
    image = brightness[labels]
    bias = ndimage.gaussian_filter(rng.standard_normal(labels.shape), 40 / VOXEL_SIZE)
    image *= 1 + 0.08 * bias / bias.std()
    image = ndimage.gaussian_filter(image, 1 / VOXEL_SIZE)
    return (image + rng.normal(0, 0.03, labels.shape)).astype(np.float32)


def dice(fixed: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Dice of each of the 27 structures, in the order of `STRUCTURES`.

    Parameters
    ----------
    fixed, moved : ndarray of int, same shape
        Label maps.

    Returns
    -------
    ndarray of float, shape (27,)
    """
    size = max(fixed.max(), moved.max()) + 1
    both = np.bincount(fixed[fixed == moved].ravel(), minlength=size)
    each = np.bincount(fixed.ravel(), minlength=size) + np.bincount(moved.ravel(), minlength=size)
    labels = list(STRUCTURES)
    return 2 * both[labels] / each[labels]
