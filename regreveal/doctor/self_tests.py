"""Small jobs whose right result is known, one for each engine. Each takes a few seconds.

Each returns what it found, for people, or raises WrongResultError with what it should have found.
"""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np

from regreveal.doctor.check import WrongResultError
from regreveal.doctor.genotype_files import reading

# Twice what beats of ECGs with 0.1 mV of noise are off where the heart is hardest to time.
LARGEST_TIMING_MS = 0.5
LARGEST_CORNER_PIXELS = 1.0
LARGEST_CORNER_VOXELS = 0.2
LEAST_GAIN = 0.02  # in similarity; thirty steps of training gain 0.06
LARGEST_PILLAI_DIFFERENCE = 1e-9
TENSOR_SHAPE = (48, 2)


def beat_alignment() -> str:
    """Align the beats of simulated ECGs, and compare their times with the true ones."""
    from regreveal.registration import QRSAlignment
    from regreveal.simulation.ecg import phantom

    ecgs, truth = phantom(3, np.random.default_rng(1), noise_mv=0.1)
    registered = QRSAlignment(sampling_rate=500).fit(ecgs).transform(ecgs)
    if not registered.qc["ok"].all():
        raise WrongResultError(f"not registered: {'; '.join(registered.qc['reason'])}")
    errors = []
    for found, true in zip(registered.transforms, truth, strict=True):
        difference = found - true[np.argmin(np.abs(found[:, None] - true), axis=1)]
        errors.append(difference - difference.mean())
    deviation = 2.0 * float(np.concatenate(errors).std())  # 2 ms a sample
    if not deviation <= LARGEST_TIMING_MS:
        raise WrongResultError(
            f"beats {deviation:.3f} ms from the truth; at most {LARGEST_TIMING_MS}"
        )
    return f"beats of simulated ECGs within {deviation:.3f} ms (SD)"


def planar_registration() -> str:
    """Register an image that was moved by a known matrix."""
    import cv2
    from scipy.ndimage import gaussian_filter

    from regreveal.registration import Homography

    rows, columns = 96, 96
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:rows, :columns]
    inside = np.hypot((x - 48) / 30, (y - 46) / 36) < 1
    texture = gaussian_filter(rng.standard_normal((rows, columns)), 3)
    texture = 120 + 60 * texture / texture.std()
    image = gaussian_filter(np.where(inside, texture, 5.0), 1).clip(0, 255).astype(np.float32)
    angle = np.deg2rad(4.0)
    true = np.array([[np.cos(angle), -np.sin(angle), 6.0], [np.sin(angle), np.cos(angle), -3.0]])
    true = np.vstack([true, [0, 0, 1]])
    moved = cv2.warpPerspective(image, true, (columns, rows), flags=cv2.INTER_CUBIC, borderValue=5)
    registered = (
        Homography(image[..., None]).fit(image[None, ..., None]).transform(moved[None, ..., None])
    )
    if not registered.qc["ok"].all():
        raise WrongResultError(f"not registered: {'; '.join(registered.qc['reason'])}")
    corners = np.array([[20, 20, 1], [76, 20, 1], [20, 72, 1], [76, 72, 1]]).T
    found, expected = (matrix @ corners for matrix in (registered.transforms[0], true))
    error = float(np.linalg.norm(found[:2] / found[2] - expected[:2] / expected[2], axis=0).mean())
    if not error <= LARGEST_CORNER_PIXELS:
        raise WrongResultError(
            f"a moved image {error:.2f} pixels from the truth; at most {LARGEST_CORNER_PIXELS}"
        )
    return f"a moved image found within {error:.2f} pixels"


def volume_registration() -> str:
    """Register a volume that was moved by a known matrix of seven degrees of freedom."""
    from scipy.ndimage import affine_transform, gaussian_filter

    from regreveal.registration import Affine

    shape, centre = (30, 36, 30), np.array([14.5, 17.5, 14.5])
    places = np.moveaxis(np.indices(shape), 0, -1) - centre
    inside = np.linalg.norm(places / [9, 12, 10], axis=-1) < 1
    texture = gaussian_filter(np.random.default_rng(5).standard_normal(shape), 2)
    texture = 100 + 40 * texture / texture.std()
    volume = gaussian_filter(np.where(inside, texture, 0.0), 0.7).clip(0).astype(np.float32)
    angle, true = np.deg2rad(6.0), np.eye(4)
    true[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    true[:3, :3] *= 1.05
    true[:3, 3] = centre - true[:3, :3] @ centre + [2.0, -1.0, 1.5]
    back = np.linalg.inv(true)
    moved = affine_transform(volume, back[:3, :3], back[:3, 3], order=1)
    registered = (
        Affine(volume[..., None], voxel_size=6.0).fit(None).transform(moved[None, ..., None])
    )
    if not registered.qc["ok"].all():
        raise WrongResultError(f"not registered: {'; '.join(registered.qc['reason'])}")
    corners = np.array([[8, 8, 8, 1], [22, 26, 22, 1], [8, 26, 22, 1], [22, 8, 8, 1]]).T
    off = ((registered.transforms[0] - true) @ corners)[:3]
    error = float(np.linalg.norm(off, axis=0).mean())
    if not error <= LARGEST_CORNER_VOXELS:
        raise WrongResultError(
            f"a moved volume {error:.2f} voxels from the truth; at most {LARGEST_CORNER_VOXELS}"
        )
    return f"a moved volume found within {error:.2f} voxels"


def deformable_registration() -> str:
    """Train VoxelMorph for some steps to bring deformed rings to one reference."""
    from scipy.ndimage import gaussian_filter

    from regreveal.registration import VoxelMorph, deformation

    rng = np.random.default_rng(6)
    rows, columns = np.mgrid[:32, :32] - 15.5
    radius = np.hypot(rows / 1.2, columns)
    ring = gaussian_filter(60.0 * (radius < 5) + 100.0 * ((radius >= 8) & (radius < 11)), 1)
    deformed = [
        deformation.warp(ring, deformation.integrate(deformation.smooth_velocity(*of)))
        for of in [(ring.shape, rng, 1.6, 5)] * 16
    ]
    x = np.array(deformed, np.float32)[..., None]
    registration = VoxelMorph(
        ring.astype(np.float32)[..., None],
        features=(8, 8),
        steps=30,
        steps_per_epoch=15,
        batch_size=4,
        learning_rate=3e-3,
    )
    with contextlib.redirect_stderr(io.StringIO()):
        qc = registration.fit(x).transform(x).qc
    before, after = (float(qc[f"similarity_{when}"].mean()) for when in ("before", "after"))
    if not after >= before + LEAST_GAIN:
        raise WrongResultError(
            f"deformed images are not more alike: {before:.3f}, then {after:.3f}; at least "
            f"{LEAST_GAIN} more"
        )
    return f"correlation of deformed images from {before:.2f} to {after:.2f} (VoxelMorph)"


def training() -> str:
    """Train a small autoencoder for two epochs; save it and load it again in safe mode."""
    import pandas as pd

    from regreveal.models.embedding import predict
    from regreveal.models.model_folder import load_model, read_model_json
    from regreveal.models.training import train
    from regreveal.store.tensors import TensorStore
    from regreveal.tensormap import Standardize, TensorMap

    rng = np.random.default_rng(3)
    time = np.arange(TENSOR_SHAPE[0])[:, None]
    bump = np.exp(-(((time - 20) / 4) ** 2)) * [1.0, -1.0]
    tensors = rng.standard_normal((80, 1, 1)) * bump + 0.05 * rng.standard_normal(
        (80, *TENSOR_SHAPE)
    )
    ids = [f"p{number}" for number in range(len(tensors))]
    tensor_map = TensorMap(
        name="doctor.bump",
        path="doctor/bump",
        shape=TENSOR_SHAPE,
        units="mV",
        modality="doctor",
        description="A bump of varying height.",
        normalize=Standardize(0.0, 1.0),
    )
    quietly = contextlib.redirect_stderr(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, quietly:
        store = TensorStore(Path(folder) / "store")
        store.write(tensor_map.path, tensors, ids, units="mV")
        model = train(
            store,
            tensor_map,
            ids[:64],
            ids[64:],
            Path(folder) / "model",
            latent_size=1,
            steps=40,
            steps_per_epoch=20,
            batch_size=16,
            seed=1,
            architecture={"channels": 4, "growth": 4, "blocks": 1, "block_depth": 1},
        )
        facts = read_model_json(model)
        losses = pd.read_csv(model / "history.csv")["validation_loss"].tolist()
        held_out = tensor_map.load(store, ids[64:])
        again = predict(load_model(model, "autoencoder"), held_out)
    if not losses[-1] < min(losses[0], facts["validation_baseline_loss"]):
        raise WrongResultError(f"the loss does not fall: {losses[0]:.3g}, then {losses[-1]:.3g}")
    reloaded = float(np.square(again - held_out).mean())
    if not np.isclose(reloaded, facts["validation_loss"], rtol=1e-3):
        raise WrongResultError(
            f"loaded again, the loss is {reloaded:.4g}; it was {facts['validation_loss']:.4g}"
        )
    return f"loss from {losses[0]:.3g} to {losses[-1]:.3g}; saved, loaded safely, the same"


def gwas_kernel() -> str:
    """Test variants, and compare with statsmodels' MANOVA."""
    from statsmodels.multivariate.manova import MANOVA

    from regreveal.genetics.manova import LatentSpace

    rng = np.random.default_rng(4)
    people, latents, covariates = 300, rng.standard_normal((300, 4)), rng.standard_normal((300, 2))
    dosages = rng.binomial(2, [[0.2], [0.3], [0.5]], (3, people)).astype(np.int8)
    latents += 0.2 * dosages[1][:, None]
    space = LatentSpace(latents, covariates)
    rest = np.column_stack([np.ones(people), covariates])
    largest = 0.0
    for coding in ("genotype", "additive"):
        ours = space.test(dosages, coding=coding)["pillai"].to_numpy()
        for dosage, pillai in zip(dosages, ours, strict=True):
            columns = [dosage == 1, dosage == 2] if coding == "genotype" else [dosage]
            design = np.column_stack([*columns, rest]).astype(float)
            contrast = np.eye(len(columns), design.shape[1])
            tested = MANOVA(latents, design).mv_test([("g", contrast)]).results["g"]["stat"]
            largest = max(largest, abs(pillai - tested.loc["Pillai's trace", "Value"]))
    if not largest <= LARGEST_PILLAI_DIFFERENCE:
        raise WrongResultError(
            f"Pillai's trace differs from statsmodels' by {largest:.2g}; at most "
            f"{LARGEST_PILLAI_DIFFERENCE}"
        )
    return f"Pillai's trace as statsmodels', within {largest:.1g}"


SELF_TESTS = {
    "beat alignment": beat_alignment,
    "planar registration": planar_registration,
    "volume registration": volume_registration,
    "deformable registration": deformable_registration,
    "training": training,
    "genotype files": reading,
    "GWAS kernel": gwas_kernel,
}
