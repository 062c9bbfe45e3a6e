"""What a network or a scan asks of a machine: operations, memory, time."""

import math
import time
from dataclasses import dataclass

import numpy as np

from regreveal.genetics.scan import unit_size

BYTES = 4  # float32
# A training step: forwards, and backwards to the inputs and to the weights of each layer.
PASSES_OF_A_STEP = 3
# What a step holds for every value that a layer gives: the value and its gradient. What
# benchmarks/running/full_size.py measures is 10 to 20 % below.
COPIES_OF_ACTIVATIONS = 2
# Weights, their gradients and Adam's two moments.
COPIES_OF_TRAINED_WEIGHTS = 4
# Core seconds of a scan, from a .bed to its table: of a variant; a block of variants; a variant and
# participant; and of each of these for every latent and covariate. And bytes of a participant and
# latent, most of them while latents are transformed. Fitted to scans of 5,000 to 20,000 people and
# 32 to 128 latents (benchmarks/running/cost.py); docs/cost.md has what larger ones took beside it.
SCAN_VARIANT, SCAN_BLOCK = 6.4e-6, 9.9e-3
SCAN_GENOTYPE, SCAN_PRODUCT = 2.0e-9, 11e-12
SCAN_LATENT_BYTES = 75
SCAN_COVARIATES = 14  # with the intercept: about as many as age, sex and ten components make
# As measured with 17,000 variants, 3,000 participants and 24 latents: 0.1 s to set the loci of two
# scans side by side; 0.4 s for the trees of 22 lead variants over 100 bootstraps, and 0.9 s for
# their agreement in two arms; 0.5 to 1.5 s to decode three directions, most of it for the networks.
SHARED_LOCI_SECONDS = 6e-6
SHARED_LOCI_GIGABYTES = 0.1  # by the tables' indexes, of however many variants
CLUSTERS_SECONDS = 0.4 / (3_000 * 24 * 100)
AGREEMENT_SECONDS = 0.9 / (3_000 * 24 * 100)
DIRECTIONS_SECONDS = 1.0
TABLE2_SECONDS = 0.2


@dataclass(frozen=True)
class RegistrationCost:
    """What registering one sample costs a core, or of VoxelMorph the machine.

    Attributes
    ----------
    seconds : float
        Whatever its size.
    seconds_a_million : float
        For a million values, besides.
    bytes_a_value : float
        Held meanwhile, beside what comes in and goes out.
    """

    seconds: float
    seconds_a_million: float
    bytes_a_value: float

    def seconds_of(self, values: int) -> float:
        """Of a sample of so many values."""
        return self.seconds + self.seconds_a_million * values / 1e6


# Processor time as measured: 4,000 strips of 60,000 values in 30 s on two cores; 36, 79 and 97 ms
# for images of 464 x 176, 512 x 512 and 928 x 352; 20 ms for a volume at 6 mm, 0.6 and 0.66 s for
# 160 x 192 x 224 and 216 x 256 x 216 at 1 mm; 0.16 to 0.2 s for a million voxels by the network,
# and half as much again for the figures of quality.
REGISTRATIONS = {
    "QRSAlignment": RegistrationCost(0.0, 0.25, 40),
    "Homography": RegistrationCost(0.017, 0.24, 40),
    "Affine": RegistrationCost(0.02, 0.07, 40),
    "VoxelMorph": RegistrationCost(0.0, 0.3, 550),
}
# A step of VoxelMorph, for a million voxels of its batch: seconds on two cores, and bytes. As
# measured at 256 x 256 to 96 x 112 x 96: 1.0 to 1.3 s and 1.2 to 1.6 s (0.9 and 1.2 s of processor
# time), 1.7 to 2.3 GB and 2.6 to 3.2 GB; half the features take a fifth less.
DEFORMATION_SECONDS = {2: 1.1, 3: 1.4}
DEFORMATION_BYTES = {2: 2.0e9, 3: 2.8e9}


# DeepCycle on cines of 48 x 48 x 16, processor time as measured: 19 s before a fit's first steps
# (principal components, and compiling the networks of two trainings), then 0.085 s for a step of 8,
# which is twice what the rate of the measured network gives: its layers are narrower; and 12 ms for
# a cine's phases.
CYCLE_START_SECONDS, CYCLE_SLOWNESS, CYCLE_SECONDS = 19.0, 2.0, 0.01


def scan_seconds(participants: int, latents: int, variants: int) -> float:
    """Core seconds of a latent GWAS of hard calls; dosages take longer to read (docs/gwas.md)."""
    columns = latents + SCAN_COVARIATES
    each = SCAN_VARIANT + SCAN_BLOCK / unit_size(participants)
    return variants * (each + participants * (SCAN_GENOTYPE + columns * SCAN_PRODUCT))


@dataclass(frozen=True)
class Network:
    """What one participant costs a network.

    Attributes
    ----------
    weights, trained : int
        Parameters, and those of them that an optimizer moves.
    operations : float
        Floating point operations of one participant's way through it, forwards.
    activations : int
        Values that its layers give for one participant.
    """

    weights: int
    trained: int
    operations: float
    activations: int

    def training_bytes(self, batch_size: int) -> float:
        """Memory of a training step, in bytes."""
        of_batch = COPIES_OF_ACTIVATIONS * self.activations * batch_size
        of_weights = self.weights + (COPIES_OF_TRAINED_WEIGHTS - 1) * self.trained
        return BYTES * (of_batch + of_weights)

    def training_operations(self, batch_size: int, steps: int) -> float:
        """Operations of a whole training."""
        return PASSES_OF_A_STEP * self.operations * batch_size * steps


def measure_network(model) -> Network:
    """Count what a Keras model costs, over its layers and the models among them.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    Network
    """
    operations = activations = 0
    for layer in _layers(model):
        # Of several, the first is what goes on through the network.
        output = layer.output[0] if isinstance(layer.output, (list, tuple)) else layer.output
        if not layer.weights and not output.shape[1:]:
            continue
        given = math.prod(output.shape[1:])
        activations += given
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        name = type(layer).__name__
        if "Transpose" in name:  # every value that comes in meets the whole kernel
            places = math.prod(layer.input.shape[1:-1])
        elif "Conv" in name:
            places = math.prod(output.shape[1:-1])
        else:
            places = 1
        operations += 2 * places * math.prod(kernel.shape)
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Network(model.count_params(), trained, float(operations), activations)


def measure_cycle(networks, frames: int) -> Network:
    """Count what DeepCycle costs for one cine.

    Parameters
    ----------
    networks : regreveal.models.cycle.CycleNetworks
        Its encoder sees every frame by itself, and the loop's network a mean frame once.
    frames : int

    Returns
    -------
    Network
    """
    encoder, loop = measure_network(networks.encoder), measure_network(networks.loop)
    return Network(
        networks.encoder.count_params() + networks.decoder.count_params() + loop.weights,
        encoder.trained + loop.trained,
        frames * encoder.operations + loop.operations,
        frames * encoder.activations + loop.activations,
    )


def _layers(model) -> list:
    flat = []
    for layer in model.layers:
        flat += _layers(layer) if hasattr(layer, "layers") else [layer]
    return flat


def measured_rate(rank: int, seconds: float = 1.5) -> float:
    """Operations a second in training a small network of a rank, on this machine, now.

    Parameters
    ----------
    rank : int
        Spatial dimensions, 1 to 3.
    seconds : float
        How long to measure.

    Returns
    -------
    float
    """
    from regreveal.models import keras
    from regreveal.models.autoencoder import build_autoencoder
    from regreveal.models.model_folder import JIT_COMPILE

    shape = {1: (2048, 12), 2: (192, 192, 1), 3: (48, 48, 48, 1)}[rank]
    batch = 8
    network = build_autoencoder(shape, 16).autoencoder
    network.compile(keras.optimizers.Adam(), loss="mean_squared_error", jit_compile=JIT_COMPILE)
    tensors = np.random.default_rng(0).standard_normal((batch, *shape)).astype(np.float32)
    network.train_on_batch(tensors, tensors)
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        network.train_on_batch(tensors, tensors)
        steps += 1
    taken = time.perf_counter() - started
    return measure_network(network).training_operations(batch, steps) / taken
