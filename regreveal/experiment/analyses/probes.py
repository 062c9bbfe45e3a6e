"""Linear probes of the two arms, on the same participants and folds."""

from functools import partial
from pathlib import Path

import pandas as pd

from regreveal.errors import InputError
from regreveal.experiment.analyses.compared import Compared
from regreveal.store.cohort import read_table, write_table

FILES = ("probes.tsv", "probe_differences.tsv", "probe_means.tsv", "probe_calibration.tsv")
ADJUSTED_FILES = ("probe_gains.tsv", "probe_gain_differences.tsv")


def run_stages(compared: Compared) -> None:
    """Probe every target in both arms, adjusted for covariates too where that is asked for."""
    settings = compared.experiment.probes
    targets = compared.experiment.targets_of(compared.name)
    of_arms = [target.split(".")[0] for target in targets if "." in target]
    names = [*FILES, *(ADJUSTED_FILES if settings.adjust else ())]
    outputs = [compared.folder / name for name in names]
    compared.manifest.run(
        compared.stage("probes"),
        partial(_write_probes, compared, outputs),
        outputs=outputs,
        settings=[targets, settings.model_dump(), compared.comparison.model_dump()],
        files=compared.data.files("phenotypes", "phenotype_info", "cohort", "true_traits"),
        after=compared.embedded(*{*compared.arms, *(a for a in of_arms if a in compared.all_arms)}),
    )


def _write_probes(compared: Compared, files: list[Path]) -> None:
    from regreveal.phenome.phenotypes import given_types, read_phenotype_info
    from regreveal.phenome.probes.run import run_probes

    settings, paths = compared.experiment.probes, compared.data.paths
    info = read_phenotype_info(paths.phenotype_info) if paths.phenotype_info else None
    found = run_probes(
        {name: compared.latents(name) for name in compared.arms},
        _columns(compared, compared.experiment.targets_of(compared.name)),
        compared.participants["fold"],
        baseline=compared.comparison.baseline,
        types=given_types(settings.categorical, settings.continuous, info),
        units=None if info is None else info["units"].to_dict(),
        covariates=_columns(compared, settings.adjust) if settings.adjust else None,
        floor=True,
        true_traits=read_table(paths.true_traits) if paths.true_traits else None,
    )
    tables = [found.scores, found.differences, found.means, found.calibration]
    if found.adjusted:
        tables += [found.adjusted.gains, found.adjusted.differences]
    for table, file in zip(tables, files, strict=True):
        write_table(table, file)


def _columns(compared: Compared, names: list[str]) -> pd.DataFrame:
    """Gather columns of the phenotypes, the cohort or an arm's quality figures.

    Values are missing where a participant has none.
    """
    files = compared.data.paths.files("phenotypes", "cohort")
    tables = [read_table(path) for path in files.values()]
    values = {}
    for name in names:
        holding = [table for table in tables if name in table]
        values[name] = holding[0][name] if holding else _quality_figure(compared, name)
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
