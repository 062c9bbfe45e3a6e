"""What can be known to fail is said before the hours of registration and training."""

from collections.abc import Sequence

import pandas as pd

from regreveal.errors import InputError
from regreveal.experiment.arm_settings import Arm
from regreveal.experiment.data import DIAGNOSES, PHECODES, Dataset
from regreveal.experiment.settings import Experiment
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.loci import read_genes
from regreveal.registration.latents import check_gives_latents
from regreveal.registration.methods import check_parameters, registration_class
from regreveal.registration.reference import find_column, read_reference
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map


def check_names(experiment: Experiment) -> None:
    """Raise InputError if a tensor map, a registration or one of its parameters does not exist."""
    for name, arm in experiment.arms.items():
        try:
            takes = find_tensor_map(arm.input, experiment.tensormaps)
            find_tensor_map(arm.tensor_map, experiment.tensormaps)
            if arm.registration:
                check_parameters(arm.registration.method, arm.registration.parameters)
                _check_of_site(arm)
            if arm.gives_latents:
                _check_gives_latents(experiment, arm)
            if arm.after:
                gives = experiment.arms[arm.after].tensor_map
                if takes.path != find_tensor_map(gives, experiment.tensormaps).path:
                    raise InputError(
                        f"{takes.name} is a view of '{takes.path}', but '{arm.after}' gives {gives}"
                    )
        except InputError as error:
            raise InputError(f"arms.{name}: {error}") from error


def _check_of_site(arm: Arm) -> None:
    """Refuse latents of a site's own registration: an arm's are known before code is imported."""
    method = arm.registration.method
    if registration_class(method).gives_latents and not arm.gives_latents:
        raise InputError(
            f"{method}: gives latents, which of a site's own an experiment does not take; make "
            "them by `regreveal register`, and analyse its latents.parquet"
        )


def _check_gives_latents(experiment: Experiment, arm: Arm) -> None:
    if arm.registration.exemplar or arm.registration.reference:
        raise InputError(
            f"{arm.registration.method}: takes no reference; leave the exemplar or reference out"
        )
    takes, gives = arm.input, arm.tensor_map
    check_gives_latents(
        arm.registration.method,
        find_tensor_map(takes, experiment.tensormaps),
        find_tensor_map(gives, experiment.tensormaps),
    )


def check_data(experiment: Experiment, data: Dataset, training: Dataset) -> None:
    """Raise InputError if something lacks a file or a column, or there is nobody to analyse."""
    if experiment.comparisons and not data.ids_of_split("analysis"):
        raise InputError(
            f"splits: none of {len(data.splits)} participants is left for analysis; "
            "raise splits.analysis"
        )
    _check_tensors(experiment, data, training)
    _check_references(experiment, training)
    if experiment.gwas:
        open_genotypes(data.paths.need("genotypes", "the GWAS"))
        if data.paths.genes:
            read_genes(data.paths.genes)
        columns = [*experiment.gwas.covariates, *experiment.gwas.project_out]
        _check_columns("gwas", columns, data)
    if experiment.phewas:
        _check_phewas(experiment, data)
    if experiment.probes:
        _check_targets(experiment, data)


def _check_tensors(experiment: Experiment, data: Dataset, training: Dataset) -> None:
    for name in experiment.arms:
        first = find_tensor_map(experiment.first_input(name), experiment.tensormaps)
        for dataset in (data, training):
            try:
                first.check_stored(TensorStore(dataset.paths.tensors))
            except InputError as error:
                raise InputError(f"arms.{name}: {error}") from error


def _check_references(experiment: Experiment, training: Dataset) -> None:
    """Check what images are to be registered to, whose tensors may not be made yet."""
    for name, arm in experiment.arms.items():
        if arm.registration is None:
            continue
        try:
            if arm.registration.reference:
                takes = find_tensor_map(arm.input, experiment.tensormaps)
                read_reference(arm.registration.reference, takes.channelled_shape)
            if arm.registration.exemplar:
                tables = training.paths.files("phenotypes", "cohort").values()
                find_column(arm.registration.exemplar, map(read_table, tables))
        except InputError as error:
            raise InputError(f"arms.{name}: {error}") from error


def _check_phewas(experiment: Experiment, data: Dataset) -> None:
    from regreveal.experiment.analyses.phewas import read_codes
    from regreveal.phenome.phewas.run import is_day

    purpose = "the PheWAS"
    data.paths.need("diagnoses", purpose)
    data.paths.need("phecodes", purpose)
    settings = experiment.phewas
    files = (data.paths.files(*names).values() for names in (DIAGNOSES, PHECODES))
    read_codes(*files, settings.icd10_edition, settings.until)
    data.paths.need("cohort", purpose)
    columns = ["sex", *settings.covariates, settings.visit]
    if settings.end_of_follow_up and not is_day(settings.end_of_follow_up):
        columns.append(settings.end_of_follow_up)
    _check_columns("phewas", [column for column in columns if column], data)


def _check_columns(analysis: str, columns: Sequence[str], data: Dataset) -> None:
    if not columns:
        return
    cohort = read_table(data.paths.need("cohort", f"{analysis}.covariates"))
    for column in columns:
        if column not in cohort:
            raise InputError(
                f"{analysis}: the cohort has no column '{column}' "
                f"(there are: {', '.join(cohort.columns)})"
            )


def _check_targets(experiment: Experiment, data: Dataset) -> None:
    """Check the targets; the figures of a registration are known only once it is done."""
    from regreveal.phenome.phenotypes import read_phenotype_info

    files = data.paths.files("phenotypes", "cohort").values()
    columns = pd.Index([column for file in files for column in read_table(file).columns]).unique()
    targets = [t for name in experiment.comparisons for t in experiment.targets_of(name)]
    for column in experiment.probes.adjust:
        if column not in columns:
            raise InputError(
                f"probes.adjust: no column '{column}' (there are: {', '.join(columns)})"
            )
    if data.paths.phenotype_info:
        read_phenotype_info(data.paths.phenotype_info)
    for target in dict.fromkeys(targets):
        arm = experiment.arms.get(target.split(".")[0]) if "." in target else None
        if target in columns or (arm and arm.registration):
            continue
        if arm:
            raise InputError(f"probes.targets: '{target}': this arm has no registration")
        raise InputError(f"probes.targets: no column '{target}' (there are: {', '.join(columns)})")
