"""`regreveal regenie-inputs`: what REGENIE's step 1 takes, for `regreveal gwas --loco`."""

from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    read_embeddings,
    split_names,
)


def regenie_inputs(
    embedding: Annotated[Path, typer.Option(help="Latents.", show_default=False)],
    genotypes: Annotated[
        Path, typer.Option(help="The genotypes step 1 will read.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files.", show_default=False)],
    covariates: Annotated[Path | None, typer.Option(help="Table with sample_id.")] = None,
    covariate_columns: Annotated[
        str | None, typer.Option(help="Columns to use, with commas between; all by default.")
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="Split file, to use its analysis participants only.")
    ] = None,
    transform: Annotated[str, typer.Option(help="radial, rint or none.")] = "radial",
    project_out: Annotated[
        str | None, typer.Option(help="Columns of the covariates to project out of the latents.")
    ] = None,
) -> None:
    """Write the latents that `regreveal gwas` tests as phenotypes for REGENIE's step 1.

    Give the same options as to `regreveal gwas`: predictions are of what is tested. Leaves
    phenotypes.txt and covariates.txt in the output folder.
    """
    from regreveal.genetics.genotypes import open_genotypes
    from regreveal.genetics.prepare import prepare_latents
    from regreveal.genetics.regenie import read_family_ids, write_regenie_inputs
    from regreveal.store.cohort import read_splits

    embeddings = read_embeddings([f"latents={embedding}"])
    chosen, left_out = common_participants(
        embeddings, None if splits is None else read_splits(splits), {}
    )
    prepared = prepare_latents(
        embeddings["latents"],
        open_genotypes(genotypes),
        covariates,
        covariate_columns=split_names(covariate_columns) or None,
        participants=chosen,
        project_out_columns=split_names(project_out),
        transform=transform,
    )
    sample_ids = prepared.matched.sample_ids
    write_regenie_inputs(
        out,
        prepared.transformed.set_axis(sample_ids),
        prepared.matched.covariates,
        read_family_ids(genotypes, sample_ids),
    )
    echo_left_out(left_out)
    typer.echo(f"{len(sample_ids)} participants, {prepared.transformed.shape[1]} phenotypes: {out}")
