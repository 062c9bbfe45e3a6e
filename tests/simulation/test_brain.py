import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from regreveal import brain_atlas
from regreveal.brain_atlas import LABELS
from regreveal.simulation import brain
from regreveal.simulation.traits import read_table

MEANS = read_table("traits.tsv").query("modality == 'brain'").set_index("trait")


def draw_traits(n, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({t: rng.normal(row["mean"], row["sd"], n) for t, row in MEANS.iterrows()})


def volumes_of(labels, voxel_size):
    counts = np.bincount(labels.ravel(), minlength=len(LABELS) + 1)
    return {name: counts[value] * voxel_size**3 / 1000 for name, value in LABELS.items()}


@pytest.fixture(scope="module")
def recorded():
    traits = draw_traits(60, 1)
    return traits, brain.record(traits, np.random.default_rng(2))


def matrices(truth):
    columns = [f"native_to_mni_{row}{column}" for row in range(4) for column in range(4)]
    return truth[columns].to_numpy().reshape(-1, 4, 4)


def test_recordings_are_as_their_tensor_map_declares(recorded):
    from regreveal.tensormap import find_tensor_map

    traits, recordings = recorded
    declared = find_tensor_map("brain.t1_native_6mm")
    images, labels = (part["t1_native_6mm"] for part in (recordings.tensors, recordings.labels))
    assert images.shape == labels.shape == (len(traits), *declared.shape)
    assert images.dtype == labels.dtype == np.uint8
    assert recordings.attributes == {"units": declared.units, "voxel_size": (6, 6, 6)}
    truth = recordings.truth["brain"]
    assert len(truth) == len(traits)
    assert np.isfinite(truth.select_dtypes("number")).all(axis=None)
    assert truth.filter(like="rotation").abs().max(axis=None) <= 15
    assert truth.filter(like="translation").abs().max(axis=None) <= 20


def test_the_same_seed_gives_the_same_bytes():
    traits = draw_traits(3, 4)
    one, other = (brain.record(traits, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.tensors["t1_native_6mm"], other.tensors["t1_native_6mm"])
    pd.testing.assert_frame_equal(one.truth["brain"], other.truth["brain"])


def test_volumes_measured_from_labels_follow_the_traits():
    traits = draw_traits(16, 7)
    rng = np.random.default_rng(8)
    rows = []
    for _, own in traits.iterrows():
        ml = volumes_of(brain.scan(brain.draw_person(own, rng), 3)[1], 3)
        whole = sum(ml.values()) - ml["ventricles"]
        cerebellum = ml["cerebellar_grey"] + ml["cerebellar_white"]
        rows.append(
            {
                "brain_volume": whole,
                "ventricle_volume": ml["ventricles"] / whole * 1500,
                "cerebellum_volume": cerebellum / whole * 1500,
                "cortical_thickness": ml["cortex"] / (ml["cortex"] + ml["white_matter"]),
                "cerebellar_white_matter": 100 * ml["cerebellar_white"] / cerebellum,
            }
        )
    measured = pd.DataFrame(rows)
    for trait in traits:
        assert np.corrcoef(measured[trait], traits[trait])[0, 1] > 0.95, trait
    for trait in ("brain_volume", "ventricle_volume", "cerebellum_volume"):
        assert measured[trait].mean() == pytest.approx(traits[trait].mean(), rel=0.05), trait


def test_the_true_affine_lays_everyone_upon_the_template(recorded):
    _, recordings = recorded
    truth = recordings.truth["brain"]
    shape, mni = brain_atlas.grid(6)
    native = brain.native_grid(6)[1]
    inside = brain_atlas.label_mask(tuple(LABELS), 6)
    before, after = [], []
    for labels, matrix in zip(recordings.labels["t1_native_6mm"], matrices(truth), strict=True):
        if not labels.any():
            continue
        for overlaps, moved in ((before, np.eye(4)), (after, matrix)):
            back = np.linalg.inv(native) @ np.linalg.inv(moved) @ mni
            there = ndimage.affine_transform(labels, back[:3, :3], back[:3, 3], shape, order=0) > 0
            overlaps.append(2 * (there & inside).sum() / (there.sum() + inside.sum()))
    assert np.median(after) > 0.88
    assert np.median(after) > np.median(before) + 0.05


def test_deformations_never_fold():
    from regreveal.simulation.brain_shape import STEP_MM

    traits = draw_traits(4, 11)
    traits.loc[0, "ventricle_volume"], traits.loc[1, "cerebellum_volume"] = 75, 190
    rng = np.random.default_rng(12)
    for _, own in traits.iterrows():
        moved = brain.draw_person(own, rng).displacement
        slopes = np.stack(
            [np.stack(np.gradient(moved[..., axis], STEP_MM), -1) for axis in range(3)], -2
        )
        assert np.linalg.det(np.eye(3) + slopes).min() > 0
        assert 1 < np.abs(moved).max() < 20


def test_a_person_is_the_same_at_any_resolution():
    person = brain.draw_person(MEANS["mean"], np.random.default_rng(13))
    coarse, fine = brain.scan(person, 6), brain.scan(person, 3)
    assert brain.native_grid(1)[0] == (216, 256, 216)
    # 3 mm voxels, two by two by two, fill those of 6 mm, but for what 42 of 6 mm leave of 256 mm.
    there = fine[0][:, :84].reshape(36, 2, 42, 2, 36, 2).mean(axis=(1, 3, 5))
    assert fine[0].shape == (72, 85, 72)
    shifted = ndimage.shift(fine[0].astype(float), (0, -0.5, 0), order=1)[:, :84]
    there = shifted.reshape(36, 2, 42, 2, 36, 2).mean(axis=(1, 3, 5))
    assert np.corrcoef(there.ravel(), coarse[0].ravel())[0, 1] > 0.98
    at_6, at_3 = volumes_of(coarse[1], 6), volumes_of(fine[1], 3)
    assert sum(at_6.values()) == pytest.approx(sum(at_3.values()), rel=0.02)


def test_failures_are_marked_and_show_no_brain():
    traits = draw_traits(12, 14)
    rng = np.random.default_rng(15)
    person = brain.draw_person(traits.iloc[0], rng)
    shape = brain.native_grid(6)[0]
    blank, noise, legs = (brain._failed_scan(kind, shape, person) for kind in brain.FAILURES)
    assert not blank.any()
    assert 0 < noise.std() < 10
    assert legs.std() > 20


def test_what_failed_has_no_labels(monkeypatch):
    monkeypatch.setattr(brain, "FAILURE_SHARE", 0.5)
    recordings = brain.record(draw_traits(12, 16), np.random.default_rng(17))
    failed = (recordings.truth["brain"]["failure"] != "").to_numpy()
    assert 0 < failed.sum() < 12
    labelled = recordings.labels["t1_native_6mm"].reshape(12, -1).any(axis=1)
    np.testing.assert_array_equal(labelled, ~failed)


def test_intensities_are_those_of_a_t1_scan(recorded):
    _, recordings = recorded
    images, labels = (part["t1_native_6mm"] for part in (recordings.tensors, recordings.labels))
    some = labels.reshape(len(labels), -1).any(axis=1)
    images, labels = images[some].astype(float), labels[some]
    white, grey, fluid = (
        images[labels == LABELS[name]].mean() for name in ("white_matter", "cortex", "ventricles")
    )
    assert white > 1.15 * grey > 1.15 * 1.1 * fluid
    assert images[:, :2, :2, -2:].mean() < 0.1 * white  # air
    assert 0 < (images == 255).mean() < 0.01 or images.max() < 255
