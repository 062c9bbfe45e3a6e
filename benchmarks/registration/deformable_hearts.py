r"""Measure VoxelMorph against ANTs' SyN on heart beats.

    python benchmarks/registration/deformable_hearts.py --data ../shared/data/cardiac/sunnybrook \
        --out RUNS

RUNS keeps the training's checkpoint: a run that was killed goes on. `pip install antspyx` for SyN.

Short-axis slices of the Sunnybrook Cardiac Data at two phases. The network learns from patients
1-15 (both phases of a slice, turned, scaled and deformed at random together; images only) and
carries the systolic left ventricle of patients 16-30 onto the diastolic one.
"""

import argparse
import re
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from deformable_pairs import SEED, PairNetwork, overlap, summarise, syn

from regreveal.registration import deformation
from regreveal.registration.voxelmorph_images import standardise

PHASES = 20
CROP = 128


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


def measure(arguments) -> None:
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
        "steps": arguments.steps,
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
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--similarity", default="ncc")
    parser.add_argument("--smoothness", type=float, default=0.5)
    parser.add_argument("--syn", action="store_true", help="also by ANTs' SyN")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
