"""`regreveal replicate`: loci found in half of the participants, tested in the other half."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regreveal.cli.options import (
    CovariateColumns,
    Covariates,
    Dask,
    Genes,
    GenotypeFiles,
    Keep,
    Latents,
    RefFirst,
    Remove,
)
from regreveal.cli.participants import choose_participants, split_names
from regreveal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def replicate(
    embedding: Latents,
    genotypes: GenotypeFiles,
    out: Annotated[Path, typer.Option(help="Folder for the results.", show_default=False)],
    ref_first: RefFirst = False,
    covariates: Covariates = None,
    covariate_columns: CovariateColumns = None,
    splits: Annotated[
        Path | None,
        typer.Option(
            help="Split file, to use its analysis participants only, halved within its folds."
        ),
    ] = None,
    keep: Keep = None,
    remove: Remove = None,
    coding: Annotated[
        str, typer.Option(help="genotype (three groups) or additive (a trend).")
    ] = "genotype",
    transform: Annotated[
        str, typer.Option(help="Of the latents before the test: radial, rint or none.")
    ] = "radial",
    project_out: Annotated[
        str | None,
        typer.Option(help="Columns of the covariates to project out of the latents."),
    ] = None,
    minimum_count: Annotated[
        int, typer.Option(help="Fewest participants in a tested genotype group.", min=0)
    ] = 20,
    min_maf: Annotated[
        float | None, typer.Option(help="Smallest minor allele frequency.", min=0, max=0.5)
    ] = None,
    threshold: Annotated[float, typer.Option(help="Significance of discovery.")] = 5e-8,
    genes: Genes = None,
    seed: Annotated[int, typer.Option(help="Of the halves.", min=0)] = 0,
    threads: Annotated[int | None, typer.Option(help="All cores by default.", min=1)] = None,
    dask: Dask = None,
) -> None:
    """Find loci in half of the participants, test their lead variants in the other; then in turn.

    Leaves leads.tsv, summary.tsv and replication.json in the output folder, and the GWAS of either
    half in half_1 and half_2. Relatives are in one half. Participants that the embedding's model
    was trained or validated on are left out.
    """
    from regreveal.cluster import on_cluster
    from regreveal.genetics.genotypes import open_genotypes
    from regreveal.genetics.genotypes.filters import VariantFilter
    from regreveal.genetics.loci import read_genes
    from regreveal.genetics.replication import replicate as run

    if not 0 < threshold <= 1:
        raise InputError(f"--threshold {threshold}: expected a p-value, above 0 and at most 1")
    latents, chosen = choose_participants(embedding, splits, keep, remove)
    with on_cluster(dask):
        result = run(
            latents,
            open_genotypes(genotypes, ref_first),
            covariates,
            out,
            fold=_folds(splits, chosen),
            seed=seed,
            covariate_columns=split_names(covariate_columns) or None,
            project_out_columns=split_names(project_out),
            variant_filter=VariantFilter(minimum_maf=min_maf),
            coding=coding,
            transform=transform,
            minimum_count=minimum_count,
            threshold=threshold,
            genes=None if genes is None else read_genes(genes),
            threads=threads,
        )
    either = result.summary.set_index("discovery").loc["either"]
    sizes = " and ".join(str(count) for count in result.report["participants"].values())
    typer.echo(
        f"halves of {sizes} participants, {int(either['leads'])} loci found in either, of "
        f"{int(either['tested'])} tested {int(either['joint_replicated'])} replicated jointly and "
        f"{int(either['direction_replicated'])} along the direction: {out / 'leads.tsv'}"
    )


def _folds(splits: Path | None, sample_ids: list[str]) -> "pd.Series":
    """Folds of the split file; one for all without it."""
    import pandas as pd

    from regreveal.store.cohort import read_splits

    if splits is None:
        return pd.Series(0, index=sample_ids)
    return read_splits(splits)["fold"].loc[sample_ids]
