"""The voxelmorph and neurite packages, made to run beside Keras 3 on a current TensorFlow.

The last releases of both for TensorFlow (0.2) are written for Keras 2, which lives on as the
package tf_keras. They find Keras as `tensorflow.keras`, which is Keras 3 today; the switch
TF_USE_LEGACY_KERAS would have to be set before anyone imports TensorFlow, and would change
`tf.keras` for the whole process. So tf_keras stands in for `tensorflow.keras` only while the two
packages are imported, and afterwards in what they themselves know as `tf`: Keras 3, `tf.keras`
and the order of imports are as they were. Besides, neurite calls `inspect.getargspec`, which
Python 3.11 no longer has.
"""

import contextlib
import importlib
import inspect
import io
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import ModuleType

import numpy as np

# Their backend would be PyTorch if a user's environment says so.
BACKEND_VARIABLES = ("VXM_BACKEND", "NEURITE_BACKEND")
KERAS = "tensorflow.keras"
FLOW, DISPLACEMENT = "flow", "displacement"
LEGACY_KERAS = "tf_keras.api._v2.keras"
_LOADING = threading.Lock()


def load() -> ModuleType:
    """Import voxelmorph, once."""
    with _LOADING:
        return _load()


@lru_cache(1)
def _load() -> ModuleType:
    # It sets what TensorFlow reads in the environment at its first import.
    importlib.import_module("regreveal.models")
    tensorflow = importlib.import_module("tensorflow")
    legacy = importlib.import_module(LEGACY_KERAS)
    for variable in BACKEND_VARIABLES:
        os.environ[variable] = "tensorflow"
    with (
        _keras_replaced(tensorflow, legacy),
        _getargspec(),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        voxelmorph = importlib.import_module("voxelmorph")
    stand_in = _TensorFlowWithLegacyKeras("tensorflow", legacy, tensorflow)
    for name, module in list(sys.modules.items()):
        theirs = name.partition(".")[0] in ("voxelmorph", "neurite")
        if theirs and getattr(module, "tf", None) is tensorflow:
            module.tf = stand_in
    return voxelmorph


class _TensorFlowWithLegacyKeras(ModuleType):
    """What the packages know as `tf`: TensorFlow, whose Keras is Keras 2."""

    def __init__(self, name: str, legacy: ModuleType, tensorflow: ModuleType):
        super().__init__(name)
        self.keras = legacy
        self._tensorflow = tensorflow

    def __getattr__(self, name: str):
        return getattr(self._tensorflow, name)


@contextlib.contextmanager
def _keras_replaced(tensorflow: ModuleType, legacy: ModuleType) -> Iterator[None]:
    def imported(package: str) -> dict[str, ModuleType]:
        return {n: m for n, m in sys.modules.items() if f"{n}.".startswith(f"{package}.")}

    usual, attribute = imported(KERAS), vars(tensorflow).get("keras")
    parts = {KERAS + n.removeprefix(LEGACY_KERAS): m for n, m in imported(LEGACY_KERAS).items()}
    for name in usual:
        del sys.modules[name]
    sys.modules.update(parts)
    tensorflow.keras = legacy
    try:
        yield
    finally:
        for name in imported(KERAS):
            del sys.modules[name]
        sys.modules.update(usual)
        if attribute is None:
            del tensorflow.keras
        else:
            tensorflow.keras = attribute


@contextlib.contextmanager
def _getargspec() -> Iterator[None]:
    if hasattr(inspect, "getargspec"):
        yield
        return
    inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]
    try:
        yield
    finally:
        del inspect.getargspec


@lru_cache(4)
def network(shape: tuple[int, ...], features: tuple[int, ...], integration_steps: int):
    """Build VoxelMorph's network, or give back the one there is: its weights are to be set.

    The velocity is predicted at half the resolution of the images, integrated and then enlarged;
    without integration the displacement is predicted at theirs. The U-net is voxelmorph's; what
    follows it is in `voxelmorph_layers`.

    Parameters
    ----------
    shape : tuple of int
        Of the images; divisible by 2 for each of `features`.
    features : tuple of int
        Of the U-net's encoder, one a level; the decoder has them in reverse, and the last
        convolution those of the first.
    integration_steps : int
        Of scaling and squaring; 0: the network gives displacements.

    Returns
    -------
    tf_keras.Model
        From moving and fixed images, (b, *shape, 1), to moved images and the field that is to be
        smooth.

    References
    ----------
    Balakrishnan et al. (2019), IEEE Trans. Med. Imaging 38:1788; Dalca et al. (2019), Med. Image
    Anal. 57:226.
    """
    import tensorflow as tf
    import tf_keras

    from regreveal.registration.voxelmorph_layers import displacement_layer, warp_layer

    inputs = [tf_keras.Input((*shape, 1)) for _ in range(2)]
    # Batches come with sizes that TensorFlow does not know before it sees them.
    of_shape = tf_keras.layers.Lambda(lambda images: tf.ensure_shape(images, (None, *shape, 1)))
    images = [of_shape(given) for given in inputs]
    u_net = load().networks.Unet(
        input_model=tf_keras.Model(inputs, images),
        nb_features=[list(features), [*reversed(features), features[0]]],
        nb_upsample_skips=1 if integration_steps else 0,
    )
    dimensions = len(shape)
    convolution = tf_keras.layers.Conv2D if dimensions == 2 else tf_keras.layers.Conv3D
    predicted = convolution(dimensions, 3, padding="same", name=FLOW)(u_net.output)
    displacement = displacement_layer(integration_steps, name=DISPLACEMENT)(predicted)
    moved = warp_layer()([images[0], displacement])
    return tf_keras.Model(inputs, [moved, predicted])


@lru_cache(4)
def registering(shape: tuple[int, ...], features: tuple[int, ...], integration_steps: int):
    """Give the function that registers by a network, with the weights it has at the time.

    Returns
    -------
    callable
        From moving and fixed images, (b, *shape, 1), and what is to be moved, (b, *shape, 2), to
        displacements in voxels, (b, *shape, dimensions), and what was moved, linearly.
    """
    import tensorflow as tf
    import tf_keras

    from regreveal.registration.voxelmorph_layers import warp_layer

    model = network(shape, features, integration_steps)
    displacement = model.get_layer(DISPLACEMENT).output
    along = tf_keras.Input((*shape, 2))
    both = tf_keras.Model(
        [*model.inputs, along], [displacement, warp_layer()([along, displacement])]
    )
    one, two = (tf.TensorSpec((None, *shape, channels), tf.float32) for channels in (1, 2))
    return tf.function(
        lambda moving, fixed, along: both([moving, fixed, along]), input_signature=(one, one, two)
    )


def initial_weights(model, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw the weights that training starts from: He's for the U-net, next to no movement.

    Parameters
    ----------
    model : tf_keras.Model
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray
        In the order of `model.get_weights()`.
    """
    drawn = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) == 1:
            drawn.append(np.zeros(shape, np.float32))
            continue
        deviation = 1e-5 if weight.name.startswith(FLOW) else np.sqrt(2 / np.prod(shape[:-1]))
        drawn.append((deviation * rng.standard_normal(shape)).astype(np.float32))
    return drawn


def compile_network(model, parameters: dict) -> None:
    """Give a network its losses and a new optimizer.

    Parameters
    ----------
    model : tf_keras.Model
    parameters : dict
        `similarity` ("ncc" or "mse"), `smoothness`, and those of `new_optimizer`.
    """
    model.compile(
        new_optimizer(parameters),
        loss=losses(parameters["similarity"]),
        loss_weights=[1.0, parameters["smoothness"]],
    )


def losses(similarity: str) -> list[Callable]:
    """Give the two parts of the loss: of fixed and moved images, and of the predicted field.

    Parameters
    ----------
    similarity : {"ncc", "mse"}

    Returns
    -------
    list of callable
        Each from what is expected and what is there to one value for each image, (b,).
    """
    from regreveal.registration.voxelmorph_layers import difference_loss, local_correlation_loss

    unlikeness = local_correlation_loss if similarity == "ncc" else difference_loss
    return [unlikeness, load().losses.Grad("l2", loss_mult=2).loss]


def new_optimizer(parameters: dict):
    """Make the optimizer of a training: Adam, by the schedule all networks share.

    Parameters
    ----------
    parameters : dict
        `steps` and `learning_rate`.
    """
    import tf_keras

    from regreveal.models.plan import learning_rates

    schedule = learning_rates(parameters["steps"], parameters["learning_rate"])
    return tf_keras.optimizers.Adam(
        tf_keras.optimizers.schedules.CosineDecay(**schedule), clipnorm=1.0
    )


def batches(length: int, make: Callable[[int], tuple]):
    """Wrap a function as the batches that `fit` and `evaluate` of a tf_keras model take.

    Parameters
    ----------
    length : int
        How many batches.
    make : callable
        From the number of a batch to inputs and targets.
    """
    import tf_keras

    class Batches(tf_keras.utils.Sequence):
        def __len__(self):
            return length

        def __getitem__(self, index):
            return make(index)

    return Batches()
