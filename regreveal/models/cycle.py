"""DeepCycle's networks: every frame of a cine becomes one angle, and the angle a frame again."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from regreveal.models.autoencoder import Autoencoder, joined
from regreveal.models.blocks import DenseBlocks
from regreveal.models.model_folder import JIT_COMPILE

CHANNELS, GROWTH, DEPTH = 24, 12, 2
MAPS = 8  # pictures that a loop is mixed from
HIDDEN = 32
KNOTS = 256  # of the map from the network's angle to the phase
RATE_SPAN = 16  # a frame's rate of change is taken over two parts in so many of the cycle
SMALL = 1e-9
TURN = 2 * np.pi


class CycleNetworks(NamedTuple):
    """The networks of DeepCycle.

    Attributes
    ----------
    encoder : keras.Model
        Cines (n, rows, columns, frames) to phases (n, frames).
    decoder : keras.Model
        Phases (n, frames) to the cine of the typical heart (n, rows, columns, frames).
    loop : keras.Model
        Mean frames (n, rows, columns, 1) to the pictures (n, rows, columns, `MAPS`) of which the
        deviations of that cine's frames are mixed.
    warmup : keras.Model
        Takes cines as "tensor" and the coordinates to start from as "start"; see `WarmUp`.
    joint : keras.Model
        Takes cines; see `JointTraining`. Besides what its loss is of, it gives the "phases".
    """

    encoder: keras.Model
    decoder: keras.Model
    loop: keras.Model
    warmup: keras.Model
    joint: keras.Model

    @property
    def as_autoencoder(self) -> Autoencoder:
        """Encoder and decoder as those who use trained models know them."""
        return joined(self.encoder, self.decoder)

    def get_weights(self) -> np.ndarray:
        """All weights as one vector of float32."""
        return np.concatenate(
            [weight.ravel() for part in self[:3] for weight in part.get_weights()]
        )

    def set_weights(self, weights: np.ndarray) -> None:
        """Set what `get_weights` gave."""
        start = 0
        for part in self[:3]:
            shaped = []
            for weight in part.weights:
                size = int(np.prod(weight.shape))
                shaped.append(weights[start : start + size].reshape(weight.shape))
                start += size
            part.set_weights(shaped)


def build_cycle(
    shape: Sequence[int], *, circular: bool = True, time_weight: float = 0.3, seed: int = 0
) -> CycleNetworks:
    """Build DeepCycle for cines of a shape.

    Each frame is seen as its deviation from the cine's own mean frame, with that mean frame and
    with its rate of change; all three standardised for each cine, so grey values may have any
    scale and zero. A frame's deviation is decoded as a mixture of eight pictures: how much of each
    is a function of the angle alone, the pictures of the cine's mean frame alone. So the angle is
    all that is told of the moment, and all that is told of the person is what does not move.

    Parameters
    ----------
    shape : sequence of int
        Rows, columns and frames.
    circular : bool
        One angle a frame; or, as a control, one plain number.
    time_weight : float
        See `JointTraining`.
    seed : int
        Of the initial weights.

    Returns
    -------
    CycleNetworks
    """
    shape = tuple(int(size) for size in shape)
    rows, columns, frames = shape
    blocks = DenseBlocks(2, growth=GROWTH, depth=DEPTH, kernel_size=3, activation="relu", seed=seed)
    cine = keras.Input(shape, name="tensor")
    views, deviations, mean = CineViews(name="views")(cine)
    x = blocks.down(views, CHANNELS, 4, "stem")
    for level in (1, 2):
        x = blocks.block(x, f"block_{level}")
        x = blocks.down(x, CHANNELS, 2, f"down_{level}")
    x = blocks.block(x, "block_3")
    # float32 whatever the policy: a phase must be exact to far better than a frame.
    x = blocks.dense(x, 2 if circular else 1, "coordinates", dtype="float32")
    coordinates = FramesTogether(frames, name="together")(x)
    if circular:
        coordinates = OnCircle(name="on_circle")(coordinates)
        phases = CircularMap(name="calibration")(Angle(name="angle")(coordinates))
        phases = Unwrap(name="unwrap")(phases)
    else:
        phases = layers.Reshape((frames,), name="number")(coordinates)
    encoder = keras.Model(cine, phases, name="encoder")

    mixture = _mixture_model(frames, coordinates.shape[-1], seed)
    phase_input = keras.Input((frames,), name="latents_input")
    if circular:
        decoded = CircularMap(name="inverse_calibration")(Wrap(name="wrap")(phase_input))
        decoded = CosineSine(name="cosine_sine")(decoded)
    else:
        decoded = layers.Reshape((frames, 1), name="number_again")(phase_input)
    decoder = keras.Model(
        phase_input,
        TypicalHeart(rows, columns, name="typical_heart")(mixture(decoded)),
        name="decoder",
    )

    loop = _loop_model((rows, columns, 1), blocks)
    mix = Mix(name="mix")
    pictures = loop(mean)
    given = keras.Input((frames, coordinates.shape[-1]), name="start")
    warmup = WarmUp(
        {"tensor": cine, "start": given},
        {
            "wanted": layers.Identity(name="wanted")(given),
            "coordinates": coordinates,
            "decoded": mix([mixture(given), pictures]),
            "deviations": deviations,
        },
    )
    joint = JointTraining(
        cine,
        {
            "coordinates": coordinates,
            "decoded": mix([mixture(coordinates), pictures]),
            "deviations": deviations,
            "phases": phases,
        },
    )
    joint.time_weight = time_weight if circular else 0.0
    networks = CycleNetworks(encoder, decoder, loop, warmup, joint)
    for network in networks:
        # Read when a network first predicts: XLA would compile for longer than it then saves.
        network.jit_compile = JIT_COMPILE
    return networks


def _mixture_model(frames: int, coordinates: int, seed: int) -> keras.Model:
    """How much of each picture there is at an angle."""
    inputs = keras.Input((frames, coordinates), name="coordinates_input")
    x = inputs
    for number, units in enumerate((HIDDEN, HIDDEN, MAPS)):
        x = layers.Dense(
            units,
            activation="tanh" if units == HIDDEN else None,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed + number),
            name=f"mixture_{number}",
        )(x)
    return keras.Model(inputs, x, name="mixture")


def _loop_model(shape: tuple[int, int, int], blocks: DenseBlocks) -> keras.Model:
    """Pictures for a mean frame: a U-net, since what moves lies where it is seen."""
    inputs = keras.Input(shape, name="mean_frame")
    levels = [blocks.down(inputs, CHANNELS, 4, "loop_stem")]
    for level in (1, 2):
        levels[-1] = blocks.block(levels[-1], f"loop_block_{level}")
        levels.append(blocks.down(levels[-1], CHANNELS, 2, f"loop_down_{level}"))
    x = blocks.block(levels.pop(), "loop_bottom")
    for level in (2, 1):
        beside = levels.pop()
        x = blocks.up(x, CHANNELS, 2, beside.shape[1:-1], f"loop_up_{level}")
        x = layers.Concatenate(name=f"loop_beside_{level}")([x, beside])
        x = blocks.block(x, f"loop_mirror_{level}")
    return keras.Model(inputs, blocks.up(x, MAPS, 4, shape[:-1], "pictures"), name="loop")


class WarmUp(keras.Model):
    """Training from given coordinates: the encoder learns to give them, the rest to decode them."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean squared errors of decoded deviations and of coordinates."""
        return _squared(y_pred["decoded"], y_pred["deviations"]) + _squared(
            y_pred["coordinates"], y_pred["wanted"]
        )


class JointTraining(keras.Model):
    """Training of encoder and decoder on what is decoded, and on the order of time.

    The loss is the mean squared error of deviations (each cine's have a mean square of 1), plus
    `time_weight` times the sum of two terms: 1 - cos(angle - time), with the frames' times evenly
    around the circle, averaged over frames; and the sines of steps backwards, wrapped, including
    the step from the last frame to the first. Without the former the circle may fold, since
    contraction looks like relaxation; it also sets direction and origin.
    """

    time_weight = 0.0

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Loss of a batch; see the class."""
        loss = _squared(y_pred["decoded"], y_pred["deviations"])
        if not self.time_weight:
            return loss
        cosine, sine = y_pred["coordinates"][..., 0], y_pred["coordinates"][..., 1]
        times = even_times(cosine.shape[1]).astype("float32")
        late = 1 - ops.mean(cosine * np.cos(times) + sine * np.sin(times))
        forwards = cosine * ops.roll(sine, -1, axis=1) - sine * ops.roll(cosine, -1, axis=1)
        return loss + self.time_weight * (late + ops.mean(ops.relu(-forwards)))


def even_times(frames: int) -> np.ndarray:
    """Give the times of frames spread evenly over one cycle, as angles from 0: (frames,)."""
    return np.arange(frames) * TURN / frames


def _squared(one, other):
    return ops.mean(ops.square(ops.cast(one, "float32") - ops.cast(other, "float32")))


class _Float32(layers.Layer):
    """A layer that no policy makes less precise, as angles need to be."""

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})


@keras.saving.register_keras_serializable(package="regreveal")
class CineViews(_Float32):
    """Cines to what is seen of each frame, to the frames' deviations, and to the mean frame.

    Outputs are views (n * frames, rows, columns, 3), deviations (n, frames, rows, columns) with a
    mean square of 1, and mean frames (n, rows, columns, 1), standardised.
    """

    def call(self, cines):
        """Take cines (n, rows, columns, frames)."""
        rows, columns, frames = cines.shape[1:]
        mean = ops.mean(cines, axis=-1, keepdims=True)
        deviations = _scaled(cines - mean, (1, 2, 3))
        mean = _scaled(mean - ops.mean(mean, axis=(1, 2), keepdims=True), (1, 2, 3))
        span = max(1, round(frames / RATE_SPAN))
        rate = ops.roll(deviations, -span, axis=-1) - ops.roll(deviations, span, axis=-1)
        views = ops.stack([deviations, ops.broadcast_to(mean, ops.shape(cines)), rate], axis=-1)
        views = ops.reshape(ops.transpose(views, (0, 3, 1, 2, 4)), (-1, rows, columns, 3))
        return views, ops.transpose(deviations, (0, 3, 1, 2)), mean

    def compute_output_shape(self, input_shape):
        """Shapes of the three outputs."""
        n, rows, columns, frames = input_shape
        return (None, rows, columns, 3), (n, frames, rows, columns), (n, rows, columns, 1)


def _scaled(values, axes):
    return values / ops.sqrt(ops.mean(ops.square(values), axis=axes, keepdims=True) + SMALL)


@keras.saving.register_keras_serializable(package="regreveal")
class FramesTogether(_Float32):
    """Bring what was made of every frame, (n * frames, k), back to its cine, (n, frames, k)."""

    def __init__(self, frames, **kwargs):
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, inputs):
        """Reshape."""
        return ops.reshape(inputs, (-1, self.frames, inputs.shape[-1]))

    def compute_output_shape(self, input_shape):
        """Shape with the frames."""
        return (None, self.frames, input_shape[-1])

    def get_config(self):
        """Return the arguments of this layer."""
        return {**super().get_config(), "frames": self.frames}


@keras.saving.register_keras_serializable(package="regreveal")
class OnCircle(_Float32):
    """Bring points of a plane, (..., 2), to the circle of radius 1."""

    def call(self, inputs):
        """Divide by the length."""
        return inputs / ops.sqrt(ops.sum(ops.square(inputs), axis=-1, keepdims=True) + SMALL)


@keras.saving.register_keras_serializable(package="regreveal")
class Angle(_Float32):
    """Angle of (cosine, sine), in [-pi, pi]."""

    def call(self, inputs):
        """Take (n, frames, 2)."""
        return ops.arctan2(inputs[..., 1], inputs[..., 0])

    def compute_output_shape(self, input_shape):
        """Shape without the last axis."""
        return input_shape[:-1]


@keras.saving.register_keras_serializable(package="regreveal")
class CosineSine(_Float32):
    """Cosine and sine of angles, on a new last axis."""

    def call(self, inputs):
        """Take (n, frames)."""
        return ops.stack([ops.cos(inputs), ops.sin(inputs)], axis=-1)

    def compute_output_shape(self, input_shape):
        """Shape with an axis of two."""
        return (*input_shape, 2)


@keras.saving.register_keras_serializable(package="regreveal")
class Wrap(_Float32):
    """Bring angles to [-pi, pi] by whole turns."""

    def call(self, inputs):
        """Take angles of any shape."""
        return _wrapped(inputs)


@keras.saving.register_keras_serializable(package="regreveal")
class Unwrap(_Float32):
    """Make angles continuous along frames: the first in [-pi, pi], no step beyond half a turn."""

    def call(self, inputs):
        """Take (n, frames)."""
        first = _wrapped(inputs[:, :1])
        steps = _wrapped(inputs[:, 1:] - inputs[:, :-1])
        return first + ops.cumsum(ops.concatenate([ops.zeros_like(first), steps], axis=1), axis=1)


def _wrapped(angles):
    return angles - TURN * ops.round(angles / TURN)


@keras.saving.register_keras_serializable(package="regreveal")
class CircularMap(_Float32):
    """A continuous map of the circle onto itself, linear between evenly spaced knots.

    Its values at `KNOTS` + 1 angles from -pi to pi are weights that no optimizer moves: they are
    saved with the model. At first every angle is mapped to itself.
    """

    def build(self, input_shape):
        """Create the values at the knots."""
        self.values = self.add_weight(
            shape=(KNOTS + 1,), initializer="zeros", trainable=False, name="values"
        )
        self.values.assign(knot_angles())

    def call(self, inputs):
        """Map angles in [-pi, pi]."""
        place = (inputs + np.pi) * (KNOTS / TURN)
        knot = ops.clip(ops.floor(place), 0, KNOTS - 1)
        share, knot = place - knot, ops.cast(knot, "int32")
        below, above = ops.take(self.values, knot), ops.take(self.values, knot + 1)
        return below * (1 - share) + above * share


def knot_angles() -> np.ndarray:
    """Angles of a `CircularMap`'s knots, from -pi to pi."""
    return np.linspace(-np.pi, np.pi, KNOTS + 1)


@keras.saving.register_keras_serializable(package="regreveal")
class Mix(_Float32):
    """Mix pictures: (n, frames, k) of (n, rows, columns, k) to (n, frames, rows, columns)."""

    def call(self, inputs):
        """Take the amounts and the pictures."""
        return ops.einsum("ntk,nxyk->ntxy", *inputs)

    def compute_output_shape(self, input_shape):
        """Shape of the frames."""
        (n, frames, _), (_, rows, columns, _) = input_shape
        return (n, frames, rows, columns)


@keras.saving.register_keras_serializable(package="regreveal")
class TypicalHeart(_Float32):
    """Mix the pictures of the average of those learned from, and add its mean frame.

    Mean frame and pictures are weights that no optimizer moves.
    """

    def __init__(self, rows, columns, **kwargs):
        super().__init__(**kwargs)
        self.rows, self.columns = rows, columns

    def build(self, input_shape):
        """Create mean frame and pictures."""
        size = (self.rows, self.columns)
        self.mean = self.add_weight(shape=size, initializer="zeros", trainable=False, name="mean")
        self.pictures = self.add_weight(
            shape=(*size, input_shape[-1]), initializer="zeros", trainable=False, name="pictures"
        )

    def call(self, inputs):
        """Take the amounts (n, frames, k); give cines (n, rows, columns, frames)."""
        return ops.einsum("ntk,xyk->nxyt", inputs, self.pictures) + self.mean[..., None]

    def compute_output_shape(self, input_shape):
        """Shape of the cines."""
        return (input_shape[0], self.rows, self.columns, input_shape[1])

    def get_config(self):
        """Return the arguments of this layer."""
        return {**super().get_config(), "rows": self.rows, "columns": self.columns}
