"""Arms of the run: what went in and came out, how they were registered, fused and trained."""

from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.brain_atlas import template
from regreveal.simulation.ecg import phantom

from .experiment import ARMS, FUSED_ARMS, IMAGE_ARMS
from .files import write_json, write_tsv

PARTICIPANTS = 400


def sample_ids() -> list[str]:
    """Ids of the run's participants; none may turn up in a report."""
    return [f"person-{7_000_001 + 13 * i}" for i in range(PARTICIPANTS)]


def write_ecgs(folder: Path, ids: list[str], rng: np.random.Generator) -> np.ndarray:
    """Write the two arms of ECGs; return the median beats."""
    strips, beats = phantom(60, rng, noise_mv=0.03, rr_sd_ms=60)
    medians = np.stack([_median_beat(*pair) for pair in zip(strips, beats, strict=True)])
    smooth = np.hanning(25) / np.hanning(25).sum()
    native = {"tensor_map": "ecg.rest_10s", "description": "The ten-second strip."}
    registered = {"tensor_map": "ecg.median", "description": "The median beat."}
    registered |= {"registration": "QRSAlignment", "quality": {"beats": [8.0, 10.0, 12.5]}}
    ecgs = zip(ARMS, (strips, medians), (native, registered), (0.42, 0.05), strict=True)
    for arm, inputs, told, left in ecgs:
        made = np.apply_along_axis(np.convolve, 1, inputs[:8], smooth, "same") * np.sqrt(1 - left)
        told |= {"units": "mV", "sampling_rate": 500}
        _write_arm(folder / "arms" / arm, inputs, made, told, left, ids)
    return medians


def write_fusion(folder: Path, ecgs: np.ndarray, ids: list[str], rng: np.random.Generator) -> None:
    """Write two fused arms, who was found by whom, and phases."""
    cines = rng.random((12, 48, 48, 16))
    fused = {"fusion": "heart", "latents_by": "DropFuse"}
    ecg = {"tensor_map": "ecg.median", "units": "mV", "sampling_rate": 500, "after": "registered"}
    cine = {"tensor_map": "cardiac.lax_4ch_small", "units": "intensity", "sampling_rate": None}
    for arm, inputs, told in zip(FUSED_ARMS, (ecgs, cines), (ecg, cine), strict=True):
        told |= fused | {"description": "Fused."}
        _write_arm(folder / "arms" / arm, inputs, 0.9 * inputs[:8], told, 0.2, ids)
    told = cine | {"description": "Phases.", "registration": "DeepCycle", "latents_by": "DeepCycle"}
    for arm, parameters in {"number": {"circular": False}, "phase": {}}.items():
        of_arm = told | {"parameters": parameters, "latent_size": 16, "fusion": None}
        _write_arm(folder / "arms" / arm, cines, cines[:8], of_arm, 0.2, ids)
    course = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    phases = course + 0.1 * rng.standard_normal((150, 16))
    loop = np.moveaxis(cines[0], -1, 0)
    np.savez_compressed(folder / "arms/phase/cycle.npz", phases=phases, loop=loop)
    (folder / "fusions/heart").mkdir(parents=True)
    rows = [(*FUSED_ARMS, 250, 0.42, 0.88), (*FUSED_ARMS[::-1], 250, 0.36, 0.84)]
    table = pd.DataFrame(rows, columns=["from", "to", "pairs", "top_1", "top_10"])
    write_tsv(table, folder / "fusions/heart/retrieval.tsv")


def write_images(folder: Path, name: str, ids: list[str], rng: np.random.Generator) -> None:
    """Write the arms of images: those registered all alike, the native ones moved."""
    *arms, tensor_map, method = IMAGE_ARMS[name]
    if name == "brain":
        registered = np.tile(template(6)[0][None, ..., None], (12, 1, 1, 1, 1))
        across = 3
    else:
        rows, columns, frames = (232, 88, 1) if name == "dxa" else (64, 64, 12)
        y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
        beat = 0.5 + 0.1 * np.cos(2 * np.pi * np.arange(frames) / frames)
        shape = np.exp(-((x / beat[:, None, None]) ** 2) - y**2) * (1 + 0.3 * np.sin(9 * y) * x)
        registered = np.tile(np.moveaxis(shape, 0, -1)[None], (12, 1, 1, 1))
        across = 2
    registered = registered + 0.05 * rng.standard_normal(registered.shape)
    axes = tuple(range(across))
    native = np.stack([np.roll(one, rng.integers(-4, 5, across), axes) for one in registered])
    quality = {"correlation": [0.71, 0.83, 0.9], "largest_displacement": [1.2, 3.4, 9.8]}
    for arm, inputs, left in zip(arms, (native, registered), (0.42, 0.05), strict=True):
        told = {"tensor_map": tensor_map, "description": f"Images of the {name}."}
        told |= {"units": "grey value", "sampling_rate": None}
        if arm == arms[1]:
            told |= {"registration": method, "quality": quality}
        _write_arm(folder / "arms" / arm, inputs, (1 - left) * inputs[:8], told, left, ids)


def _write_arm(
    place: Path, inputs: np.ndarray, rebuilt: np.ndarray, told: dict, left: float, ids: list[str]
) -> None:
    (place / "model").mkdir(parents=True)
    np.savez_compressed(place / "examples.npz", inputs=inputs, reconstructions=rebuilt)
    registered = "registration" in told
    latent_size = told.pop("latent_size", 16)
    description = {
        "shape": inputs.shape[1:],
        "registration": None,
        "parameters": {},
        "fusion": None,
        "latents_by": "autoencoder",
        "n_registered": PARTICIPANTS - 15 if registered else None,
        "n_failed": 15 if registered else None,
        "after": None,
        "quality": {},
    }
    write_json(place / "arm.json", description | told)
    epochs = np.arange(1, 21)
    loss = 0.3 * (left + (1 - left) * np.exp(-epochs / 3))
    history = pd.DataFrame({"epoch": epochs, "steps": 100 * epochs, "loss": loss})
    history.assign(validation_loss=1.02 * loss).to_csv(place / "model/history.csv", index=False)
    model = {
        "latent_size": latent_size,
        "weights": 123_456,
        "steps": 2000,
        "steps_per_epoch": 100,
        "best_epoch": 20 if registered else 6,
        "batch_size": 32,
        "trained_on": ids[:80],
        "validated_on": ids[80:100],
        "baseline_loss": 0.3,
        "validation_baseline_loss": 0.31,
        "explained_variance": 1 - left,
    }
    write_json(place / "model/model.json", model)


def _median_beat(strip: np.ndarray, beats: np.ndarray) -> np.ndarray:
    inside = [int(beat) for beat in beats if 250 < beat < len(strip) - 370]
    return np.median([strip[beat - 240 : beat + 360] for beat in inside], axis=0)
