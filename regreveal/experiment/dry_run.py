"""What a run would do, without doing it: its stages, their inputs, and what they cost."""

import inspect
import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

from regreveal.compute import available_cores
from regreveal.errors import InputError
from regreveal.experiment.arm_settings import Arm
from regreveal.experiment.data import DataPaths
from regreveal.experiment.estimates import (
    AGREEMENT_SECONDS,
    BYTES,
    CLUSTERS_SECONDS,
    CYCLE_SECONDS,
    CYCLE_SLOWNESS,
    CYCLE_START_SECONDS,
    DEFORMATION_BYTES,
    DEFORMATION_SECONDS,
    DIRECTIONS_SECONDS,
    REGISTRATIONS,
    SCAN_LATENT_BYTES,
    SHARED_LOCI_GIGABYTES,
    SHARED_LOCI_SECONDS,
    TABLE2_SECONDS,
    Network,
    measure_cycle,
    measure_network,
    measured_rate,
    scan_seconds,
)
from regreveal.experiment.preflight import check_names
from regreveal.experiment.settings import Experiment
from regreveal.genetics.genotypes import open_genotypes
from regreveal.registration.latents import CHUNK_BYTES as LATENT_CHUNK_BYTES
from regreveal.registration.methods import registration_class
from regreveal.registration.stage import CHUNK, CHUNK_BYTES
from regreveal.store.cohort import read_table
from regreveal.tensormap import TensorMap, find_tensor_map

if TYPE_CHECKING:
    from regreveal.registration import VoxelMorph

COLUMNS = ["stage", "input", "output", "participants", "weights", "gigabytes", "seconds"]


def plan_run(
    experiment: Experiment, participants: int, variants: int
) -> tuple[pd.DataFrame, list[str]]:
    """List the stages of an experiment with what each takes, gives and costs.

    Times are of this machine: an autoencoder's from its operations and the rate at which this
    machine trains a small one of the same rank, which is measured first; a registration's and a
    scan's from what was measured on cores of a server. Memory is what is held beside Python and its
    libraries (some 0.7 GB).

    Parameters
    ----------
    experiment : Experiment
    participants, variants : int
        How many where the experiment's data are not there to be counted.

    Returns
    -------
    plan : DataFrame
        One row a stage, in their order: `stage`; `input` and `output` (name and shape);
        `participants`; `weights` of a network, missing where there is none; `gigabytes` and
        `seconds`, missing where they are not estimated.
    assumed : list of str
        What was not there to be counted.

    Raises
    ------
    InputError
        If the experiment names what does not exist.
    """
    check_names(experiment)
    counted = _count(experiment)
    planner = _Planner(
        experiment,
        counted.get("participants", participants),
        counted.get("variants", variants),
    )
    plan = pd.DataFrame(planner.stages(), columns=COLUMNS)
    assumed = {"participants": participants} | ({"variants": variants} if experiment.gwas else {})
    return (
        plan.astype({"weights": "Int64", "gigabytes": float, "seconds": float}),
        [f"{number:,} {name}" for name, number in assumed.items() if name not in counted],
    )


def _count(experiment: Experiment) -> dict[str, int]:
    """Count participants and variants where the data are there."""
    simulated = experiment.data.simulate
    if simulated:
        return {"participants": simulated.participants, "variants": simulated.variants}
    try:
        paths = DataPaths.of_settings(experiment.data)
    except InputError:
        return {}
    counted = {}
    if paths.cohort:
        counted["participants"] = len(read_table(paths.cohort))
    if paths.genotypes:
        counted["variants"] = open_genotypes(paths.genotypes).variant_count
    return counted


class _Planner:
    """Walks through the stages as a run would.

    Parameters
    ----------
    experiment : Experiment
    participants, variants : int
    """

    def __init__(self, experiment: Experiment, participants: int, variants: int):
        self.experiment = experiment
        self.variants = variants
        splits, training = experiment.splits, experiment.training
        learning = training.simulate.participants if training else participants
        # Who is analysed does not learn, unless that is done by others altogether.
        share = 1 / (splits.train + splits.validation) if training else 1
        self.training = round(learning * share * splits.train)
        self.validation = round(learning * share * splits.validation)
        self.analysed = participants if training else round(participants * splits.analysis)
        self.registered = participants + (learning if training else 0)
        self.rates: dict[int, float] = {}

    def stages(self) -> Iterator[tuple]:
        for name, arm in self.experiment.arms.items():
            if arm.gives_latents:
                yield from self._find_phases(name, arm)
            elif arm.registration:
                yield from self._register(name, arm)
        for name, arm in self.experiment.arms.items():
            if arm.autoencoder:
                yield from self._learn(name, arm)
        for name in self.experiment.fusions:
            yield from self._fuse(name)
        for name in self.experiment.comparisons:
            yield from self._compare(name)
        if self.experiment.directions:
            for name, comparison in self.experiment.comparisons.items():
                for arm in comparison.arms:
                    yield self._decode(name, arm)
        rows = f"{len(self.experiment.arms)} arms"
        yield ("Table 2", rows, "table2.tsv", self.analysed, None, 0.1, TABLE2_SECONDS)

    def _map(self, name: str) -> TensorMap:
        return find_tensor_map(name, self.experiment.tensormaps)

    def _register(self, name: str, arm: Arm) -> Iterator[tuple]:
        takes, gives = self._map(arm.input), self._map(arm.tensor_map)
        method = registration_class(arm.registration.method)
        # None of a site's own: nobody has measured it.
        cost = REGISTRATIONS.get(arm.registration.method)
        weights = None
        if "features" in inspect.signature(method).parameters:
            fit = self._fit_deformations(name, arm, method(**arm.registration.parameters))
            weights = fit[COLUMNS.index("weights")]
            yield fit
        values = math.prod(takes.shape)
        at_once = max(1, min(CHUNK, CHUNK_BYTES // (BYTES * values)))
        cores = 1 if method.uses_all_cores else available_cores()
        # What comes in and goes out, for two chunks a core.
        held = 2 * BYTES * at_once * 2 * values * cores
        yield (
            f"{name}: {arm.registration.method}",
            _told(takes),
            _told(gives),
            self.registered,
            weights,
            (held + cost.bytes_a_value * values * cores) / 1e9 if cost else None,
            cost.seconds_of(values) * self.registered / cores if cost else None,
        )

    def _find_phases(self, name: str, arm: Arm) -> Iterator[tuple]:
        """Plan DeepCycle: its fit, warm-up included, and the phases of everyone."""
        from regreveal.models.cycle import build_cycle
        from regreveal.registration.deepcycle_training import CACHE_BYTES, WARMUP_SHARE

        method = registration_class(arm.registration.method)(**arm.registration.parameters)
        tensor_map = self._map(arm.tensor_map)
        shape = tensor_map.channelled_shape
        networks = build_cycle(shape, circular=method.circular)
        network = measure_cycle(networks, shape[-1])
        steps, rate = method.steps * (1 + WARMUP_SHARE), self._rate(len(shape) - 1)
        kept = min(CACHE_BYTES, BYTES * self.training * math.prod(shape))
        yield (
            f"{name}: fit {arm.registration.method}",
            _told(tensor_map),
            f"{shape[-1]} phases, {method.steps:,} steps of {method.batch_size}",
            self.training + self.validation,
            network.weights,
            (network.training_bytes(method.batch_size) + kept) / 1e9,
            CYCLE_START_SECONDS
            + CYCLE_SLOWNESS * network.training_operations(method.batch_size, steps) / rate,
        )
        yield (
            f"{name}: {arm.registration.method}",
            _told(tensor_map),
            f"{shape[-1]} phases",
            self.registered,
            network.weights,
            (LATENT_CHUNK_BYTES + network.training_bytes(1)) / 1e9,
            # The network runs for the phases, and again for what they decode to.
            CYCLE_SECONDS * self.registered + 2 * network.operations * self.registered / rate,
        )

    def _fit_deformations(self, name: str, arm: Arm, method: "VoxelMorph") -> tuple:
        from regreveal.registration import voxelmorph_adapter as adapter
        from regreveal.registration.voxelmorph_images import CACHE_BYTES, Padding

        takes = self._map(arm.input)
        space = takes.channelled_shape[:-1]
        levels = len(method.features)
        adapter.load()  # before TensorFlow, which it keeps from chattering
        # The weights are the same whatever the images' size.
        network = adapter.network((2**levels,) * len(space), tuple(method.features), 1)
        voxels = math.prod(Padding(space, levels).shape) * method.batch_size / 1e6
        kept = min(CACHE_BYTES, BYTES * self.training * math.prod(takes.shape))
        return (
            f"{name}: fit {type(method).__name__}",
            _told(takes),
            f"deformations, {method.steps:,} steps of {method.batch_size}",
            self.training,
            network.count_params(),
            (DEFORMATION_BYTES[len(space)] * voxels + kept) / 1e9,
            DEFORMATION_SECONDS[len(space)] * voxels * method.steps,
        )

    def _learn(self, name: str, arm: Arm) -> Iterator[tuple]:
        tensor_map, settings = self._map(arm.tensor_map), arm.autoencoder
        whole, _ = _networks(tensor_map.channelled_shape, settings.latent_size)
        rate = self._rate(len(tensor_map.channelled_shape) - 1)
        operations = whole.training_operations(settings.batch_size, settings.steps)
        for again in ("", *(f" with seed {seed}" for seed in self.experiment.further_seeds(name))):
            steps = f"{settings.steps:,} steps of {settings.batch_size}"
            yield (
                f"{name}: train{again}",
                _told(tensor_map),
                f"{settings.latent_size} latents, {steps}",
                self.training + self.validation,
                whole.weights,
                whole.training_bytes(settings.batch_size) / 1e9,
                operations / rate,
            )
            yield self._embed(f"{name}{again}", tensor_map, settings.latent_size)

    def _embed(self, name: str, tensor_map: TensorMap, latent_size: int) -> tuple:
        _, encoder = _networks(tensor_map.channelled_shape, latent_size)
        rate = self._rate(len(tensor_map.channelled_shape) - 1)
        return (
            f"{name}: embed",
            _told(tensor_map),
            f"{latent_size} latents",
            self.analysed,
            encoder.weights,
            _embedding_bytes(encoder, tensor_map) / 1e9,
            encoder.operations * self.analysed / rate,
        )

    def _fuse(self, name: str) -> Iterator[tuple]:
        """Plan a fusion: a step is one of every modality's autoencoder, on the same people."""
        settings, arms = self.experiment.fusions[name], self.experiment.arms_of(name)
        maps = {arm: self._map(self.experiment.arms[arm].tensor_map) for arm in arms}
        weights, memory, seconds = 0, 0.0, 0.0
        for tensor_map in maps.values():
            whole, _ = _networks(tensor_map.channelled_shape, settings.latent_size)
            operations = whole.training_operations(settings.batch_size, settings.steps)
            weights += whole.weights
            memory += whole.training_bytes(settings.batch_size)
            seconds += operations / self._rate(len(tensor_map.channelled_shape) - 1)
        yield (
            f"{name}: train DropFuse",
            ", ".join(map(_told, maps.values())),
            f"{settings.latent_size} latents, {settings.steps:,} steps of {settings.batch_size}",
            self.training + self.validation,
            weights,
            memory / 1e9,
            seconds,
        )
        for arm, tensor_map in maps.items():
            yield self._embed(arm, tensor_map, settings.latent_size)

    def _latent_size(self, arm: str) -> int:
        """How many latents an arm gives; a cycle's are the phases of its frames."""
        settings = self.experiment.arms[arm]
        if settings.gives_latents:
            return self._map(settings.tensor_map).channelled_shape[-1]
        if settings.fusion:
            return self.experiment.fusions[settings.fusion].latent_size
        return settings.autoencoder.latent_size

    def _rate(self, rank: int) -> float:
        if rank not in self.rates:
            self.rates[rank] = measured_rate(rank)
        return self.rates[rank]

    def _compare(self, name: str) -> Iterator[tuple]:
        comparison = self.experiment.comparisons[name]
        analysed = self.analysed
        if self.experiment.probes:
            targets = ", ".join(self.experiment.targets_of(name))
            yield (f"{name}: probes", targets, "probes.tsv", analysed, None, None, None)
        for arm in comparison.arms if self.experiment.gwas else ():
            seeds = self.experiment.further_seeds(arm)
            for again in ("", *(f" with seed {seed}" for seed in seeds)):
                yield self._scan(f"{name}: latent GWAS of {arm}{again}", arm, "manova.tsv.gz")
            if self.experiment.replication:
                # Two scans of half of the people.
                yield self._scan(f"{name}: replication of {arm}", arm, "leads.tsv")
        if self.experiment.gwas:
            yield (
                f"{name}: shared loci",
                "scans of both arms",
                "shared_loci.tsv",
                analysed,
                None,
                SHARED_LOCI_GIGABYTES,
                SHARED_LOCI_SECONDS * self.variants,
            )
        if self.experiment.clusters:
            yield from self._cluster(name, comparison.arms)
        for arm in comparison.arms if self.experiment.phewas else ():
            latents = f"{self._latent_size(arm)} latents"
            yield (f"{name}: PheWAS of {arm}", latents, "phewas.tsv", analysed, None, None, None)

    def _cluster(self, name: str, arms: Sequence[str]) -> Iterator[tuple]:
        """Plan the trees of some twenty lead variants of either arm, and how far they agree."""
        bootstraps = self.experiment.clusters.bootstraps
        sizes = [self._latent_size(arm) for arm in arms]
        stages = [f"{name}: clusters of {arm}" for arm in arms]
        planned = [
            (stage, size, CLUSTERS_SECONDS, "clusters.tsv")
            for stage, size in zip(stages, sizes, strict=True)
        ]
        both = (f"{name}: agreement of clusters", max(sizes), AGREEMENT_SECONDS)
        for stage, size, seconds, output in (*planned, (*both, "cluster_agreement.tsv")):
            values = self.analysed * size
            yield (
                stage,
                f"{size} latents, {bootstraps} bootstraps",
                output,
                self.analysed,
                None,
                2 * 2 * BYTES * values / 1e9,
                seconds * values * bootstraps,
            )

    def _decode(self, name: str, arm: str) -> tuple:
        """Plan the directions of an arm: a few steps decoded, and the people at either end read."""
        from regreveal.models.source import BLOCK_BYTES

        settings = self.experiment.directions
        count = settings.variants + settings.phecodes
        tensor_map = self._map(self.experiment.arms[arm].tensor_map)
        # What is decoded, and the changes; and a block of people, read, summed and encoded.
        tensors = count * (len(settings.steps) + 2)
        return (
            f"{name}: directions of {arm}",
            f"{count} directions, {len(settings.steps)} steps",
            "directions.tsv",
            self.analysed,
            None,
            (BYTES * math.prod(tensor_map.shape) * tensors + 3 * BLOCK_BYTES) / 1e9,
            DIRECTIONS_SECONDS,
        )

    def _scan(self, stage: str, arm: str, output: str) -> tuple:
        latents = self._latent_size(arm)
        return (
            stage,
            f"{latents} latents, {self.variants:,} variants",
            output,
            self.analysed,
            None,
            SCAN_LATENT_BYTES * self.analysed * latents / 1e9,
            scan_seconds(self.analysed, latents, self.variants) / available_cores(),
        )


@cache
def _networks(shape: tuple[int, ...], latent_size: int) -> tuple[Network, Network]:
    """Measure an autoencoder and its encoder."""
    from regreveal.models.autoencoder import build_autoencoder

    built = build_autoencoder(shape, latent_size)
    return measure_network(built.autoencoder), measure_network(built.encoder)


def _told(tensor_map: TensorMap) -> str:
    return f"{tensor_map.name} {' × '.join(map(str, tensor_map.shape))}"


def _embedding_bytes(encoder: Network, tensor_map: TensorMap) -> float:
    """Memory of embedding a block of participants: what is read, and the layers of a batch."""
    from regreveal.models.embedding import BATCH_SIZE
    from regreveal.models.source import BLOCK_BYTES

    tensor = BYTES * math.prod(tensor_map.shape)
    batch = max(1, min(BATCH_SIZE, BLOCK_BYTES // tensor))
    return 3 * max(tensor, BLOCK_BYTES) + BYTES * (encoder.activations * batch + encoder.weights)
