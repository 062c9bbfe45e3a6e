"""The PheWAS of either arm, and how they differ."""

import datetime
import functools
from collections.abc import Iterable
from pathlib import Path

from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.analysis_settings import Phewas
from regreveal.experiment.data import DIAGNOSES, PHECODES
from regreveal.experiment.manifest import fingerprint
from regreveal.phenome.phecodes.hospital_records import Diagnoses, read_diagnoses
from regreveal.phenome.phecodes.phecode_map import PhecodeMap, read_phecode_map
from regreveal.phenome.phecodes.phecode_records import PhecodeRecords, phecode_records
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
    options = options_of(settings)
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


def options_of(settings: Phewas) -> PhewasOptions:
    """Give what an experiment asks of the analysis itself, not of how records are read."""
    return PhewasOptions(**settings.model_dump(exclude={"icd10_edition", "until"}))


def read_codes(
    diagnoses: Iterable[Path], phecodes: Iterable[Path], edition: str | None, until: str | None
) -> tuple[Diagnoses, PhecodeMap]:
    """Read diagnoses and the map of their codes, as `icd10_edition` and `until` of [phewas] say."""
    return (
        read_diagnoses(*diagnoses, until=datetime.date.fromisoformat(until) if until else None),
        read_phecode_map(*phecodes, edition=edition.upper() if edition else None),
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
    paths, settings = compared.data.paths, compared.experiment.phewas
    records = _records(
        *(_known(paths.files(*names)) for names in (DIAGNOSES, PHECODES)),
        settings.icd10_edition,
        settings.until,
    )
    return prepare_phewas(compared.participants.index, read_table(paths.cohort), records, options)


def _known(files: dict[str, Path]) -> tuple[tuple[Path, str], ...]:
    return tuple((path, fingerprint(path)) for path in files.values())


@functools.lru_cache(maxsize=1)
def _records(
    diagnoses: tuple[tuple[Path, str], ...],
    phecodes: tuple[tuple[Path, str], ...],
    edition: str | None,
    until: str | None,
) -> PhecodeRecords:
    """Map the diagnoses once for all comparisons of a run: of a biobank, that takes minutes.

    Files are given with their fingerprints, so that a changed one is read again.
    """
    paths = ([path for path, _ in files] for files in (diagnoses, phecodes))
    return phecode_records(*read_codes(*paths, edition, until))
