"""Soft tissue around the skeleton, and the air in lungs and bowel that thins it."""

import numpy as np

from regreveal.simulation.dxa_shapes import LABELS, UNNAMED, SolidsBuilder
from regreveal.simulation.dxa_trunk import SIDES, chest_half_width, head

USUAL_BMI = 26.0


def add_tissue(builder: SolidsBuilder, body, spine, points: dict) -> None:
    """Add the body's outline, whose parts blend, then lungs and gas, which count negative."""
    fat = np.sqrt(body.bmi / USUAL_BMI)
    density = body.tissue_density
    deep = fat * body.depth
    builder.piece(LABELS["soft_tissue"], wall=density, marrow=density, hollow=0.5, tissue=True)
    _add_trunk(builder, body, spine, points, fat, deep)
    for side, sign in SIDES.items():
        _add_arm(builder, body, side, sign, points, fat)
        _add_leg(builder, body, side, sign, points, fat)
    x, y, turn = head(body, spine)
    builder.ellipsoid((x, y + 22), 79 * body.skull_width, 122 * body.skull_height, 175.0, turn)
    builder.capsule((x, y + 60), spine.place(0.96), 52 * fat, 62 * fat)

    for sign in SIDES.values():
        builder.piece(UNNAMED, wall=-0.55, marrow=-0.55, hollow=0.5, tissue=True)
        middle, level = spine.place(0.72)
        across = 0.40 * chest_half_width(body)
        place = middle + sign * 0.54 * chest_half_width(body), level
        builder.ellipsoid(place, across, 0.21 * body.trunk_length * body.lung, 170.0)
    for blob in range(4):
        builder.piece(UNNAMED, wall=-0.5, marrow=-0.5, hollow=0.5, tissue=True)
        size = getattr(body, f"gas_{blob}_size")
        place = getattr(body, f"gas_{blob}_x"), getattr(body, f"gas_{blob}_y")
        builder.ellipsoid(place, 1.3 * size, size, 2.0 * size)


def _add_trunk(builder, body, spine, points, fat, deep) -> None:
    length = body.trunk_length
    chest = spine.place(0.68)
    builder.block(chest, chest_half_width(body) + 22 * fat, 0.27 * length, 205 * deep)
    waist = 148 * body.waist * fat**1.2
    builder.block(spine.place(0.18), waist, 0.30 * length, 215 * deep * body.waist)
    hips = body.pelvis_width / 2 + 34 * fat * body.hips
    builder.ellipsoid((0.0, 0.0), hips, 0.27 * length, 210 * deep)
    left, right = points["left_shoulder"], points["right_shoulder"]
    low = 28.0
    builder.capsule((right[0], right[1] + low), (left[0], left[1] + low), 52 * fat, 52 * fat)


def _add_arm(builder, body, side, sign, points, fat) -> None:
    size = fat * body.limb_fat
    shoulder, elbow, wrist = (points[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
    builder.capsule(shoulder, elbow, 52 * size, 40 * size)
    builder.capsule(elbow, wrist, 41 * size, 27.0)
    angle = np.deg2rad(points[f"{side}_hand_angle"])
    tip = wrist[0] + sign * 120 * np.sin(angle), wrist[1] + 120 * np.cos(angle)
    builder.capsule(wrist, tip, 32.0, 36.0)


def _add_leg(builder, body, side, sign, points, fat) -> None:
    size = fat * body.limb_fat
    hip, knee, ankle = (points[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
    builder.capsule((hip[0], hip[1] + 40), knee, 84 * size, 55 * np.sqrt(size))
    calf = tuple(knee[axis] + 0.35 * (ankle[axis] - knee[axis]) for axis in (0, 1))
    builder.capsule(knee, calf, 54 * np.sqrt(size), 55 * size)
    builder.capsule(calf, ankle, 55 * size, 35.0)
    angle = np.deg2rad(getattr(body, f"{side}_foot"))
    tip = ankle[0] + sign * 95 * np.sin(angle), ankle[1] + 95 * np.cos(angle)
    builder.capsule(ankle, tip, 38.0, 40.0)
