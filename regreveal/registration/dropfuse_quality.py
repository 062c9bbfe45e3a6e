"""What DropFuse makes of participants' tensors, and how good that is."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from regreveal.registration.images import unusable_reason

MISSING, UNLIKE = "missing", "unlike what was learned from"
# A tensor is unlike those learned from if its own decoder leaves unexplained so many times what it
# usually does: ten times in amplitude. Wrong units and noise are found so, not rare people.
UNLIKE_RATIO = 100


class Encoded(NamedTuple):
    """What some participants' tensors of one modality give; zeros and NaN where there is none."""

    present: np.ndarray
    latents: np.ndarray
    reasons: list[str]
    explained: np.ndarray


def encode(models, tensors: np.ndarray, present: np.ndarray, bound: float) -> Encoded:
    """Encode the tensors of one modality, and say which of them can be used."""
    from regreveal.models.embedding import predict

    reasons = [
        unusable_reason(tensor) if there else ""
        for tensor, there in zip(tensors, present, strict=True)
    ]
    usable = present & np.array([reason == "" for reason in reasons], bool)
    latents = np.zeros((len(tensors), models.encoder.output.shape[1]), np.float32)
    explained = np.full(len(tensors), np.nan)
    if usable.any():
        latents[usable] = predict(models.encoder, tensors[usable])
        errors, squares = _unexplained(models, tensors[usable], latents[usable])
        explained[usable] = 1 - errors / squares
        # Written so that an error that is not a number is unlike, too.
        for row in np.flatnonzero(usable)[~(errors <= bound)]:
            reasons[row] = UNLIKE
    return Encoded(present, latents, reasons, explained)


def _unexplained(models, tensors, latents) -> tuple[np.ndarray, np.ndarray]:
    """Mean square of each tensor's difference from what its latents draw, and from the mean."""
    from regreveal.models.embedding import predict

    mean = np.asarray(models.encoder.get_layer("standardize").mean)
    axes = tuple(range(1, tensors.ndim))
    with np.errstate(over="ignore", invalid="ignore"):
        made = predict(models.decoder, latents).astype(np.float64)
        errors = np.square(made - tensors).mean(axis=axes)
        return errors, np.square(tensors.astype(np.float64) - mean).mean(axis=axes)


def fuse(parts: dict[str, Encoded]) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Mean latents of some participants, which modalities they are of, and their quality."""
    names, pieces = list(parts), list(parts.values())
    present = np.column_stack([part.present for part in pieces])
    latents = np.stack([part.latents for part in pieces], axis=1)
    count = present.sum(axis=1)
    reasons = []
    for row, there in enumerate(present):
        wrong = [
            f"{name}: {part.reasons[row]}" for name, part in parts.items() if part.reasons[row]
        ]
        if not there.any():
            wrong = [f"{' and '.join(names)}: {MISSING}"]
        reasons.append("; ".join(wrong))
    qc = pd.DataFrame({"ok": [reason == "" for reason in reasons], "reason": reasons})
    qc["ok"] = qc["ok"].astype(bool)
    qc["modalities"] = [
        " + ".join(name for name, has in zip(names, there, strict=True) if has) for there in present
    ]
    qc["agreement"] = _agreement(latents, present)
    for name, part in parts.items():
        qc[f"explained_{name}"] = part.explained
    with np.errstate(invalid="ignore", over="ignore"):
        # Absent ones are zeros.
        fused = latents.sum(axis=1) / np.maximum(count, 1)[:, None]
    return fused.astype(np.float32), present, qc


def _agreement(latents: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Mean cosine between the latents of a participant's modalities; NaN for one alone."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        unit = latents / np.linalg.norm(latents, axis=2, keepdims=True)
        cosines = np.einsum("nik,njk->nij", unit, unit)
    pairs = present[:, :, None] & present[:, None, :] & ~np.eye(present.shape[1], dtype=bool)
    count = pairs.sum(axis=(1, 2))
    total = np.where(pairs, cosines, 0).sum(axis=(1, 2))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def quality_of(models, source, number: int) -> tuple[float, float]:
    """Judge one modality's encoder and decoder by some participants.

    Parameters
    ----------
    models : Autoencoder
        Of the modality.
    source : Participants
        Some have the modality.
    number : int
        Of the modality.

    Returns
    -------
    explained_variance : float
        About the mean tensor of those learned from.
    most_unexplained : float
        Mean squared error above which a tensor is unlike those of the source.
    """
    from regreveal.models.embedding import predict

    parts = [
        _unexplained(models, tensors, predict(models.encoder, tensors))
        for tensors in source.blocks(number, "Reconstructing")
    ]
    errors, squares = np.concatenate(parts, axis=1)
    return float(1 - errors.sum() / squares.sum()), UNLIKE_RATIO * float(np.median(errors))
