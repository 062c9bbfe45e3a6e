"""`regreveal regenie-inputs`: what REGENIE's step 1 takes, for `regreveal gwas --loco`."""

from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.options import (
    AnalysisSplits,
    CovariateColumns,
    Covariates,
    Keep,
    Latents,
    NewFolder,
    Remove,
)
from regreveal.cli.participants import (
    choose_participants,
    echo_unmatched,
    split_names,
)


def regenie_inputs(
    embedding: Latents,
    genotypes: Annotated[
        list[Path],
        typer.Option(
            help="As to regreveal gwas, once for each file; only who is in them counts.",
            show_default=False,
        ),
    ],
    out: NewFolder,
    covariates: Covariates = None,
    covariate_columns: CovariateColumns = None,
    splits: AnalysisSplits = None,
    keep: Keep = None,
    remove: Remove = None,
    transform: Annotated[str, typer.Option(help="radial, rint or none.")] = "radial",
    project_out: Annotated[
        str | None, typer.Option(help="Columns of the covariates to project out of the latents.")
    ] = None,
) -> None:
    """Write the latents that `regreveal gwas` tests as phenotypes for REGENIE's step 1.

    Predictions are of what is tested, so give each of these options as to `regreveal gwas`; its
    others change nothing here. Leaves phenotypes.txt and, with covariates, covariates.txt in the
    output folder, with the family ids of the .fam beside the first genotype file, if it has one.
    """
    from regreveal.genetics.genotypes import open_genotypes
    from regreveal.genetics.prepare import prepare_latents
    from regreveal.genetics.regenie import read_family_ids, write_regenie_inputs
    from regreveal.store.atomic import new_folder

    latents, chosen = choose_participants(embedding, splits, keep, remove)
    prepared = prepare_latents(
        latents,
        open_genotypes(genotypes),
        covariates,
        covariate_columns=split_names(covariate_columns) or None,
        participants=chosen,
        project_out_columns=split_names(project_out),
        transform=transform,
    )
    sample_ids = prepared.matched.sample_ids
    with new_folder(out) as folder:
        write_regenie_inputs(
            folder,
            prepared.transformed.set_axis(sample_ids),
            prepared.matched.covariates,
            read_family_ids(genotypes[0], sample_ids),
        )
    echo_unmatched(prepared.matched.counts)
    typer.echo(f"{len(sample_ids)} participants, {prepared.transformed.shape[1]} phenotypes: {out}")
