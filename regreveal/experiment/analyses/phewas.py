"""The PheWAS of either arm, and how they differ."""

import functools
from pathlib import Path

from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.data import DIAGNOSES, PHECODES
from regreveal.phenome.phecodes.hospital_records import read_diagnoses
from regreveal.phenome.phecodes.phecode_map import read_phecode_map
from regreveal.phenome.phecodes.status import PhecodeRecords, phecode_records
from regreveal.phenome.phewas.run import (
    PhewasData,
    PhewasOptions,
    prepare_phewas,
    read_phewas,
    run_differences,
    run_phewas,
)
from regreveal.store.cohort import read_table


def run_stages(compared: Compared) -> None:
    """Make the PheWAS of both arms, and compare them."""
    settings = compared.experiment.phewas
    keyed = {
        "settings": [settings.model_dump(), compared.experiment.seed],
        "files": compared.data.files(*DIAGNOSES, *PHECODES, "cohort"),
    }
    options = PhewasOptions(**settings.model_dump())
    for arm in compared.arms:
        folder = _folder(compared, arm)
        compared.manifest.run(
            compared.stage(f"{arm}/phewas"),
            functools.partial(_write, compared, arm, options),
            outputs=[folder],
            after=compared.embedded(arm),
            **keyed,
        )
    files = compared.folder / "phewas_differences.tsv", compared.folder / "phewas_overall.tsv"
    compared.manifest.run(
        compared.stage("phewas_differences"),
        functools.partial(_write_differences, compared, options, files),
        outputs=list(files),
        after=[
            *compared.embedded(*compared.arms),
            *(compared.stage(f"{arm}/phewas") for arm in compared.arms),
        ],
        **keyed,
    )


def _folder(compared: Compared, arm: str) -> Path:
    return compared.folder / arm / "phewas"


def _write(compared: Compared, arm: str, options: PhewasOptions) -> None:
    run_phewas(
        compared.embedding(arm),
        prepare(compared, options),
        _folder(compared, arm),
        options,
        seed=compared.experiment.seed,
    )


def _write_differences(
    compared: Compared, options: PhewasOptions, files: tuple[Path, Path]
) -> None:
    run_differences(
        {arm: compared.embedding(arm) for arm in compared.arms},
        {arm: read_phewas(_folder(compared, arm) / "phewas.tsv") for arm in compared.arms},
        prepare(compared, options),
        files,
        compared.experiment.seed,
    )


def prepare(compared: Compared, options: PhewasOptions) -> PhewasData:
    """Find who of the participants has which disease, as both arms' PheWAS see it."""
    paths = compared.data.paths
    records = _records(*(_dated(paths.files(*names)) for names in (DIAGNOSES, PHECODES)))
    return prepare_phewas(compared.participants.index, read_table(paths.cohort), records, options)


def _dated(files: dict[str, Path]) -> tuple[tuple[Path, int], ...]:
    return tuple((path, path.stat().st_mtime_ns) for path in files.values())


@functools.lru_cache(maxsize=1)
def _records(
    diagnoses: tuple[tuple[Path, int], ...], phecodes: tuple[tuple[Path, int], ...]
) -> PhecodeRecords:
    """Map the diagnoses once for all comparisons of a run: of a biobank, that takes minutes.

    Files are given with the time of their last change.
    """
    return phecode_records(
        read_diagnoses(*(path for path, _ in diagnoses)),
        read_phecode_map(*(path for path, _ in phecodes)),
    )
