"""What simulated cines show of their traits: as scanned, and with pose and phase taken out."""

import argparse
import time

import cv2
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict

from regreveal.simulation.cardiac import MATRIX_COLUMNS, simulate_cines
from regreveal.simulation.traits import read_table

TRAITS = ["lv_volume", "rv_volume", "la_volume", "wall_thickness", "ejection_fraction"]


def draw_people(n, rng):
    table = read_table("traits.tsv")
    z = rng.standard_normal((n, len(table))).clip(-3.5, 3.5)
    traits = pd.DataFrame(
        table["mean"].to_numpy() + z * table["sd"].to_numpy(), columns=table["trait"].to_list()
    )
    return traits.assign(bmi=(27 + 4.5 * rng.standard_normal(n)).clip(17, 45))


def corrected(cines, pose=True, phase=True):
    """Undo the true pose, and read the frames at phases 0, 1/frames, ... of the true phase."""
    frames = cines.phases.shape[1]
    wanted = np.arange(frames) / frames
    out = np.empty(cines.tensors.shape, np.float32)
    for index, cine in enumerate(cines.tensors.astype(np.float32)):
        matrix = cines.truth.loc[index, MATRIX_COLUMNS].to_numpy(float).reshape(3, 3)
        size = cine.shape[1::-1]
        if pose:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            cine = cv2.warpAffine(cine, matrix[:2], size, flags=flags)
        if phase:
            order = np.argsort(cines.phases[index])
            known, values = cines.phases[index][order], cine[..., order]
            known = np.r_[known[-1] - 1, known, known[0] + 1]
            values = np.concatenate([values[..., -1:], values, values[..., :1]], axis=-1)
            after = np.searchsorted(known, wanted, side="right")
            share = (wanted - known[after - 1]) / (known[after] - known[after - 1])
            cine = values[..., after - 1] * (1 - share) + values[..., after] * share
        out[index] = cine
    return out


def probe(pictures, traits, components):
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= flat.std(axis=1, keepdims=True)
    latents = PCA(components, svd_solver="randomized", random_state=0).fit_transform(flat)
    latents /= latents.std(axis=0)
    folds = KFold(5, shuffle=True, random_state=0)
    ridge = RidgeCV(np.logspace(-2, 5, 22))
    return [
        r2_score(traits[t], cross_val_predict(ridge, latents, traits[t], cv=folds)) for t in TRAITS
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    traits = draw_people(options.people, rng)
    start = time.perf_counter()
    cines = simulate_cines(traits, rng)
    print(f"{1000 * (time.perf_counter() - start) / len(traits):.1f} ms each")
    good = (cines.truth["failure"] == "").to_numpy()
    print(f"{'':16s}" + "".join(f"{t:>18s}" for t in TRAITS))
    for name, pictures in (
        ("as scanned", cines.tensors.astype(np.float32)),
        ("phase", corrected(cines, pose=False)),
        ("pose", corrected(cines, phase=False)),
        ("pose and phase", corrected(cines)),
    ):
        scores = probe(pictures[good], traits[good], options.components)
        print(f"{name:16s}" + "".join(f"{score:18.2f}" for score in scores), flush=True)


if __name__ == "__main__":
    main()
