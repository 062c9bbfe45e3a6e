"""What is done to DXA images beside the body they show, and the truth that is told of it."""

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score

from regreveal.simulation import dxa, dxa_exposure
from regreveal.simulation.dxa import LABELS, VIEWS, draw_bodies, record
from regreveal.simulation.dxa_exposure import (
    FAILURE_SHARE,
    FAILURES,
    draw_exposures,
    draw_poses,
    draw_subtractions,
    expose,
    pose_homographies,
)
from regreveal.simulation.traits import read_table

IMAGES = {"body": "body", "skeleton": "body", "hip": "hip", "spine": "spine"}  # and their views
ELEMENTS = [f"h{row}{column}" for row in range(3) for column in range(3)]


def draw_traits(n, seed):
    rng = np.random.default_rng(seed)
    table = read_table("traits.tsv").query("modality == 'dxa'")
    values = rng.standard_normal((n, len(table))).clip(-3.5, 3.5) * table["sd"].to_numpy()
    traits = pd.DataFrame(values + table["mean"].to_numpy(), columns=table["trait"].to_list())
    return traits.assign(bmi=np.exp(rng.normal(np.log(26.5), 0.16, n)))


def matrices(truth, view):
    return truth[[f"{view}_{element}" for element in ELEMENTS]].to_numpy().reshape(-1, 3, 3)


def move(images, homographies, order=cv2.INTER_NEAREST, inverse=False):
    flags = order | (cv2.WARP_INVERSE_MAP if inverse else 0)
    size = images.shape[2], images.shape[1]
    return np.stack(
        [
            cv2.warpPerspective(image, matrix, size, flags=flags)
            for image, matrix in zip(images, homographies, strict=True)
        ]
    )


@pytest.fixture(scope="module")
def recorded():
    traits = draw_traits(300, seed=1)
    return traits, record(traits, np.random.default_rng(2))


def test_there_is_an_image_with_labels_of_each_view_and_a_row_of_truth_for_each_person(recorded):
    _, recordings = recorded
    assert list(recordings.tensors) == list(IMAGES) == list(recordings.labels)
    for name, images in recordings.tensors.items():
        view = VIEWS[IMAGES[name]]
        assert images.shape == (300, *view.shape) == recordings.labels[name].shape
        assert images.dtype == recordings.labels[name].dtype == np.uint8
        assert recordings.voxel_sizes[name] == (view.pixel_mm,) * 2
    truth = recordings.truth["dxa"]
    assert len(truth) == 300
    assert not truth.isna().any().any()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    traits = draw_traits(12, seed=3)
    first, second, other = (record(traits, np.random.default_rng(seed)) for seed in (4, 4, 5))
    for view in IMAGES:
        np.testing.assert_array_equal(first.tensors[view], second.tensors[view])
        np.testing.assert_array_equal(first.labels[view], second.labels[view])
        assert (first.tensors[view] != other.tensors[view]).mean() > 0.3
    pd.testing.assert_frame_equal(first.truth["dxa"], second.truth["dxa"])


def test_true_homographies_carry_canonical_labels_onto_the_images(monkeypatch):
    traits = draw_traits(30, seed=6)
    moved = record(traits, np.random.default_rng(7))

    def unmoved(n, rng):
        return draw_poses(n, rng) * 0 + [0, 0, 0, 1, 0, 0]

    monkeypatch.setattr(dxa, "draw_poses", unmoved)
    still = record(traits, np.random.default_rng(7))
    np.testing.assert_allclose(matrices(still.truth["dxa"], "hip"), [np.eye(3)] * 30, 0, 1e-12)
    for view in VIEWS:
        ok = (moved.truth["dxa"][f"{view}_failure"] == "").to_numpy()
        canonical, truly = still.labels[view][ok], moved.labels[view][ok]
        carried = move(canonical, matrices(moved.truth["dxa"], view)[ok])
        # What the canonical frame does not hold cannot be carried over.
        seen = move(np.ones_like(canonical), matrices(moved.truth["dxa"], view)[ok]) == 1
        anatomy = seen & ((carried > 0) | (truly > 0))
        agreement = (carried == truly)[anatomy].mean()
        assert agreement > {"body": 0.85, "hip": 0.96, "spine": 0.96}[view]
        assert agreement > (canonical == truly)[anatomy].mean() + 0.1


def test_a_second_call_with_homographies_moves_the_same_bodies():
    shape = (464, 176)
    traits = draw_traits(6, seed=8)
    matrix = pose_homographies(draw_poses(6, np.random.default_rng(9)), shape)
    still, _ = draw_bodies(traits, np.random.default_rng(10), shape=shape)
    moved, _ = draw_bodies(traits, np.random.default_rng(10), matrix, shape)
    carried = move(still, matrix, cv2.INTER_LINEAR)
    seen = move(np.ones_like(still), matrix) == 1
    assert np.corrcoef(carried[seen], moved[seen])[0, 1] > 0.99
    assert np.abs(carried - moved)[seen].mean() < 2.5


def test_poses_reach_but_do_not_pass_their_limits_and_are_usually_small():
    poses = draw_poses(20_000, np.random.default_rng(11))
    limits = {"shift_x": 0.09, "shift_y": 0.09, "rotation": 10.0, "scale": 0.10}
    for name, limit in limits.items():
        size = (poses[name] - (name == "scale")).abs()
        assert size.max() == pytest.approx(limit)
        # Four fifths normal with SD limit/4, one fifth with limit/2: 24.7 % beyond limit/3.
        beyond = 0.8 * 2 * norm.sf(4 / 3) + 0.2 * 2 * norm.sf(2 / 3)
        assert (size > limit / 3).mean() == pytest.approx(beyond, abs=0.012)


def test_a_pose_moves_the_same_part_of_the_body_to_the_same_share_of_an_image_of_any_size():
    poses = draw_poses(50, np.random.default_rng(12))
    small, large = (pose_homographies(poses, shape) for shape in ((232, 88), (928, 352)))
    point = np.array([30.0, 100.0])
    # The centre of pixel i of the small image is at 4 i + 1.5 of the large one.
    for one, other in zip(small, large, strict=True):
        x, y, depth = one @ [*point, 1]
        large_x, large_y, large_depth = other @ [*(4 * point + 1.5), 1]
        np.testing.assert_allclose(4 * np.array([x, y]) / depth + 1.5,
                                   np.array([large_x, large_y]) / large_depth)  # fmt: skip


def test_turn_and_perspective_have_the_direction_they_say():
    def moved(point, **changes):
        usual = dict.fromkeys(("shift_x", "shift_y", "rotation"), 0.0) | {"scale": 1.0}
        pose = usual | dict.fromkeys(("perspective_x", "perspective_y"), 0.0) | changes
        matrix = pose_homographies(pd.DataFrame([pose]), (101, 101))[0]
        x, y, depth = matrix @ [*point, 1]
        return np.array([x, y]) / depth

    np.testing.assert_allclose(moved((50, 0), rotation=90.0), [100, 50], atol=1e-9)  # clockwise
    np.testing.assert_allclose(moved((50, 50), shift_x=0.1, shift_y=-0.1), [60.1, 39.9])
    np.testing.assert_allclose(moved((100, 50), scale=1.1), [105, 50])
    assert moved((50, 100), perspective_y=0.05)[1] < 100  # what is far away is smaller
    assert moved((50, 0), perspective_y=0.05)[1] < 0


def test_exposure_changes_grey_values_and_not_the_labels(monkeypatch):
    traits = draw_traits(8, seed=13)
    usual = record(traits, np.random.default_rng(14))

    def bright(n, rng):
        exposures = draw_exposures(n, rng)
        return exposures.assign(gain=1.3 * exposures["gain"], offset=exposures["offset"] + 20)

    monkeypatch.setattr(dxa, "draw_exposures", bright)
    brighter = record(traits, np.random.default_rng(14))
    for view in VIEWS:
        np.testing.assert_array_equal(usual.labels[view], brighter.labels[view])
        assert brighter.tensors[view].mean() > usual.tensors[view].mean() + 15


def plain(n, **changes):
    usual = {"gain": 1.0, "gamma": 1.0, "offset": 0.0, "vignetting": 0.0, "noise": 0.0}
    usual |= {"table": 0.0, "table_shift": 0.0, "cut_side": "", "cut": 0.0, "failure": ""}
    return pd.DataFrame([usual | changes] * n)


def test_exposure_follows_its_formula():
    attenuation = np.full((1, 96, 96), 0.25, np.float32)
    rng = np.random.default_rng(15)
    middle = (0, 48, 48)

    def grey(**changes):
        return expose(attenuation, plain(1, **changes), 2.0, rng)

    assert grey()[middle] == round(255 * 0.25)
    assert grey(gain=1.2, offset=7)[middle] == round(255 * 0.25 * 1.2 + 7)
    assert grey(gamma=0.5)[middle] == round(255 * 0.5)
    shaded = grey(vignetting=0.2)
    assert shaded[middle] == grey()[middle]
    assert shaded[0, 0, 0] == round(255 * 0.25 * 0.8)
    assert grey(gain=9.0).max() == 255


def test_noise_grows_with_what_is_held_back_as_photons_grow_fewer():
    levels = (0.2, 0.7)
    sds = []
    for level in levels:
        attenuation = np.full((1, 200, 200), level, np.float32)
        images = expose(attenuation, plain(1, noise=0.01), 1.0, np.random.default_rng(16))
        sds.append(images.std() / 255)
    # Photons fall by exp(-2 attenuation), the noise of their logarithm grows by its root.
    assert sds[0] == pytest.approx(0.01 * np.exp(0.2), rel=0.08)
    assert sds[1] / sds[0] == pytest.approx(np.exp(0.5), rel=0.06)


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_beyond_the_scan_window_an_image_is_black(side):
    attenuation = np.full((2, 100, 50), 0.5, np.float32)
    exposures = plain(2)
    exposures.loc[1, ["cut_side", "cut"]] = [side, 0.1]
    whole, cut = expose(attenuation, exposures, 1.0, np.random.default_rng(17))
    black = {
        "top": np.s_[:10, :],
        "bottom": np.s_[90:, :],
        "left": np.s_[:, :5],
        "right": np.s_[:, 45:],
    }[side]
    assert (whole > 0).all()
    assert (cut[black] == 0).all()
    cut[black] = whole[black]
    np.testing.assert_array_equal(cut, whole)


def test_the_table_stays_where_it_is():
    images = expose(
        np.zeros((1, 232, 88), np.float32), plain(1, table=0.05), 9.0, np.random.default_rng(18)
    )
    row = images[0, 100].astype(int)
    np.testing.assert_array_equal(images[0], np.tile(images[0, :1], (232, 1)))
    rails = np.argsort(row)[-2:] * 9.0 - 87 / 2 * 9
    np.testing.assert_allclose(sorted(rails), [-330, 330], atol=9)
    assert row[44] > row[0]


def test_about_one_image_in_two_hundred_fails():
    failures = draw_exposures(40_000, np.random.default_rng(19))["failure"]
    assert set(failures) == {"", *FAILURES}
    assert (failures != "").mean() == pytest.approx(FAILURE_SHARE, rel=0.25)


def test_failures_are_what_they_are_called_and_carry_no_labels(monkeypatch):
    traits = draw_traits(40, seed=20)
    usual = record(traits, np.random.default_rng(21))
    monkeypatch.setattr(dxa_exposure, "FAILURE_SHARE", 1.0)
    failed = record(traits, np.random.default_rng(21))
    for view, images in failed.tensors.items():
        kinds = failed.truth["dxa"][f"{view}_failure"].to_numpy()
        assert set(kinds) == set(FAILURES)
        assert not failed.labels[view].any()
        assert (np.ptp(images[kinds == "blank"], axis=(1, 2)) == 0).all()
        for image in images[kinds == "noise"]:
            assert abs(np.corrcoef(image[:-1].ravel(), image[1:].ravel())[0, 1]) < 0.05
        wrong = kinds == "wrong_part"
        for image, right in zip(images[wrong], usual.tensors[view][wrong], strict=True):
            assert np.corrcoef(image[:-1].ravel(), image[1:].ravel())[0, 1] > 0.8
            assert np.corrcoef(image.ravel(), right.ravel())[0, 1] < 0.75


def test_a_skeleton_is_the_bone_of_the_same_scan(recorded):
    _, recordings = recorded
    truth, images, labels = recordings.truth["dxa"], recordings.tensors, recordings.labels
    np.testing.assert_array_equal(labels["skeleton"], labels["body"])
    np.testing.assert_array_equal(matrices(truth, "skeleton"), matrices(truth, "body"))
    for name in ("failure", "cut_side", "cut"):
        assert (truth[f"skeleton_{name}"] == truth[f"body_{name}"]).all()
    assert abs(np.corrcoef(truth["skeleton_gain"], truth["body_gain"])[0, 1]) < 0.2

    ok = (truth["body_failure"] == "").to_numpy()
    bone = np.isin(labels["body"], [LABELS["spine"], LABELS["pelvis"], LABELS["left_femur"]])
    # Beside bone, what a lean part of the body holds back hardly shows; in the body it does.
    thighs = np.zeros_like(bone)
    thighs[:, 130:150] = labels["body"][:, 130:150] == LABELS["soft_tissue"]

    def contrast(name):
        return np.array(
            [
                np.median(image[b]) / max(np.median(image[t]), 1)
                for image, b, t in zip(images[name][ok], bone[ok], thighs[ok], strict=True)
            ]
        )

    assert np.median(contrast("body")) < 3
    assert np.median(contrast("skeleton")) > 1.8 * np.median(contrast("body"))


def test_the_skeleton_leaves_the_other_views_as_they_are(monkeypatch):
    traits = draw_traits(12, seed=22)
    usual = record(traits, np.random.default_rng(23))
    monkeypatch.setattr(
        dxa,
        "draw_subtractions",
        lambda exposures, rng: draw_subtractions(exposures, rng.spawn(1)[0]),
    )
    other = record(traits, np.random.default_rng(23))
    assert (usual.tensors["skeleton"] != other.tensors["skeleton"]).mean() > 0.3
    for view in VIEWS:
        np.testing.assert_array_equal(usual.tensors[view], other.tensors[view])


def test_what_is_found_in_place_of_a_body_is_found_in_place_of_its_skeleton(monkeypatch):
    monkeypatch.setattr(dxa_exposure, "FAILURE_SHARE", 1.0)
    monkeypatch.setattr(dxa_exposure, "FAILURES", ("wrong_part",))
    traits = draw_traits(8, seed=24)
    images = record(traits, np.random.default_rng(25)).tensors
    for body, skeleton in zip(images["body"], images["skeleton"], strict=True):
        assert np.corrcoef(body.ravel(), skeleton.ravel())[0, 1] > 0.4


def test_metal_is_white_where_it_was_put(recorded):
    _, recordings = recorded
    truth = recordings.truth["dxa"]
    assert 0.005 < (truth["implant"] != "").mean() < 0.08
    good = (truth["body_failure"] == "") & (truth["body_gain"] > 0.9)
    for side in ("left", "right"):
        femur = recordings.labels["body"] == LABELS[f"{side}_femur"]
        white = (femur & (recordings.tensors["body"] > 240)).sum(axis=(1, 2))
        has = truth["implant"].isin([f"{side}_hip", f"{side}_knee"])
        assert (white[has & good] >= 4).all()
        assert np.median(white[~has & good]) == 0


def test_traits_show_once_the_true_pose_is_undone_and_much_less_before(recorded):
    traits, recordings = recorded
    expected = {"body": ("shoulder_width", "leg_length", "spine_curvature"),
                "hip": ("femoral_neck_angle",)}  # fmt: skip
    for view, names in expected.items():
        ok = (recordings.truth["dxa"][f"{view}_failure"] == "").to_numpy()
        native = recordings.tensors[view][ok]
        homographies = matrices(recordings.truth["dxa"], view)[ok]
        upright = move(native, homographies, cv2.INTER_LINEAR, inverse=True)
        before, after = components(native), components(upright)
        for name in names:
            shown = probe(after, traits[name][ok])
            assert shown > 0.45, name
            assert shown > probe(before, traits[name][ok]) + 0.25, name


def components(images):
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat = (flat - flat.mean(axis=1, keepdims=True)) / flat.std(axis=1, keepdims=True)
    scores = PCA(32, svd_solver="randomized", random_state=0).fit_transform(flat)
    return scores / scores.std(axis=0)


def probe(scores, trait):
    return cross_val_score(RidgeCV(np.logspace(-2, 4, 13)), scores, trait, scoring="r2").mean()
