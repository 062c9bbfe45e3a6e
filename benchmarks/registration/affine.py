r"""Measure affine registration: known transforms, other people, simulated heads, bad images, speed.

    python benchmarks/registration/affine.py --data ../shared/data [--ants] [--trials 24] \
        [--heads 200]

`--data` is a folder with `brain/voxelmorph/test_scan.npz` (a skull-stripped T1, 1 mm) and
`brain/synthseg_labels`. `--ants` runs ANTs' affine on the same pairs beside ours (`antspyx`).

- Known transforms: the T1 moved by up to 20 mm, 15 degrees, scales 0.9 to 1.1, shears 0.05, with
  noise of 3 % and a gain, then registered to itself; the residual is the mean over brain voxels of
  the distance between where the found transform takes them and where they are. Transforms that
  take over 2 % of the brain out of the field of view are drawn again.
- People: images painted from label maps (label_people.py), 30 pairs of the ten at 2 mm.
- Simulated heads with skull and neck at 6 mm onto the template, a tenth of them failed scans.
- Bad images: noise, smooth noise, balls, shells, a knee, T2-like contrast, parts of a head. Those
  of label_people.py, painted at 2 mm and 6 mm, are what the limit on the correlation was set on.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import label_people
import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial.transform import Rotation

from regreveal.registration import Affine
from regreveal.registration.volume_search import shrink
from regreveal.simulation import brain
from regreveal.simulation.traits import read_table

STEPS = (1, 4, 7)  # person i is registered to person i + step


def random_affine(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Draw a transform, fixed to moving voxels of 1 mm, about the middle of the volume."""
    turn = Rotation.from_euler("xyz", rng.uniform(-15, 15, 3), degrees=True).as_matrix()
    shear = np.eye(3) + np.triu(rng.uniform(-0.05, 0.05, (3, 3)), 1)
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ shear @ np.diag(rng.uniform(0.9, 1.1, 3))
    middle = (np.array(shape) - 1) / 2
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle + rng.uniform(-20, 20, 3)
    return matrix


def known_transforms(t1: np.ndarray, trials: int) -> None:
    """Print residuals of the T1 moved by known transforms, at 1 mm."""
    rng, points = np.random.default_rng(20), np.argwhere(t1 > 0)[::10]
    method = Affine(t1[..., None], voxel_size=1.0).fit(None)
    residuals, flagged, seconds = [], 0, []
    while len(seconds) < trials:
        matrix = random_affine(rng, t1.shape)
        there = points @ matrix[:3, :3].T + matrix[:3, 3]
        if ((there < 0) | (there > np.array(t1.shape) - 1)).any(axis=1).mean() > 0.02:
            continue
        back = np.linalg.inv(matrix)
        moved = ndimage.affine_transform(t1, back[:3, :3], back[:3, 3], order=1)
        moved = rng.uniform(100, 400) * (moved + rng.normal(0, 0.03, t1.shape))
        moved = moved.astype(np.float32)
        began = time.process_time()
        registered = method.transform(moved[None, ..., None])
        seconds.append(time.process_time() - began)
        if not registered.qc["ok"][0]:
            flagged += 1
            continue
        found = points @ registered.transforms[0][:3, :3].T + registered.transforms[0][:3, 3]
        residuals.append(np.linalg.norm(found - there, axis=1).mean())
    print(
        f"known transforms, 1 mm: {trials} trials, {flagged} flagged; residual median "
        f"{np.median(residuals):.3f} mm, largest {max(residuals):.3f} mm (to reach: 0.5); "
        f"{np.median(seconds):.1f} s of one core each (to reach: 20)"
    )


def between_people(labels: np.ndarray, ants: bool, head: bool) -> None:
    """Print Dice over the 27 structures of pairs of people."""
    rng = np.random.default_rng(0)
    images = np.stack([label_people.paint(one, rng, head) for one in labels])
    before, ours, theirs, ok = [], [], [], []
    for fixed in range(len(labels)):
        others = [(fixed + step) % len(labels) for step in STEPS]
        method = Affine(images[fixed][..., None], voxel_size=label_people.VOXEL_SIZE).fit(None)
        registered = method.transform(images[others][..., None])
        ok += registered.qc["ok"].tolist()
        for other, moved in zip(
            others, method.warp(labels[others], registered.transforms), strict=True
        ):
            before.append(label_people.dice(labels[fixed], labels[other]).mean())
            ours.append(label_people.dice(labels[fixed], moved).mean())
            if ants:
                moved = by_ants(images[fixed], images[other], labels[other])
                theirs.append(label_people.dice(labels[fixed], moved).mean())
    print(
        f"people, {'heads' if head else 'brains'}, 2 mm: {len(ours)} pairs, {sum(ok)} ok; Dice "
        f"over {len(label_people.STRUCTURES)} structures before {np.mean(before):.3f}, Affine "
        f"{np.mean(ours):.3f}" + (f", ANTs {np.mean(theirs):.3f}" if ants else "")
        + ("" if head else " (to reach: 0.57)")
    )  # fmt: skip


def by_ants(fixed: np.ndarray, moving: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Carry labels along by ANTs' affine registration."""
    import ants

    spacing = (label_people.VOXEL_SIZE,) * 3
    fixed, moving = (ants.from_numpy(image, spacing=spacing) for image in (fixed, moving))
    found = ants.registration(fixed, moving, type_of_transform="Affine", random_seed=1)
    warped = ants.apply_transforms(
        fixed,
        ants.from_numpy(labels.astype(np.float32), spacing=spacing),
        found["fwdtransforms"],
        interpolator="nearestNeighbor",
    )
    return warped.numpy().astype(int)


def simulated_heads(count: int) -> None:
    """Print what comes of simulated scans at 6 mm, and how long each takes."""
    rng = np.random.default_rng(3)
    table = read_table("traits.tsv").query("modality == 'brain'")
    traits = pd.DataFrame({r.trait: rng.normal(r.mean, r.sd, count) for r in table.itertuples()})
    brain.FAILURE_SHARE = 0.1
    scans = brain.record(traits, rng)
    x = scans.tensors["t1_native_6mm"][..., None].astype(np.float32)
    usable = (scans.truth["brain"]["failure"] == "").to_numpy()
    method = Affine(voxel_size=brain.VOXEL_SIZE_MM).fit(x)
    method.transform(x[:2])
    began = time.process_time()
    ok = method.transform(x[usable]).qc["ok"]
    each = (time.process_time() - began) / usable.sum()
    failed = method.transform(x[~usable]).qc
    print(
        f"simulated heads, 6 mm: {ok.sum()} of {usable.sum()} ok, {1e3 * each:.1f} ms of one core "
        f"each (to reach: 25); failed scans passed on: {failed['ok'].sum()} of {len(failed)}"
    )


def bad_images(labels: np.ndarray) -> None:
    """Print the correlations that good and bad images reach at 2 mm and 6 mm."""
    for size in (2.0, 6.0):
        rng = np.random.default_rng(0)
        factors = np.full(3, round(size / label_people.VOXEL_SIZE))
        good = {
            kind: [shrink(label_people.paint(one, rng, kind == "heads"), factors) for one in labels]
            for kind in ("brains", "heads")
        }
        method = Affine(voxel_size=size).fit(None)
        for name, images in (good | make_bad(good, rng)).items():
            qc = method.transform(np.stack(images)[..., None]).qc
            print(
                f"{name}, {size:g} mm: {qc['ok'].sum()} of {len(qc)} ok, correlation "
                f"{qc['correlation'].min():.2f} to {qc['correlation'].max():.2f}"
            )


def make_bad(good: dict[str, list], rng: np.random.Generator) -> dict[str, list]:
    """Make images that are no T1-weighted heads, on the grid of those that are."""
    shape = good["heads"][0].shape
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, count) for count in shape], indexing="ij")
    radius, axis = np.sqrt(x**2 + y**2 + z**2), np.hypot(x - 0.1 * z, y)
    knee = np.where(axis < 0.7, 0.5, 0.0)
    knee[axis < 0.3 + 0.15 * np.exp(-((z / 0.2) ** 2))] = 0.9
    knee[(np.abs(z) < 0.05) & (axis < 0.5)] = 0.15
    shapes = {
        "knee": knee,
        "ball": (radius < 0.7) * 1.0,
        "shell": (radius < 0.7) * (0.3 + radius),
        "glow": np.exp(-3 * radius**2),
    }
    bad = {
        "noise": [rng.rayleigh(1, shape) for _ in range(3)],
        "smooth noise": [ndimage.gaussian_filter(rng.normal(size=shape), s) for s in (2, 3, 4)],
        "lower head": [image * (z < -0.35) for image in good["heads"][:3]],
        "upper head": [image * (z > 0) for image in good["heads"][:3]],
        "T2-like brain": [np.where(image > 0.1, 1.2 - image, image) for image in good["brains"]],
        "T2-like head": [np.where(image > 0.1, 1.2 - image, image) for image in good["heads"]],
    }
    bad |= {name: [image + rng.normal(0, 0.03, shape)] for name, image in shapes.items()}
    return {name: [np.float32(image) for image in images] for name, images in bad.items()}


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ants", action="store_true", help="run ANTs' affine too")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--heads", type=int, default=200)
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # minutes lie between figures
    folder = arguments.data / "brain"
    labels = label_people.load_people(folder / "synthseg_labels")
    t1 = np.load(folder / "voxelmorph" / "test_scan.npz")["vol"].astype(np.float32)
    known_transforms(t1, arguments.trials)
    for head in (False, True):
        between_people(labels, arguments.ants, head)
    simulated_heads(arguments.heads)
    bad_images(labels)


if __name__ == "__main__":
    main()
