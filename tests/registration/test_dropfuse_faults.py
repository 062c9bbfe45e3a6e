"""Two faults of public code, made on purpose, and what they cost beside DropFuse."""

import numpy as np
import pytest
from keras import losses, ops

from regreveal.models import fusion
from regreveal.registration import DropFuse, dropfuse_training
from tests.registration.dropfuse_phantom import (
    QUICK,
    alone,
    phantom,
    retrieved,
)


@pytest.fixture(scope="module")
def learned():
    return phantom(330, 1)[0]


@pytest.fixture(scope="module")
def unseen():
    return phantom(400, 2)


def exchanged_cross_entropy(one, other, paired, scale):
    """The loss of public code: probabilities given as the labels, and the labels as predicted."""
    one, other = fusion.normalised(one), fusion.normalised(other)
    logits = scale * ops.matmul(one, ops.transpose(other))

    # Keras' cross-entropy of the identity, clipped to 1e-7, with probabilities as labels.
    def cross_entropy(logits):
        return -np.log(1e-7) * ops.mean(1 - ops.diagonal(ops.softmax(logits)))

    return 0.5 * (cross_entropy(logits) + cross_entropy(ops.transpose(logits)))


def test_the_fault_reproduced_is_that_of_exchanged_arguments():
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 6, 3)).astype(np.float32)
    logits = 5 * fusion.normalised(one) @ ops.transpose(fusion.normalised(other))
    expected = [
        ops.mean(losses.categorical_crossentropy(ops.softmax(part), ops.eye(6)))
        for part in (logits, ops.transpose(logits))
    ]
    found = exchanged_cross_entropy(one, other, np.ones(6, np.float32), 5.0)
    np.testing.assert_allclose(found, np.mean(expected), rtol=1e-3)


def frozen_shares(present, latent_size, rng):
    """The mask of public code: drawn once, for everyone and all steps."""
    chosen = np.random.default_rng(0).permutation(latent_size) % present.shape[1]
    shares = np.zeros((*present.shape, latent_size), np.float32)
    shares[:, chosen, np.arange(latent_size)] = 1
    return shares


def test_contrast_sets_right_those_it_confuses_and_not_with_exchanged_arguments():
    """The gradient of 1 - p is p (1 - p) of a logit: nothing, for those taken for another."""
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    other = rng.standard_normal((8, 16)).astype(np.float32)
    confused = np.roll(other, 1, axis=0)

    def found_after_descent(contrast):
        one = tf.Variable(confused)
        for _ in range(200):
            with tf.GradientTape() as tape:
                loss = contrast(one, other, np.ones(8, np.float32), 30.0)
            one.assign_sub(tape.gradient(loss, one))
        return retrieved(one.numpy(), other)

    assert retrieved(confused, other) == 0
    assert found_after_descent(fusion.symmetric_info_nce) == 1
    assert found_after_descent(exchanged_cross_entropy) == 0


def test_exchanged_arguments_find_fewer_people_where_there_are_many_to_be_taken_for(
    learned, unseen, monkeypatch
):
    """Their gradient shrinks with the probability of the right one, at first one in the batch."""
    settings = {**QUICK, "batch_size": 128, "steps": 100}
    ours = DropFuse(**settings).fit(learned)
    monkeypatch.setattr(fusion, "symmetric_info_nce", exchanged_cross_entropy)
    exchanged = DropFuse(**settings).fit(learned)
    assert retrieved(*alone(ours, unseen[0])) > 1.5 * retrieved(*alone(exchanged, unseen[0]))


def test_a_mask_drawn_once_leaves_coordinates_that_a_modality_never_learns(
    learned, unseen, monkeypatch
):
    """Half of an encoder's coordinates go into no reconstruction, and yet its decoder reads them.

    The contrast, which would train them in its own way, is left out: drawn afresh, the mask alone
    brings modalities together; drawn once, it relates them in nothing.
    """
    settings = {**QUICK, "contrast_weight": 0.0}
    ours = DropFuse(**settings).fit(learned)
    with monkeypatch.context() as patch:
        patch.setattr(dropfuse_training, "drawn_shares", frozen_shares)
        frozen = DropFuse(**settings).fit(learned)
    assert (ours.explained_variance_ > frozen.explained_variance_ + 0.1).all()
    # By chance one in 400 is found.
    assert retrieved(*alone(ours, unseen[0])) > 0.05
    assert retrieved(*alone(frozen, unseen[0])) < 0.02
