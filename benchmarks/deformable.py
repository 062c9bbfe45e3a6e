"""Measure VoxelMorph against ANTs' SyN: heart beats, a known warp of a brain, different brains.

    python benchmarks/deformable.py cardiac --data ../shared/data/cardiac/sunnybrook --out RUNS

RUNS keeps the trainings' checkpoints: a run that was killed goes on. `pip install antspyx` for SyN.

    python benchmarks/deformable.py brain-warp --data ../shared/data/brain/voxelmorph --out RUNS
    python benchmarks/deformable.py people --data ../shared/data/brain/synthseg_labels --out RUNS

cardiac: short-axis slices of the Sunnybrook Cardiac Data at two phases. The network learns from
patients 1-15 (both phases of a slice, turned, scaled and deformed at random together; images only)
and carries the systolic left ventricle of patients 16-30 onto the diastolic one.

brain-warp: a network learns from random smooth warps of one T1 at 80 x 96 x 112 voxels and takes
warps it has not seen back to the scan.

people: ten people's label maps at 2 mm, affinely aligned to the first. In three folds a network
learns from the other seven (painted afresh at each step, deformed at random, also judged by their
labels' overlap) and registers the pairs of those held out, painted without deformation.
"""

import argparse
import re
import time
from collections import defaultdict
from itertools import permutations
from pathlib import Path

import label_people
import numpy as np
import pandas as pd

from regreveal.registration import Affine, VoxelMorph, deformation
from regreveal.registration import voxelmorph_adapter as adapter
from regreveal.registration.voxelmorph_images import Padding, standardise
from regreveal.registration.voxelmorph_training import set_weights, train

PHASES = 20
CROP = 128
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


def summarise(rows: list[dict]) -> None:
    """Print a table of means by method."""
    table = pd.DataFrame(rows).groupby("method", sort=False)
    print(table.mean(numeric_only=True).to_string(float_format="%.4f"))
    print(table.size().to_string())


# Hearts


def read_sunnybrook(folder: Path) -> dict[str, list[tuple[np.ndarray, ...]]]:
    """Pairs of each patient: systolic image and mask, diastolic image and mask, (128, 128)."""
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
    # Drawn coarsely: a field this smooth is as good enlarged.
    bend = deformation.smooth_velocity((CROP // 4, CROP // 4), rng, rng.uniform(0, 3), 4)
    places += cv2.resize(bend, (CROP, CROP), interpolation=cv2.INTER_LINEAR)
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


# A known warp of a brain


class WarpedScans:
    """Random smooth warps of one scan, each made when its row is asked for.

    Parameters
    ----------
    scan : ndarray, shape (x, y, z)
    count, seed : int
    """

    def __init__(self, scan: np.ndarray, count: int, seed: int):
        self.scan = scan
        self.shape = (count, *scan.shape, 1)
        self.seed = seed

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        if np.ndim(rows) == 0 and not isinstance(rows, slice):
            return deformation.warp(self.scan, self.field(int(rows), 1))[..., None]
        return np.stack([self[row] for row in np.arange(len(self))[rows]])

    def field(self, row: int, sign: int) -> np.ndarray:
        """Displacement that made a row (sign 1), or that takes it back to the scan (sign -1)."""
        velocity = brain_velocity(self.scan.shape, np.random.default_rng((self.seed, row)))
        return deformation.integrate(sign * velocity)


def brain_velocity(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Smooth velocity: 1.5 voxels (root mean square, each axis), Gaussian of 6 voxels SD."""
    from scipy.ndimage import zoom

    coarse = deformation.smooth_velocity(tuple(size // 2 for size in shape), rng, 1.5, 3)
    return np.stack([zoom(part, 2, order=1) for part in np.moveaxis(coarse, -1, 0)], axis=-1)


def brain_warp(arguments) -> None:
    """Known warps of one T1 at 80 x 96 x 112: Dice of its structures, error, folds."""
    from scipy.ndimage import zoom

    with np.load(arguments.data / "test_scan.npz") as file:
        scan, labels = file["vol"].astype(np.float32), file["seg"].astype(np.int16)
    with np.load(arguments.data / "labels.npz") as file:
        scored = file["labels"]
    scan, labels = zoom(scan, 0.5, order=1), zoom(labels, 0.5, order=0)
    registration = VoxelMorph(
        scan[..., None],
        similarity=arguments.similarity,
        smoothness=arguments.smoothness,
        steps=arguments.steps or 1200,
        steps_per_epoch=50,
        batch_size=1,
        learning_rate=1e-3,
        seed=SEED,
    )
    started = time.monotonic()
    name = f"warp_{arguments.similarity}_{arguments.smoothness}_{registration.steps}"
    registration.fit(WarpedScans(scan, 2000, SEED), checkpoint=arguments.out / name)
    print(f"trained for {time.monotonic() - started:.0f} s in this run")
    unseen, rows, inside = WarpedScans(scan, arguments.pairs, SEED + 1), [], scan > 0
    for row in range(len(unseen)):
        moving, truth = unseen[row : row + 1], unseen.field(row, -1)
        moving_labels = deformation.warp(labels, unseen.field(row, 1), 0)
        methods = {
            "before": lambda x: np.zeros_like(truth),  # noqa: B023
            "VoxelMorph": lambda x: registration.transform(x).transforms[0],
        }
        if arguments.syn:
            methods["SyN"] = lambda x: syn(x[0, ..., 0], scan, "SyN")
        for method, register in methods.items():
            started = time.monotonic()
            field = register(moving)
            seconds = time.monotonic() - started
            moved = deformation.warp(moving_labels, field, 0)
            error = np.linalg.norm(field - truth, axis=-1)[inside].mean()
            scores = [overlap(labels == k, moved == k) for k in scored if (labels == k).any()]
            rows.append({"method": method, "dice": np.mean(scores), "error": error})
            rows[-1] |= {"seconds": seconds, **vars(deformation.field_statistics(field))}
    summarise(rows)


# Different brains


def read_people(folder: Path, out: Path) -> np.ndarray:
    """Ten people's label maps, brought to the first by an affine of their images; kept in `out`."""
    path = out / "people_affine.npz"
    if not path.is_file():
        people = label_people.load_people(folder)
        rng = np.random.default_rng(SEED)
        painted = np.stack([label_people.paint(person, rng) for person in people])[..., None]
        affine = Affine(reference=painted[0], voxel_size=(label_people.VOXEL_SIZE,) * 3)
        found = affine.fit(painted).transform(painted)
        if not found.qc["ok"].all():
            raise SystemExit(f"affine registration failed: {found.qc['reason'].tolist()}")
        out.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, people=affine.warp(people, found.transforms, order=0))
    with np.load(path) as file:
        return file["people"]


def draw_person(people: np.ndarray, person: int, rng: np.random.Generator):
    """Deform a person at random and paint it anew: image and labels."""
    labels = people[person]
    field = deformation.integrate(brain_velocity(labels.shape, rng) * rng.uniform(0, 1), 5)
    labels = deformation.warp(labels, field.astype(np.float32), 0)
    return standardise(label_people.paint(labels, rng)[..., None])[..., 0], labels


def halved_structures(labels: np.ndarray) -> np.ndarray:
    """Shares of the structures in blocks of eight voxels, (x / 2, y / 2, z / 2, 27)."""
    x, y, z = (size // 2 for size in labels.shape)
    blocks = labels.reshape(x, 2, y, 2, z, 2).transpose(0, 2, 4, 1, 3, 5).reshape(x, y, z, 8)
    shares = [(blocks == k).mean(axis=-1, dtype=np.float32) for k in label_people.STRUCTURES]
    return np.stack(shares, axis=-1)


def with_labels(network: PairNetwork, weight: float):
    """Compile a model of the same weights that also moves structures and is judged by them."""
    import tensorflow as tf
    import tf_keras

    from regreveal.registration import voxelmorph_layers as layers

    model = network.model
    shape = [size // 2 for size in network.padding.shape]
    given_shape = (*shape, len(label_people.STRUCTURES))
    structures = tf_keras.Input(given_shape)
    displacement = model.get_layer(adapter.DISPLACEMENT).output
    halved = tf_keras.layers.Lambda(lambda field: tf.nn.avg_pool3d(field, 2, 2, "VALID") / 2)(
        displacement
    )
    known = tf_keras.layers.Lambda(lambda given: tf.ensure_shape(given, (None, *given_shape)))
    moved = layers.warp_layer()([known(structures), halved])

    def dice_loss(fixed, moved):
        axes = (1, 2, 3)
        both = 2 * tf.reduce_sum(fixed * moved, axes)
        each = tf.reduce_sum(tf.square(fixed) + tf.square(moved), axes)
        return 1 - tf.reduce_mean((both + 1) / (each + 1), axis=-1)

    judged = tf_keras.Model([*model.inputs, structures], [*model.outputs, moved])
    judged.compile(
        adapter.new_optimizer(network.parameters),
        loss=[
            layers.local_correlation_loss,
            adapter.load().losses.Grad("l2", loss_mult=2).loss,
            dice_loss,
        ],
        loss_weights=[1.0, network.parameters["smoothness"], weight],
    )
    return judged


def people(arguments) -> None:
    """Pairs of people after affine registration, of three folds: 27 structures' Dice."""
    maps = read_people(arguments.data, arguments.out)
    folds = np.array_split(np.arange(len(maps)), 3)
    rows = []
    for number in range(3) if arguments.fold is None else [arguments.fold]:
        unseen = folds[number]
        learned = np.setdiff1d(np.arange(len(maps)), unseen)
        parameters = {
            "features": [16, 32, 32, 32],
            "integration_steps": 7,
            "similarity": "ncc",
            "smoothness": arguments.smoothness,
            "labels": arguments.label_weight,
            "steps": arguments.steps or 700,
            "steps_per_epoch": 50,
            "batch_size": 1,
            "learning_rate": 1e-3,
            "seed": SEED,
        }
        network = PairNetwork(maps.shape[1:], parameters)
        model = with_labels(network, arguments.label_weight)

        def batch(rng, learned=learned, network=network):
            moving, fixed = (
                draw_person(maps, person, rng) for person in rng.permutation(learned)[:2]
            )
            images = [network.padding.images(image[..., None]) for image in (moving[0], fixed[0])]
            structures = [halved_structures(part[1])[None] for part in (moving, fixed)]
            field = np.zeros((1, *(size // 2 for size in network.padding.shape), 3), np.float32)
            return (*images, structures[0]), (images[1], field, structures[1])

        looked_at = [batch(np.random.default_rng((SEED, 10**6 + k))) for k in range(6)]
        started = time.monotonic()
        name = f"people_{number}_{arguments.smoothness}_{arguments.label_weight}"
        weights, _ = train(
            model,
            lambda step: batch(np.random.default_rng((SEED, step))),
            adapter.batches(len(looked_at), looked_at.__getitem__),
            parameters,
            arguments.out / f"{name}_{parameters['steps']}",
        )
        print(f"fold {number}: trained for {time.monotonic() - started:.0f} s in this run")
        network.use(weights)
        rng = np.random.default_rng((SEED, number))
        painted = {
            person: standardise(label_people.paint(maps[person], rng)[..., None])[..., 0]
            for person in unseen
        }
        for moving, fixed in permutations(unseen, 2):
            methods = {
                "before": lambda m, f: np.zeros((*m.shape, 3), np.float32),
                "VoxelMorph": network.register,
            }
            if arguments.syn:
                methods["SyN"] = lambda m, f: syn(m, f, "SyN")
            for method, register in methods.items():
                started = time.monotonic()
                field = register(painted[moving], painted[fixed])
                seconds = time.monotonic() - started
                moved = deformation.warp(maps[moving], field, 0)
                score = label_people.dice(maps[fixed], moved).mean()
                rows.append({"method": method, "dice": score, "seconds": seconds})
                rows[-1] |= vars(deformation.field_statistics(field))
    summarise(rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    for function in (cardiac, brain_warp, people):
        name = function.__name__.replace("_", "-")
        command = commands.add_parser(name, help=function.__doc__)
        command.add_argument("--data", type=Path, required=True)
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--steps", type=int)
        command.add_argument("--similarity", default="ncc")
        command.add_argument("--smoothness", type=float, default=0.5)
        command.add_argument("--syn", action="store_true", help="also by ANTs' SyN")
        command.add_argument("--pairs", type=int, default=5, help="brain-warp: unseen warps")
        command.add_argument("--fold", type=int, help="people: only one of 0, 1 and 2")
        command.add_argument("--label-weight", type=float, default=2.0, help="people: of Dice")
        command.set_defaults(run=function)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
