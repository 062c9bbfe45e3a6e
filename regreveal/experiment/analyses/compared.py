"""A comparison under way: its arms and participants, and where its files are."""

import functools

import numpy as np
import pandas as pd

from regreveal.experiment.arms import ArmStages
from regreveal.experiment.data import Dataset
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import Experiment
from regreveal.genetics.loci import read_genes
from regreveal.store.cohort import read_table
from regreveal.store.embedding import Embedding


class Compared:
    """What every analysis of a comparison starts from.

    Parameters
    ----------
    name : str
    experiment : Experiment
    arms : dict of str to ArmStages
        Every arm of the experiment, embedded.
    data : Dataset
    manifest : Manifest

    Attributes
    ----------
    comparison
        Its table of the experiment file.
    arms : dict of str to ArmStages
        The two that are compared, the baseline first.
    all_arms : dict of str to ArmStages
    folder, participants_file : Path
    """

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        arms: dict[str, ArmStages],
        data: Dataset,
        manifest: Manifest,
    ):
        self.name = name
        self.experiment = experiment
        self.comparison = experiment.comparisons[name]
        self.arms = {arm: arms[arm] for arm in self.comparison.arms}
        self.all_arms = arms
        self.data, self.manifest = data, manifest
        self.folder = manifest.folder / "comparisons" / name
        self.participants_file = self.folder / "participants.parquet"

    @functools.cached_property
    def participants(self) -> pd.DataFrame:
        """The participants whom both arms have, indexed by sample id, with their `fold`."""
        return read_table(self.participants_file)

    def stage(self, step: str) -> str:
        """Name a step in the manifest."""
        return f"comparisons/{self.name}/{step}"

    def embedded(self, *arms: str) -> list[str]:
        """Name the stages whose embeddings, for these participants, an analysis reads."""
        embedded = [self.all_arms[arm].stage("embed") for arm in arms]
        return [*self.data.stages, *embedded, self.stage("participants")]

    def embedding(self, arm: str) -> Embedding:
        """Read the embedding of one of the two arms, of everybody it has."""
        return Embedding.read(self.arms[arm].embedding)

    def latents(self, arm: str) -> np.ndarray:
        """Read one arm's latents of the participants, in their order: (n, k)."""
        return self.embedding(arm).select(self.participants.index)

    def covariates(self, columns: list[str]) -> pd.DataFrame | None:
        """Read the cohort, if any column of it is asked for."""
        return read_table(self.data.paths.cohort) if columns else None

    def genes(self) -> pd.DataFrame | None:
        """Read the genes that loci are named by, if there is a table of them."""
        return read_genes(self.data.paths.genes) if self.data.paths.genes else None
