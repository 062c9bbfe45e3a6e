"""The autoencoder: one densely connected family for signals, images and volumes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from regreveal.errors import InputError
from regreveal.models.blocks import DenseBlocks, Standardize


class Autoencoder(NamedTuple):
    """Three models that share their layers: `autoencoder(x)` is `decoder(encoder(x))`."""

    autoencoder: keras.Model
    encoder: keras.Model
    decoder: keras.Model


def build_autoencoder(
    shape: Sequence[int],
    latent_size: int,
    *,
    channels: int = 48,
    growth: int = 16,
    blocks: int = 3,
    block_depth: int = 2,
    kernel_size: int | None = None,
    stem_stride: int | None = None,
    stride: int = 2,
    activation: str = "relu",
    seed: int = 0,
) -> Autoencoder:
    """Build a densely connected convolutional autoencoder for tensors of any size.

    The encoder down-samples by `stem_stride`, then `blocks` times runs a dense block and
    down-samples by `stride`, and ends in one linear layer, the latents. The decoder mirrors it.
    Lengths that do not divide are padded inside, level by level, and cropped back.

    Parameters
    ----------
    shape : sequence of int
        One participant's tensor, channels last, with 1, 2 or 3 spatial dimensions.
    latent_size : int
        Dimensions of the latent space.
    channels : int
        Channels after the stem and after each down-sampling.
    growth : int
        Channels that each convolution of a dense block adds.
    blocks : int
        Dense blocks in the encoder, and as many in the decoder.
    block_depth : int
        Convolutions in a block.
    kernel_size : int, optional
        Of the convolutions in the blocks; by default 5 for signals and 3 for images and volumes.
    stem_stride : int, optional
        Down-sampling before the first block; by default 8 for signals, 4 for images and volumes.
    stride : int
        Down-sampling after each block.
    activation : str
        Of the convolutions in the blocks, by Keras's name.
    seed : int
        Of the initial weights: the same seed, the same weights.

    Returns
    -------
    Autoencoder
        Models named "autoencoder", "encoder" and "decoder"; the latter two are layers of the first.

    Raises
    ------
    InputError
        If the shape has no channels axis or too many dimensions, or a size is below 1.
    """
    shape = tuple(int(size) for size in shape)
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise InputError(
            f"autoencoder: shape {shape}; expected 1 to 3 spatial dimensions and then channels"
        )
    if latent_size < 1:
        raise InputError(f"autoencoder: latent_size is {latent_size}; expected at least 1")
    rank = len(shape) - 1
    kernel_size = kernel_size or (5 if rank == 1 else 3)
    stem_stride = stem_stride or (8 if rank == 1 else 4)
    dense_blocks = DenseBlocks(
        rank,
        growth=growth,
        depth=block_depth,
        kernel_size=kernel_size,
        activation=activation,
        seed=seed,
    )
    strides = [stem_stride] + [stride] * blocks

    inputs = keras.Input(shape, name="tensor")
    x = Standardize(name="standardize")(inputs)
    sizes = [shape[:-1]]
    x = dense_blocks.down(x, channels, stem_stride, "stem")
    for level in range(1, blocks + 1):
        sizes.append(x.shape[1:-1])
        x = dense_blocks.block(x, f"encoder_block_{level}")
        x = dense_blocks.down(x, channels, stride, f"encoder_down_{level}")
    bottom = x.shape[1:]
    # float32 whatever the policy: half precision has three digits, too few for a GWAS.
    latents = dense_blocks.dense(x, latent_size, "latents", dtype="float32")
    encoder = keras.Model(inputs, latents, name="encoder")

    latent_inputs = keras.Input((latent_size,), name="latents_input")
    x = dense_blocks.dense(latent_inputs, math.prod(bottom), "bottom")
    x = layers.Reshape(bottom, name="bottom_shape")(x)
    for level in range(blocks, 0, -1):
        x = dense_blocks.up(x, channels, strides[level], sizes[level], f"decoder_up_{level}")
        x = dense_blocks.block(x, f"decoder_block_{level}")
    x = dense_blocks.up(x, shape[-1], stem_stride, sizes[0], "reconstruction")
    outputs = Standardize(inverse=True, name="unstandardize")(x)
    decoder = keras.Model(latent_inputs, outputs, name="decoder")

    return joined(encoder, decoder)


def joined(encoder: keras.Model, decoder: keras.Model) -> Autoencoder:
    """Join an encoder and its decoder to an autoencoder."""
    tensor = keras.Input(encoder.input_shape[1:], name="tensor")
    autoencoder = keras.Model(tensor, decoder(encoder(tensor)), name="autoencoder")
    return Autoencoder(autoencoder, encoder, decoder)


def standardize_by(models: Autoencoder, mean, deviation: float) -> None:
    """Tell encoder and decoder the mean tensor and the one deviation of the training set.

    Parameters
    ----------
    models : Autoencoder
        Changed in place.
    mean : ndarray, shape (*shape, channels)
        Mean over participants.
    deviation : float
        Root mean square of what remains when the mean is taken away.
    """
    for model, name in ((models.encoder, "standardize"), (models.decoder, "unstandardize")):
        layer = model.get_layer(name)
        layer.mean.assign(mean)
        layer.deviation.assign(deviation)
