"""The run as a whole."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.comparison.table2 import make_table2
from regreveal.experiment.experiment_file import parse_experiment

from .arms import PARTICIPANTS, sample_ids, write_ecgs, write_fusion, write_images
from .directions import write_directions
from .experiment import ARMS, EXPERIMENT, FUSION, GENETICS, IMAGE_ARMS, IMAGES
from .files import write_json, write_tsv
from .genome import write_genetics, write_loci_again
from .phewas import write_phewas, write_phewas_differences
from .probes import write_probes


def make_run_folder(
    folder: Path, genetics: bool = True, images: bool = False, fusion: bool = False
) -> Path:
    """Write a finished run, with or without genotypes and diagnoses, of ECGs or of all there is."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    (folder / "experiment.toml").write_text(
        EXPERIMENT
        + (IMAGES if images else "")
        + (FUSION if fusion else "")
        + (GENETICS if genetics else "")
    )
    experiment = parse_experiment((folder / "experiment.toml").read_text(), "experiment.toml")
    (folder / "settings.json").write_text(experiment.model_dump_json())
    stages = {name: {"key": "0", "seconds": 1.0, "finished": True} for name in ("data", "splits")}
    # This is how the stage stands while the report is being made.
    stages["report"] = {"key": "0", "finished": False}
    versions = {"keras": "3.15.0", "numpy": "2.4.0"}
    manifest = {"regreveal": "0.1.0", "python": "3.11.9", "versions": versions, "seed": 7}
    write_json(folder / "manifest.json", manifest | {"stages": stages})
    ids = sample_ids()
    split = ["train"] * 80 + ["validation"] * 20 + ["analysis"] * (PARTICIPANTS - 100)
    splits = pd.DataFrame({"sample_id": ids, "split": split, "fold": np.arange(len(ids)) % 5})
    splits.to_parquet(folder / "splits.parquet")
    dropped = [
        ("registration", "registered", "fewer than three beats", 3),
        ("registration", "registered", "no beat stands out of the noise", 12),
        ("gwas", "", "no genotypes", 7),
    ]
    write_tsv(
        pd.DataFrame(dropped, columns=["stage", "arm", "reason", "count"]), folder / "dropped.tsv"
    )
    participants = splits.iloc[100:][["sample_id", "fold"]]
    medians = write_ecgs(folder, ids, rng)
    _write_comparison(folder / "comparisons" / "alignment", ARMS, participants, genetics, rng)
    for name in IMAGE_ARMS if images else ():
        write_images(folder, name, ids, rng)
        arms = IMAGE_ARMS[name][:2]
        _write_comparison(folder / "comparisons" / name, arms, participants, genetics, rng)
    if fusion:
        write_fusion(folder, medians, ids, rng)
        arms = ("registered", "ecg_fused")
        _write_comparison(folder / "comparisons" / "fused", arms, participants, genetics, rng)
    _write_table2(folder)
    return folder


def _write_comparison(
    folder: Path,
    arms: tuple[str, str],
    participants: pd.DataFrame,
    genetics: bool,
    rng: np.random.Generator,
) -> None:
    folder.mkdir(parents=True)
    participants.to_parquet(folder / "participants.parquet")
    write_probes(folder, arms)
    if genetics:
        write_genetics(folder, arms, rng)
        write_loci_again(folder, arms)
        for arm in arms:
            write_phewas(folder / arm / "phewas", arm == arms[1], rng)
            write_directions(folder / arm / "directions", arm == arms[1])
        write_phewas_differences(folder, arms, np.random.default_rng(8))


def _write_table2(folder: Path) -> None:
    """Write what the other files tell of every arm; this comes last."""
    experiment = tomllib.loads((folder / "experiment.toml").read_text())
    stages = json.loads((folder / "manifest.json").read_text())["stages"]
    write_tsv(make_table2(folder, experiment, stages), folder / "table2.tsv")
