"""The PheWAS of either arm."""

from pathlib import Path

from regreveal.experiment.analyses.compared import Compared
from regreveal.store.cohort import read_table


def run_stages(compared: Compared) -> None:
    """Make the PheWAS of both arms."""
    for arm in compared.arms:
        _phewas(compared, arm)


def _phewas(compared: Compared, arm: str) -> None:
    settings = compared.experiment.phewas
    folder = compared.folder / arm / "phewas"
    compared.manifest.run(
        compared.stage(f"{arm}/phewas"),
        lambda: _write_phewas(compared, arm, folder),
        outputs=[folder],
        settings=[settings.model_dump(), compared.experiment.seed],
        files=compared.data.files("diagnoses", "phecodes", "phecode_info", "cohort"),
        after=compared.embedded(arm),
    )


def _write_phewas(compared: Compared, arm: str, folder: Path) -> None:
    from regreveal.phenome.phewas_run import run_phewas

    run_phewas(
        compared.embedding(arm),
        compared.participants.index,
        read_table(compared.data.paths.cohort),
        compared.experiment.phewas.covariates,
        compared.data.paths.diagnoses,
        compared.data.paths.phecodes,
        compared.data.paths.phecode_info,
        folder,
        seed=compared.experiment.seed,
    )
