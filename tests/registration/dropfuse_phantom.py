"""Phantoms with factors that both modalities show and factors that one shows; quick settings."""

import numpy as np

SHAPES = {"toy.wave": (24, 2), "toy.picture": (9, 8, 1)}
WAVE, PICTURE = SHAPES
FACTORS = {
    name: np.random.default_rng(7 + k).standard_normal((5, *shape))
    for k, (name, shape) in enumerate(SHAPES.items())
}
SMALL = {"channels": 8, "growth": 4, "blocks": 1, "block_depth": 1}
QUICK = {
    "latent_size": 8,
    "steps": 200,
    "steps_per_epoch": 50,
    "batch_size": 32,
    "contrast_weight": 1.0,
    "architectures": dict.fromkeys(SHAPES, SMALL),
}
QUICKEST = {**QUICK, "latent_size": 4, "steps": 6, "steps_per_epoch": 2, "batch_size": 8}


def phantom(n, seed):
    """Both modalities, what they share (n, 3), and what each shows alone (n, 2)."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 3))
    x, own = {}, {}
    for name, shape in SHAPES.items():
        own[name] = rng.standard_normal((n, 2))
        known = np.tensordot(np.hstack([shared, own[name]]), FACTORS[name], 1)
        x[name] = (known + 0.5 * rng.standard_normal((n, *shape))).astype(np.float32)
    return x, shared, own


def rows_of(x, rows):
    return {name: values[rows] for name, values in x.items()}


def with_value(x, name, rows, value):
    changed = {other: values.copy() for other, values in x.items()}
    changed[name][rows] = value
    return changed


def alone(registration, x):
    return [registration.transform({name: values}).tensors for name, values in x.items()]


def retrieved(one, other):
    """Share of people found among all by the cosine of their latents, both ways."""
    one, other = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (one, other))
    cosines = one @ other.T
    right = np.arange(len(one))
    return np.mean([(cosines.argmax(axis=axis) == right).mean() for axis in (0, 1)])
