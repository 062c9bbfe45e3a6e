"""What a run would do, without doing it: its stages, their inputs, and what they cost."""

import math
from collections.abc import Iterator

import pandas as pd

from regreveal.compute import available_cores
from regreveal.errors import InputError
from regreveal.experiment.data import DataPaths
from regreveal.experiment.estimates import (
    BYTES,
    REGISTRATION_SECONDS,
    SCAN_SECONDS,
    Network,
    measure_network,
    measured_rate,
)
from regreveal.experiment.preflight import check_names
from regreveal.experiment.settings import Arm, Experiment
from regreveal.genetics.genotypes import open_genotypes
from regreveal.registration.stage import CHUNK, CHUNK_BYTES
from regreveal.store.cohort import read_table
from regreveal.tensormap import TensorMap, find_tensor_map

COLUMNS = ["stage", "input", "output", "participants", "weights", "gigabytes", "seconds"]


def plan_run(experiment: Experiment, participants: int, variants: int) -> pd.DataFrame:
    """List the stages of an experiment with what each takes, gives and costs.

    Times are of this machine: a network's from its operations and the rate at which this machine
    trains a small one of the same rank, which is measured first; a registration's and a scan's
    from what the scripts in `benchmarks/` measured on a core of a server. Memory is what is held
    beside Python and its libraries (some 0.7 GB).

    Parameters
    ----------
    experiment : Experiment
    participants, variants : int
        How many where the experiment's data are not there to be counted.

    Returns
    -------
    DataFrame
        One row a stage, in their order: `stage`; `input` and `output` (name and shape);
        `participants`; `weights` of a network, missing where there is none; `gigabytes`;
        `seconds`.

    Raises
    ------
    InputError
        If the experiment names what does not exist.
    """
    check_names(experiment)
    planner = _Planner(experiment, *_sizes(experiment, participants, variants))
    return pd.DataFrame(planner.stages(), columns=COLUMNS).astype({"weights": "Int64"})


def _sizes(experiment: Experiment, participants: int, variants: int) -> tuple[int, int]:
    """Count participants and variants where the data are there."""
    if experiment.data.simulate:
        return experiment.data.simulate.participants, experiment.data.simulate.variants
    try:
        paths = DataPaths.of_settings(experiment.data)
    except InputError:
        return participants, variants
    if paths.cohort:
        participants = len(read_table(paths.cohort))
    if paths.genotypes:
        variants = open_genotypes(paths.genotypes).variant_count
    return participants, variants


class _Planner:
    """Walks through the stages as a run would.

    Parameters
    ----------
    experiment : Experiment
    participants, variants : int
    """

    def __init__(self, experiment: Experiment, participants: int, variants: int):
        self.experiment = experiment
        self.participants, self.variants = participants, variants
        self.rates: dict[int, float] = {}

    def stages(self) -> Iterator[tuple]:
        for name, arm in self.experiment.arms.items():
            if arm.registration:
                yield self._register(name, arm)
        for name, arm in self.experiment.arms.items():
            yield from self._learn(name, arm)
        for name in self.experiment.comparisons:
            yield from self._compare(name)

    def _map(self, name: str) -> TensorMap:
        return find_tensor_map(name, self.experiment.tensormaps)

    def _register(self, name: str, arm: Arm) -> tuple:
        takes, gives = self._map(arm.input), self._map(arm.tensor_map)
        values = math.prod(takes.shape)
        at_once = max(1, min(CHUNK, CHUNK_BYTES // (BYTES * values)))
        # Input, output and the copies in between, for two chunks a core.
        held = 4 * BYTES * values * at_once * 2 * available_cores()
        seconds = REGISTRATION_SECONDS[arm.registration.method] * values / 1e6
        return (
            f"{name}: {arm.registration.method}",
            _told(takes),
            _told(gives),
            self.participants,
            None,
            held / 1e9,
            seconds * self.participants / available_cores(),
        )

    def _learn(self, name: str, arm: Arm) -> Iterator[tuple]:
        from regreveal.models.autoencoder import build_autoencoder

        tensor_map, settings = self._map(arm.tensor_map), arm.autoencoder
        built = build_autoencoder(tensor_map.channelled_shape, settings.latent_size)
        whole, encoder = measure_network(built.autoencoder), measure_network(built.encoder)
        splits = self.experiment.splits
        learning = round(self.participants * (splits.train + splits.validation))
        rate = self._rate(len(tensor_map.channelled_shape) - 1)
        operations = whole.training_operations(settings.batch_size, settings.steps)
        yield (
            f"{name}: train",
            _told(tensor_map),
            f"{settings.latent_size} latents",
            learning,
            whole.weights,
            whole.training_bytes(settings.batch_size) / 1e9,
            operations / rate,
        )
        analysed = round(self.participants * splits.analysis)
        yield (
            f"{name}: embed",
            _told(tensor_map),
            f"{settings.latent_size} latents",
            analysed,
            encoder.weights,
            _embedding_bytes(encoder, tensor_map) / 1e9,
            encoder.operations * analysed / rate,
        )

    def _rate(self, rank: int) -> float:
        if rank not in self.rates:
            self.rates[rank] = measured_rate(rank)
        return self.rates[rank]

    def _compare(self, name: str) -> Iterator[tuple]:
        comparison = self.experiment.comparisons[name]
        analysed = round(self.participants * self.experiment.splits.analysis)
        for arm in comparison.arms if self.experiment.gwas else ():
            latents = self.experiment.arms[arm].autoencoder.latent_size
            yield (
                f"{name}: latent GWAS of {arm}",
                f"{latents} latents, {self.variants:,} variants",
                "manova.tsv.gz",
                analysed,
                None,
                (2e9 + BYTES * 2 * analysed * latents) / 1e9,
                SCAN_SECONDS * analysed * latents * self.variants,
            )


def _told(tensor_map: TensorMap) -> str:
    return f"{tensor_map.name} {' × '.join(map(str, tensor_map.shape))}"


def _embedding_bytes(encoder: Network, tensor_map: TensorMap) -> float:
    """Memory of embedding a block of participants: what is read, and the layers of a batch."""
    from regreveal.models.embedding import BATCH_SIZE, BLOCK_BYTES

    tensor = BYTES * math.prod(tensor_map.shape)
    batch = max(1, min(BATCH_SIZE, BLOCK_BYTES // tensor))
    return 3 * max(tensor, BLOCK_BYTES) + BYTES * (encoder.activations * batch + encoder.weights)
