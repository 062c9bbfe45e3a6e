"""What benchmarks of deformable registration share: networks for pairs, random warps, ANTs' SyN."""

import time
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.registration import deformation
from regreveal.registration import voxelmorph_adapter as adapter
from regreveal.registration.voxelmorph_images import Padding
from regreveal.registration.voxelmorph_training import set_weights, train

SEED = 1
OUTSIDE = -1e6


class PairNetwork:
    """A network for pairs of images with one channel, trained on batches that a function draws.

    Parameters
    ----------
    shape : tuple of int
        Of the images, unpadded.
    parameters : dict
        `features`, `integration_steps`, `similarity`, `smoothness`, `steps`, `steps_per_epoch`,
        `batch_size`, `learning_rate`, `seed`.
    """

    def __init__(self, shape: tuple[int, ...], parameters: dict):
        self.parameters = parameters
        self.padding = Padding(shape, len(parameters["features"]))
        self.arguments = (
            self.padding.shape,
            tuple(parameters["features"]),
            parameters["integration_steps"],
        )
        self.model = adapter.network(*self.arguments)

    def fit(self, draw, unseen: list, checkpoint: Path) -> None:
        """Train on draw(rng) -> moving and fixed, (*shape), and look at the `unseen` pairs."""
        size = self.parameters["batch_size"]

        def batch(pairs):
            moving, fixed = (
                self.padding.images(np.stack(images, axis=-1))
                for images in zip(*pairs, strict=True)
            )
            field = np.zeros((len(fixed), *self.model.output_shape[1][1:]), np.float32)
            return (moving, fixed), (fixed, field)

        def learned_batch(step: int):
            rng = np.random.default_rng((self.parameters["seed"], step))
            return batch([draw(rng) for _ in range(size)])

        groups = [unseen[start : start + size] for start in range(0, len(unseen), size)]
        validation = adapter.batches(len(groups), lambda index: batch(groups[index]))
        adapter.compile_network(self.model, self.parameters)
        started = time.monotonic()
        weights, _ = train(self.model, learned_batch, validation, self.parameters, checkpoint)
        print(f"trained for {time.monotonic() - started:.0f} s in this run")
        self.use(weights)

    def use(self, weights: np.ndarray) -> None:
        """Register by the weights that a training gave."""
        set_weights(self.model, weights)
        self.apply = adapter.registering(*self.arguments)

    def register_twice(self, moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Displacement by a second look at what the first one moved, both composed."""
        first = self.register(moving, fixed)
        second = self.register(deformation.warp(moving, first), fixed)
        return deformation.compose(first, second)

    def register(self, moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Displacement, (*shape, dimensions), that brings `moving` to `fixed`, both (*shape)."""
        moving, fixed = (self.padding.images(image[..., None]) for image in (moving, fixed))
        displacement, _ = self.apply(moving, fixed, np.concatenate([moving, fixed], axis=-1))
        return self.padding.crop(displacement.numpy())[0]


def syn(moving: np.ndarray, fixed: np.ndarray, kind: str) -> np.ndarray:
    """Displacement in voxels that ANTs finds, by one of its types of transform."""
    import ants

    images = [ants.from_numpy(image.astype(np.float32)) for image in (fixed, moving)]
    found = ants.registration(*images, type_of_transform=kind)
    grid = np.indices(fixed.shape, np.float32)
    # Where a voxel comes from: the coordinates themselves are warped. Those from outside stay put.
    places = np.stack(
        [
            ants.apply_transforms(
                images[0], ants.from_numpy(axis), found["fwdtransforms"], defaultvalue=OUTSIDE
            ).numpy()
            for axis in grid
        ]
    )
    inside = (places >= 0).all(axis=0)
    return np.moveaxis(np.where(inside, places - grid, 0), 0, -1)


def overlap(fixed: np.ndarray, moved: np.ndarray) -> float:
    """Dice of two masks."""
    return 2 * np.sum(fixed & moved) / (fixed.sum() + moved.sum())


def halved_velocity(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Smooth velocity at half resolution, in its voxels.

    In voxels of the images: 1.5 (root mean square, each axis), smoothed by a Gaussian of 6 (SD).
    """
    return deformation.smooth_velocity(tuple(size // 2 for size in shape), rng, 0.75, 3)


def doubled(field: np.ndarray) -> np.ndarray:
    """Bring a field at half resolution, in its voxels, to the whole: linearly."""
    from scipy.ndimage import zoom

    return np.stack([2 * zoom(part, 2, order=1) for part in np.moveaxis(field, -1, 0)], axis=-1)


def summarise(rows: list[dict]) -> None:
    """Print a table of means by method."""
    table = pd.DataFrame(rows).groupby("method", sort=False)
    print(table.mean(numeric_only=True).to_string(float_format="%.4f"))
    print(table.size().to_string())
