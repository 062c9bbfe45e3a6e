"""What a finished run left in its folder, read strictly: a report is never made of half a run."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.comparison.arm_costs import made_by
from regreveal.errors import InputError
from regreveal.report.folder.clusters import read_modality_groups
from regreveal.report.folder.comparison import Comparison, read_comparison
from regreveal.report.folder.reading import read_json, read_tsv, reading, reading_arrays
from regreveal.report.folder.table2 import read_table2
from regreveal.store.table_files import read_parquet

REPORT_STAGE = "report"  # under way while the report is made
AUTOENCODER, CYCLE = "autoencoder", "DeepCycle"  # what makes an arm's latents
ANALYSES = ("probes", "gwas", "phewas", "clusters")


@dataclass(frozen=True)
class ArmRun:
    """One arm: what it is, a few participants' recordings, and how its autoencoder learned.

    Parameters
    ----------
    name : str
    description : dict
        `arm.json`.
    inputs, reconstructions : ndarray, shape (m, *shape)
        In the tensor's units; reconstructions of the first few.
    cycle : dict of str to ndarray
        `cycle.npz` of an arm whose latents are phases: `phases` (n, frames) of some participants,
        and the `loop` (frames, rows, columns) that is decoded around the circle; else empty.
    model : dict
        `model.json`.
    history : DataFrame
        `history.csv`.
    """

    name: str
    description: dict
    inputs: np.ndarray
    reconstructions: np.ndarray
    cycle: dict[str, np.ndarray]
    model: dict
    history: pd.DataFrame

    @property
    def has_autoencoder(self) -> bool:
        """Whether an autoencoder of its own makes the arm's latents."""
        return self.description["latents_by"] == AUTOENCODER

    @property
    def by_deepcycle(self) -> bool:
        """Whether the arm's latents are the phases of a cine's frames, or those of the control."""
        return self.description["latents_by"] == CYCLE


@dataclass(frozen=True)
class FusionRun:
    """One fusion: the arms whose encoders learned together, how, and how far they agree.

    Parameters
    ----------
    name : str
    arms : list of str
    retrieval : DataFrame
        `from`, `to`, `pairs`, `top_1`, `top_10`; empty where nobody analysed has two modalities.
    modality_groups: DataFrame
        Which lead variants either modality sees; empty where that was not looked for.
    """

    name: str
    arms: list[str]
    retrieval: pd.DataFrame
    modality_groups: pd.DataFrame


@dataclass(frozen=True)
class Run:
    """A finished run.

    Parameters
    ----------
    folder : Path
    text : str
        The experiment file.
    experiment : dict
        What it says.
    manifest : dict
    split_sizes : dict of str to int
        Participants in each split.
    dropped : DataFrame
        `stage`, `arm`, `reason`, `count`.
    arms : dict of str to ArmRun
    fusions : list of FusionRun
    comparisons : list of Comparison
    table2 : DataFrame
        What every arm knows and cost, as `regreveal.comparison.table2.make_table2` returns it.
    """

    folder: Path
    text: str
    experiment: dict
    manifest: dict
    split_sizes: dict[str, int]
    dropped: pd.DataFrame
    arms: dict[str, ArmRun]
    fusions: list[FusionRun]
    comparisons: list[Comparison]
    table2: pd.DataFrame

    def made_by(self, arm: str) -> str:
        """Say by which registrations an arm's tensors or latents were made, the first first."""
        return made_by({name: its.description for name, its in self.arms.items()}, arm)

    def asked_for(self, analysis: str) -> bool:
        """Whether the experiment file has a table of that analysis."""
        return analysis in self.experiment


def read_run(folder: str | os.PathLike) -> Run:
    """Read all that a report needs of a run folder.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If it is no run folder, the run is not finished, or a file is missing, damaged or without
        a column it should have.
    """
    folder = Path(folder)
    if not (folder / "experiment.toml").is_file():
        raise InputError(f"{folder}: no experiment.toml; expected the folder of a run")
    with reading(folder / "experiment.toml") as path:
        text = path.read_text()
        experiment = tomllib.loads(text)
        _check_names(experiment)
    manifest = read_json(folder / "manifest.json", "regreveal", "versions", "seed", "stages")
    unfinished = [
        name
        for name, stage in manifest["stages"].items()
        if name != REPORT_STAGE and not stage["finished"]
    ]
    if unfinished:
        raise InputError(
            f"{folder}: stage '{unfinished[0]}' has not finished; let `regreveal run` go on first"
        )
    with reading(folder / "splits.parquet") as path:
        split_sizes = read_parquet(path)["split"].value_counts().to_dict()
    return Run(
        folder=folder,
        text=text,
        experiment=experiment,
        manifest=manifest,
        split_sizes=split_sizes,
        dropped=read_tsv(folder / "dropped.tsv", "stage arm reason count"),
        arms={name: _read_arm(folder / "arms" / name, name) for name in experiment["arms"]},
        fusions=[
            _read_fusion(folder / "fusions" / name, name, experiment)
            for name in experiment.get("fusions", {})
        ],
        comparisons=[
            read_comparison(folder / "comparisons" / name, name, settings, experiment)
            for name, settings in experiment.get("comparisons", {}).items()
        ],
        table2=read_table2(folder / "table2.tsv"),
    )


def _check_names(experiment: dict) -> None:
    """Raise ValueError where a name leads elsewhere: folders and figures are called by them."""
    for kind in ("arms", "fusions", "comparisons"):
        for name in experiment.get(kind, {}):
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"{kind} '{name}': expected letters, digits, - and _")


def _read_arm(folder: Path, name: str) -> ArmRun:
    with reading_arrays(folder / "examples.npz") as examples:
        inputs, reconstructions = examples["inputs"], examples["reconstructions"]
    described = (
        "tensor_map shape units sampling_rate registration parameters fusion latents_by after "
        "n_registered n_failed quality"
    )
    model = (
        "latent_size weights steps steps_per_epoch batch_size best_epoch explained_variance "
        "trained_on validated_on"
    )
    losses = ("baseline_loss", "validation_baseline_loss")
    description = read_json(folder / "arm.json", *described.split())
    cycle = {}
    if description["latents_by"] == CYCLE and description["parameters"].get("circular", True):
        with reading_arrays(folder / "cycle.npz") as arrays:
            cycle = {name: arrays[name] for name in ("phases", "loop")}
    keys = [*model.split(), *losses] if description["latents_by"] == AUTOENCODER else model.split()
    return ArmRun(
        name=name,
        description=description,
        inputs=inputs,
        reconstructions=reconstructions,
        cycle=cycle,
        model=read_json(folder / "model" / "model.json", *keys),
        history=read_tsv(folder / "model" / "history.csv", "steps loss validation_loss"),
    )


def _read_fusion(folder: Path, name: str, experiment: dict) -> FusionRun:
    return FusionRun(
        name=name,
        arms=[arm for arm, its in experiment["arms"].items() if its.get("fusion") == name],
        retrieval=read_tsv(folder / "retrieval.tsv", "from to pairs top_1 top_10"),
        modality_groups=read_modality_groups(folder),
    )
