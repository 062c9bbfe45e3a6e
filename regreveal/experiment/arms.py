"""The stages of one arm: register, train, embed."""

from functools import partial
from pathlib import Path

import pandas as pd

from regreveal.errors import InputError
from regreveal.experiment.arm_settings import Arm
from regreveal.experiment.data import Dataset
from regreveal.experiment.examples import quality_quantiles, write_cycle, write_examples
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import Experiment
from regreveal.registration.latents import LATENTS, embed_store, fit_latents
from regreveal.registration.methods import source_of_site
from regreveal.registration.reference import find_column, median_participant, read_reference
from regreveal.registration.stage import fit_registration, register_store
from regreveal.store.atomic import write_json
from regreveal.store.cohort import read_table
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map


def fusion_stage(fusion: str, step: str) -> str:
    """Name one of a fusion's stages in the manifest."""
    return f"fusions/{fusion}/{step}"


class ArmStages:
    """What is done for one arm, each stage once.

    Parameters
    ----------
    name : str
    experiment : Experiment
    data, training : Dataset
        What is analysed, and what the arm learns from; often the same.
    manifest : Manifest

    Raises
    ------
    InputError
        If a tensor map or the registration does not exist.
    """

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        data: Dataset,
        training: Dataset,
        manifest: Manifest,
    ):
        self.name = name
        self.arm: Arm = experiment.arms[name]
        self.seed, self.further_seeds = experiment.seed, experiment.further_seeds(name)
        self.data, self.training, self.manifest = data, training, manifest
        self.folder = data.arms_folder / name
        self.tensor_map = find_tensor_map(self.arm.tensor_map, experiment.tensormaps)
        self.input_map = find_tensor_map(self.arm.input, experiment.tensormaps)
        first = experiment.first_input(name)
        self.first_map = find_tensor_map(first, experiment.tensormaps)

    @property
    def embedding(self) -> Path:
        """Where the arm's embedding is, once it is made."""
        return self.folder / "embedding.parquet"

    def embedding_of(self, seed: int) -> Path:
        """Where the embedding is that an autoencoder trained with a seed gives."""
        return self.seed_folder(seed) / "embedding.parquet"

    def seed_folder(self, seed: int) -> Path:
        """Where what a training seed gives is: for the experiment's own, the arm's folder."""
        return self.folder if seed == self.seed else self.folder / "seeds" / str(seed)

    def stage(self, step: str, seed: int | None = None) -> str:
        """Name of one of the arm's stages in the manifest."""
        of_seed = "" if seed in (None, self.seed) else f"seeds/{seed}/"
        return f"arms/{self.name}/{of_seed}{step}"

    def fit_registration(self) -> None:
        """Fit the registration, if there is one, on training participants."""
        registration = self.arm.registration
        if registration is None:
            return
        saved, model = self.folder / "registration", self.folder / "model"
        files = self.training.tensor_files(self.first_map)
        if registration.exemplar:
            files |= self.training.files("phenotypes", "cohort")
        if registration.reference:
            files |= {"reference": registration.reference}
        if source := source_of_site(registration.method):
            files |= {"method": source}
        self.manifest.run(
            self.stage("fit registration"),
            partial(self._fit_registration, saved, model),
            outputs=[saved, model] if self.arm.gives_latents else [saved],
            settings=[registration.model_dump(mode="json"), repr(self.input_map), self.seed],
            files=files,
            after=[*self.training.stages, *self._before(self.training)],
        )

    def register(self) -> None:
        """Apply the fitted registration, if there is one, to everyone."""
        if self.arm.registration is None:
            return
        saved, model = self.folder / "registration", self.folder / "model"
        for dataset in {id(d): d for d in (self.data, self.training)}.values():
            target = dataset.arms_folder / self.name
            made = target / (LATENTS if self.arm.gives_latents else "registered")
            self.manifest.run(
                f"{dataset.arms_folder.name}/{self.name}/register",
                partial(self._register, dataset, saved, model, target),
                outputs=[made, target / "qc.parquet"],
                settings=[repr(self.input_map), repr(self.tensor_map)],
                files=dataset.tensor_files(self.first_map),
                after=[
                    *dataset.stages,
                    *self._before(dataset),
                    self.stage("fit registration"),
                ],
            )

    def _register(self, dataset: Dataset, saved: Path, model: Path, target: Path) -> None:
        method, source = self.arm.registration.method, self._source(dataset)
        if self.arm.gives_latents:
            embed_store(method, saved, model, source, self.tensor_map, target)
        else:
            register_store(method, saved, source, self.input_map, self.tensor_map, target)

    def _fit_registration(self, saved: Path, model: Path) -> None:
        registration, source = self.arm.registration, self._source(self.training)
        train_ids = self.training.ids_of_split("train")
        if self.arm.gives_latents:
            fit_latents(
                registration.method,
                registration.parameters,
                source,
                self.tensor_map,
                train_ids,
                self.training.ids_of_split("validation"),
                saved,
                model,
                self.seed,
            )
            return
        reference = None
        if registration.reference:
            reference = read_reference(registration.reference, self.input_map.channelled_shape)
        elif registration.exemplar:
            tables = self.training.paths.files("phenotypes", "cohort").values()
            values = find_column(registration.exemplar, map(read_table, tables))
            exemplar = median_participant(values, source, self.input_map, train_ids)
            reference = self.input_map.read(source, [exemplar])[0]
        fit_registration(
            registration.method,
            registration.parameters,
            source,
            self.input_map,
            train_ids,
            saved,
            reference,
            self.seed,
        )

    def usable_ids(self, dataset: Dataset) -> list[str]:
        """Ids of those of the data whom the arm can embed."""
        if self.arm.gives_latents:
            quality = read_table(dataset.arms_folder / self.name / "qc.parquet")
            return quality.index[quality["ok"]].tolist()
        return self.store(dataset).sample_ids(self.tensor_map.path)

    def train(self, train_ids: list[str], validation_ids: list[str]) -> None:
        """Train the arm's autoencoder, if it has one of its own, with each of its seeds."""
        if self.arm.autoencoder is None:
            return
        if not (train_ids and validation_ids):
            raise InputError(
                f"arms.{self.name}: {len(train_ids)} participants to learn from and "
                f"{len(validation_ids)} for validation have {self.tensor_map.name}; "
                "expected some of each"
            )
        for seed in (self.seed, *self.further_seeds):
            folder = self.seed_folder(seed)
            self.manifest.run(
                self.stage("train", seed),
                partial(self._train, folder / "model", seed, train_ids, validation_ids),
                outputs=[folder / "model"],
                settings=[
                    self.arm.autoencoder.model_dump(),
                    seed,
                    repr(self.tensor_map),
                    train_ids,
                    validation_ids,
                ],
                files=self.training.tensor_files(self.first_map),
                after=[*self.training.stages, *self.after_registration(self.training)],
            )

    def _train(
        self, folder: Path, seed: int, train_ids: list[str], validation_ids: list[str]
    ) -> None:
        from regreveal.models.training import train

        again = "" if seed == self.seed else f" with seed {seed}"
        train(
            self.store(self.training),
            self.tensor_map,
            train_ids,
            validation_ids,
            folder,
            seed=seed,
            description=f"Training {self.name}{again}",
            **self.arm.autoencoder.model_dump(),
        )

    def embed(self, sample_ids: list[str]) -> None:
        """Embed participants, and keep a few tensors, without ids, for the report."""
        for seed in self.further_seeds:
            embedding = self.embedding_of(seed)
            self.manifest.run(
                self.stage("embed", seed),
                partial(self._embed_again, seed, sample_ids),
                outputs=[embedding],
                settings=sample_ids,
                files=self.data.tensor_files(self.first_map),
                after=[
                    *self.data.stages,
                    *self.after_registration(self.data),
                    self.stage("train", seed),
                ],
            )
        kept = ["examples.npz", "arm.json"] + ["cycle.npz"] * self._gives_phases()
        self.manifest.run(
            self.stage("embed"),
            partial(self._embed, sample_ids),
            outputs=[self.embedding, *(self.folder / name for name in kept)],
            settings=sample_ids,
            files=self.data.tensor_files(self.first_map),
            after=[*self.data.stages, *self.after_registration(self.data), self._training_stage()],
        )

    def _embed_again(self, seed: int, sample_ids: list[str]) -> None:
        from regreveal.models.embedding import embed

        model, store = self.seed_folder(seed) / "model", self.store(self.data)
        embedding = embed(model, store, sample_ids, tensor_map=self.tensor_map)
        embedding.write(self.embedding_of(seed))

    def _training_stage(self) -> str:
        """Name the stage that trained the arm's encoder."""
        if self.arm.fusion:
            return fusion_stage(self.arm.fusion, "train")
        return self.stage("fit registration" if self.arm.gives_latents else "train")

    def store(self, dataset: Dataset) -> TensorStore:
        """Where the tensors lie that the encoder takes."""
        if self.arm.registration and not self.arm.gives_latents:
            return TensorStore(dataset.arms_folder / self.name / "registered")
        return self._source(dataset)

    def _source(self, dataset: Dataset) -> TensorStore:
        """Where the arm's tensors come from: the data, or another arm that registered them."""
        if self.arm.after:
            return TensorStore(dataset.arms_folder / self.arm.after / "registered")
        return TensorStore(dataset.paths.tensors)

    def _before(self, dataset: Dataset) -> list[str]:
        """Name the stage of another arm that this arm goes on from."""
        return [f"{dataset.arms_folder.name}/{self.arm.after}/register"] if self.arm.after else []

    def after_registration(self, dataset: Dataset) -> list[str]:
        """Name the stage that made the tensors, or of some registrations the latents."""
        if self.arm.registration:
            return [f"{dataset.arms_folder.name}/{self.name}/register"]
        return self._before(dataset)

    def _embed(self, sample_ids: list[str]) -> None:
        from regreveal.models.embedding import embed

        store, model = self.store(self.data), self.folder / "model"
        if self.arm.gives_latents:
            everyone = Embedding.read(self.folder / LATENTS)
            latents = everyone.select(sample_ids)
            Embedding(sample_ids, latents, everyone.metadata).write(self.embedding)
        else:
            embed(model, store, sample_ids, tensor_map=self.tensor_map).write(self.embedding)
        write_examples(self.folder / "examples.npz", model, self.tensor_map, store, sample_ids)
        if self._gives_phases():
            write_cycle(self.folder / "cycle.npz", model, Embedding.read(self.embedding))
        write_json(self._description(store), self.folder / "arm.json")

    def _gives_phases(self) -> bool:
        """Whether the latents are angles: those of DeepCycle's control are not."""
        return self.arm.gives_latents and self.arm.registration.parameters.get("circular", True)

    def _latents_by(self) -> str:
        """Say what makes the arm's latents."""
        if self.arm.fusion:
            return "DropFuse"
        return self.arm.registration.method if self.arm.gives_latents else "autoencoder"

    def _description(self, store: TensorStore) -> dict:
        method = self.arm.registration.method if self.arm.registration else None
        quality = pd.read_parquet(self.folder / "qc.parquet") if method else None
        return {
            "tensor_map": self.tensor_map.name,
            "description": self.tensor_map.description,
            "shape": self.tensor_map.shape,
            "tensor_bytes": store.bytes_a_participant(self.tensor_map.path),
            "units": self.tensor_map.units,
            "sampling_rate": store.attributes(self.tensor_map.path).get("sampling_rate"),
            "registration": method,
            "parameters": self.arm.registration.parameters if method else {},
            "fusion": self.arm.fusion,
            "latents_by": self._latents_by(),
            "after": self.arm.after,
            "n_registered": int(quality["ok"].sum()) if method else None,
            "n_failed": int((~quality["ok"]).sum()) if method else None,
            "quality": quality_quantiles(quality) if method else {},
        }
