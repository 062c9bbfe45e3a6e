"""Layers and blocks of the densely connected networks, for 1, 2 and 3 spatial dimensions."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers

CONVOLUTIONS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
TRANSPOSED_CONVOLUTIONS = {
    1: layers.Conv1DTranspose,
    2: layers.Conv2DTranspose,
    3: layers.Conv3DTranspose,
}
CROPPINGS = {1: layers.Cropping1D, 2: layers.Cropping2D, 3: layers.Cropping3D}


@keras.saving.register_keras_serializable(package="regreveal")
class Standardize(layers.Layer):
    """Take away the mean tensor of the training set and divide by one number; or undo that.

    What remains is what differs between participants, so a network need not spend its first
    thousand steps on drawing the average heart beat. The mean and the number are weights that no
    optimizer moves: they are saved with the model.

    Parameters
    ----------
    inverse : bool
        Multiply and add instead.
    """

    def __init__(self, inverse=False, **kwargs):
        # In half precision the differences between participants would drown in rounding.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.inverse = inverse

    def build(self, input_shape):
        """Create the mean (zeros) and the deviation (one)."""
        self.mean = self.add_weight(
            shape=tuple(input_shape[1:]), initializer="zeros", trainable=False, name="mean"
        )
        self.deviation = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="deviation"
        )

    def call(self, inputs):
        """Standardise tensors, (n, *shape, channels)."""
        if self.inverse:
            return inputs * self.deviation + self.mean
        return (inputs - self.mean) / self.deviation

    def compute_output_shape(self, input_shape):
        """Return the shape that came in."""
        return input_shape

    def get_config(self):
        """Return the arguments of this layer."""
        return {**super().get_config(), "inverse": self.inverse}


class DenseBlocks:
    """Densely connected blocks that share their settings and one stream of seeds.

    Each convolution sees what came into the block and all that the convolutions before it made
    (Huang et al. 2017, CVPR, "Densely connected convolutional networks"). Only these convolutions
    are non-linear: resampling and the bottleneck are not, so there is a linear way from the
    tensor to the latents and back, and what a principal component analysis finds, the network
    can, too. There is no normalisation over the batch: a participant's latents depend on nobody
    else's tensor.

    Parameters
    ----------
    rank : int
        Spatial dimensions, 1 to 3.
    growth : int
        Channels that each convolution adds.
    depth : int
        Convolutions in a block.
    kernel_size : int
        Of these convolutions, in every spatial dimension.
    activation : str
        Of these convolutions, by Keras's name.
    seed : int
        Of the initial weights.
    """

    def __init__(self, rank, *, growth, depth, kernel_size, activation, seed):
        self.rank = rank
        self.growth = growth
        self.depth = depth
        self.kernel_size = kernel_size
        self.activation = activation
        self._seeds = _seeds(seed)

    def block(self, x, name):
        """Return `x` joined by `depth` times `growth` channels."""
        for index in range(self.depth):
            made = CONVOLUTIONS[self.rank](
                self.growth,
                self.kernel_size,
                padding="same",
                activation=self.activation,
                kernel_initializer=keras.initializers.HeNormal(seed=next(self._seeds)),
                name=f"{name}_convolution_{index}",
            )(x)
            x = layers.Concatenate(name=f"{name}_joined_{index}")([x, made])
        return x

    def down(self, x, channels, stride, name):
        """Down-sample by `stride`; a length that does not divide is padded with zeros."""
        return CONVOLUTIONS[self.rank](
            channels,
            stride,
            strides=stride,
            padding="same",
            kernel_initializer=keras.initializers.GlorotUniform(seed=next(self._seeds)),
            name=name,
        )(x)

    def up(self, x, channels, stride, size, name):
        """Up-sample by `stride` to `size`, cropping what `down` had padded."""
        x = TRANSPOSED_CONVOLUTIONS[self.rank](
            channels,
            stride,
            strides=stride,
            padding="same",
            kernel_initializer=keras.initializers.GlorotUniform(seed=next(self._seeds)),
            name=name,
        )(x)
        extra = [have - want for have, want in zip(x.shape[1:-1], size, strict=True)]
        if not any(extra):
            return x
        # "same" puts the smaller half of its padding first.
        cropping = [(pixels // 2, pixels - pixels // 2) for pixels in extra]
        return CROPPINGS[self.rank](
            cropping[0] if self.rank == 1 else cropping, name=f"{name}_cropped"
        )(x)

    def dense(self, x, units, name, dtype=None):
        """Return a linear function of all of `x`, (n, units)."""
        return layers.Dense(
            units,
            kernel_initializer=keras.initializers.GlorotUniform(seed=next(self._seeds)),
            dtype=dtype,
            name=name,
        )(layers.Flatten(name=f"{name}_input")(x))


def _seeds(seed: int) -> Iterator[int]:
    """Independent seeds, one for every layer's initial weights."""
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(2**31))
