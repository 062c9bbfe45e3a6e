"""Arms and legs, from the joints they hang on; see `dxa_trunk` for axes, units and densities."""

import numpy as np

from regreveal.simulation.dxa_shapes import LABELS, UNNAMED, SolidsBuilder
from regreveal.simulation.dxa_trunk import SIDES, hip_joint, shoulder_joint

FEMUR_SHARE = 0.525  # of the leg between hip joint and ankle
HUMERUS_SHARE, FOREARM_SHARE = 0.435, 0.335  # of the arm down to the fingertips
NECK_LENGTH = 50.0  # from the middle of the femoral head to the axis of the shaft, mm


def wall_thickness(body):
    """Give the factor of how thick the walls of long bones are; denser bones have thicker ones."""
    return body.cortex * np.sqrt(body.density)


def limb_points(body, spine) -> dict:
    """Give the joints of all limbs, (x, y) by `side_name`, and the point of each femur's neck.

    Angles are from straight down, outwards positive; each joint adds to the one above.
    """
    points = {}
    for side, sign in SIDES.items():

        def walk(start, degrees, length, sign=sign):
            angle = np.deg2rad(degrees)
            return start[0] + sign * length * np.sin(angle), start[1] + length * np.cos(angle)

        def posture(name, side=side):
            return getattr(body, f"{side}_{name}")

        shoulder = shoulder_joint(body, spine, sign)
        upper = HUMERUS_SHARE * body.humerus_share * body.arm_length
        lower = FOREARM_SHARE * body.arm_length
        elbow_angle = posture("arm") + posture("elbow")
        elbow = walk(shoulder, posture("arm"), upper)
        wrist = walk(elbow, elbow_angle, lower)
        points[f"{side}_shoulder"], points[f"{side}_elbow"] = shoulder, elbow
        points[f"{side}_wrist"] = wrist
        points[f"{side}_hand_angle"] = elbow_angle + posture("wrist")

        hip = hip_joint(body, sign)
        thigh = FEMUR_SHARE * body.femur_share * body.leg_length
        shank_angle = posture("hip") + posture("knee") + body.bowlegs
        # Hip and ankle are `leg_length` apart whatever the knee does.
        bend = np.deg2rad(posture("knee") + body.bowlegs)
        shank = np.sqrt(body.leg_length**2 - (thigh * np.sin(bend)) ** 2) - thigh * np.cos(bend)
        knee = walk(hip, posture("hip"), thigh)
        points[f"{side}_hip"], points[f"{side}_knee"] = hip, knee
        points[f"{side}_ankle"] = walk(knee, shank_angle, shank)
        # Head, neck and knee make a triangle whose angle at the neck is the trait.
        neck = NECK_LENGTH * body.neck_length * body.bone_calibre
        angle = np.deg2rad(body.femoral_neck_angle)
        at_knee = np.arcsin(neck * np.sin(angle) / thigh)
        at_hip = np.rad2deg(np.pi - angle - at_knee)
        points[f"{side}_neck"] = walk(hip, posture("hip") + at_hip, neck)
    return points


def add_legs(builder: SolidsBuilder, body, points: dict) -> None:
    """Add femora, lower legs and feet."""
    density = body.density * body.leg_density
    for side, sign in SIDES.items():
        place = {name: points[f"{side}_{name}"] for name in ("hip", "neck", "knee", "ankle")}
        foot_angle = getattr(body, f"{side}_foot")
        _add_lower_leg(builder, body, side, sign, place, density)
        _add_foot(builder, body, side, sign, place["ankle"], foot_angle, density)
        _add_femur(builder, body, side, sign, place, density)


def _between(start, end, share):
    return tuple(start[axis] + share * (end[axis] - start[axis]) for axis in (0, 1))


def _add_shaft(builder, density, hollow, start, end, radii) -> None:
    """Add a shaft with a thick wall to a piece; radii at its ends and 15 % from them."""
    upper, lower = _between(start, end, 0.15), _between(start, end, 0.85)
    middle = _between(start, end, 0.5)
    builder.material(wall=0.50 * density, marrow=0.11 * density, hollow=hollow)
    builder.chain([upper, middle, lower], [radii[1], 0.95 * radii[1], radii[2]])
    builder.material(wall=0.34 * density, marrow=0.13 * density, hollow=0.85)
    builder.capsule(start, upper, radii[0], radii[1])
    builder.capsule(lower, end, radii[2], radii[3])


def _add_femur(builder, body, side, sign, place, density) -> None:
    hip, neck, knee = place["hip"], place["neck"], place["knee"]
    calibre = body.bone_calibre
    builder.piece(LABELS[f"{side}_femur"], wall=0.36 * density, marrow=0.20 * density, hollow=0.86)
    builder.ellipsoid(hip, 24 * calibre * body.femoral_head, 24 * calibre * body.femoral_head, 44)
    builder.capsule(hip, neck, 15.5 * calibre, 19.0 * calibre)
    greater = neck[0] + sign * 13 * calibre, neck[1] - 12 * calibre
    trunk = _between(neck, knee, 0.12)
    builder.capsule(greater, (trunk[0] + sign * 2, trunk[1]), 13 * calibre, 15 * calibre)
    lesser = _between(neck, knee, 0.10)
    builder.ellipsoid((lesser[0] - sign * 14 * calibre, lesser[1]), 9 * calibre, 13.0, 30.0)
    radii = [20 * calibre, 15.5 * calibre, 17 * calibre, 24 * calibre]
    hollow = 0.62 / wall_thickness(body)
    _add_shaft(builder, density, hollow, neck, _between(neck, knee, 0.95), radii)
    builder.material(wall=0.22 * density, marrow=0.15 * density, hollow=0.92)
    for edge in (-1, 1):
        centre = knee[0] + edge * 20 * calibre, knee[1] - 16
        builder.ellipsoid(centre, 21 * calibre, 20 * calibre, 52.0)
    builder.piece(UNNAMED, wall=0.16 * density)
    builder.ellipsoid((knee[0], knee[1] - 30), 20.0, 22.0, 20.0)


def _add_lower_leg(builder, body, side, sign, place, density) -> None:
    label, calibre = LABELS[f"{side}_lower_leg"], body.bone_calibre
    knee, ankle = place["knee"], place["ankle"]
    builder.piece(label, wall=0.24 * density, marrow=0.15 * density, hollow=0.9)
    builder.block((knee[0], knee[1] + 17), 37 * calibre, 13 * calibre, 44.0)
    radii = [28 * calibre, 14 * calibre, 12 * calibre, 19 * calibre]
    start, end = _between(knee, ankle, 0.075), _between(knee, ankle, 0.965)
    _add_shaft(builder, density, 0.58 / wall_thickness(body), start, end, radii)
    builder.piece(label, wall=0.45 * density, marrow=0.1 * density, hollow=0.5)
    head = knee[0] + sign * 34 * calibre, knee[1] + 34
    middle = _between(knee, ankle, 0.5)
    middle = middle[0] + sign * 27 * calibre, middle[1]
    outer = ankle[0] + sign * 25 * calibre, ankle[1] + 8
    builder.chain([head, middle, outer], [8.0, 5.5, 8.0])


def _add_foot(builder, body, side, sign, ankle, degrees, density) -> None:
    label, size = LABELS[f"{side}_foot"], body.foot_size
    angle = np.deg2rad(degrees)
    forward = sign * np.sin(angle), np.cos(angle)
    outward = sign * np.cos(angle), -np.sin(angle)

    def at(ahead, out):
        return tuple(ankle[k] + size * (ahead * forward[k] + out * outward[k]) for k in (0, 1))

    builder.piece(label, wall=0.20 * density, marrow=0.12 * density, hollow=0.85)
    builder.ellipsoid(at(24, 0), 27 * size, 22 * size, 52.0, -sign * angle)
    builder.ellipsoid(at(50, 2), 29 * size, 20 * size, 36.0, -sign * angle)
    for ray in range(5):
        out = -24 + 12 * ray
        radius = 6.0 if ray == 0 else 4.2
        reach = 112 - 6 * abs(ray - 1)
        builder.piece(label, wall=0.42 * density, marrow=0.08 * density, hollow=0.5)
        middle = at(90, 1.05 * out)
        builder.chain([at(58, 0.75 * out), middle], [radius, radius])
        builder.chain([middle, at(reach + 6, 1.1 * out)], [0.9 * radius, 0.7 * radius])


def add_arms(builder: SolidsBuilder, body, points: dict) -> None:
    """Add humeri, forearms and hands."""
    density, calibre = body.density * body.arm_density, body.bone_calibre
    for side, sign in SIDES.items():
        shoulder, elbow, wrist = (
            points[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist")
        )
        builder.piece(
            LABELS[f"{side}_humerus"], wall=0.28 * density, marrow=0.18 * density, hollow=0.88
        )
        builder.ellipsoid(shoulder, 24 * calibre, 24 * calibre, 42.0)
        radii = [20 * calibre, 11.5 * calibre, 11 * calibre, 14 * calibre]
        _add_shaft(builder, density, 0.58 / wall_thickness(body), shoulder, elbow, radii)
        builder.material(wall=0.36 * density, marrow=0.2 * density, hollow=0.8)
        left, right = (elbow[0] - 20 * calibre, elbow[1]), (elbow[0] + 20 * calibre, elbow[1])
        builder.capsule(left, right, 9.0, 9.0)
        _add_forearm(builder, body, side, sign, elbow, wrist, density)
        _add_hand(builder, body, side, sign, wrist, points[f"{side}_hand_angle"], density)


def _add_forearm(builder, body, side, sign, elbow, wrist, density) -> None:
    label, calibre = LABELS[f"{side}_forearm"], body.bone_calibre
    # The radius is outside where the palm shows, and crosses the ulna as the hand turns over.
    turned = np.cos(np.pi * np.clip(getattr(body, f"{side}_pronation"), 0.0, 1.0))
    gap = sign * calibre
    hollow = 0.55 / wall_thickness(body)
    start, end = (elbow[0] + 9 * gap, elbow[1] + 8), (wrist[0] + 13 * gap * turned, wrist[1] - 6)
    builder.piece(label, wall=0.55 * density, marrow=0.10 * density, hollow=hollow)
    radii = [9 * calibre, 7 * calibre, 7.5 * calibre, 13 * calibre]
    builder.chain([start, _between(start, end, 0.25), _between(start, end, 0.8), end], radii)
    start, end = (elbow[0] - 9 * gap, elbow[1] - 6), (wrist[0] - 13 * gap * turned, wrist[1] - 8)
    builder.piece(label, wall=0.55 * density, marrow=0.10 * density, hollow=hollow)
    radii = [12 * calibre, 8 * calibre, 6 * calibre, 7 * calibre]
    builder.chain([start, _between(start, end, 0.25), _between(start, end, 0.8), end], radii)


def _add_hand(builder, body, side, sign, wrist, degrees, density) -> None:
    label = LABELS[f"{side}_hand"]
    length = (1 - HUMERUS_SHARE - FOREARM_SHARE) * body.arm_length * body.hand_size
    turned = np.cos(np.pi * np.clip(getattr(body, f"{side}_pronation"), 0.0, 1.0))
    # A hand on its edge is narrow; the thumb is where the radius is.
    flat = 0.45 + 0.55 * np.abs(turned)
    thumb = np.where(turned >= 0, 1.0, -1.0)
    angle = np.deg2rad(degrees)

    def at(ahead, out):
        across = out * flat * thumb
        return (
            wrist[0] + sign * (length * ahead * np.sin(angle) + across * np.cos(angle)),
            wrist[1] + length * ahead * np.cos(angle) - across * np.sin(angle),
        )

    builder.piece(label, wall=0.24 * density, marrow=0.12 * density, hollow=0.85)
    builder.ellipsoid(at(0.09, 0.0), 22 * flat, 0.10 * length, 26.0, -sign * angle)
    spread = np.tan(np.deg2rad(getattr(body, f"{side}_finger_spread")))
    for finger, reach in enumerate((0.93, 1.0, 0.95, 0.80)):
        side_step = 15.0 - 10.0 * finger
        out = side_step * (1 + 3 * spread)
        builder.piece(label, wall=0.55 * density, marrow=0.10 * density, hollow=0.5)
        builder.chain([at(0.18, 0.75 * side_step), at(0.50, side_step * 1.1)], [4.4, 4.6])
        builder.chain([at(0.53, side_step * 1.15), at(reach, out * 1.2)], [4.2, 3.0])
    builder.piece(label, wall=0.55 * density, marrow=0.10 * density, hollow=0.5)
    builder.chain([at(0.12, 20.0), at(0.34, 36.0), at(0.55, 42.0)], [5.0, 5.0, 3.4])
