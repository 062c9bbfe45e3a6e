"""What of the traits is to be measured back from drawn bodies."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from regreveal.simulation.dxa import LABELS, VIEWS, draw_bodies, draw_view
from regreveal.simulation.dxa_anatomy import draw_anatomy, draw_posture
from regreveal.simulation.dxa_limbs import limb_points
from regreveal.simulation.dxa_skeleton import build_bodies
from regreveal.simulation.dxa_trunk import spine_frame
from regreveal.simulation.traits import read_table

FULL_SIZE = (928, 352)
PIXEL_MM = VIEWS["body"].pixel_size(FULL_SIZE)
PEOPLE = 4


def traits_of(n, **changes):
    """Traits of the mean, but for `changes`; all people have the same, but anatomies differ."""
    table = read_table("traits.tsv").query("modality == 'dxa'").set_index("trait")
    means = table["mean"].to_dict() | {"bmi": 26.0} | changes
    return pd.DataFrame({name: np.full(n, value) for name, value in means.items()})


def draw(shape=FULL_SIZE, **changes):
    return draw_bodies(traits_of(PEOPLE, **changes), np.random.default_rng(3), shape=shape)


@pytest.fixture(scope="module")
def usual():
    return draw()


def extent(labels, name, axis):
    """First and last pixel of a label along an axis, each person."""
    found = (labels == LABELS[name]).any(axis=2 - axis)
    last = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
    return found.argmax(axis=1), last


ROWS, COLUMNS = 0, 1


def test_every_part_of_the_body_is_there_and_sides_are_the_persons_own(usual):
    images, labels = usual
    assert images.shape == labels.shape == (PEOPLE, *FULL_SIZE)
    assert images.dtype == np.float32
    assert labels.dtype == np.uint8
    for name, label in LABELS.items():
        assert (labels == label).any(axis=(1, 2)).all(), name
        if name.startswith("left_"):
            columns = np.nonzero(labels == label)[2]
            right = np.nonzero(labels == LABELS[name.replace("left", "right")])[2]
            assert columns.mean() > FULL_SIZE[1] / 2 > right.mean()  # people lie face up
    # A pixel whose middle is beside the body may still be touched by it.
    assert (images[labels == 0] > 0).mean() < 0.01
    assert (images[labels > 1].mean() > 1.3 * images[labels == 1].mean()).all()


def test_legs_are_as_long_as_the_trait_says(usual):
    _, longer = draw(leg_length=84 + 6)
    for side in ("left", "right"):
        grown = extent(longer, f"{side}_foot", ROWS)[1] - extent(usual[1], f"{side}_foot", ROWS)[1]
        np.testing.assert_allclose(grown * PIXEL_MM, 60, atol=1.01 * PIXEL_MM)
    np.testing.assert_array_equal(longer == LABELS["skull"], usual[1] == LABELS["skull"])


def test_the_trunk_is_as_long_as_the_trait_says(usual):
    _, longer = draw(trunk_length=60 + 5)
    grown = extent(usual[1], "skull", ROWS)[0] - extent(longer, "skull", ROWS)[0]
    np.testing.assert_allclose(grown * PIXEL_MM, 50, atol=1.01 * PIXEL_MM)
    for name in ("left_foot", "right_foot"):
        np.testing.assert_array_equal(longer == LABELS[name], usual[1] == LABELS[name])


@pytest.mark.parametrize("width", [25.0, 28.5, 32.0])
def test_the_pelvis_is_as_wide_as_the_trait_says(width):
    _, labels = draw(pelvis_width=width)
    first, last = extent(labels, "pelvis", COLUMNS)
    # The outermost corner of the drawn crest may lie a little inside of the curve it stands for.
    np.testing.assert_allclose((last - first + 1) * PIXEL_MM, 10 * width, atol=3 * PIXEL_MM)


def test_shoulders_are_as_far_apart_as_the_trait_says(usual):
    _, wider = draw(shoulder_width=38 + 4)

    def heads(labels):
        middles = []
        for side in ("left", "right"):
            humerus = labels == LABELS[f"{side}_humerus"]
            top = extent(labels, f"{side}_humerus", ROWS)[0]
            columns = [
                np.nonzero(one[row + 8])[0].mean() for one, row in zip(humerus, top, strict=True)
            ]
            middles.append(columns)
        return np.subtract(*middles) * PIXEL_MM

    np.testing.assert_allclose(heads(wider) - heads(usual[1]), 40, atol=1.5 * PIXEL_MM)


def test_arms_are_as_long_as_the_trait_says(usual):
    _, longer = draw(arm_length=72 + 6)

    def lengths(labels):
        found = []
        for person in labels:
            rows, columns = np.nonzero(person == LABELS["left_humerus"])
            top = np.array([rows.min(), columns[rows == rows.min()].mean()])
            hand = np.argwhere(person == LABELS["left_hand"])
            found.append(np.linalg.norm(hand - top, axis=1).max() * PIXEL_MM)
        return np.array(found)

    grown = lengths(longer) - lengths(usual[1])
    np.testing.assert_allclose(grown, 60, atol=1.5 * PIXEL_MM)


def test_the_spines_steepest_tilts_differ_by_the_cobb_angle():
    def middle_line(labels):
        spine = (labels == LABELS["spine"]).mean(axis=0)
        rows = np.flatnonzero(spine.sum(axis=1) > 0.1)
        return rows, spine[rows] @ np.arange(spine.shape[1]) / spine[rows].sum(axis=1)

    curvature = 20.0
    lines = []
    for sign in (1, -1):
        _, labels = draw(spine_curvature=sign * curvature)
        for person in labels:
            lines.append(middle_line(person[None]))
    for (rows, right), (other_rows, left) in zip(lines[:PEOPLE], lines[PEOPLE:], strict=True):
        both = np.intersect1d(rows, other_rows)
        apart = right[np.isin(rows, both)] - left[np.isin(other_rows, both)]
        # Down to where the pelvis covers the spine; the neck above does not take part.
        top = FULL_SIZE[0] / 2 - (600 + 20) / PIXEL_MM
        inside = (both > top) & (both < FULL_SIZE[0] / 2 - 110 / PIXEL_MM)
        smooth = np.polynomial.Polynomial.fit(both[inside], apart[inside], 7)
        slope = smooth.deriv()(np.linspace(both[inside][0] + 8, both[inside][-1] - 8, 200))
        assert abs(apart).max() * PIXEL_MM > 40
        assert np.rad2deg(np.ptp(slope)) == pytest.approx(2 * curvature, rel=0.12)


def test_positive_curvature_bends_the_spine_to_the_persons_left():
    sides = {}
    for sign in (1, -1):
        _, labels = draw(spine_curvature=20.0 * sign)
        middle = slice(int(FULL_SIZE[0] / 2 - 350 / PIXEL_MM), int(FULL_SIZE[0] / 2))
        sides[sign] = np.nonzero(labels[:, middle] == LABELS["spine"])[2].mean()
    assert sides[1] > FULL_SIZE[1] / 2 + 3
    assert sides[-1] < FULL_SIZE[1] / 2 - 3


def bodies(n=PEOPLE, **changes):
    rng = np.random.default_rng(4)
    anatomy = draw_anatomy(traits_of(n, **changes), rng)
    return anatomy, draw_posture(n, rng)


@pytest.mark.parametrize("degrees", [115.0, 128.0, 141.0])
def test_neck_and_shaft_of_the_femur_meet_at_the_trait_and_legs_keep_their_length(degrees):
    anatomy, posture = bodies(n=50, femoral_neck_angle=degrees)
    columns = {name: table[name].to_numpy() for table in (anatomy, posture) for name in table}
    body = SimpleNamespace(**columns)
    points = limb_points(body, spine_frame(body))
    for side in ("left", "right"):
        hip, neck, knee, ankle = (
            np.column_stack(np.broadcast_arrays(*points[f"{side}_{name}"]))
            for name in ("hip", "neck", "knee", "ankle")
        )
        up, down = hip - neck, knee - neck
        cosine = (up * down).sum(1) / np.linalg.norm(up, axis=1) / np.linalg.norm(down, axis=1)
        np.testing.assert_allclose(np.rad2deg(np.arccos(cosine)), degrees, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(ankle - hip, axis=1), 840, atol=1e-6)


def test_a_steeper_femoral_neck_brings_the_head_nearer_to_the_shaft_in_the_hip_view():
    shape = (384, 384)
    pixel_mm = VIEWS["hip"].pixel_size(shape)

    def offset(degrees):
        solids, origins = build_bodies(*bodies(femoral_neck_angle=degrees))
        still = np.tile(np.eye(3), (PEOPLE, 1, 1))
        _, _, labels = draw_view(solids, "hip", origins["hip"], still, shape)
        # The frame has the joint 40 mm above its middle and 8 mm to the left of it.
        head = np.array([shape[1] - 1, shape[0] - 1]) / 2 - np.array([8, 40]) / pixel_mm
        rows = np.arange(shape[0] - 60, shape[0])
        distances = []
        for femur in labels == LABELS["left_femur"]:
            middles = femur[rows] @ np.arange(shape[1]) / femur[rows].sum(axis=1)
            slope, start = np.polyfit(rows, middles, 1)
            distances.append((start + slope * head[1] - head[0]) / np.hypot(1, slope))
        return np.array(distances)

    expected = np.sin(np.deg2rad(118)) / np.sin(np.deg2rad(138))
    np.testing.assert_allclose(offset(118) / offset(138), expected, rtol=0.05)


def test_dense_bone_is_brighter_and_soft_tissue_is_not(usual):
    dense, labels = draw(bone_density=1.15 * 1.2)
    np.testing.assert_array_equal(labels, usual[1])
    for name in ("spine", "pelvis", "left_femur", "right_lower_leg", "left_forearm"):
        bone = labels == LABELS[name]
        for person in range(PEOPLE):
            inside = bone[person]
            assert dense[person][inside].mean() > 1.05 * usual[0][person][inside].mean(), name
    # Ribs and breastbone shine through what is labelled soft tissue of the chest; legs are clear.
    thighs = slice(int(FULL_SIZE[0] / 2 + 150 / PIXEL_MM), int(FULL_SIZE[0] / 2 + 300 / PIXEL_MM))
    soft = labels[:, thighs] == LABELS["soft_tissue"]
    difference = np.abs(dense[:, thighs] - usual[0][:, thighs])[soft]
    assert np.median(difference) == 0


def test_more_weight_is_more_tissue_around_the_same_bones(usual):
    _, heavy = draw(bmi=34.0)
    assert ((heavy > 0).sum(axis=(1, 2)) > 1.05 * (usual[1] > 0).sum(axis=(1, 2))).all()
    for name in LABELS:
        if name != "soft_tissue":
            np.testing.assert_array_equal(heavy == LABELS[name], usual[1] == LABELS[name])


def test_the_same_people_are_drawn_at_every_size(usual):
    quarter, labels = draw(shape=(232, 88))
    means = usual[0].reshape(PEOPLE, 232, 4, 88, 4).mean(axis=(2, 4))
    assert np.corrcoef(means.ravel(), quarter.ravel())[0, 1] > 0.998
    finer = usual[1].reshape(PEOPLE, 232, 4, 88, 4)[:, :, 1, :, 1]
    assert (finer == labels).mean() > 0.97
