"""What the strongest loci and diseases of either arm look like, decoded."""

from functools import partial
from pathlib import Path

from regreveal.directions.run import Model, run_directions
from regreveal.directions.variables import Variable, phecode_variables, variant_variables
from regreveal.experiment.analyses import phewas
from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.data import DIAGNOSES, PHECODES
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.loci import read_loci
from regreveal.phenome.phewas.run import read_phewas

SIGNIFICANT = 0.05  # of the PheWAS's p, corrected after Bonferroni


def run_stages(compared: Compared) -> None:
    """Decode along the strongest loci and diseases of both arms."""
    experiment = compared.experiment
    for arm, stages in compared.arms.items():
        folder = compared.folder / arm / "directions"
        analyses = [name for name in ("gwas", "phewas") if getattr(experiment, name)]
        compared.manifest.run(
            compared.stage(f"{arm}/directions"),
            partial(_decode, compared, arm, folder),
            outputs=[folder],
            settings=[
                experiment.directions.model_dump(),
                experiment.seed,
                repr(stages.tensor_map),
            ],
            files=compared.data.files("genotypes", "cohort", *DIAGNOSES, *PHECODES)
            | compared.data.tensor_files(stages.first_map),
            after=[
                *compared.embedded(arm),
                *stages.after_registration(compared.data),
                *(compared.stage(f"{arm}/{name}") for name in analyses),
            ],
        )


def _decode(compared: Compared, arm: str, folder: Path) -> None:
    experiment, stages = compared.experiment, compared.arms[arm]
    variables, covariates = [], {}
    if experiment.gwas:
        variables += _strongest_variants(compared, arm)
        # Linear in either case: what is projected out has no part in a direction.
        covariates["variant"] = list(
            dict.fromkeys([*experiment.gwas.covariates, *experiment.gwas.project_out])
        )
    if experiment.phewas:
        variables += _strongest_phecodes(compared, arm)
        covariates["phecode"] = experiment.phewas.covariates
    run_directions(
        compared.embedding(arm),
        compared.participants.index,
        variables,
        covariates,
        compared.covariates([column for columns in covariates.values() for column in columns]),
        Model(stages.folder / "model", stages.store(compared.data), stages.tensor_map),
        folder,
        steps=experiment.directions.steps,
        seed=experiment.seed,
    )


def _strongest_variants(compared: Compared, arm: str) -> list[Variable]:
    """Read the genotypes of the strongest lead variants."""
    loci = read_loci(compared.folder / arm / "gwas" / "loci.tsv")
    loci = loci.sort_values("neg_log10_p_corrected", ascending=False, kind="stable")
    loci = loci.head(compared.experiment.directions.variants)
    if loci.empty:
        return []
    genotypes = open_genotypes(compared.data.paths.genotypes)
    genotyped = compared.participants.index.intersection(genotypes.samples)
    return variant_variables(
        genotypes, loci["row"].to_numpy(int), loci["nearest_gene"].tolist(), genotyped
    )


def _strongest_phecodes(compared: Compared, arm: str) -> list[Variable]:
    """Say who has the diseases that the PheWAS found most certainly."""
    found = read_phewas(compared.folder / arm / "phewas" / "phewas.tsv")
    found = found[found["bonferroni"] < SIGNIFICANT]
    found = found.sort_values("neg_log10_p", ascending=False, kind="stable")
    chosen = found["phecode"].head(compared.experiment.directions.phecodes).tolist()
    if not chosen:
        return []
    options = phewas.options_of(compared.experiment.phewas)
    diseases = phewas.prepare(compared, options).table
    return phecode_variables(diseases.status, diseases.info, chosen)
