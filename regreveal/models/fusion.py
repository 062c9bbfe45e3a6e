"""Networks of DropFuse: an encoder and a decoder for each modality, one latent space for all."""

import math
from collections.abc import Sequence
from itertools import combinations

import keras
import numpy as np
from keras import layers, ops

from regreveal.models.autoencoder import Autoencoder

# Where CLIP starts the learned temperature, and what it does not let it exceed: beyond, training
# was unstable (Radford et al. 2021, "Learning transferable visual models from natural language
# supervision", section 2.5).
FIRST_SCALE, LARGEST_SCALE = 1 / 0.07, 100.0
EXCLUDED = -1e9  # logit of a participant who is not among those to tell apart


def symmetric_info_nce(one, other, paired, scale):
    """Symmetric InfoNCE: tell by one modality's latents whose the other's are, and the reverse.

    ½ [CE(s z₁z₂ᵀ, I) + CE(s z₂z₁ᵀ, I)] of L2-normalised latents, over the participants who have
    both modalities.

    Parameters
    ----------
    one, other : tensor, shape (n, k)
        Latents of the same participants in two modalities.
    paired : tensor of float, shape (n,)
        1 for those who have both; the others are neither asked about nor among the answers.
    scale : tensor
        The inverse temperature s.

    Returns
    -------
    tensor
        In nats: 0 where all are told apart, about log n where none is; 0 if nobody has both.

    References
    ----------
    van den Oord, Li, Vinyals (2018), arXiv:1807.03748; Radford et al. (2021), arXiv:2103.00020.
    """
    one, other = normalised(one), normalised(other)
    logits = scale * ops.matmul(one, ops.transpose(other))
    right = scale * ops.sum(one * other, axis=1)
    count = ops.maximum(ops.sum(paired), 1.0)

    def cross_entropy(logits):
        among = ops.where(ops.expand_dims(paired, 0) > 0, logits, EXCLUDED)
        return ops.sum(paired * (ops.logsumexp(among, axis=1) - right)) / count

    return 0.5 * (cross_entropy(logits) + cross_entropy(ops.transpose(logits)))


def normalised(latents):
    """Give latents, (n, k), the length 1; those of length 0 stay as they are."""
    squares = ops.sum(ops.square(latents), axis=1, keepdims=True)
    return latents * ops.rsqrt(ops.maximum(squares, 1e-12))


@keras.saving.register_keras_serializable(package="regreveal")
class AtMost(keras.constraints.Constraint):
    """Hold a weight at or below a number, after every step of the optimizer.

    Clipping where the weight is used would take its gradient away, and it would never come back.

    Parameters
    ----------
    largest : float
    """

    def __init__(self, largest):
        self.largest = largest

    def __call__(self, weight):
        """Clip the weight."""
        return ops.minimum(weight, self.largest)

    def get_config(self):
        """Return the argument of this constraint."""
        return {"largest": self.largest}


@keras.saving.register_keras_serializable(package="regreveal")
class Contrast(layers.Layer):
    """Symmetric InfoNCE with a learned temperature, the mean over pairs of modalities."""

    def __init__(self, **kwargs):
        # Half precision has too few digits for the logits.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.log_scale = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(FIRST_SCALE)),
            constraint=AtMost(math.log(LARGEST_SCALE)),
            name="log_scale",
        )
        self.built = True

    def call(self, latents, contrasted):
        """Contrast latents.

        Parameters
        ----------
        latents : list of tensor, shape (n, k)
            One a modality.
        contrasted : tensor of float, shape (n, modalities)
            1 where a participant's latents of a modality take part.

        Returns
        -------
        tensor
            Mean over the pairs of modalities that at least two participants have: one alone
            cannot be taken for another.
        """
        scale = ops.exp(self.log_scale)
        total, pairs = 0.0, 0.0
        for i, j in combinations(range(len(latents)), 2):
            paired = contrasted[:, i] * contrasted[:, j]
            there = ops.cast(ops.sum(paired) > 1, "float32")
            total += there * symmetric_info_nce(latents[i], latents[j], paired, scale)
            pairs += there
        return total / ops.maximum(pairs, 1.0)


class FusionNetwork(keras.Model):
    """Autoencoders of several modalities that share their latents, trained together.

    Its inputs are `tensor_0`, `tensor_1`, … (n, *shape), anything finite where a participant has
    none; `share` (n, modalities, k), of which each modality's latents make up the fused ones;
    `present` (n, modalities), 1 where there is a tensor; and `contrasted`, likewise, who takes
    part in the contrast. All randomness is in `share`, so it comes with the batch.

    Parameters
    ----------
    autoencoders : sequence of Autoencoder
        One a modality, of the same latent size. Their decoders' deviation is what errors are
        relative to.
    contrast_weight : float
        Of the contrast, beside a reconstruction whose loss is 1 if it is the mean tensor.
    """

    def __init__(self, autoencoders: Sequence[Autoencoder], contrast_weight: float):
        # Masks and tensors come as they are, whatever the precision of the networks.
        super().__init__(name="fusion", dtype="float32")
        self.encoders = [models.encoder for models in autoencoders]
        self.decoders = [models.decoder for models in autoencoders]
        self.contrast = Contrast(name="contrast")
        self.contrast_weight = contrast_weight
        self.built = True

    def call(self, inputs, training=None):
        """Reconstruct every modality from the fused latents, and contrast the latents."""
        latents = [
            encoder(inputs[f"tensor_{number}"], training=training)
            for number, encoder in enumerate(self.encoders)
        ]
        fused = ops.sum(ops.stack(latents, axis=1) * inputs["share"], axis=1)
        outputs = {
            f"tensor_{number}": decoder(fused, training=training)
            for number, decoder in enumerate(self.decoders)
        }
        return outputs | {"contrast": self.contrast(latents, inputs["contrasted"])}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean over modalities of the relative squared error, plus the weighted contrast."""
        total, modalities = 0.0, 0.0
        for number, encoder in enumerate(self.encoders):
            name = f"tensor_{number}"
            present = x["present"][:, number]
            deviation = encoder.get_layer("standardize").deviation
            error = (ops.cast(y[name], "float32") - y_pred[name]) / deviation
            errors = ops.mean(ops.square(error), axis=tuple(range(1, len(error.shape))))
            count = ops.sum(present)
            total += ops.sum(present * errors) / ops.maximum(count, 1.0)
            modalities += ops.cast(count > 0, "float32")
        reconstruction = total / ops.maximum(modalities, 1.0)
        return reconstruction + self.contrast_weight * y_pred["contrast"]


def drawn_shares(present: np.ndarray, latent_size: int, rng: np.random.Generator) -> np.ndarray:
    """Take each latent coordinate of each participant from one of their modalities at random.

    Parameters
    ----------
    present : ndarray of bool, shape (n, modalities)
        Everyone has at least one.
    latent_size : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (n, modalities, latent_size)
        1 where a coordinate is taken from, 0 elsewhere.
    """
    drawn = rng.random((*present.shape, latent_size))
    drawn[~present] = -1
    modalities = np.arange(present.shape[1])[:, None]
    return (drawn.argmax(axis=1)[:, None] == modalities).astype(np.float32)


def mean_shares(present: np.ndarray, latent_size: int) -> np.ndarray:
    """Take every coordinate from all modalities that a participant has, in equal shares.

    Parameters and shape of the result are those of `drawn_shares`.
    """
    shares = present / np.maximum(present.sum(axis=1, keepdims=True), 1)
    return np.repeat(shares[:, :, None], latent_size, axis=2).astype(np.float32)
