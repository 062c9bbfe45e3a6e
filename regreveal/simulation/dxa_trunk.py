"""Spine, ribs, shoulder girdle, skull and pelvis, and the soft tissue around all of the body.

Lengths in mm from the middle between the hip joints, x to the image's right (the person's left:
people lie face up), y down. Densities are relative to that of full cortical bone.
"""

from types import SimpleNamespace

import numpy as np

from regreveal.simulation.dxa_shapes import LABELS, UNNAMED, SolidsBuilder

SIDES = {"right": -1.0, "left": 1.0}
THORACIC, LUMBAR, CERVICAL = 12, 5, 7
RIB_REACH = (0.50, 0.68, 0.80, 0.88, 0.94, 0.98, 1.0, 1.01, 1.0, 0.97, 0.88, 0.62)
RIB_DROP = (14, 24, 34, 42, 50, 57, 63, 68, 70, 68, 60, 44)


def spine_frame(body) -> SimpleNamespace:
    """Give the line of the spine: where it begins, how long it is, and its sideways curve.

    The curve is one arch, whose steepest tilts to either side differ by the Cobb angle, with a
    slight second arch that is no trait.
    """
    sacrum_height = 0.155 * body.trunk_length * (0.5 + 0.5 * body.pelvis_height)
    length = body.trunk_length - sacrum_height
    arch = np.deg2rad(body.spine_curvature) * length / (2 * np.pi)

    def place(share):
        x = arch * (1 - np.cos(2 * np.pi * share)) / 2
        x = x + body.second_curve * np.sin(3 * np.pi * share)
        x = x + np.tan(np.deg2rad(body.lean)) * length * share
        return x, -sacrum_height - length * share

    def tilt(share):
        slope = arch * np.pi / length * np.sin(2 * np.pi * share)
        slope = slope + body.second_curve * 3 * np.pi / length * np.cos(3 * np.pi * share)
        return np.arctan(slope) + np.deg2rad(body.lean)

    lumbar = 0.385 * body.lumbar_share
    return SimpleNamespace(
        place=place, tilt=tilt, lumbar=lumbar, length=length, sacrum_height=sacrum_height
    )


def vertebra_share(spine, number: int):
    """Where vertebra `number` is along the spine, 0 for L5, 4 for L1, 5 for T12, 16 for T1."""
    if number < LUMBAR:
        # From L5 to L1 vertebrae grow a little lower.
        return spine.lumbar * ((number + 0.5) / LUMBAR + 0.01 * (2 - abs(number - 2)))
    return spine.lumbar + (1 - spine.lumbar) * (number - LUMBAR + 0.5) / THORACIC


def add_trunk(builder: SolidsBuilder, body, spine) -> None:
    """Add ribs, shoulder girdle, spine, skull and pelvis, in the order labels overlap."""
    _add_ribs(builder, body, spine)
    for side, sign in SIDES.items():
        _add_shoulder_girdle(builder, body, spine, side, sign)
    _add_vertebrae(builder, body, spine)
    _add_skull(builder, body, spine)
    _add_pelvis(builder, body)


def shoulder_joint(body, spine, sign):
    """Middle of the humeral head; the acromion reaches 20 mm farther out."""
    x, y = spine.place(0.955)
    y = y + 18 + body.shoulder_drop
    return x + sign * (body.shoulder_width / 2 - 20 * body.bone_calibre), y


def hip_joint(body, sign):
    """Middle of the femoral head."""
    return sign * 0.305 * body.pelvis_width * body.hip_distance, 0.0


def chest_half_width(body):
    """Give the distance of the outermost ribs from the middle."""
    return (0.28 * body.shoulder_width + 34) * body.chest_width


def _add_ribs(builder, body, spine) -> None:
    half_width = chest_half_width(body)
    radius = 5.2 * body.bone_calibre
    slope = np.tan(np.deg2rad(body.rib_slope))
    scale = spine.length / 505
    density = body.density * (0.5 + 0.5 * body.spine_density)
    for rib in range(THORACIC):
        x, y = spine.place(vertebra_share(spine, LUMBAR + THORACIC - 1 - rib))
        reach = half_width * RIB_REACH[rib]
        drop = RIB_DROP[rib] * scale
        turns = np.linspace(0, np.pi / 2, 7)
        for sign in SIDES.values():
            builder.piece(LABELS["ribs"], wall=0.42 * density, marrow=0.1 * density, hollow=0.6)
            points = [
                (
                    x + sign * (16 + (reach - 16) * np.sin(turn)),
                    y - 4 * np.sin(2 * turn) + (drop + slope * reach * 0.6) * (1 - np.cos(turn)),
                )
                for turn in turns
            ]
            builder.chain(points, [radius] * len(points))
            if rib >= 10:
                continue
            builder.piece(LABELS["ribs"], wall=0.26 * density, marrow=0.08 * density, hollow=0.6)
            side_x, side_y = points[-1]
            end = 0.62 if rib < 7 else 0.78
            fall = (40 + 3.5 * rib) * scale
            front = [
                (
                    x + (side_x - x) * (1 - (1 - end) * (1 - np.cos(turn))),
                    side_y + fall * np.sin(turn),
                )
                for turn in np.linspace(0, np.pi / 2, 5)
            ]
            builder.chain(front, [radius] * len(front))
    # The breastbone lies over the spine.
    builder.piece(UNNAMED, wall=0.16 * density, marrow=0.10 * density, hollow=0.8)
    top_x, top_y = spine.place(0.95)
    low_x, low_y = spine.place(0.66)
    builder.capsule((top_x, top_y + 12), (low_x, low_y + 25), 19.0, 13.0)


def _add_shoulder_girdle(builder, body, spine, side, sign) -> None:
    density = body.density * body.arm_density
    label = LABELS["shoulder_girdle"]
    joint_x, joint_y = shoulder_joint(body, spine, sign)
    middle, top = spine.place(0.955)
    calibre = body.bone_calibre
    acromion = (joint_x + sign * 12 * calibre, joint_y - 26)
    turn = np.deg2rad(8.0 + body.scapula_turn)
    length = 0.29 * body.trunk_length
    inner_top = (joint_x - sign * 72, joint_y - 12)
    tip = (
        inner_top[0] + sign * (12 + length * 0.8 * np.sin(turn)),
        inner_top[1] + length * 0.8 * np.cos(turn),
    )
    socket = (joint_x - sign * 24, joint_y + 2)
    builder.piece(label, wall=0.30 * density, marrow=0.06 * density, hollow=0.5)
    builder.chain([inner_top, tip, socket], [4.0, 5.0, 8.0])
    builder.chain([inner_top, socket], [4.0, 8.0])
    builder.chain([(joint_x - sign * 62, joint_y + 6), acromion], [4.5, 6.5])
    builder.piece(label, wall=0.05 * density)
    centre = [(inner_top[axis] + tip[axis] + socket[axis]) / 3 for axis in (0, 1)]
    builder.ellipsoid(centre, 30.0, 50.0, 14.0, turn * -sign)
    builder.piece(label, wall=0.55 * density, marrow=0.16 * density, hollow=0.6)
    points = [
        (middle + sign * 20, top + 14),
        (middle + sign * 62, top + 6),
        (joint_x - sign * 40, joint_y - 32),
        acromion,
    ]
    builder.chain(points, [8.5 * calibre, 6.2 * calibre, 5.6 * calibre, 6.5 * calibre])


def _add_vertebrae(builder, body, spine) -> None:
    density = body.density * body.spine_density
    widths = np.interp(np.arange(LUMBAR + THORACIC), [0, 4, 5, 12, 16], [26, 22.5, 21, 15, 15.5])
    for number in range(LUMBAR + THORACIC):
        share = vertebra_share(spine, number)
        place, tilt = spine.place(share), spine.tilt(share)
        across = widths[number] * body.vertebra_width
        if number < LUMBAR:
            pitch = spine.lumbar / LUMBAR * spine.length
        else:
            pitch = (1 - spine.lumbar) / THORACIC * spine.length
        _add_vertebra(builder, place, tilt, across, 0.43 * pitch, density, number < LUMBAR)
    # The neck bends from where the chest's spine ends to below the head.
    top_x, top_y = spine.place(1.0)
    pitch = 15.0 * body.neck
    for number in range(CERVICAL):
        share = (number + 0.5) / CERVICAL
        lean = np.tan(np.deg2rad(0.5 * body.head_tilt)) * pitch * CERVICAL
        place = top_x + lean * share**2, top_y - pitch * (number + 0.5)
        _add_vertebra(builder, place, spine.tilt(1.0), 13.0, 0.42 * pitch, 0.75 * density, False)


def _add_vertebra(builder, place, tilt, across, down, density, is_lumbar) -> None:
    label = LABELS["spine"]
    x, y = place
    along_x, along_y = np.cos(tilt), np.sin(tilt)  # across the vertebra
    builder.piece(label, wall=0.55 * density, marrow=0.26 * density, hollow=0.88)
    builder.block((x, y), across, down, 34.0, tilt)
    builder.piece(label, wall=0.38 * density)
    builder.ellipsoid((x - along_y * down, y + 0.8 * down), 4.0, 0.75 * down, 20.0, tilt)
    builder.piece(label, wall=0.45 * density, marrow=0.1 * density, hollow=0.55)
    for sign in (-1, 1):
        offset = sign * 0.62 * across
        centre = x + along_x * offset, y + along_y * offset - 0.25 * down
        builder.ellipsoid(centre, 4.6, 0.42 * down, 16.0, tilt)
    reach = across + (13.0 if is_lumbar else 9.0)
    builder.piece(label, wall=0.28 * density)
    left = x - along_x * reach, y - along_y * reach - 0.2 * down
    right = x + along_x * reach, y + along_y * reach - 0.2 * down
    builder.capsule(left, right, 4.0, 4.0)


def head(body, spine):
    """Middle of the skull's vault and the direction its crown points to."""
    x, y = spine.place(1.0)
    neck = 15.0 * CERVICAL * body.neck
    turn = np.deg2rad(body.head_tilt)
    up = neck + 78 * body.skull_height + 4 * body.head_nod
    x = x + np.tan(np.deg2rad(0.5 * body.head_tilt)) * neck + np.sin(turn) * 78
    return x, y - up + 36, turn


def _add_skull(builder, body, spine) -> None:
    density = body.density**0.5 * body.skull_density
    x, y, turn = head(body, spine)
    wide, high = 76 * body.skull_width, 91 * body.skull_height
    sine, cosine = np.sin(turn), np.cos(turn)

    def at(right, down):
        return x + right * cosine - down * sine, y + right * sine + down * cosine

    label = LABELS["skull"]
    builder.piece(label, wall=0.34 * density, hollow=0.89)
    builder.ellipsoid(at(0, 0), wide, high, 180.0, turn)
    builder.piece(label, wall=0.20 * density)
    builder.ellipsoid(at(0, 0.42 * high), 0.80 * wide, 0.34 * high, 70.0, turn)
    builder.piece(label, wall=0.45 * density, marrow=0.15 * density, hollow=0.7)
    jaw = body.jaw
    for sign in (-1, 1):
        corner = at(sign * 0.66 * wide, 0.92 * high * jaw)
        builder.capsule(at(sign * 0.74 * wide, 0.45 * high), corner, 7.0, 8.0)
        builder.capsule(corner, at(sign * 14, 1.20 * high * jaw), 8.0, 10.0)
    builder.capsule(at(-14, 1.20 * high * jaw), at(14, 1.20 * high * jaw), 10.0, 10.0)
    builder.piece(label, wall=0.55 * density)
    builder.ellipsoid(at(0, 0.96 * high), 22.0, 11.0, 18.0, turn)
    # Eye sockets and nose let more of the beam through.
    builder.piece(UNNAMED, wall=-0.14)
    for sign in (-1, 1):
        builder.ellipsoid(at(sign * 0.42 * wide, 0.30 * high), 18.0, 15.0, 60.0, turn)
    builder.ellipsoid(at(0, 0.62 * high), 10.0, 19.0, 60.0, turn)


def _add_pelvis(builder, body) -> None:
    density = body.density * body.pelvis_density
    label = LABELS["pelvis"]
    tall = body.pelvis_height * (0.5 + 0.5 * body.trunk_length / 600)
    half = body.pelvis_width / 2
    calibre = body.bone_calibre
    builder.piece(label, wall=0.42 * density, marrow=0.20 * density, hollow=0.9)
    builder.block((0.0, -72 * tall), 44.0 * calibre, 22.0 * tall, 36.0)
    builder.capsule((0.0, -72 * tall), (0.0, -14 * tall), 30.0 * calibre, 9.0)
    for sign in SIDES.values():
        hip_x, hip_y = hip_joint(body, sign)
        flare = np.deg2rad(28 + body.ilium_flare)
        joint = sign * 40.0 * calibre, -72 * tall
        # The wing: its outermost point is half the pelvis's width from the middle.
        centre_x, centre_y = 0.62 * half, -92 * tall
        outer = half - centre_x
        turns = np.linspace(-0.9, 1.15, 8) * np.pi / 2
        crest = []
        for turn in turns:
            along = np.sin(turn) * outer
            rise = np.cos(turn) * 48 * tall + np.sin(turn) * 10 * np.tan(flare) * tall
            crest.append((sign * (centre_x + along), centre_y - rise))
        builder.piece(label, wall=0.12 * density, marrow=0.10 * density, hollow=0.5)
        builder.ellipsoid((sign * centre_x, centre_y + 6), 0.95 * outer, 50 * tall, 42.0)
        builder.capsule((sign * centre_x, centre_y + 20), (hip_x, hip_y - 30), 30.0, 24.0)
        builder.piece(label, wall=0.34 * density, marrow=0.12 * density, hollow=0.6)
        builder.chain([(x - sign * 6, y) for x, y in crest], [6.0] * len(crest))
        last_x, last_y = crest[-1]
        builder.chain([(last_x - sign * 6, last_y), (hip_x + sign * 22, hip_y - 32)], [6.0, 8.0])
        builder.piece(label, wall=0.26 * density, marrow=0.18 * density, hollow=0.8)
        builder.capsule(joint, (hip_x - sign * 14, hip_y - 36), 12.0, 15.0)
        builder.piece(label, wall=0.34 * density, hollow=0.84)
        builder.ellipsoid((hip_x - sign * 3, hip_y - 2), 32 * calibre, 32 * calibre, 44.0)
        symphysis = sign * 11.0, 36.0 * tall
        seat = hip_x - sign * 26, 78.0 * tall
        builder.piece(label, wall=0.40 * density, marrow=0.16 * density, hollow=0.65)
        builder.chain([(hip_x - sign * 24, hip_y + 8), symphysis], [13.0, 10.0])
        builder.chain([symphysis, (sign * 17.0, 58.0 * tall), seat], [10.0, 8.5, 13.0])
        builder.chain([seat, (hip_x - sign * 16, hip_y + 24)], [14.0, 16.0])
