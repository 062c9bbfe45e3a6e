"""What a linear probe of 32 principal components finds of each brain trait, by how scans lie.

Three images of the same simulated people: as scanned, after the true affine to MNI space (what a
perfect affine registration gives), and the cerebellum cut out of the second.
"""

import argparse

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict

from regreveal import brain_atlas
from regreveal.simulation import brain
from regreveal.simulation.traits import read_table
from regreveal.tensormap import StandardizeEach


def draw_independent_traits(people: int, rng: np.random.Generator) -> pd.DataFrame:
    table = read_table("traits.tsv").query("modality == 'brain'")
    return pd.DataFrame(
        {row.trait: rng.normal(row.mean, row.sd, people) for row in table.itertuples(index=False)}
    )


def align(images: np.ndarray, truth: pd.DataFrame) -> np.ndarray:
    shape, mni = brain_atlas.grid(brain.VOXEL_SIZE_MM)
    native = brain.native_grid(brain.VOXEL_SIZE_MM)[1]
    columns = [f"native_to_mni_{row}{column}" for row in range(4) for column in range(4)]
    aligned = []
    for image, matrix in zip(images, truth[columns].to_numpy().reshape(-1, 4, 4), strict=True):
        to_voxels = np.linalg.inv(native) @ np.linalg.inv(matrix) @ mni
        aligned.append(
            ndimage.affine_transform(
                image.astype(np.float32), to_voxels[:3, :3], to_voxels[:3, 3], shape, order=1
            )
        )
    return np.stack(aligned)


def probe(images: np.ndarray, traits: pd.DataFrame, components: int) -> dict[str, float]:
    normalised = StandardizeEach()(images).reshape(len(images), -1)
    latents = PCA(components, random_state=1).fit_transform(normalised)
    latents /= latents.std(axis=0)
    model = RidgeCV(np.logspace(-2, 4, 13))
    return {
        name: np.corrcoef(cross_val_predict(model, latents, values, cv=5), values)[0, 1] ** 2
        for name, values in traits.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    traits = draw_independent_traits(arguments.people, rng)
    recorded = brain.record(traits, rng)
    truth = recorded.truth["brain"]
    good = (truth["failure"] == "").to_numpy()
    traits = traits[good].reset_index(drop=True)
    native = recorded.tensors["t1_native_6mm"][good]
    aligned = align(native, truth[good])
    region = brain_atlas.label_mask(("cerebellar_grey", "cerebellar_white"), brain.VOXEL_SIZE_MM)
    brains = np.where(brain_atlas.brain_mask(brain.VOXEL_SIZE_MM), aligned, 0)
    rows = {
        "as scanned": probe(native, traits, arguments.components),
        "aligned": probe(aligned, traits, arguments.components),
        "aligned, brain only": probe(brains, traits, arguments.components),
        "aligned, cerebellum only": probe(aligned * region, traits, arguments.components),
    }
    print(f"{good.sum()} people, {arguments.components} components: R²")
    print(pd.DataFrame(rows).T.round(2).to_string())


if __name__ == "__main__":
    main()
