r"""Measure VoxelMorph against ANTs' SyN on the brains of different people.

    python benchmarks/registration/deformable_people.py --out RUNS \
        --data ../shared/data/brain/synthseg_labels --smoothness 1 --fold 1 --syn

RUNS keeps the trainings' checkpoints: a run that was killed goes on. `pip install antspyx` for SyN.

Ten people's label maps at 2 mm, affinely aligned to the first, cut to the brains: 80 x 80 x 80
voxels. A network learns from seven, of each ten versions deformed at random and painted anew,
mirrored or not; by the images' local correlation, and by how their labels overlap, which VoxelMorph
as such does not ask for (Balakrishnan et al. 2019, "auxiliary data"). It registers the six pairs of
the three held out, painted without deformation, by the images alone. "Twice": it looks again at
what it moved, and both displacements are composed.

Measured on fold 1 only (people 5 to 7), after 800 steps of one pair (25 min in which the core was
shared, some 10 min of processor time). Processor time is for one core; SyN is ANTs' default:

    =================  =====  =======  ==========  =========
    method             Dice   folds %  SD of logJ  seconds
    =================  =====  =======  ==========  =========
    before (affine)    0.542  0        0           -
    VoxelMorph         0.648  0        0.21        0.10
    VoxelMorph, twice  0.660  0        0.33        0.30
    SyN                0.636  0.05     0.20        4.67
    =================  =====  =======  ==========  =========

Before these 800 steps: after 200 of them Dice was 0.583, after 450 0.623 (twice: 0.637), at a step
size not yet small. The loss on new pairs of the people learned from was still going down at the
end (-0.695, -0.699, -0.712, -0.713 in the last four looks), so longer training is likely to give
more. Longer training is a training of its own: the steps decide the step sizes.
"""

import argparse
import time
from itertools import permutations
from pathlib import Path

import label_people
import numpy as np
from deformable_pairs import SEED, PairNetwork, doubled, halved_velocity, summarise, syn

from regreveal.progress import track
from regreveal.registration import Affine, deformation
from regreveal.registration import voxelmorph_adapter as adapter
from regreveal.registration.voxelmorph_images import standardise
from regreveal.registration.voxelmorph_training import train

VARIANTS = 10
# Left and right change places: the structures' list has them next to each other.
MIRRORED = [*np.arange(24).reshape(12, 2)[:, ::-1].ravel(), 24, 25, 26]


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


def brains_box(maps: np.ndarray) -> tuple[slice, ...]:
    """Where all people's brains are, of sizes that the network takes without padding."""
    structures = np.isin(maps, list(label_people.STRUCTURES)).any(axis=0)
    box = []
    for axis, size in enumerate(structures.shape):
        others = tuple(other for other in range(3) if other != axis)
        first, *_, last = np.flatnonzero(structures.any(axis=others))
        length = min(-(-(last + 1 - first) // 16) * 16, size)
        start = np.clip((first + last + 1 - length) // 2, 0, size - length)
        box.append(slice(start, start + length))
    return tuple(box)


def painted_variants(people: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Deform every person at random, and paint each result anew.

    Returns
    -------
    images, numbers : ndarray, shape (people, variants, x, y, z)
        Numbers of the structures, uint8: 0 where there is none, then from 1 as they are listed.
    halved : ndarray of uint8, shape (people, variants, x / 2, y / 2, z / 2, 27)
        As `halved_structures` gives them.
    """
    numbered = np.zeros(people.max() + 1, np.uint8)
    numbered[list(label_people.STRUCTURES)] = np.arange(1, len(label_people.STRUCTURES) + 1)
    images, numbers, halved = [], [], []
    for number in track(range(len(people) * VARIANTS), "Painting people"):
        labels = people[number // VARIANTS]
        rng = np.random.default_rng((SEED, number))
        field = deformation.integrate(halved_velocity(labels.shape, rng) * rng.uniform(0, 1), 5)
        labels = deformation.warp(labels, doubled(field), 0)
        images.append(standardise(label_people.paint(labels, rng)[..., None])[..., 0])
        numbers.append(numbered[labels])
        halved.append(halved_structures(labels))
    parts = np.stack(images), np.stack(numbers), np.stack(halved)
    return tuple(part.reshape(len(people), VARIANTS, *part.shape[1:]) for part in parts)


def halved_structures(labels: np.ndarray) -> np.ndarray:
    """Count the structures in blocks of eight voxels, uint8, (x / 2, y / 2, z / 2, 27)."""
    x, y, z = (size // 2 for size in labels.shape)
    blocks = labels.reshape(x, 2, y, 2, z, 2).transpose(1, 3, 5, 0, 2, 4).reshape(8, x, y, z)
    counts = [(blocks == k).sum(axis=0, dtype=np.uint8) for k in label_people.STRUCTURES]
    return np.stack(counts, axis=-1)


def draw_people(variants: tuple[np.ndarray, ...], rng: np.random.Generator) -> tuple:
    """Draw a batch of one pair of different people, mirrored or not: inputs and targets."""
    count = len(variants[0])
    pair = list(zip(rng.permutation(count)[:2], rng.integers(VARIANTS, size=2), strict=True))
    (moving, fixed), numbers, halved = ([part[one] for one in pair] for part in variants)
    if rng.random() < 0.5:
        swapped = np.array([0, *(1 + place for place in MIRRORED)], np.uint8)
        moving, fixed = moving[::-1], fixed[::-1]
        numbers = [swapped[part[::-1]] for part in numbers]
        halved = [part[::-1][..., MIRRORED] for part in halved]
    moving, fixed = moving[None, ..., None], fixed[None, ..., None]
    shares = [part[None] / np.float32(8) for part in halved]
    field = np.zeros((*shares[0].shape[:-1], 3), np.float32)
    voxels = [weighed(*numbers)[None], numbers[1][None, ..., None].astype(np.float32)]
    return (moving, fixed, shares[0], *voxels), (fixed, field, shares[1], np.zeros(1, np.float32))


def weighed(numbers: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Structures' numbers, and one over the fixed person's size of each, (*shape, 2)."""
    sizes = np.bincount(fixed.ravel(), minlength=len(label_people.STRUCTURES) + 1)
    weights = np.float32(1) / np.maximum(sizes, 1).astype(np.float32)
    weights[0] = 0
    return np.stack([numbers.astype(np.float32), weights[numbers]], axis=-1)


def overlap_gain(moving, fixed, displacement):
    """Mean over structures of what Dice gains and loses by each moved voxel, at full resolution.

    Near where a structure's moved size M is its fixed size F, Dice = 2 B / (F + M) (B: of both)
    changes by (dB - Dice / 2 dM) / F: linear in the weights of interpolation, so that one number
    a voxel is read off for all structures at once. Dice is taken as 0.7 in this.

    Parameters
    ----------
    moving : tensor, shape (b, *shape, 2)
        As `weighed` gives it.
    fixed : tensor, shape (b, *shape, 1)
        Numbers of the structures.
    displacement : tensor, shape (b, *shape, 3)
    """
    import tensorflow as tf

    shape = np.array(moving.shape[1:4].as_list())
    grid = np.stack(np.indices(shape, np.float32), axis=-1)
    places = tf.clip_by_value(displacement + grid, 0, shape - 1.0)
    corner = tf.minimum(tf.floor(places), shape - 2.0)
    share = places - corner
    strides = np.array([shape[1] * shape[2], shape[2], 1], np.int32)
    first = tf.reduce_sum(tf.cast(corner, tf.int32) * strides, axis=-1)
    gain = 0.0
    for step in np.ndindex(2, 2, 2):
        weight = tf.reduce_prod(tf.where(np.array(step, bool), share, 1 - share), axis=-1)
        found = tf.gather(
            tf.reshape(moving, (-1, shape.prod(), 2)), first + strides @ step, axis=1, batch_dims=1
        )
        same = tf.cast(found[..., 0] == fixed[..., 0], tf.float32)
        gain += tf.reduce_sum(weight * found[..., 1] * (same - 0.35), axis=(1, 2, 3))
    return gain / len(label_people.STRUCTURES)


def with_labels(network: PairNetwork, weight: float):
    """Compile a model of the same weights that also moves structures and is judged by them.

    By the Dice of their shares in blocks of eight voxels, which is felt from afar, and by
    `overlap_gain` of the voxels themselves.
    """
    import tensorflow as tf
    import tf_keras

    from regreveal.registration import voxelmorph_layers as layers

    model = network.model
    shape = [size // 2 for size in network.padding.shape]
    given_shape = (*shape, len(label_people.STRUCTURES))
    structures = tf_keras.Input(given_shape)
    voxels = [tf_keras.Input((*network.padding.shape, channels)) for channels in (2, 1)]
    displacement = model.get_layer(adapter.DISPLACEMENT).output
    halved = tf_keras.layers.Lambda(lambda field: tf.nn.avg_pool3d(field, 2, 2, "VALID") / 2)(
        displacement
    )

    # Batches come with sizes that TensorFlow does not know before it sees them.
    def known(given):
        shape = given.shape
        return tf_keras.layers.Lambda(lambda batch: tf.ensure_shape(batch, shape))(given)

    gain = tf.function(overlap_gain, jit_compile=True)
    gained = tf_keras.layers.Lambda(lambda inputs: gain(*inputs))(
        [*map(known, voxels), displacement]
    )
    moved = layers.warp_layer()([known(structures), halved])

    def dice_loss(fixed, moved):
        axes = (1, 2, 3)
        both = 2 * tf.reduce_sum(fixed * moved, axes)
        each = tf.reduce_sum(tf.square(fixed) + tf.square(moved), axes)
        return 1 - tf.reduce_mean((both + 1) / (each + 1), axis=-1)

    judged = tf_keras.Model([*model.inputs, structures, *voxels], [*model.outputs, moved, gained])
    judged.compile(
        adapter.new_optimizer(network.parameters),
        loss=[
            layers.local_correlation_loss,
            adapter.load().losses.Grad("l2", loss_mult=2).loss,
            dice_loss,
            lambda _, gained: -gained,
        ],
        loss_weights=[1.0, network.parameters["smoothness"], weight, 2 * weight],
    )
    return judged


def measure(arguments) -> None:
    """Pairs of people after affine registration, of one of three folds or all: their Dice."""
    maps = read_people(arguments.data, arguments.out)
    maps = maps[(slice(None), *brains_box(maps))]
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
            "steps": arguments.steps,
            "steps_per_epoch": 50,
            "batch_size": 1,
            "learning_rate": 2e-3,
            "seed": SEED,
        }
        network = PairNetwork(maps.shape[1:], parameters)
        model = with_labels(network, arguments.label_weight)
        variants = painted_variants(maps[learned])
        looked_at = [
            draw_people(variants, np.random.default_rng((SEED, 10**6 + k))) for k in range(6)
        ]
        started = time.monotonic()
        name = f"people_{number}_{arguments.smoothness}_{arguments.label_weight}"
        weights, _ = train(
            model,
            lambda step, v=variants: draw_people(v, np.random.default_rng((SEED, step))),
            adapter.batches(len(looked_at), looked_at.__getitem__),
            parameters,
            arguments.out / f"{name}_{parameters['steps']}",
        )
        print(
            f"fold {number}: trained for {time.monotonic() - started:.0f} s in this run", flush=True
        )
        network.use(weights)
        rng = np.random.default_rng((SEED, number))
        painted = {
            person: standardise(label_people.paint(maps[person], rng)[..., None])[..., 0]
            for person in unseen
        }
        network.register(*list(painted.values())[:2])  # traced before it is timed
        for moving, fixed in permutations(unseen, 2):
            methods = {
                "before": lambda m, f: np.zeros((*m.shape, 3), np.float32),
                "VoxelMorph": network.register,
                "VoxelMorph, twice": network.register_twice,
            }
            if arguments.syn:
                methods["SyN"] = lambda m, f: syn(m, f, "SyN")
            for method, register in methods.items():
                started = time.process_time()
                field = register(painted[moving], painted[fixed])
                seconds = time.process_time() - started
                moved = deformation.warp(maps[moving], field, 0)
                score = label_people.dice(maps[fixed], moved).mean()
                rows.append({"method": method, "dice": score, "cpu_seconds": seconds})
                rows[-1] |= vars(deformation.field_statistics(field))
                print(number, moving, fixed, rows[-1], flush=True)
    summarise(rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--smoothness", type=float, default=0.5)
    parser.add_argument("--syn", action="store_true", help="also by ANTs' SyN")
    parser.add_argument("--fold", type=int, help="only one of 0, 1 and 2")
    parser.add_argument("--label-weight", type=float, default=1.0, help="of Dice")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
