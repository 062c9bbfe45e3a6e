"""VoxelMorph on phantoms of known deformation."""

import copy
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates, uniform_filter

from regreveal.errors import InputError
from regreveal.models.state import TrainingState
from regreveal.registration import (
    VoxelMorph,
    deformation,
    voxelmorph_images,
    voxelmorph_refining,
)
from regreveal.registration import voxelmorph_adapter as adapter
from tests.registration.harness import check_registration

SHAPE = (30, 37)  # which the network cannot halve
QUICK = {"features": (8, 8, 8), "steps": 150, "steps_per_epoch": 50, "learning_rate": 3e-3}
# Without integration there is far less to trace.
QUICKEST = {
    "features": (4, 4),
    "diffeomorphic": False,
    "steps": 6,
    "steps_per_epoch": 2,
    "batch_size": 2,
}


def phantom(shape):
    """Ring with a bright disc and a mark, and the labels of ring and disc."""
    places = np.moveaxis(np.indices(shape), 0, -1) / (np.array(shape) - 1) * 2 - 1
    radius = np.sqrt(np.square(places).sum(axis=-1))
    labels = 1 * (radius < 0.35) + 2 * ((radius >= 0.55) & (radius < 0.75))
    image = 60.0 * (labels == 1) + 100.0 * (labels == 2) + 20 * (places[..., 0] > 0.1)
    return image, labels


def deformed(n, shape, rng, channels=1, size=1.6):
    """Phantoms in other scales of grey, deformed by known fields, with noise."""
    image, labels = phantom(shape)
    x = np.empty((n, *shape, channels), np.float32)
    moved_labels = np.empty(x.shape, np.uint8)
    for sample, moved in zip(x, moved_labels, strict=True):
        scale = rng.uniform(0.5, 2)
        for channel in range(channels):
            field = deformation.integrate(deformation.smooth_velocity(shape, rng, size, 5))
            values = deformation.warp(image, field) + 2 * rng.standard_normal(shape)
            sample[..., channel] = scale * values
            moved[..., channel] = deformation.warp(labels, field, order=0)
    return x, moved_labels


def dice(one, other):
    return np.mean([2 * np.sum((one == k) & (other == k)) / np.sum((one == k) + 0 + (other == k))
                    for k in (1, 2)])  # fmt: skip


class ReadWhenAsked:
    """Samples that are only there when rows are asked for."""

    def __init__(self, x):
        self._x = x
        self.shape = x.shape
        self.most = 0

    def __len__(self):
        return len(self._x)

    def __getitem__(self, rows):
        read = self._x[rows]
        self.most = max(self.most, 1 if read.ndim == self._x.ndim - 1 else len(read))
        return read


@pytest.fixture(scope="module")
def planes():
    return deformed(40, SHAPE, np.random.default_rng(0))


@pytest.fixture(scope="module")
def reference():
    return phantom(SHAPE)[0].astype(np.float32)[..., None]


@pytest.fixture(scope="module")
def fitted(planes, reference, tmp_path_factory):
    registration = VoxelMorph(reference, **QUICK)
    check_registration(registration, planes[0], tmp_path_factory.mktemp("saved"))
    return registration


@pytest.fixture(scope="module")
def unseen():
    return deformed(12, SHAPE, np.random.default_rng(1))


@pytest.fixture(scope="module")
def registered(fitted, unseen):
    return fitted.transform(unseen[0])


def test_labels_of_unseen_samples_are_brought_together(fitted, unseen, registered):
    labels = phantom(SHAPE)[1]
    moved = fitted.warp(unseen[1], registered.transforms)
    assert moved.shape == unseen[1].shape
    assert moved.dtype == unseen[1].dtype
    before = np.mean([dice(sample[..., 0], labels) for sample in unseen[1]])
    after = np.mean([dice(sample[..., 0], labels) for sample in moved])
    assert before < 0.83
    assert after > 0.87


def test_quality_is_that_of_what_comes_out(registered, unseen, reference):
    for row, moved, given, field in zip(
        registered.qc.itertuples(),
        registered.tensors,
        unseen[0],
        registered.transforms,
        strict=True,
    ):
        after = np.corrcoef(moved.ravel(), reference.ravel())[0, 1]
        before = np.corrcoef(given.ravel(), reference.ravel())[0, 1]
        # The sample's extremes are clipped before it is compared.
        assert row.similarity_after == pytest.approx(after, abs=0.02)
        assert row.similarity_before == pytest.approx(before, abs=0.02)
        assert row.similarity_after > row.similarity_before
        assert row.largest_displacement == pytest.approx(np.linalg.norm(field, axis=-1).max())
        assert row.folds_percent == 0


def test_samples_keep_their_own_grey_values(registered, unseen):
    for moved, given, field in zip(
        registered.tensors, unseen[0], registered.transforms, strict=True
    ):
        expected = deformation.warp(given[..., 0], field)
        inside = (slice(5, -5),) * 2
        np.testing.assert_allclose(moved[..., 0][inside], expected[inside], rtol=1e-3, atol=0.1)


def with_steps(registration, refine_steps):
    other = copy.copy(registration)
    other.refine_steps = refine_steps
    return other


def loss(fixed, moved, field):
    """Of the displacement, by numpy and scipy, in the middle: squared local correlation; slopes."""

    def mean(values):
        return uniform_filter(values, 9, mode="constant")

    covariance = mean(fixed * moved) - mean(fixed) * mean(moved)
    variances = [mean(image**2) - mean(image) ** 2 for image in (fixed, moved)]
    inside = (slice(4, -4),) * fixed.ndim
    likeness = (covariance**2 / np.maximum(variances[0] * variances[1], 1e-10))[inside].mean()
    return -likeness, np.mean([np.square(np.diff(field, axis=k)).mean() for k in (0, 1)])


def test_refinement_brings_samples_closer_without_folds(fitted, unseen, registered, reference):
    refined = with_steps(fitted, 30).transform(unseen[0])
    assert refined.qc["ok"].all()
    assert (refined.qc["similarity_after"] > registered.qc["similarity_after"]).all()
    assert (refined.qc["folds_percent"] == 0).all()
    fixed = reference[..., 0].astype(float)
    for one, other in zip(
        zip(refined.tensors, refined.transforms, strict=True),
        zip(registered.tensors, registered.transforms, strict=True),
        strict=True,
    ):
        (after, slope_after), (before, slope_before) = (
            loss(fixed, moved[..., 0].astype(float), field) for moved, field in (one, other)
        )
        assert after + 0.5 * slope_after < before + 0.5 * slope_before
    labels = phantom(SHAPE)[1]
    overlaps = [
        [dice(moved[..., 0], labels) for moved in fitted.warp(unseen[1], found.transforms)]
        for found in (refined, registered)
    ]
    assert np.mean(overlaps[0]) > np.mean(overlaps[1]) + 0.02
    moved = fitted.warp(unseen[0], refined.transforms, order=1)
    inside = (slice(5, -5),) * 2
    for one, other in zip(moved, refined.tensors, strict=True):
        np.testing.assert_allclose(other[inside], one[inside], rtol=1e-3, atol=0.1)


def test_no_refinement_is_the_networks_own(fitted, unseen, registered):
    refined = with_steps(fitted, 2).transform(unseen[0][:2])
    assert (refined.transforms[0] != registered.transforms[0]).any()
    again = with_steps(fitted, 0).transform(unseen[0][:2])
    np.testing.assert_array_equal(again.tensors, registered.tensors[:2])
    # A refinement of which nothing is used starts where the network ends.
    still = with_steps(fitted, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voxelmorph_refining, "LARGEST_RATE", 0)
        found = still.transform(unseen[0][:2])
    for one, other in zip(found.transforms, registered.transforms[:2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_refinement_keeps_the_contract(channels, tmp_path):
    x, _ = deformed(6, (18, 21), np.random.default_rng(8), channels, size=0.5)
    registration = VoxelMorph(**QUICKEST, similarity="mse", refine_steps=3)
    found = check_registration(registration, x, tmp_path)
    assert VoxelMorph.load(tmp_path).refine_steps == 3
    # All but the reference itself, which is one of them, come closer.
    own = with_steps(registration, 0).transform(x)
    others = [not np.array_equal(registration.reference_, sample) for sample in x]
    assert (found.qc["similarity_after"] > own.qc["similarity_after"])[others].all()


def test_an_image_is_refined_as_if_it_were_alone():
    x, _ = deformed(3, (16, 20), np.random.default_rng(9), size=0.5)
    moving = np.stack([voxelmorph_images.standardise(sample) for sample in x])
    model = adapter.network((16, 20), (4, 4), 0)
    model.set_weights(adapter.initial_weights(model, np.random.default_rng(1)))
    refine = voxelmorph_refining.refining(model, 0, "ncc", 0.5, 5)
    fixed, along = moving[[1, 2, 2]], np.concatenate([moving, moving], axis=-1)
    together = refine(moving, fixed, along)
    assert np.abs(together[0][0]).max() > 0.05
    # Where image and reference are the same there is nothing to improve.
    assert np.abs(together[0][2]).max() < 1e-3
    for row in range(3):
        alone = refine(*(part[row : row + 1] for part in (moving, fixed, along)))
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[row], other[0], atol=1e-4)


def test_what_is_not_the_same_body_part_is_flagged(fitted, unseen):
    rng = np.random.default_rng(2)
    stripes = np.sin(np.arange(SHAPE[1]) / 2)[None, :, None] * np.ones((SHAPE[0], 1, 1))
    bad = np.stack(
        [rng.standard_normal((*SHAPE, 1)), stripes, 1 - unseen[0][0], np.zeros((*SHAPE, 1))]
    )
    found = fitted.transform(bad.astype(np.float32))
    assert not found.qc["ok"].any()
    unlike = "unlike the reference after registration"
    assert found.qc["reason"].tolist() == [unlike] * 3 + ["blank image"]
    assert all(np.isnan(field).all() for field in found.transforms)
    labels = np.ones((4, *SHAPE), np.uint8)
    assert not fitted.warp(labels, found.transforms).any()
    assert np.isnan(fitted.warp(labels.astype(float), found.transforms)).all()


def test_what_becomes_like_the_reference_is_flagged_if_it_was_no_such_image(fitted, reference):
    rng = np.random.default_rng(4)
    upside_down = reference[::-1] + 2 * rng.standard_normal(reference.shape)
    found = fitted.transform(np.stack([upside_down, reference]).astype(np.float32))
    assert found.qc["reason"].tolist() == ["unlike the samples learned from", ""]
    assert found.qc["similarity_after"][0] > fitted.least_similarity_
    assert found.qc["unexplained"][0] > fitted.most_unexplained_ > found.qc["unexplained"][1]


def test_frames_are_registered_each_to_its_own(tmp_path):
    x, _ = deformed(12, (16, 18), np.random.default_rng(3), channels=3, size=0.5)
    x[..., 1] = x[..., 1].max() - x[..., 1]
    registration = VoxelMorph(**QUICKEST)
    found = check_registration(registration, x, tmp_path)
    assert any(np.array_equal(registration.reference_, sample) for sample in x)
    assert found.transforms[0].shape == (16, 18, 3, 2)
    still = [np.zeros((16, 18, 3, 2)) for _ in x]
    still[2][:, :, 1, 0] = 1
    moved = registration.warp(x, still)
    np.testing.assert_array_equal(np.delete(moved, 2, axis=0), np.delete(x, 2, axis=0))
    np.testing.assert_array_equal(moved[2][..., [0, 2]], x[2][..., [0, 2]])
    np.testing.assert_array_equal(moved[2][:-1, :, 1], x[2][1:, :, 1])


def test_volumes_have_displacements_in_three_dimensions():
    x, labels = deformed(4, (10, 12, 11), np.random.default_rng(4))
    registration = VoxelMorph(**QUICKEST).fit(x)
    found = registration.transform(x)
    assert found.tensors.shape == x.shape
    assert found.transforms[0].shape == (10, 12, 11, 3)
    refined = with_steps(registration, 5).transform(x)
    assert (refined.qc["similarity_after"] > found.qc["similarity_after"]).all()
    assert registration.warp(labels, found.transforms).shape == labels.shape
    assert registration.warp(labels[..., 0], found.transforms).shape == labels.shape[:-1]


@pytest.fixture(scope="module")
def trained(planes):
    """A training to compare others with; two of its samples are no good."""
    x = planes[0][:8].copy()
    x[0], x[1] = np.nan, np.random.default_rng(5).random(x[1].shape)
    return VoxelMorph(**QUICKEST).fit(x), x


def test_the_reference_chosen_is_like_most(trained):
    registration, x = trained
    assert any(np.array_equal(registration.reference_, sample) for sample in x[2:])
    assert np.isfinite(registration.weights_).all()


def test_a_killed_training_goes_on_to_the_same_result(trained, tmp_path, monkeypatch):
    whole, x = trained

    def write(self, path, model):
        original(self, path, model)
        if len(self.history) == 2:
            raise KeyboardInterrupt

    original = TrainingState.write
    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "write", write)
        with pytest.raises(KeyboardInterrupt):
            VoxelMorph(**QUICKEST).fit(x, checkpoint=tmp_path)
    with pytest.raises(InputError, match=r"holds a model with smoothness 0.5 \(asked for: 0.1\)"):
        VoxelMorph(**QUICKEST, smoothness=0.1).fit(x, checkpoint=tmp_path)
    resumed = VoxelMorph(**QUICKEST).fit(x, checkpoint=tmp_path)
    np.testing.assert_allclose(resumed.weights_, whole.weights_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(resumed.losses_, whole.losses_, rtol=1e-5)


def test_samples_that_do_not_fit_into_memory_are_read_by_batch(trained, monkeypatch):
    at_once, x = trained
    monkeypatch.setattr(voxelmorph_images, "CACHE_BYTES", 0)
    lazy = ReadWhenAsked(x)
    np.testing.assert_array_equal(VoxelMorph(**QUICKEST).fit(lazy).weights_, at_once.weights_)
    assert lazy.most <= QUICKEST["batch_size"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"similarity": "mi"}, "similarity is 'mi'; expected ncc or mse"),
        ({"smoothness": -1}, "smoothness is -1"),
        ({"features": (8,)}, "features are"),
        ({"steps": 0}, "steps is 0"),
        ({"refine_steps": -1}, "refine_steps is -1; expected a whole number"),
        ({"refine_steps": 2.5}, "refine_steps is 2.5"),
        ({"refine_steps": "5"}, "refine_steps is '5'"),
        ({"reference": np.ones((4, 4, 1))}, "the reference has shape"),
        ({"reference": np.ones((*SHAPE, 1))}, "the reference is unusable"),
    ],
)
def test_wrong_parameters_are_one_clear_line(parameters, message, planes):
    with pytest.raises(InputError, match=message) as caught:
        VoxelMorph(**parameters).fit(planes[0])
    assert "\n" not in str(caught.value)


def test_wrong_samples_are_one_clear_line(fitted, planes, registered):
    for x, message in [
        (planes[0][:1], "1 samples to learn from"),
        (planes[0][..., 0], "expected \\(n, rows, columns, channels\\)"),
        (np.full_like(planes[0], np.nan), "none of the samples is usable"),
    ]:
        with pytest.raises(InputError, match=message):
            VoxelMorph().fit(x)
    with pytest.raises(InputError, match="none of the samples is usable"):
        VoxelMorph(planes[0][0]).fit(np.full_like(planes[0], np.nan))
    with pytest.raises(InputError, match="not fitted"):
        VoxelMorph().transform(planes[0])
    with pytest.raises(InputError, match="the reference has"):
        fitted.transform(planes[0][:, 1:])
    with pytest.raises(InputError, match="refine_steps is None"):
        with_steps(fitted, None).transform(planes[0])
    with pytest.raises(InputError, match="3 label maps and 12 transforms"):
        fitted.warp(np.zeros((3, *SHAPE)), registered.transforms)
    with pytest.raises(InputError, match="a label map of shape"):
        fitted.warp(np.zeros((12, 5, 5)), registered.transforms)


@pytest.mark.parametrize("shape", [(20, 22), (11, 12, 13)])
def test_the_similarity_is_voxelmorphs_own(shape):
    from regreveal.registration import voxelmorph_layers

    rng = np.random.default_rng(6)
    fixed, moved = map(tf.constant, rng.random((2, 2, *shape, 1), np.float32))
    expected = adapter.load().losses.NCC().loss(fixed, moved)
    found = voxelmorph_layers.local_correlation_loss(fixed, moved)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("shape", [(9, 12), (6, 7, 8)])
def test_the_networks_deformations_are_those_of_the_numpy_reference(shape):
    from regreveal.registration import voxelmorph_layers

    rng = np.random.default_rng(7)
    velocity = np.stack([deformation.smooth_velocity(shape, rng, 1.0, 1.5) for _ in range(2)])
    images = rng.random((2, *shape, 2), np.float32)
    moved = voxelmorph_layers.warp(tf.constant(images), tf.constant(2 * velocity))
    for image, field, out in zip(images, 2 * velocity, moved.numpy(), strict=True):
        for channel in range(2):
            expected = deformation.warp(image[..., channel], field)
            np.testing.assert_allclose(out[..., channel], expected, atol=1e-5)
    found = voxelmorph_layers.displacement_layer(7, "displacement")(tf.constant(velocity))
    for half, field in zip(velocity, found.numpy(), strict=True):
        integrated = deformation.integrate(half)
        places = (np.indices(field.shape[:-1]) - 0.5) / 2
        expected = [
            2 * map_coordinates(part, places, order=1, mode="nearest")
            for part in np.moveaxis(integrated, -1, 0)
        ]
        np.testing.assert_allclose(field, np.stack(expected, axis=-1), atol=1e-4)


def test_keras_3_is_as_it_was_beside_legacy_keras():
    adapter.load()
    from tensorflow.keras.layers import Dense

    assert Dense is keras.layers.Dense
    assert tf.keras.Model is keras.Model
    assert not isinstance(adapter.network((16, 16), (4, 4), 0), keras.Model)
    assert not hasattr(inspect, "getargspec")
