"""Who was left out of a run, and why."""

import json
from pathlib import Path

import pandas as pd

from regreveal.experiment.arms import ArmStages
from regreveal.experiment.data import Dataset
from regreveal.experiment.settings import Experiment
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore


def count_dropped(
    folder: Path, data: Dataset, arms: dict[str, ArmStages], experiment: Experiment
) -> pd.DataFrame:
    """Count the participants left out, by stage, arm and reason.

    Parameters
    ----------
    folder : Path
        The run folder; registrations and comparisons are done.
    data : Dataset
    arms : dict of str to ArmStages
    experiment : Experiment

    Returns
    -------
    DataFrame
        `stage`, `arm`, `reason`, `count`; only what happened.
    """
    rows = []
    for name, arm in arms.items():
        if arm.arm.registration and arm.training is not arm.data:
            quality = read_table(arm.training.arms_folder / name / "qc.parquet")
            rows.append(("registration for training", name, "failed", (~quality["ok"]).sum()))
        with_tensor = set(TensorStore(data.paths.tensors).sample_ids(arm.first_map.path))
        without = len(set(data.splits.index) - with_tensor)
        rows.append(("ingest", name, f"no {arm.first_map.name}", without))
        rows.append(
            ("ingest", name, "not in the cohort", len(with_tensor - set(data.splits.index)))
        )
        if arm.arm.registration:
            quality = read_table(arm.folder / "qc.parquet")
            failed = quality.loc[~quality["ok"], "reason"].value_counts()
            rows += [("registration", name, reason, count) for reason, count in failed.items()]
    for comparison, settings in experiment.comparisons.items():
        compared = folder / "comparisons" / comparison
        chosen = len(read_table(compared / "participants.parquet"))
        analysed = len(data.ids_of_split("analysis"))
        both = " and ".join(settings.arms)
        rows.append(("comparison", both, "not in every arm", analysed - chosen))
        for arm in settings.arms if experiment.gwas else ():
            counts = json.loads((compared / arm / "gwas" / "gwas.json").read_text())
            for reason in ("without_genotypes", "without_covariates", "missing_covariate_values"):
                count = counts["participants"].get(reason, 0)
                rows.append(("gwas", arm, reason.replace("_", " "), count))
        for arm in settings.arms if experiment.phewas else ():
            counts = json.loads((compared / arm / "phewas" / "phewas.json").read_text())
            rows.append(
                ("phewas", arm, "sex or covariate missing", counts["missing_covariate_values"])
            )
    table = pd.DataFrame(rows, columns=["stage", "arm", "reason", "count"])
    return table[table["count"] > 0]
