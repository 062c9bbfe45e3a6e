"""Walks through latent space, decoded, and whether they stay where the decoder can be believed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regreveal.directions.direction import Direction

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Walk:
    """Tensors decoded along a direction.

    Attributes
    ----------
    steps : ndarray, shape (m,)
        Scores asked for, in standard deviations.
    tensors : ndarray of float32, shape (m, *shape)
        Normalised, as the decoder gives them.
    cycle_slope, cycle_correlation : float
        Regression of the scores that the encoder gives the decoded tensors on those asked for;
        1 and 1 where nothing is lost.
    purity : float
        Cosine, in whitened space, of the way that the encoder sees from the first tensor to the
        last with the direction: 1 where nothing else changes.
    """

    steps: np.ndarray
    tensors: np.ndarray
    cycle_slope: float
    cycle_correlation: float
    purity: float


def decode_walk(
    direction: Direction, steps: np.ndarray, encoder: "keras.Model", decoder: "keras.Model"
) -> Walk:
    """Decode the mean latents and those to either side of them, and encode what comes out.

    Parameters
    ----------
    direction : Direction
    steps : ndarray, shape (m,)
        Scores in standard deviations, increasing.
    encoder, decoder : keras.Model
        Of the model that the latents are of.

    Returns
    -------
    Walk
    """
    steps = np.asarray(steps, np.float64)
    tensors = run_network(decoder, direction.walk(steps))
    returned = run_network(encoder, tensors).astype(np.float64)
    scores = direction.score(returned)
    centred = steps - steps.mean()
    spread = np.linalg.norm(scores - scores.mean())
    # A decoder that gives the same whatever it is asked has nothing that correlates.
    together = centred @ scores
    return Walk(
        steps=steps,
        tensors=tensors,
        cycle_slope=float(together / (centred @ centred)),
        cycle_correlation=float(together / (np.linalg.norm(centred) * spread)) if spread else 0.0,
        purity=direction.cosine(returned[-1] - returned[0]),
    )


def run_network(network: "keras.Model", inputs: np.ndarray) -> np.ndarray:
    """Give a network's outputs for a few inputs, calling it as it is: to trace it takes longer."""
    from regreveal.models import keras

    return keras.ops.convert_to_numpy(network(inputs.astype(np.float32), training=False))
