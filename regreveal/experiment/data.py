"""An experiment's data: where they are, and who of them learns and who is analysed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import pandas as pd

from regreveal.errors import InputError
from regreveal.experiment.data_settings import Data, Training
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import Experiment
from regreveal.genetics.genotypes import files_read_with
from regreveal.store.cohort import make_splits, read_splits, read_table, write_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap, find_tensor_map

# What stands where in a data folder, such as the one `regreveal simulate` writes.
LAYOUT = {
    "tensors": "tensors",
    "cohort": "cohort.tsv",
    "phenotypes": "phenotypes.tsv",
    "phenotype_info": "phenotype_info.tsv",
    "genotypes": "genotypes/genome.bed",
    "genes": "genes.tsv",
    "diagnoses": "diagnoses.tsv",
    "phecodes": "phecodes.tsv",
    "phecode_info": "phecode_info.tsv",
    "true_traits": "truth/traits.tsv",
    "causal_variants": "truth/causal_variants.tsv",
}

DIAGNOSES = ("diagnoses", "episodes")
PHECODES = ("phecodes", "phecodes_icd9", "phecode_info")
EVERYONE_IS_ANALYSED = {"train": 0.0, "validation": 0.0, "analysis": 1.0}


@dataclass(frozen=True)
class DataPaths:
    """Files of one set of data; None where there is none of the kind."""

    tensors: Path
    cohort: Path | None = None
    phenotypes: Path | None = None
    phenotype_info: Path | None = None
    genotypes: Path | list[Path] | None = None
    genes: Path | None = None
    diagnoses: Path | None = None
    episodes: Path | None = None
    phecodes: Path | None = None
    phecodes_icd9: Path | None = None
    phecode_info: Path | None = None
    true_traits: Path | None = None
    causal_variants: Path | None = None

    @classmethod
    def of_folder(cls, folder: Path, instead: Mapping[str, Path] | None = None) -> "DataPaths":
        """Take from a data folder what it holds of the layout, but for what is named instead."""
        there = {name: folder / place for name, place in LAYOUT.items()} | dict(instead or {})
        if not there["tensors"].is_dir():
            raise InputError(f"{folder}: no folder '{LAYOUT['tensors']}'; expected a data folder")
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; expected a data folder")
        return cls(**{name: path for name, path in there.items() if not _missing(path)})

    @classmethod
    def of_settings(cls, data: Data) -> "DataPaths":
        """Take what an experiment names, single files before those of a folder."""
        named = {
            field.name: getattr(data, field.name)
            for field in fields(cls)
            if getattr(data, field.name, None) is not None
        }
        for key, paths in named.items():
            for path in _missing(paths):
                raise InputError(f"data.{key}: {path} does not exist")
        return cls(**named) if data.folder is None else cls.of_folder(data.folder, named)

    def need(self, name: str, purpose: str) -> Path:
        """Return one of the files, or raise an error that says what it is needed for."""
        path = getattr(self, name)
        if path is None:
            raise InputError(f"data.{name} is not given; {purpose} needs it")
        return path

    def files(self, *names: str) -> dict[str, Path]:
        """Those of the named files that there are, by name; genotypes with what is beside them."""
        there = {name: path for name in names if (path := getattr(self, name)) is not None}
        for number, path in enumerate(_each(there.pop("genotypes", []))):
            read = files_read_with(path)
            there |= {f"genotypes {number}, {file}": path for file, path in enumerate(read)}
        return there


def _each(paths: Path | list[Path]) -> list[Path]:
    return paths if isinstance(paths, list) else [paths]


def _missing(paths: Path | list[Path]) -> list[Path]:
    return [path for path in _each(paths) if not path.exists()]


@dataclass
class Dataset:
    """One set of data within a run.

    Parameters
    ----------
    paths : DataPaths
    arms_folder : Path
        Where what the arms make of these data goes.
    stages : list of str
        The stages that made the data and the split of their participants.
    splits : DataFrame
        Split and fold, indexed by sample id.
    simulated : bool
        Whether the run simulated them, so that no file from outside the run is read.
    """

    paths: DataPaths
    arms_folder: Path
    stages: list[str]
    splits: pd.DataFrame
    simulated: bool

    def files(self, *names: str) -> dict[str, Path]:
        """Those of the data's files that come from outside the run, for a stage's key."""
        return {} if self.simulated else self.paths.files(*names)

    def tensor_files(self, tensor_map: TensorMap) -> dict[str, Path]:
        """Likewise one tensor: another modality that is added later concerns nobody else."""
        return {} if self.simulated else {"tensors": self.paths.tensors / tensor_map.path}

    def ids_of_split(self, split: str) -> list[str]:
        """Ids of a split's participants, sorted."""
        return self.splits.index[self.splits["split"] == split].tolist()


def prepare_data(
    experiment: Experiment, folder: Path, manifest: Manifest
) -> tuple[Dataset, Dataset]:
    """Get the data to analyse and the data to learn from, which may be the same.

    Parameters
    ----------
    experiment : Experiment
    folder : Path
        The run folder, where simulated data and the splits go.
    manifest : Manifest
    """
    dataset = partial(_dataset, experiment, folder, manifest)
    shares = experiment.splits.model_dump()
    if experiment.training is None:
        data = dataset("data", experiment.data, "splits", shares, "arms")
        return data, data
    learning = shares["train"] + shares["validation"]
    only_learning = {
        "train": shares["train"] / learning,
        "validation": shares["validation"] / learning,
        "analysis": 0.0,
    }
    return (
        dataset("data", experiment.data, "splits", EVERYONE_IS_ANALYSED, "arms"),
        dataset("training", experiment.training, "training_splits", only_learning, "training_arms"),
    )


def _dataset(
    experiment: Experiment,
    folder: Path,
    manifest: Manifest,
    name: str,
    source: Data | Training,
    splits_name: str,
    shares: dict[str, float],
    arms_folder: str,
) -> Dataset:
    """Simulate or find one set of data, and split its participants."""
    stages = []
    if source.simulate:
        _simulate(experiment, folder, manifest, name, source)
        stages.append(name)
        paths = DataPaths.of_folder(folder / name)
    else:
        paths = DataPaths.of_settings(source)
    splits = folder / f"{splits_name}.parquet"
    settings: list = [shares, experiment.seed]
    if not paths.cohort:  # then who takes part depends on which tensors the arms take
        settings += sorted({_first_map(experiment, arm).path for arm in experiment.arms})
    manifest.run(
        splits_name,
        lambda: write_table(
            make_splits(_participants(experiment, paths), shares, experiment.seed), splits
        ),
        outputs=[splits],
        settings=settings,
        files={} if source.simulate else paths.files("cohort" if paths.cohort else "tensors"),
        after=stages,
    )
    return Dataset(
        paths,
        folder / arms_folder,
        [*stages, splits_name],
        read_splits(splits),
        simulated=source.simulate is not None,
    )


def _simulate(experiment, folder, manifest, name, source) -> None:
    from regreveal.simulation.biobank import MODALITIES, simulate_biobank

    settings = source.simulate.model_dump() | {"seed": experiment.seed_of(source.simulate)}
    if settings["modalities"] is None:
        inputs = [_first_map(experiment, arm).modality for arm in experiment.arms]
        settings["modalities"] = [name for name in MODALITIES if name in inputs]
    manifest.run(
        name,
        lambda: simulate_biobank(folder / name, **settings),
        outputs=[folder / name],
        settings=settings,
    )


def _participants(experiment: Experiment, paths: DataPaths) -> list[str]:
    """Everyone in the cohort; without a cohort, everyone who has an arm's tensor."""
    if paths.cohort:
        return read_table(paths.cohort).index.tolist()
    store = TensorStore(paths.tensors)
    maps = [_first_map(experiment, arm) for arm in experiment.arms]
    return sorted({sample_id for m in maps for sample_id in store.sample_ids(m.path)})


def _first_map(experiment: Experiment, arm: str) -> TensorMap:
    return find_tensor_map(experiment.first_input(arm), experiment.tensormaps)
