"""Bodies as an X-ray would show them, drawn from capsules, and moved by known homographies."""

import cv2
import numpy as np

BONES = ("skull", "spine", "pelvis", "humerus", "forearm", "femur", "shin")


def body(shape, rng, variation=1.0):
    """Draw a person: image (rows, columns) in 0 to 255, and bone labels 0 to 7.

    `variation` 0 gives everyone the same body in the same pose.
    """
    rows, columns = shape
    y, x = np.mgrid[:rows, :columns]
    # Half of the body is left of 0 and half right; the crown is at 0.03 and the soles at 0.97.
    x, y = (x - (columns - 1) / 2) / rows, y / rows
    draw = lambda sd: 1 + variation * sd * rng.standard_normal()  # noqa: E731
    trunk, leg, arm, width = draw(0.03), draw(0.03), draw(0.04), draw(0.06)
    fat, density = draw(0.15), draw(0.1)
    hip_y, shoulder_y = 0.14 + 0.33 * trunk, 0.17
    tissue, bone = np.zeros(shape), np.zeros(shape)
    labels = np.zeros(shape, np.uint8)

    def capsule(start, end, flesh, radius, name, strength=1.0):
        (x0, y0), (x1, y1) = start, end
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2 + 1e-12
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0, 1)
        away = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
        np.maximum(tissue, np.sqrt(np.clip(1 - (away / flesh) ** 2, 0, 1)), out=tissue)
        np.maximum(bone, strength * np.clip((radius - away) * rows / 1.5, 0, 1), out=bone)
        labels[away < radius] = BONES.index(name) + 1

    def toward(start, degrees, length):
        angle = np.deg2rad(degrees)
        return start[0] + length * np.sin(angle), start[1] + length * np.cos(angle)

    for side in (-1, 1):
        hip, shoulder = (side * 0.05 * width, hip_y), (side * 0.105 * width, shoulder_y)
        knee = toward(hip, side * (2 + 2 * variation * rng.standard_normal()), 0.23 * leg)
        ankle = toward(knee, side * variation * 2 * rng.standard_normal(), 0.22 * leg)
        capsule(hip, knee, 0.045 * fat, 0.012, "femur")
        capsule(knee, ankle, 0.03 * fat, 0.009, "shin")
        elbow = toward(shoulder, side * (8 + 3 * variation * rng.standard_normal()), 0.16 * arm)
        hand = toward(elbow, side * variation * 4 * rng.standard_normal(), 0.14 * arm)
        capsule(shoulder, elbow, 0.026 * fat, 0.008, "humerus")
        capsule(elbow, hand, 0.02 * fat, 0.006, "forearm")
        capsule(
            (0, hip_y - 0.01), (side * 0.055 * width, hip_y - 0.03), 0.08 * fat, 0.018, "pelvis"
        )
    bend = 0.008 * variation * rng.standard_normal()
    capsule((0, 0.13), (bend, 0.3), 0.03, 0.012, "spine", 0.8)
    capsule((bend, 0.3), (0, hip_y), 0.085 * fat * width, 0.014, "spine", 0.8)
    for rib in np.linspace(0.19, 0.32, 6):
        for side in (-1, 1):
            capsule((0, rib), (side * 0.08 * width, rib + 0.02), 0.01, 0.003, "spine", 0.4)
    capsule((0, 0.07), (0, 0.085), 0.048, 0.042, "skull", 0.7)
    image = 90 * tissue + 140 * density * bone
    return np.clip(image, 0, 255).astype(np.float32), labels


def random_homography(shape, rng, shift=40.0, degrees=10.0, scale=0.1, perspective=3e-5):
    """Draw a homography about the image's centre, each part uniform within its limits."""
    centre = np.array([[1, 0, (shape[1] - 1) / 2], [0, 1, (shape[0] - 1) / 2], [0, 0, 1]])
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    size = 1 + rng.uniform(-scale, scale)
    turned = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = turned, rng.uniform(-shift, shift, 2)
    matrix[2, :2] = rng.uniform(-perspective, perspective, 2)
    matrix = centre @ matrix @ np.linalg.inv(centre)
    return matrix / matrix[2, 2]


def photograph(image, matrix, rng, noise=6.0):
    """Move an image, (rows, columns) in 0 to 255, and expose it anew: float32 (rows, columns, 1).

    `matrix` maps pixels of `image` to those of the result. Exposure: gain 0.7 to 1.2, gamma 0.8 to
    1.25, offset 0 to 20. Noise: standard deviation `noise` grey values at mid-grey, as of counts.
    """
    rows, columns = image.shape
    moved = cv2.warpPerspective(image, matrix, (columns, rows), flags=cv2.INTER_CUBIC)
    moved = np.clip(moved, 0, 255) / 255
    exposed = 255 * rng.uniform(0.7, 1.2) * moved ** rng.uniform(0.8, 1.25) + rng.uniform(0, 20)
    noisy = exposed + noise * np.sqrt((exposed + 20) / 128) * rng.standard_normal(image.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.float32)[..., None]


def corner_error(found, true, shape):
    """Mean distance between where two homographies put the image's corners, in pixels."""
    bottom, right = shape[0] - 1, shape[1] - 1
    corners = np.array([[0, 0, 1], [right, 0, 1], [right, bottom, 1], [0, bottom, 1]], float)
    one, other = corners @ np.asarray(found).T, corners @ np.asarray(true).T
    return float(np.hypot(*(one[:, :2] / one[:, 2:] - other[:, :2] / other[:, 2:]).T).mean())
