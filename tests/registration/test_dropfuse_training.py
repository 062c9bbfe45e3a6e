"""How DropFuse is trained, of whom, and what it refuses to learn from."""

import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.models.loop import STATE
from regreveal.models.state import TrainingState
from regreveal.registration import DropFuse, dropfuse_training
from regreveal.registration.dropfuse_input import presence
from tests.registration.dropfuse_phantom import (
    PICTURE,
    QUICKEST,
    SHAPES,
    WAVE,
    phantom,
    rows_of,
    with_value,
)


@pytest.fixture(scope="module")
def learned():
    return phantom(330, 1)[0]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda x: {WAVE: x[WAVE]}, {}, "at least two modalities"),
        (lambda x: {WAVE: x[WAVE], PICTURE: x[PICTURE][:3]}, {}, "same participants in all"),
        (lambda x: rows_of(x, slice(0, 0)), {}, "no participants to learn from"),
        (lambda x: x, {"plan": {"accumulation": 3}}, "expected a multiple of 3"),
        (lambda x: with_value(x, WAVE, (4, 2, 1), np.inf), {}, f"row 4 of {WAVE} .* not finite"),
        (lambda x: with_value(x, WAVE, slice(None), 2.0), {}, "the same"),
        (
            lambda x: with_value(with_value(x, WAVE, 4, np.nan), PICTURE, 4, np.nan),
            {},
            "row 4 has none",
        ),
        (
            lambda x: with_value(
                with_value(x, WAVE, slice(0, 15), np.nan), PICTURE, slice(15, 30), np.nan
            ),
            {},
            "have two of",
        ),
        (lambda x: with_value(x, WAVE, slice(0, 30), np.nan), {}, f"0 of 27 .* have {WAVE}"),
        (lambda x: x, {"contrast_weight": -1.0}, "contrast_weight is -1"),
        (lambda x: x, {"steps": 0}, "steps is 0"),
        (lambda x: x, {"plan": {"speed": 2}}, "plan names 'speed'"),
        (lambda x: x, {"plan": {"precision": "half"}}, "precision is 'half'"),
        (lambda x: x, {"warm_start": {"toy.sound": "somewhere"}}, "warm_start names 'toy.sound'"),
    ],
)
def test_what_cannot_be_learned_from_is_named(learned, change, options, message):
    registration = DropFuse(**{**QUICKEST, **options})
    with pytest.raises(InputError, match=message):
        registration.fit(change(rows_of(learned, slice(0, 30))))


def test_others_to_choose_the_best_epoch_by_must_have_the_same_modalities(learned):
    x = rows_of(learned, slice(0, 30))
    with pytest.raises(InputError, match="in this order"):
        DropFuse(**QUICKEST).fit(x, validation={WAVE: x[WAVE]})
    with pytest.raises(InputError, match="no validation participants"):
        DropFuse(**QUICKEST).fit(x, validation=rows_of(x, slice(0, 0)))


def test_no_batch_is_larger_than_a_part_of_one(learned, monkeypatch):
    sizes = set()
    fit_network = dropfuse_training.fit_network

    def spy(network, learned_batch, validation, *args, **kwargs):
        sizes.update(len(validation[i][0]["share"]) for i in range(len(validation)))
        fit_network(network, learned_batch, validation, *args, **kwargs)

    monkeypatch.setattr(dropfuse_training, "fit_network", spy)
    x, others = rows_of(learned, slice(0, 30)), rows_of(learned, slice(30, 46))
    DropFuse(**QUICKEST, plan={"accumulation": 2}).fit(x, validation=others)
    assert sizes == {QUICKEST["batch_size"] // 2}


def test_a_modality_that_nobody_held_out_has_is_judged_by_those_learned_from(learned):
    x, others = rows_of(learned, slice(0, 30)), rows_of(learned, slice(30, 40))
    others = with_value(others, PICTURE, slice(None), np.nan)
    registration = DropFuse(**QUICKEST).fit(x, validation=others)
    assert np.isfinite(registration.explained_variance_).all()
    noise = 100 * np.random.default_rng(0).standard_normal((1, *SHAPES[PICTURE]))
    assert not registration.transform({PICTURE: noise}).qc["ok"].any()


def test_a_killed_training_ends_with_the_same_weights(learned, tmp_path, monkeypatch):
    x = rows_of(learned, slice(0, 40))
    draw, drawn, killed_at = dropfuse_training.drawn_shares, {}, [None]

    def spy(present, latent_size, rng):
        entropy = rng.bit_generator.seed_seq.entropy
        if entropy[1] == killed_at[0]:
            raise RuntimeError("killed")
        shares = draw(present, latent_size, rng)
        drawn.setdefault(entropy, []).append(shares)
        return shares

    monkeypatch.setattr(dropfuse_training, "drawn_shares", spy)
    whole = DropFuse(**QUICKEST).fit(x)
    assert sorted(drawn) == [(1, step, 1) for step in range(6)]
    assert len({shares[0].tobytes() for shares in drawn.values()}) == 6

    killed_at[0] = 3
    with pytest.raises(RuntimeError, match="killed"):
        DropFuse(**QUICKEST).fit(x, checkpoint=tmp_path)
    assert len(TrainingState.read(tmp_path / STATE)[0].history) == 1
    with pytest.raises(InputError, match="another folder"):
        DropFuse(**{**QUICKEST, "contrast_weight": 0.5}).fit(x, checkpoint=tmp_path)
    with pytest.raises(InputError, match="another participants"):
        DropFuse(**QUICKEST).fit(rows_of(learned, slice(40, 80)), checkpoint=tmp_path)
    killed_at[0] = 0
    resumed = DropFuse(**QUICKEST).fit(x, checkpoint=tmp_path)
    np.testing.assert_array_equal(resumed.weights_, whole.weights_)
    np.testing.assert_array_equal(resumed.losses_, whole.losses_)
    # Each step's draw is the same whenever it is asked for.
    for shares in drawn.values():
        for again in shares[1:]:
            np.testing.assert_array_equal(again, shares[0])


class WithPresent:
    """Tensors that say who has one, and fail if those of others are read."""

    def __init__(self, values, present):
        self.values, self.present = values, present
        self.shape = values.shape

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        assert isinstance(rows, slice) or (np.diff(rows) > 0).all()
        assert self.present[rows].all()
        return self.values[rows]


def test_array_likes_that_say_who_has_a_tensor_are_read_only_there(learned):
    x = with_value(rows_of(learned, slice(0, 60)), PICTURE, slice(0, 30), np.nan)
    present = np.arange(60) >= 30
    said = {WAVE: x[WAVE], PICTURE: WithPresent(x[PICTURE], present)}
    np.testing.assert_array_equal(presence(said), presence(x))
    np.testing.assert_array_equal(presence(x), np.column_stack([np.ones(60, bool), present]))
    fused = DropFuse(**QUICKEST).fit(said, validation=rows_of(learned, slice(60, 70)))
    assert fused.held_out_.size == 0
    found = fused.transform(x)
    assert found.qc["modalities"].tolist() == 30 * [WAVE] + 30 * [f"{WAVE} + {PICTURE}"]
