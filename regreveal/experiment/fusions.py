"""The stages of one fusion: train its arms' encoders together, and tell how far they agree."""

import os
import shutil
from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.experiment.arm_settings import Fusion, Plan
from regreveal.experiment.arms import ArmStages, fusion_stage
from regreveal.experiment.data import Dataset
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import Experiment
from regreveal.registration.stage import CHECKPOINT
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding

RETRIEVED_PAIRS = 500
NEAREST = (1, 10)


class FusionStages:
    """What is done for one fusion, each stage once.

    Parameters
    ----------
    name : str
    experiment : Experiment
    arms : dict of str to ArmStages
        Every arm of the experiment, registered.
    training : Dataset
        What the fusion learns from.
    manifest : Manifest
    """

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        arms: dict[str, ArmStages],
        training: Dataset,
        manifest: Manifest,
    ):
        self.name = name
        self.fusion: Fusion = experiment.fusions[name]
        self.seed = experiment.seed
        self.arms = {arm: arms[arm] for arm in experiment.arms_of(name)}
        self.warm_start = {arms[arm].tensor_map.name: arms[arm] for arm in self.fusion.warm_start}
        self.training, self.manifest = training, manifest
        self.folder = manifest.folder / "fusions" / name

    def train(self) -> None:
        """Train on everyone of the training split who has at least one of the modalities."""
        train_ids, validation_ids = self._learners("train"), self._learners("validation")
        if not (train_ids and validation_ids):
            raise InputError(
                f"fusions.{self.name}: {len(train_ids)} participants to learn from and "
                f"{len(validation_ids)} for validation have any of "
                f"{', '.join(arm.tensor_map.name for arm in self.arms.values())}; expected some "
                "of each"
            )
        files = {}
        for name, arm in self.arms.items():
            files |= {
                f"{role} of {name}": path
                for role, path in self.training.tensor_files(arm.first_map).items()
            }
        self.manifest.run(
            fusion_stage(self.name, "train"),
            partial(self._train, train_ids, validation_ids),
            outputs=[
                self.folder / "registration",
                *(arm.folder / "model" for arm in self.arms.values()),
            ],
            settings=[
                self.fusion.model_dump(),
                self.seed,
                {name: repr(arm.tensor_map) for name, arm in self.arms.items()},
                train_ids,
                validation_ids,
            ],
            files=files,
            after=[
                *self.training.stages,
                *(s for arm in self.arms.values() for s in arm.after_registration(self.training)),
                *(arm.stage("train") for arm in self.warm_start.values()),
            ],
        )

    def _learners(self, split: str) -> list[str]:
        """Ids of those of a split who have at least one of the modalities, sorted."""
        having = set().union(*(arm.usable_ids(self.training) for arm in self.arms.values()))
        return [i for i in self.training.ids_of_split(split) if i in having]

    def _train(self, train_ids: list[str], validation_ids: list[str]) -> None:
        """Train, and leave each arm its model folder; a training that was killed goes on."""
        from regreveal.registration import DropFuse

        plan = self.fusion.model_dump(include=set(Plan.model_fields))
        settings = self.fusion.model_dump(exclude={"warm_start", *plan})
        models = {name: str(arm.folder / "model") for name, arm in self.warm_start.items()}
        fusion = DropFuse(**settings, plan=plan, seed=self.seed, warm_start=models or None)
        saved = self.folder / "registration"
        fusion.fit(
            self._tensors(train_ids),
            checkpoint=saved / CHECKPOINT,
            validation=self._tensors(validation_ids),
        )
        fusion.save(saved)
        unfinished = self.folder / ".models"
        shutil.rmtree(unfinished, ignore_errors=True)
        maps = {arm.tensor_map.name: arm.tensor_map for arm in self.arms.values()}
        fusion.save_models(unfinished, maps, train_ids, validation_ids)
        for arm in self.arms.values():
            shutil.rmtree(arm.folder / "model", ignore_errors=True)
            arm.folder.mkdir(parents=True, exist_ok=True)
            os.rename(unfinished / arm.tensor_map.name, arm.folder / "model")
        shutil.rmtree(unfinished)
        shutil.rmtree(saved / CHECKPOINT, ignore_errors=True)

    def _tensors(self, sample_ids: list[str]) -> dict:
        from regreveal.models.source import AlignedTensors
        from regreveal.models.training import CACHE_BYTES

        return {
            arm.tensor_map.name: AlignedTensors(
                arm.store(self.training), arm.tensor_map, sample_ids, CACHE_BYTES
            )
            for arm in self.arms.values()
        }

    def retrieve(self) -> None:
        """Tell how often a participant's own latents are found from another modality's."""
        output = self.folder / "retrieval.tsv"
        self.manifest.run(
            fusion_stage(self.name, "retrieval"),
            lambda: write_table(self._retrieval(), output),
            outputs=[output],
            settings=[list(self.arms), self.seed],
            after=[arm.stage("embed") for arm in self.arms.values()],
        )

    def _retrieval(self) -> pd.DataFrame:
        """Retrieve each modality from each other, among people whom no encoder has learned from."""
        embeddings = {name: Embedding.read(arm.embedding) for name, arm in self.arms.items()}
        rows = []
        for one, other in permutations(embeddings, 2):
            # The same people both ways round.
            first, second = sorted((one, other))
            both = sorted(
                set(embeddings[first].unseen_ids()) & set(embeddings[second].unseen_ids())
            )
            rng = np.random.default_rng(self.seed)
            chosen = rng.permutation(both)[:RETRIEVED_PAIRS].tolist()
            if not chosen:
                continue
            shares = retrieval(embeddings[one].select(chosen), embeddings[other].select(chosen))
            rows.append((one, other, len(chosen), *shares))
        columns = ["from", "to", "pairs", *(f"top_{nearest}" for nearest in NEAREST)]
        return pd.DataFrame(rows, columns=columns)


def retrieval(asked: np.ndarray, answers: np.ndarray) -> list[float]:
    """Share of participants who are among the nearest to themselves in another modality.

    Parameters
    ----------
    asked, answers : ndarray, shape (n, k)
        Latents of the same participants in two modalities.

    Returns
    -------
    list of float
        For each of `NEAREST`, the share whose own latents are among so many of the greatest cosine
        similarity; of ties, each may be first.
    """
    asked, answers = (
        latents / np.linalg.norm(latents, axis=1, keepdims=True) for latents in (asked, answers)
    )
    cosines = asked @ answers.T
    better = (cosines > np.diag(cosines)[:, None]).sum(axis=1)
    return [float((better < nearest).mean()) for nearest in NEAREST]
