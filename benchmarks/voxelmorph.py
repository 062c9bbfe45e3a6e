"""Measure VoxelMorph against ANTs' SyN: heart beats, a known warp of a brain, different brains.

    python benchmarks/voxelmorph.py cardiac --data ../shared/data/cardiac/sunnybrook --out RUNS

RUNS keeps the trainings' checkpoints: a run that was killed goes on. `pip install antspyx` for SyN.

cardiac: short-axis slices of the Sunnybrook Cardiac Data at two phases. The network learns from
patients 1-15 (both phases of a slice, turned, scaled and deformed at random together; images only)
and carries the systolic left ventricle of patients 16-30 onto the diastolic one.
"""

import argparse
import re
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.registration import deformation
from regreveal.registration import voxelmorph_adapter as adapter
from regreveal.registration.voxelmorph_images import Padding, standardise
from regreveal.registration.voxelmorph_training import set_weights, train

PHASES = 20
CROP = 160
SEED = 1


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
        set_weights(self.model, weights)
        self.apply = adapter.registering(*self.arguments)

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
    grid = np.stack(np.indices(fixed.shape, np.float32))
    places = [
        ants.apply_transforms(
            images[0], ants.from_numpy(axis), found["fwdtransforms"], defaultvalue=np.nan
        ).numpy()
        for axis in grid
    ]
    displacement = np.stack(places, axis=-1) - np.moveaxis(grid, 0, -1)
    return np.nan_to_num(displacement)


def overlap(fixed: np.ndarray, moved: np.ndarray) -> float:
    """Dice of two masks."""
    return 2 * np.sum(fixed & moved) / (fixed.sum() + moved.sum())


def summarise(rows: list[dict]) -> None:
    """Print a table of means by method."""
    table = pd.DataFrame(rows).groupby("method", sort=False)
    print(table.mean(numeric_only=True).to_string(float_format="%.4f"))
    print(table.size().to_string())


# Hearts


def read_sunnybrook(folder: Path) -> dict[str, list[tuple[np.ndarray, ...]]]:
    """Pairs of each patient: systolic image and mask, diastolic image and mask, (160, 160)."""
    import cv2

    found = defaultdict(dict)
    for path in sorted((folder / "images").rglob("*.png")):
        name = re.match(r"(.*)-IM-\d+-(\d+)", path.name)
        label = folder / "labels" / path.parent.name / path.name
        image, mask = (cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in (path, label))
        edge = (image.shape[0] - CROP) // 2
        inside = slice(edge, edge + CROP)
        # Twenty phases a slice, numbered from 1 through all slices.
        part = path.parent.name, name[1], (int(name[2]) - 1) // PHASES
        found[part][int(name[2])] = image[inside, inside], mask[inside, inside] > 127
    patients = defaultdict(list)
    for (part, patient, _), phases in found.items():
        if len(phases) == 2:
            systole, diastole = sorted(phases.values(), key=lambda phase: phase[1].sum())
            image, mask = (standardise(systole[0][..., None])[..., 0], systole[1])
            other, other_mask = (standardise(diastole[0][..., None])[..., 0], diastole[1])
            patients[f"{part}/{patient}"].append((image, mask, other, other_mask))
    return dict(sorted(patients.items()))


def draw_heart_pair(pairs: list, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two phases of a slice, in either order, turned, scaled and deformed together."""
    import cv2

    systole, _, diastole, _ = pairs[rng.integers(len(pairs))]
    images = [systole, diastole] if rng.random() < 0.5 else [diastole, systole]
    angle, scale = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(-0.2, 0.2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    if rng.random() < 0.5:
        turn[:, 0] *= -1
    middle = (CROP - 1) / 2
    grid = np.moveaxis(np.indices((CROP, CROP), np.float32), 0, -1) - middle
    places = grid @ turn.T + middle + rng.uniform(-8, 8, 2)
    places += deformation.smooth_velocity((CROP, CROP), rng, rng.uniform(0, 3), 16)
    rows, columns = places[..., 0].astype(np.float32), places[..., 1].astype(np.float32)
    moving, fixed = (
        cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        for image in images
    )
    return moving, fixed


def cardiac(arguments) -> None:
    """Left ventricle's Dice, systole to diastole, patients 16-30."""
    patients = list(read_sunnybrook(arguments.data).values())
    learned = [pair for patient in patients[:15] for pair in patient]
    unseen = [pair for patient in patients[15:] for pair in patient]
    print(f"{len(learned)} pairs of {len(patients[:15])} patients to learn from, {len(unseen)} new")
    parameters = {
        "features": [16, 32, 32, 32],
        "integration_steps": 7,
        "similarity": arguments.similarity,
        "smoothness": arguments.smoothness,
        "steps": arguments.steps or 3000,
        "steps_per_epoch": 250,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "seed": SEED,
    }
    network = PairNetwork((CROP, CROP), parameters)
    chosen_by = [(systole, diastole) for systole, _, diastole, _ in learned[::8]]
    draw = lambda rng: draw_heart_pair(learned, rng)  # noqa: E731
    network.fit(
        draw,
        chosen_by,
        arguments.out
        / f"cardiac_{arguments.similarity}_{arguments.smoothness}_{parameters['steps']}",
    )
    rows = []
    for group, pairs in (("learned", learned), ("unseen", unseen)):
        for systole, mask, diastole, other_mask in pairs:
            rows.append({"method": f"{group}: before", "dice": overlap(other_mask, mask)})
            methods = {"VoxelMorph": network.register}
            if arguments.syn and group == "unseen":
                methods |= {k: lambda m, f, k=k: syn(m, f, k) for k in ("SyNOnly", "SyN", "SyNCC")}
            for name, method in methods.items():
                started = time.monotonic()
                displacement = method(systole, diastole)
                seconds = time.monotonic() - started
                moved = deformation.warp(mask.astype(np.float32), displacement) > 0.5
                rows.append(
                    {
                        "method": f"{group}: {name}",
                        "dice": overlap(other_mask, moved),
                        "seconds": seconds,
                        **vars(deformation.field_statistics(displacement)),
                    }
                )
    summarise(rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    for function in (cardiac,):
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.add_argument("--data", type=Path, required=True)
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--steps", type=int)
        command.add_argument("--similarity", default="ncc")
        command.add_argument("--smoothness", type=float, default=0.5)
        command.add_argument("--syn", action="store_true", help="also by ANTs' SyN")
        command.set_defaults(run=function)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
