"""DeepCycle on phantoms of known phase."""

import numpy as np
import pytest
import tensorflow as tf

from regreveal.errors import InputError
from regreveal.models.model_folder import load_model, read_model_json
from regreveal.models.state import TrainingState
from regreveal.registration import DeepCycle, deepcycle_training
from regreveal.registration.cycle_phase import (
    MeanCourse,
    phase_locking,
    principal_phase,
    steps_of,
    usable_cines,
    winding_number,
    wrapped,
)
from regreveal.registration.deepcycle import HISTORY
from regreveal.registration.deepcycle_training import Cines
from regreveal.tensormap import Standardize, StandardizeEach, TensorMap
from tests.registration.harness import check_registration, check_same

SHAPE = (20, 22, 8)
QUICK = {"steps": 60, "steps_per_epoch": 30, "batch_size": 8, "seed": 2}
QUICKEST = {"steps": 4, "steps_per_epoch": 2, "batch_size": 4}
TENSOR_MAP = TensorMap(
    name="toy.cine", path="toy/cine", shape=SHAPE, units="intensity", modality="toy",
    description="A disc that beats.", normalize=StandardizeEach(),
)  # fmt: skip


def beating(n, rng, offset=0.15):
    """Discs that beat, with a spot that brightens a quarter of a cycle later; and their phases."""
    rows, columns = np.indices(SHAPE[:2]) + 0.5
    phases = np.arange(SHAPE[2]) * 2 * np.pi / SHAPE[2] + rng.uniform(-offset, offset, (n, 1))
    cines = np.empty((n, *SHAPE), np.float32)
    for cine, of_frames in zip(cines, phases, strict=True):
        row, column = rng.uniform((9, 8), (11, 10))
        for frame, phase in enumerate(of_frames):
            radius = np.hypot(rows - row, columns - column)
            disc = 1 / (1 + np.exp(2 * (radius - 5 - 1.5 * np.cos(phase))))
            spot = np.exp(-((rows - row) ** 2 + (columns - column - 9) ** 2) / 6)
            cine[..., frame] = disc + (0.5 + 0.4 * np.sin(phase)) * spot
        cine += 0.02 * rng.standard_normal(cine.shape)
    return 100 * cines, phases


@pytest.fixture
def untraced():
    """Take steps without tracing them first, which takes longer than a few steps do."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def fitted():
    cines, _ = beating(40, np.random.default_rng(0))
    return DeepCycle(**QUICK).fit(cines)


def test_phases_of_unseen_cines_are_the_true_ones(fitted):
    cines, phases = beating(20, np.random.default_rng(1))
    registered = fitted.transform(cines)
    assert registered.qc["ok"].all(), registered.qc["reason"].tolist()
    found = registered.tensors
    assert phase_locking(found, phases).min() > 0.97
    assert np.abs(np.mean(np.exp(1j * (found - phases)))) > 0.97
    assert np.degrees(np.abs(wrapped(found - phases))).mean() < 12
    assert (registered.qc["winding_number"] == 1).all()


def test_phases_do_not_depend_on_the_scale_and_zero_of_grey_values(fitted):
    cines, _ = beating(3, np.random.default_rng(1))
    registered = fitted.transform(cines)
    normalised = fitted.transform(StandardizeEach()(cines))
    np.testing.assert_allclose(normalised.tensors, registered.tensors, atol=1e-3)


def test_fulfils_the_contract(tmp_path):
    cines, _ = beating(5, np.random.default_rng(0))
    registration = DeepCycle(**QUICK | {"steps": 40})
    check_registration(registration, cines, tmp_path)


def test_the_control_fulfils_the_contract_and_has_one_plain_number(tmp_path):
    cines, _ = beating(5, np.random.default_rng(0))
    registered = check_registration(DeepCycle(circular=False, **QUICK), cines, tmp_path)
    assert registered.tensors.shape == (5, SHAPE[2])
    assert registered.qc["winding_number"].isna().all()


def test_noise_and_cines_of_two_beats_are_flagged(fitted):
    rng = np.random.default_rng(3)
    cines, _ = beating(2, rng)
    cines[0] = rng.standard_normal(SHAPE)
    cines[1] = cines[1][..., [0, 2, 4, 6, 0, 2, 4, 6]]
    qc = fitted.transform(cines).qc
    assert not qc["ok"].any()
    assert qc["winding_number"][1] == 2


def test_a_cine_played_backwards_is_told_by_what_is_decoded(fitted):
    cines, _ = beating(6, np.random.default_rng(1))
    forwards, backwards = (fitted.transform(x).qc for x in (cines, cines[..., ::-1].copy()))
    assert forwards["reconstruction"].min() > backwards["reconstruction"].max() + 0.05
    assert not backwards["ok"].any()


@pytest.mark.usefixtures("untraced")
def test_a_killed_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    cines, _ = beating(10, np.random.default_rng(0))
    whole = DeepCycle(**QUICKEST | {"steps": 10}).fit(cines)
    original = TrainingState.write
    for stage, epoch in (("warmup", 1), ("joint", 2)):

        def stopped(state, path, model, stage=stage, epoch=epoch):
            original(state, path, model)
            if path.parent.name == stage and len(state.history) == epoch:
                raise KeyboardInterrupt

        monkeypatch.setattr(TrainingState, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            DeepCycle(**QUICKEST | {"steps": 10}).fit(cines, checkpoint=tmp_path)
    monkeypatch.undo()
    resumed = DeepCycle(**QUICKEST | {"steps": 10}).fit(cines, checkpoint=tmp_path)
    np.testing.assert_array_equal(resumed.weights_, whole.weights_)


@pytest.mark.usefixtures("untraced")
def test_a_training_goes_on_with_the_same_cines_only(tmp_path, monkeypatch):
    def killed(state, path, model):
        original(state, path, model)
        raise KeyboardInterrupt

    cines, _ = beating(20, np.random.default_rng(0))
    original = TrainingState.write
    monkeypatch.setattr(TrainingState, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        DeepCycle(**QUICKEST | {"steps": np.int64(4)}).fit(cines[:10], checkpoint=tmp_path)
    monkeypatch.undo()
    with pytest.raises(InputError, match="another folder"):
        DeepCycle(**QUICKEST).fit(cines[10:], checkpoint=tmp_path)


def test_nothing_is_learned_from_cines_that_do_not_move(monkeypatch):
    cines, _ = beating(12, np.random.default_rng(0))
    spoilt = cines.copy()
    spoilt[3] = 7
    spoilt[5] = cines[5, ..., :1]
    spoilt[8, 4, 4, 2] = np.nan
    parts = Cines(spoilt, np.arange(12))
    good = np.delete(np.arange(12), [3, 5, 8])
    np.testing.assert_array_equal(parts.moving(), Cines(cines, good)[np.arange(9)])
    seen = []

    def spy(model, learned_batch, validation, state, *args, **kwargs):
        steps = [learned_batch(step)[0] for step in range(6)] + [validation[0][0]]
        seen.extend(x["tensor"] if isinstance(x, dict) else x for x in steps)
        state.history.append(dict.fromkeys(HISTORY, 1))

    monkeypatch.setattr(deepcycle_training, "fit_network", spy)
    registration = DeepCycle(**QUICKEST).fit(spoilt, validation=spoilt[2:6])
    assert all(np.ptp(batch, axis=-1).any(axis=(1, 2)).all() for batch in seen)
    assert {len(batch) for batch in seen} == {4}
    assert registration.transform(spoilt[[3, 5, 8]]).qc["reason"].ne("").all()


@pytest.mark.usefixtures("untraced")
def test_one_trained_in_half_precision_and_in_parts_is_the_same_when_saved(tmp_path):
    cines, _ = beating(12, np.random.default_rng(0))
    plan = {"precision": "mixed_bfloat16", "accumulation": 2, "averaging": 0.5}
    registration = DeepCycle(**QUICKEST, plan=plan).fit(cines)
    registered = registration.transform(cines)
    assert registered.qc["reconstruction"].notna().all()
    registration.save(tmp_path)
    check_same(DeepCycle.load(tmp_path).transform(cines), registered)
    whole = DeepCycle(**QUICKEST).fit(cines)
    assert not np.allclose(whole.weights_, registration.weights_)


def test_model_folder_gives_the_same_phases_and_one_heart(fitted, tmp_path):
    cines, _ = beating(6, np.random.default_rng(5))
    fitted.save_model(tmp_path, TENSOR_MAP, ["a"], ["b"])
    facts = read_model_json(tmp_path)
    assert facts["latent_size"] == SHAPE[2]
    assert facts["trained_on"] == ["a"]
    tensors = StandardizeEach()(cines)
    encoder, decoder, autoencoder = (
        load_model(tmp_path, name) for name in ("encoder", "decoder", "autoencoder")
    )
    phases = encoder.predict(tensors, verbose=0)
    np.testing.assert_allclose(phases, fitted.transform(cines).tensors, atol=1e-3)
    decoded = decoder.predict(phases, verbose=0)
    np.testing.assert_allclose(autoencoder.predict(tensors, verbose=0), decoded, atol=1e-5)
    # The typical heart at this one's phases: of another size and place, and yet most of it.
    assert np.corrcoef(decoded.ravel(), tensors.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(encoder.predict(decoded, verbose=0), phases, atol=0.5)


def test_decoder_undoes_the_calibration(fitted):
    networks = fitted._fitted_networks()
    angles = np.linspace(-3, 3, SHAPE[2], dtype=np.float32)[None]
    forth = networks.encoder.get_layer("calibration")(angles)
    back = networks.decoder.get_layer("inverse_calibration")(
        networks.decoder.get_layer("wrap")(forth)
    )
    np.testing.assert_allclose(wrapped(np.asarray(back) - angles), 0, atol=0.01)


def test_what_a_user_can_get_wrong_is_told_in_one_line(fitted, tmp_path):
    cines, _ = beating(2, np.random.default_rng(0))
    with pytest.raises(InputError, match="not fitted"):
        DeepCycle().transform(cines)
    with pytest.raises(InputError, match="learned from"):
        fitted.transform(cines[:, :-1])
    with pytest.raises(InputError, match="rows, columns, frames"):
        DeepCycle().fit(cines[..., :2])
    with pytest.raises(InputError, match="steps is 0"):
        DeepCycle(steps=0).fit(cines)
    with pytest.raises(InputError, match="plan names 'speed'"):
        DeepCycle(plan={"speed": 2}).fit(cines)
    with pytest.raises(InputError, match="expected a multiple of 3"):
        DeepCycle(**QUICKEST, plan={"accumulation": 3}).fit(cines)
    with pytest.raises(InputError, match="no validation cine"):
        DeepCycle(**QUICKEST).fit(cines, validation=cines[:0])
    with pytest.raises(InputError, match="none of the cines moves"):
        DeepCycle(**QUICKEST).fit(np.zeros_like(cines))
    raw = TensorMap("toy.raw", "toy/raw", SHAPE, "intensity", "toy", "Raw.", Standardize())
    with pytest.raises(InputError, match="StandardizeEach"):
        fitted.save_model(tmp_path, raw, ["a"], ["b"])


def test_principal_phase_of_a_circle_of_pictures_is_its_angle():
    rng = np.random.default_rng(0)
    cosine, sine = np.linalg.qr(rng.standard_normal((60, 2)))[0].T.reshape(2, 10, 6)
    times = np.arange(12) * 2 * np.pi / 12
    # Running backwards from somewhere: direction and origin are found from time.
    cines = np.stack([
        5 + cosine[..., None] * np.cos(start - times) + sine[..., None] * np.sin(start - times)
        for start in (1.0, 1.2)
    ])  # fmt: skip
    phases = principal_phase(usable_cines(cines)).phases(usable_cines(cines))
    np.testing.assert_allclose(wrapped(phases[0] - times), 0.1, atol=0.02)
    np.testing.assert_allclose(wrapped(phases[1] - times), -0.1, atol=0.02)


def test_mean_course_makes_the_mean_even():
    times = np.arange(16) * 2 * np.pi / 16
    uneven = -(times + 0.6 * np.sin(times)) + 2
    course = MeanCourse.of(wrapped(uneven)[None])
    np.testing.assert_allclose(wrapped(course(wrapped(uneven)) - times), 0, atol=1e-8)


def test_winding_number_counts_turns():
    times = np.arange(10) * 2 * np.pi / 10
    folded = 2 * np.abs(times - np.pi)
    np.testing.assert_array_equal(
        winding_number(np.stack([times + 3, -times, 2 * times, folded])), [1, -1, 2, 0]
    )
    np.testing.assert_allclose(steps_of(times), 2 * np.pi / 10)
    assert phase_locking(times + 1, times) == pytest.approx(1)
    assert phase_locking(-times, times) == pytest.approx(0, abs=1e-12)
