"""What a finished run left in its folder, read strictly: a report is never made of half a run."""

import contextlib
import json
import os
import tomllib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.errors import InputError

REPORT_STAGE = "report"  # under way while the report is made
AUTOENCODER, CYCLE = "autoencoder", "DeepCycle"  # what makes an arm's latents
ANALYSES = ("probes", "gwas", "phewas", "clusters")

_PHEWAS = (
    "phecode name category n_cases n_controls odds_ratio low high neg_log10_p bonferroni q_value "
    "reason"
)
_DECIDING = {"neg_log10_p_corrected": "neg_log10_p"}
_LOCI = (
    "chromosome variant_id position ref alt alt_frequency neg_log10_p_corrected n_variants "
    "nearest_gene"
)


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
    """

    name: str
    arms: list[str]
    retrieval: pd.DataFrame


@dataclass(frozen=True)
class ArmGwas:
    """One arm's latent GWAS: every variant's place and p-value, its loci, and `gwas.json`."""

    variants: pd.DataFrame
    loci: pd.DataFrame
    description: dict


@dataclass(frozen=True)
class ArmClusters:
    """One arm's clusters of lead variants, in the files' own order, and how many have none."""

    cosines: np.ndarray
    clusters: pd.DataFrame
    linkage: np.ndarray
    left_out: int


@dataclass(frozen=True)
class Comparison:
    """Two arms on the same participants; analyses that were not asked for are None or empty."""

    name: str
    baseline: str
    against: str
    participants: int
    scores: pd.DataFrame | None
    differences: pd.DataFrame | None
    means: pd.DataFrame | None
    gwas: dict[str, ArmGwas]
    phewas: dict[str, pd.DataFrame]
    clusters: dict[str, ArmClusters]
    truth: pd.DataFrame | None
    truth_summary: pd.DataFrame | None

    @property
    def arms(self) -> tuple[str, str]:
        """The arms, the baseline first."""
        return self.baseline, self.against


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

    def made_by(self, arm: str) -> str:
        """Say by which registrations an arm's tensors or latents were made, the first first."""
        steps, name = [], arm
        fusion = self.arms[arm].description["fusion"]
        if fusion:
            steps.append(f"DropFuse ({fusion})")
        while name is not None:
            description = self.arms[name].description
            steps += [description["registration"]] if description["registration"] else []
            name = description["after"]
        return ", then ".join(reversed(steps)) or "none"

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
    with _reading(folder / "experiment.toml") as path:
        text = path.read_text()
        experiment = tomllib.loads(text)
    manifest = _json(folder / "manifest.json", "regreveal", "versions", "seed", "stages")
    unfinished = [
        name
        for name, stage in manifest["stages"].items()
        if name != REPORT_STAGE and not stage["finished"]
    ]
    if unfinished:
        raise InputError(
            f"{folder}: stage '{unfinished[0]}' has not finished; let `regreveal run` go on first"
        )
    with _reading(folder / "splits.parquet") as path:
        split_sizes = pd.read_parquet(path, columns=["split"])["split"].value_counts().to_dict()
    return Run(
        folder=folder,
        text=text,
        experiment=experiment,
        manifest=manifest,
        split_sizes=split_sizes,
        dropped=_table(folder / "dropped.tsv", "stage arm reason count"),
        arms={name: _read_arm(folder / "arms" / name, name) for name in experiment["arms"]},
        fusions=[
            _read_fusion(folder / "fusions" / name, name, experiment)
            for name in experiment.get("fusions", {})
        ],
        comparisons=[
            _read_comparison(folder / "comparisons" / name, name, settings, experiment)
            for name, settings in experiment.get("comparisons", {}).items()
        ],
    )


def _read_arm(folder: Path, name: str) -> ArmRun:
    with _reading(folder / "examples.npz") as path, np.load(path) as examples:
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
    description = _json(folder / "arm.json", *described.split())
    cycle = {}
    if description["latents_by"] == CYCLE and description["parameters"].get("circular", True):
        with _reading(folder / "cycle.npz") as path, np.load(path) as arrays:
            cycle = {name: arrays[name] for name in ("phases", "loop")}
    keys = [*model.split(), *losses] if description["latents_by"] == AUTOENCODER else model.split()
    return ArmRun(
        name=name,
        description=description,
        inputs=inputs,
        reconstructions=reconstructions,
        cycle=cycle,
        model=_json(folder / "model" / "model.json", *keys),
        history=_table(folder / "model" / "history.csv", "steps loss validation_loss"),
    )


def _read_fusion(folder: Path, name: str, experiment: dict) -> FusionRun:
    return FusionRun(
        name=name,
        arms=[arm for arm, its in experiment["arms"].items() if its.get("fusion") == name],
        retrieval=_table(folder / "retrieval.tsv", "from to pairs top_1 top_10"),
    )


def _read_comparison(folder: Path, name: str, settings: dict, experiment: dict) -> Comparison:
    arms = (settings["baseline"], settings["against"])
    with _reading(folder / "participants.parquet") as path:
        participants = len(pd.read_parquet(path, columns=["sample_id"]))
    scores = differences = means = truth = truth_summary = None
    if "probes" in experiment:
        scores = _table(folder / "probes.tsv", "arm target metric n score low high reason")
        differences = _table(
            folder / "probe_differences.tsv",
            "target metric n arm difference low high q_value reason",
        )
        means = _table(
            folder / "probe_means.tsv", "metric targets score baseline_score difference low high"
        )
    if "gwas" in experiment and (folder / "truth.tsv").exists():
        seen_by = " ".join(f"{a} neg_log10_p_{a}" for a in ("oracle", *arms))
        truth = _table(
            folder / "truth.tsv",
            f"variant_id chromosome position gene trait variance_explained {seen_by}",
        )
        truth_summary = _table(
            folder / "truth_summary.tsv", "arm planted found missed false share_of_oracle"
        )
    return Comparison(
        name=name,
        baseline=arms[0],
        against=arms[1],
        participants=participants,
        scores=scores,
        differences=differences,
        means=means,
        gwas={arm: _read_gwas(folder / arm / "gwas") for arm in arms if "gwas" in experiment},
        phewas={
            arm: _table(folder / arm / "phewas" / "phewas.tsv", _PHEWAS)
            for arm in arms
            if "phewas" in experiment
        },
        clusters={
            # An arm with fewer than two loci, or none that can be clustered, has none.
            arm: found
            for arm in arms
            if "clusters" in experiment
            and (folder / arm / "clusters").is_dir()
            and len((found := _read_clusters(folder / arm / "clusters")).clusters) > 1
        },
        truth=truth,
        truth_summary=truth_summary,
    )


def _read_gwas(folder: Path) -> ArmGwas:
    return ArmGwas(
        variants=_table(
            folder / "manova.tsv.gz",
            "chromosome position neg_log10_p_corrected",
            only=True,
            dtype={"chromosome": "category"},
        ).rename(columns=_DECIDING),
        loci=_table(folder / "loci.tsv", _LOCI).rename(columns=_DECIDING),
        description=_json(
            folder / "gwas.json", "settings", "participants", "variants", "lambda_gc"
        ),
    )


def _read_clusters(folder: Path) -> ArmClusters:
    clusters = _table(folder / "clusters.tsv", "variant_id gene cluster stability")
    cosines = _table(folder / "cosines.tsv", ["variant_id", *clusters["variant_id"]])
    linkage = _table(folder / "linkage.tsv", "first second distance size")
    return ArmClusters(
        cosines=cosines[clusters["variant_id"]].to_numpy(np.float64),
        clusters=clusters,
        linkage=linkage[["first", "second", "distance", "size"]].to_numpy(np.float64),
        left_out=len(_table(folder / "left_out.tsv", "variant_id gene reason")),
    )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """Turn whatever a reader says of a missing or damaged file into one line."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; the run is not whole, let `regreveal run` go on")
    try:
        yield path
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        what = " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be read ({what}); delete it and let `regreveal run` make it again"
        ) from error


def _json(path: Path, *keys: str) -> dict:
    with _reading(path):
        content = json.loads(path.read_text())
    for key in keys:
        if key not in content:
            raise InputError(f"{path}: no '{key}' in it; made by another version of RegReveal?")
    return content


def _table(
    path: Path, columns: str | Sequence[str], only: bool = False, dtype: dict | None = None
) -> pd.DataFrame:
    """Read a table that has certain columns; text that is not there is empty, not NaN."""
    columns = columns.split() if isinstance(columns, str) else list(columns)
    separator = "," if path.suffix == ".csv" else "\t"
    with _reading(path):
        there = pd.read_csv(path, sep=separator, nrows=0).columns
        for column in columns:
            if column not in there:
                raise InputError(
                    f"{path}: no column '{column}' (there are: {', '.join(map(str, there))})"
                )
        table = pd.read_csv(
            path,
            sep=separator,
            usecols=columns if only else None,
            dtype={name: str for name in _TEXT if name in there} | (dtype or {}),
        )
    texts = [name for name in _TEXT if name in table and name not in (dtype or {})]
    return table.fillna(dict.fromkeys(texts, ""))


_TEXT = (
    "arm", "from", "to", "target", "metric", "reason", "stage", "chromosome", "variant_id", "ref",
    "alt", "nearest_gene", "gene", "trait", "phecode", "name", "category",
)  # fmt: skip
