"""Refinement of VoxelMorph's fields: gradient steps on each image's own, by the training's loss.

Loaded by those who refine: it needs TensorFlow.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import tensorflow as tf

from regreveal.registration import voxelmorph_adapter as adapter
from regreveal.registration.voxelmorph_layers import displacement_layer, enlarge, warp

LARGEST_RATE = 0.05  # voxels of the field, in a step
MEAN_DECAY, SQUARE_DECAY, SMALLEST = 0.9, 0.999, 1e-7  # Adam's, as Keras has them


def refining(
    model, integration_steps: int, similarity: str, smoothness: float, steps: int
) -> Callable:
    """Give the function that registers by a network and refines what that predicts.

    What is added to the predicted field is linear between the points of a grid of half its
    resolution, which keeps it smooth. Steps are Adam's, along half a cosine;
    of all fields seen on the way, the network's included, the one of the least loss is taken.

    Parameters
    ----------
    model : tf_keras.Model
        See `voxelmorph_adapter.network`; with the weights it has at the time.
    integration_steps : int
        Of the network.
    similarity : {"ncc", "mse"}
    smoothness : float
    steps : int
        At least 1.

    Returns
    -------
    callable
        As that of `voxelmorph_adapter.registering`.

    References
    ----------
    Balakrishnan et al. (2019), IEEE Trans. Med. Imaging 38:1788, "instance-specific
    optimization"; Kingma & Ba (2015), Adam, ICLR.
    """
    displaced, step = _step(integration_steps, similarity, smoothness)
    count = np.arange(1, steps + 1)
    rates = LARGEST_RATE * (1 + np.cos(np.pi * (count - 1) / steps)) / 2
    rates *= np.sqrt(1 - SQUARE_DECAY**count) / (1 - MEAN_DECAY**count)
    rates = np.append(rates, 0)  # to see where the last step led

    def register(moving: np.ndarray, fixed: np.ndarray, along: np.ndarray):
        moving, fixed = tf.constant(moving), tf.constant(fixed)
        _, predicted = model([moving, fixed])
        coarse = [size // 2 for size in predicted.shape[1:-1]]
        nothing = tf.zeros((len(predicted), *coarse, predicted.shape[-1]))
        state = nothing, nothing, nothing, nothing, tf.fill(len(predicted), np.float32(np.inf))
        for rate in tf.constant(rates, tf.float32):
            state = step(moving, fixed, predicted, rate, *state)
        displacement = displaced(predicted + enlarge(state[3]))
        return displacement, warp(tf.constant(along), displacement)

    return register


@lru_cache(4)
def _step(integration_steps: int, similarity: str, smoothness: float) -> tuple[Callable, Callable]:
    """Give what makes displacements of fields, and one step of Adam; kept, for what is traced."""
    displaced = displacement_layer(integration_steps, adapter.DISPLACEMENT)
    unlikeness, slope = adapter.losses(similarity)

    @tf.function
    def step(moving, fixed, predicted, rate, added, mean, square, best, least):
        with tf.GradientTape() as tape:
            tape.watch(added)
            field = predicted + enlarge(added)
            moved = warp(moving, displaced(field))
            losses = unlikeness(fixed, moved) + smoothness * slope(field, field)
            # The sum, so that no image's gradient depends on how many are beside it.
            loss = tf.reduce_sum(losses)
        better = tf.reshape(losses < least, (-1, *[1] * (len(added.shape) - 1)))
        best, least = tf.where(better, added, best), tf.minimum(losses, least)
        gradient = tape.gradient(loss, added)
        mean = MEAN_DECAY * mean + (1 - MEAN_DECAY) * gradient
        square = SQUARE_DECAY * square + (1 - SQUARE_DECAY) * tf.square(gradient)
        return added - rate * mean / (tf.sqrt(square) + SMALLEST), mean, square, best, least

    return displaced, step
