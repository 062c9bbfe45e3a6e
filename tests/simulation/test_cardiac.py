import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score

from regreveal.errors import InputError
from regreveal.simulation import cardiac_scan
from regreveal.simulation.cardiac import MATRIX_COLUMNS, record, simulate_cines
from regreveal.simulation.cardiac_anatomy import LV_CUT, RV_DEPTH
from regreveal.simulation.cardiac_scene import (
    APEX_DIRECTION,
    CHEST_WALL,
    FIELD_OF_VIEW_MM,
    LABEL_NAMES,
    LEFT_ATRIUM,
    LUNG,
    LV_BLOOD,
    LV_MYOCARDIUM,
    MITRAL_MM,
    RIGHT_ATRIUM,
    RV_BLOOD,
)
from regreveal.simulation.traits import read_table
from regreveal.tensormap import find_tensor_map

HEART = (LV_BLOOD, LV_MYOCARDIUM, RV_BLOOD, LEFT_ATRIUM, RIGHT_ATRIUM)
BLOOD = (LV_BLOOD, RV_BLOOD, LEFT_ATRIUM, RIGHT_ATRIUM)


def draw_people(n, seed):
    rng = np.random.default_rng(seed)
    table = read_table("traits.tsv")
    z = rng.standard_normal((n, len(table))).clip(-3.5, 3.5)
    traits = pd.DataFrame(
        table["mean"].to_numpy() + z * table["sd"].to_numpy(), columns=table["trait"].to_list()
    )
    return traits.assign(bmi=(27 + 4.5 * rng.standard_normal(n)).clip(17, 45))


@pytest.fixture(scope="module")
def people():
    """Six people, the first two of them far from the mean in everything that is drawn."""
    traits = draw_people(6, seed=1)
    traits.loc[0, ["lv_volume", "rv_volume", "la_volume"]] = [70, 80, 30]
    traits.loc[0, ["wall_thickness", "ejection_fraction", "heart_rate"]] = [12.0, 75, 95]
    traits.loc[1, ["lv_volume", "rv_volume", "la_volume"]] = [235, 250, 125]
    traits.loc[1, ["wall_thickness", "ejection_fraction", "heart_rate"]] = [5.0, 42, 40]
    return traits


@pytest.fixture(scope="module")
def sharp(people):
    """Cines without nuisance whose pixels are 1.08 mm."""
    return simulate_cines(people, np.random.default_rng(2), (160, 160, 24), nuisance=False)


@pytest.fixture(scope="module")
def cohort():
    traits = draw_people(250, seed=3)
    return traits, simulate_cines(traits, np.random.default_rng(4), (48, 48, 4))


def heart_coordinates(cines):
    """Along the long axis from the valve and across it, mm, of each pixel of a standard heart."""
    rows, columns = cines.labels.shape[1:3]
    right, down = np.meshgrid(np.arange(columns), np.arange(rows))
    x = cines.pixel_mm * (right - (columns - 1) / 2) - MITRAL_MM[0]
    y = cines.pixel_mm * (down - (rows - 1) / 2) - MITRAL_MM[1]
    (a, b) = APEX_DIRECTION / np.linalg.norm(APEX_DIRECTION)
    return a * x + b * y, a * y - b * x


def disc_volume(cines, label, person, frame, depth=1.0):
    """Volume in ml of a stack of discs 3 mm high, as wide as the label is at right angles."""
    along, _ = heart_coordinates(cines)
    inside = cines.labels[person, :, :, frame] == label
    counts = np.bincount(np.floor(along[inside] / 3 + 100).astype(int))
    widths = counts * cines.pixel_mm**2 / 3
    return np.pi / 4 * depth * np.sum(widths**2) * 3 / 1000


def volumes(cines, label, person, depth=1.0):
    frames = range(cines.labels.shape[3])
    return np.array([disc_volume(cines, label, person, frame, depth) for frame in frames])


def test_volumes_and_ejection_fraction_can_be_measured_back_from_the_labels(people, sharp):
    for person, traits in people.iterrows():
        ventricle = volumes(sharp, LV_BLOOD, person)
        assert ventricle[0] == pytest.approx(traits["lv_volume"], rel=0.02)
        ejected = 100 * (1 - ventricle.min() / ventricle[0])
        assert ejected == pytest.approx(traits["ejection_fraction"], abs=1.5)
        right = disc_volume(sharp, RV_BLOOD, person, 0, depth=RV_DEPTH)
        assert right == pytest.approx(traits["rv_volume"], rel=0.04)
        atrium = volumes(sharp, LEFT_ATRIUM, person)
        assert atrium.max() == pytest.approx(traits["la_volume"], rel=0.03)


def test_the_area_length_formula_of_the_clinic_gives_nearly_the_same_volume(people, sharp):
    along, _ = heart_coordinates(sharp)
    for person, traits in people.iterrows():
        inside = sharp.labels[person, :, :, 0] == LV_BLOOD
        area, length = inside.sum() * sharp.pixel_mm**2, np.ptp(along[inside])
        volume = 8 * area**2 / (3 * np.pi * length) / 1000
        assert volume == pytest.approx(traits["lv_volume"], rel=0.06)


def test_wall_thickness_can_be_measured_back_on_both_sides(people):
    sharp = simulate_cines(people, np.random.default_rng(2), (288, 288, 1), nuisance=False)
    along, across = heart_coordinates(sharp)
    for person, traits in people.iterrows():
        labels = sharp.labels[person, :, :, 0]
        cavity = along[labels == LV_BLOOD]
        equator = cavity.min() + np.ptp(cavity) * LV_CUT / (1 + LV_CUT)
        near = np.abs(along - equator) < 8
        for side in (across > 0, across < 0):
            wall = (labels == LV_MYOCARDIUM) & near & side
            thickness = wall.sum() * sharp.pixel_mm**2 / 16
            assert thickness == pytest.approx(traits["wall_thickness"], abs=0.25)


def test_muscle_is_neither_won_nor_lost_and_the_wall_thickens(sharp):
    _, across = heart_coordinates(sharp)
    for labels in sharp.labels:
        wall = labels == LV_MYOCARDIUM
        # Pappus: each half of the section sweeps its area times the way around.
        muscle = np.pi * (np.abs(across)[..., None] * wall).sum(axis=(0, 1))
        assert np.ptp(muscle) < 0.03 * muscle.mean()
    areas = (sharp.labels == LV_MYOCARDIUM).sum(axis=(1, 2))
    cavities = (sharp.labels == LV_BLOOD).sum(axis=(1, 2))
    thickness = areas / np.sqrt(cavities)
    assert (thickness.max(axis=1) > 1.15 * thickness[:, 0]).all()


def test_valve_moves_to_the_apex_in_systole_and_the_apex_stays(sharp):
    along, _ = heart_coordinates(sharp)
    for labels in sharp.labels:
        systole = (labels == LV_BLOOD).sum(axis=(0, 1)).argmin()
        base, apex = (
            [pick(along[labels[..., frame] == LV_BLOOD]) for frame in (0, systole)]
            for pick in (np.min, np.max)
        )
        assert 6 < base[1] - base[0] < 25
        assert 0 < apex[0] - apex[1] < 4


def test_left_atrium_is_reservoir_conduit_and_pump(people, sharp):
    for person in people.index[2:]:
        volume = volumes(sharp, LEFT_ATRIUM, person)
        fullest = volume.argmax()
        systole = volumes(sharp, LV_BLOOD, person).argmin()
        assert abs(fullest - systole) <= 3
        middle = volume[-5:-3].mean()
        assert volume[0] < middle < volume[fullest]
        assert 0.3 < volume[0] / volume[fullest] < 0.55


def test_tissues_have_the_signals_of_an_ssfp_cine(sharp):
    grey = {
        label: np.median(sharp.tensors[sharp.labels == label]) for label in range(len(LABEL_NAMES))
    }
    assert all(grey[chamber] > 2 * grey[LV_MYOCARDIUM] for chamber in BLOOD)
    assert grey[LV_MYOCARDIUM] > 2 * grey[LUNG]
    fat = np.percentile(sharp.tensors[sharp.labels == CHEST_WALL], 90)
    assert fat > 0.8 * grey[LV_BLOOD]


def test_every_chamber_is_in_every_good_picture(cohort):
    _, cines = cohort
    good = (cines.truth["failure"] == "").to_numpy()
    for chamber in HEART:
        counts = (cines.labels[good] == chamber).sum(axis=(1, 2))
        assert counts.min() > 15, LABEL_NAMES[chamber]


def test_phases_tell_when_the_heart_is_at_its_largest(people):
    cines = simulate_cines(people, np.random.default_rng(5), (64, 64, 40))
    offset = cines.truth["phase_offset"].to_numpy()[:, None]
    np.testing.assert_allclose(cines.phases, (np.arange(40) / 40 + offset) % 1)
    assert np.abs(offset).max() > 0.03
    largest = (cines.labels == LV_BLOOD).sum(axis=(1, 2)).argmax(axis=1)
    phase = cines.phases[np.arange(len(people)), largest]
    early = np.minimum(phase, 1 - phase)
    # From the kick's last moments to the opening of the aortic valve.
    assert early.max() < 0.16
    np.testing.assert_allclose(cines.truth["heart_period_ms"], 60_000 / people["heart_rate"])


def straightened(images, cines, interpolation):
    matrices = cines.truth[MATRIX_COLUMNS].to_numpy(float).reshape(-1, 3, 3)
    size = images.shape[2], images.shape[1]
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return np.array(
        [cv2.warpAffine(i, m[:2], size, flags=flags) for i, m in zip(images, matrices, strict=True)]
    )


def test_the_matrix_takes_the_standard_heart_to_that_of_the_picture():
    traits = draw_people(40, seed=6)
    shape = (96, 96, 1)
    cines = simulate_cines(traits, np.random.default_rng(7), shape)
    standard = simulate_cines(traits, np.random.default_rng(7), shape, nuisance=False)
    good = (cines.truth["failure"] == "").to_numpy()

    def overlap(labels):
        one, other = (np.isin(x[good, :, :, 0], HEART) for x in (labels, standard.labels))
        shared = (one & other).sum(axis=(1, 2))
        return 2 * shared / (one.sum(axis=(1, 2)) + other.sum(axis=(1, 2)))

    put_right = straightened(cines.labels[..., 0], cines, cv2.INTER_NEAREST)[..., None]
    assert np.median(overlap(put_right)) > 0.95
    assert overlap(put_right).min() > 0.88
    assert np.median(overlap(cines.labels)) < 0.88


def test_undoing_the_pose_shows_more_of_the_traits(cohort):
    traits, cines = cohort
    good = (cines.truth["failure"] == "").to_numpy()

    def score(images, trait):
        flat = images[good].reshape(good.sum(), -1)
        flat = (flat - flat.mean(axis=1, keepdims=True)) / (flat.std(axis=1, keepdims=True) + 1e-9)
        latents = PCA(24, svd_solver="randomized", random_state=0).fit_transform(flat)
        ridge = RidgeCV(np.logspace(-1, 6, 15))
        return cross_val_score(ridge, latents, traits.loc[good, trait], cv=5, scoring="r2").mean()

    native = cines.tensors.astype(np.float32)
    registered = straightened(native, cines, cv2.INTER_LINEAR)
    for trait in ("lv_volume", "rv_volume", "la_volume"):
        assert score(registered, trait) > score(native, trait) + 0.15, trait
    assert score(native, "lv_volume") > 0.1


def test_the_same_seed_gives_the_same_bytes_and_the_same_hearts_at_any_size(people):
    first, again = (simulate_cines(people, np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(first.tensors, again.tensors)
    np.testing.assert_array_equal(first.labels, again.labels)
    pd.testing.assert_frame_equal(first.truth, again.truth)
    larger = simulate_cines(people, np.random.default_rng(8), (96, 96, 16))
    pd.testing.assert_frame_equal(
        first.truth.drop(columns=MATRIX_COLUMNS), larger.truth.drop(columns=MATRIX_COLUMNS)
    )
    share = [np.isin(cines.labels, HEART).mean(axis=(1, 2, 3)) for cines in (first, larger)]
    np.testing.assert_allclose(*share, rtol=0.03)
    assert (first.tensors != simulate_cines(people, np.random.default_rng(9)).tensors).any()


def test_failures_are_rare_marked_and_without_labels(people, monkeypatch):
    drawn = cardiac_scan.draw_nuisance(draw_people(6000, 10), np.random.default_rng(11))
    assert (drawn["failure"] != "").mean() == pytest.approx(0.005, abs=0.003)
    monkeypatch.setattr(cardiac_scan, "FAILURE_SHARE", 1.0)
    cines = simulate_cines(pd.concat([people] * 3), np.random.default_rng(12))
    failure = cines.truth["failure"]
    assert set(failure) == {"blank", "noise", "wrong view"}
    assert not np.isin(cines.labels, HEART).any()
    assert not cines.tensors[failure == "blank"].any()
    for noise in cines.tensors[failure == "noise"].astype(float):
        assert noise.std() > 20
        beside = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
        assert abs(beside) < 0.03


def test_arrhythmia_disturbs_the_picture_but_not_the_labels(people, monkeypatch):
    monkeypatch.setattr(cardiac_scan, "FAILURE_SHARE", 0.0)
    pictures = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(cardiac_scan, "ARRHYTHMIA_SHARE", share)
        pictures.append(simulate_cines(people, np.random.default_rng(13)))
    regular, irregular = pictures
    assert irregular.truth["arrhythmia"].all()
    np.testing.assert_array_equal(regular.labels, irregular.labels)
    error = np.abs(regular.tensors.astype(float) - irregular.tensors).mean(axis=(0, 1, 2))
    late = regular.phases.mean(axis=0) > 0.6
    assert error[late].mean() > error.min()
    assert error.mean() > 1


def test_a_recording_is_what_the_tensor_map_declares(people):
    recordings = record(people, np.random.default_rng(14))
    tensor_map = find_tensor_map("cardiac.lax_4ch_small")
    tensors, labels = (part["lax_4ch_small"] for part in (recordings.tensors, recordings.labels))
    assert tensors.shape == labels.shape == (len(people), *tensor_map.shape)
    assert tensors.dtype == labels.dtype == np.uint8
    assert recordings.attributes["units"] == tensor_map.units
    assert recordings.attributes["voxel_size"] == pytest.approx((FIELD_OF_VIEW_MM / 48,) * 2)
    assert len(recordings.truth["cardiac"]) == len(people)
    phases = recordings.truth["cardiac_phases"]
    assert list(phases.columns) == ["row", "frame", "phase"]
    assert len(phases) == 16 * len(people)


@pytest.mark.parametrize("shape", [(48, 48), (8, 48, 16), (48, 48, 0)])
def test_a_shape_that_cannot_be_drawn_is_an_error(people, shape):
    with pytest.raises(InputError, match="expected rows and columns of at least 16"):
        simulate_cines(people, np.random.default_rng(0), shape)
