r"""Measure VoxelMorph against ANTs' SyN on known warps of a brain: Dice, error, folds, seconds.

    python benchmarks/registration/brain_warp.py --data ../shared/data/brain/voxelmorph \
        --out RUNS --syn

RUNS keeps the training's checkpoint: a run that was killed goes on. `pip install antspyx` for SyN.

A network learns from random smooth warps of one T1 at 80 x 96 x 112 voxels, by their images alone,
and takes warps it has not seen back to the scan. Warps: velocities of 1.5 voxels (root mean square
of each component), Gaussian of 6 voxels (SD), integrated. "Refined": by `refine_steps`: what the
network gives is the start of steps on the pair itself, by the same loss.

Measured on six unseen warps, after 600 steps of one warp each, of 300 less 30 to choose the epoch
by (24 min in which the core was shared, some 10 min of processor time), local correlation,
smoothness 0.5. Error: mean distance in voxels from the true displacement, within the brain. Dice
by the true displacement is 0.95: labels are moved twice, by nearest neighbour. Seconds are
processor time, of one core; for the network without the quality figures of `transform`:

    ==========================  =====  =====  =======  ==========  =======
    method                      Dice   error  folds %  SD of logJ  seconds
    ==========================  =====  =====  =======  ==========  =======
    before                      0.628  1.67   0        0           -
    VoxelMorph                  0.788  0.89   0        0.14        0.2
    VoxelMorph, refined (40)    0.914  0.32   0        0.15        23
    SyN                         0.853  0.61   0.11     0.16        8
    ==========================  =====  =====  =======  ==========  =======

On the first warp: 0.382 after 25 steps of refining a network of 450 steps; 0.308 after 40 from the
network of 600 steps (in 24 s, with the figures, when it became `refine_steps`; the table is from
before, without them); 0.530 after 40 from no movement. How many steps to refine by was chosen with
this warp in view; the other five have 0.320. The network alone needs far more training.
"""

import argparse
import copy
import time
from pathlib import Path

import numpy as np
from deformable_pairs import SEED, doubled, halved_velocity, overlap, summarise, syn
from scipy.ndimage import zoom

from regreveal.progress import track
from regreveal.registration import VoxelMorph, deformation

WARPS = 300


def warped_scans(scan: np.ndarray, count: int) -> np.ndarray:
    """Random smooth warps of one scan to learn from, (count, *shape, 1), drawn as `known_warp`'s.

    Their velocities are integrated at half the resolution: what made them need not be known.
    """
    warped = np.empty((count, *scan.shape, 1), np.float32)
    for number in track(range(count), "Warping the scan"):
        rng = np.random.default_rng((SEED, number))
        field = deformation.integrate(halved_velocity(scan.shape, rng), 5)
        warped[number, ..., 0] = deformation.warp(scan, doubled(field))
    return warped


def known_warp(shape: tuple[int, ...], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Displacement of a warp that is not learned from, and the one that undoes it."""
    velocity = doubled(halved_velocity(shape, np.random.default_rng((SEED + 1, number))))
    return deformation.integrate(velocity), deformation.integrate(-velocity)


def main() -> None:
    """Train, and print the means over warps that were not learned from, by method."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--similarity", default="ncc")
    parser.add_argument("--smoothness", type=float, default=0.5)
    parser.add_argument("--refine", type=int, default=40, help="steps on each pair")
    parser.add_argument("--pairs", type=int, default=6, help="unseen warps")
    parser.add_argument("--syn", action="store_true", help="also by ANTs' SyN")
    arguments = parser.parse_args()

    with np.load(arguments.data / "test_scan.npz") as file:
        scan, labels = file["vol"].astype(np.float32), file["seg"].astype(np.int16)
    with np.load(arguments.data / "labels.npz") as file:
        scored = file["labels"]
    scan, labels = zoom(scan, 0.5, order=1), zoom(labels, 0.5, order=0)
    registration = VoxelMorph(
        scan[..., None],
        similarity=arguments.similarity,
        smoothness=arguments.smoothness,
        steps=arguments.steps,
        steps_per_epoch=50,
        batch_size=1,
        learning_rate=2e-3,
        seed=SEED,
    )
    started = time.monotonic()
    name = f"warp_{arguments.similarity}_{arguments.smoothness}_{registration.steps}"
    registration.fit(warped_scans(scan, WARPS), checkpoint=arguments.out / name)
    print(f"warped and trained for {time.monotonic() - started:.0f} s in this run", flush=True)

    refined = copy.copy(registration)
    refined.refine_steps = arguments.refine
    methods = {
        "before": lambda x: np.zeros((*scan.shape, 3), np.float32),
        "VoxelMorph": lambda x: registration.transform(x).transforms[0],
        "VoxelMorph, refined": lambda x: refined.transform(x).transforms[0],
    }
    if arguments.syn:
        methods["SyN"] = lambda x: syn(x[0, ..., 0], scan, "SyN")
    rows, inside = [], scan > 0
    for number in range(arguments.pairs):
        there, truth = known_warp(scan.shape, number)
        moving = deformation.warp(scan, there)[None, ..., None]
        moving_labels = deformation.warp(labels, there, 0)
        for method, register in methods.items():
            started = time.process_time()
            field = register(moving)
            seconds = time.process_time() - started
            moved = deformation.warp(moving_labels, field, 0)
            error = np.linalg.norm(field - truth, axis=-1)[inside].mean()
            scores = [overlap(labels == k, moved == k) for k in scored if (labels == k).any()]
            rows.append({"method": method, "dice": np.mean(scores), "error": error})
            rows[-1] |= {"cpu_seconds": seconds, **vars(deformation.field_statistics(field))}
            print(number, rows[-1], flush=True)
    summarise(rows)


if __name__ == "__main__":
    main()
