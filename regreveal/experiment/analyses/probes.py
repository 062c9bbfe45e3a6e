"""Linear probes of the two arms, on the same participants and folds."""

from pathlib import Path

import pandas as pd

from regreveal.errors import InputError
from regreveal.experiment.analyses.compared import Compared
from regreveal.store.cohort import read_table, write_table


def run_stages(compared: Compared) -> None:
    """Probe every target in both arms."""
    settings = compared.experiment.probes
    targets = compared.experiment.targets_of(compared.name)
    of_arms = [target.split(".")[0] for target in targets if "." in target]
    names = ("probes.tsv", "probe_differences.tsv", "probe_means.tsv")
    outputs = [compared.folder / name for name in names]
    compared.manifest.run(
        compared.stage("probes"),
        lambda: _write_probes(compared, *outputs),
        outputs=outputs,
        settings=[targets, settings.categories, compared.comparison.model_dump()],
        files=compared.data.files("phenotypes", "cohort"),
        after=compared.embedded(*{*compared.arms, *(a for a in of_arms if a in compared.all_arms)}),
    )


def _write_probes(compared: Compared, *files: Path) -> None:
    from regreveal.phenome.probes import run_probes

    targets = _targets(compared)
    categories = [c for c in compared.experiment.probes.categories if c in targets]
    tables = run_probes(
        {name: compared.latents(name) for name in compared.arms},
        targets,
        compared.participants["fold"],
        baseline=compared.comparison.baseline,
        kinds=dict.fromkeys(categories, "category"),
    )
    for table, file in zip(tables, files, strict=True):
        write_table(table, file)


def _targets(compared: Compared) -> pd.DataFrame:
    """Gather the targets' values, missing where a participant has none."""
    files = compared.data.paths.files("phenotypes", "cohort")
    tables = [read_table(path) for path in files.values()]
    values = {}
    for target in compared.experiment.targets_of(compared.name):
        holding = [table for table in tables if target in table]
        values[target] = holding[0][target] if holding else _quality_figure(compared, target)
    return pd.DataFrame(values).reindex(compared.participants.index)


def _quality_figure(compared: Compared, target: str) -> pd.Series:
    """Find a target such as "registered.heart_rate" in that arm's quality figures."""
    arm, column = target.split(".", 1)
    quality = read_table(compared.all_arms[arm].folder / "qc.parquet")
    if column not in quality:
        raise InputError(
            f"probes.targets: '{target}': the registration of '{arm}' has no figure "
            f"'{column}' (it has: {', '.join(quality.columns)})"
        )
    return quality[column]
