"""`regreveal gwas`: the latent GWAS of an embedding, as files in and files out."""

from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    read_embeddings,
    split_names,
)


def gwas(
    embedding: Annotated[
        Path, typer.Option(help="Latents: .parquet, or ml4h's hidden_*.tsv.", show_default=False)
    ],
    genotypes: Annotated[
        Path, typer.Option(help="PLINK 1 .bed, with .bim and .fam beside it.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.", show_default=False)],
    covariates: Annotated[
        Path | None, typer.Option(help="Table with sample_id: .tsv, .csv or .parquet.")
    ] = None,
    covariate_columns: Annotated[
        str | None, typer.Option(help="Columns to use, with commas between; all by default.")
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="Split file, to use its analysis participants only.")
    ] = None,
    coding: Annotated[
        str, typer.Option(help="genotype (three groups) or additive (a trend).")
    ] = "genotype",
    transform: Annotated[
        str, typer.Option(help="Of the latents before the test: radial, rint or none.")
    ] = "radial",
    per_dimension: Annotated[
        bool, typer.Option("--per-dimension", help="Write each dimension's effects, too.")
    ] = False,
    minimum_count: Annotated[
        int, typer.Option(help="Fewest participants in a tested genotype group.", min=0)
    ] = 20,
    genes: Annotated[
        Path | None, typer.Option(help="Table of genes: chromosome, start, end, gene.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads of the matrix products; all cores by default.", min=1),
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="Precision of the matrix products: float64 or float32.")
    ] = "float64",
) -> None:
    """Test every variant against the whole latent vector (MANOVA, Pillai's trace).

    Leaves manova.tsv.gz with its tabix index, loci.tsv, manhattan.png, qq.png and gwas.json in the
    output folder, and dimensions/ where asked. Participants that the embedding's model was trained
    or validated on are left out.
    """
    import pandas as pd

    from regreveal.genetics.gwas import run_gwas
    from regreveal.genetics.loci import read_genes
    from regreveal.report.figures import manhattan, qq_plot
    from regreveal.store.cohort import read_splits

    embeddings = read_embeddings([f"latents={embedding}"])
    chosen, left_out = common_participants(
        embeddings, None if splits is None else read_splits(splits), {}
    )
    result = run_gwas(
        embeddings["latents"],
        genotypes,
        covariates,
        out,
        covariate_columns=split_names(covariate_columns) or None,
        participants=chosen,
        genes=None if genes is None else read_genes(genes),
        coding=coding,
        transform=transform,
        per_dimension=per_dimension,
        minimum_count=minimum_count,
        threads=threads,
        dtype=dtype,
    )
    table = pd.read_csv(
        result.tables["manova"],
        sep="\t",
        usecols=["chromosome", "position", "neg_log10_p"],
        dtype={"chromosome": "category"},
    )
    loci = result.loci
    named = loci.assign(
        gene=loci["nearest_gene"].where(loci["nearest_gene"] != "", loci["variant_id"])
    )
    manhattan(table, out / "manhattan.png", named if len(named) else None)
    qq_plot(table["neg_log10_p"].to_numpy(), out / "qq.png")
    echo_left_out(left_out)
    counts = result.summary
    typer.echo(
        f"{counts['participants']['analysed']} participants, {counts['variants']['tested']} of "
        f"{counts['variants']['read']} variants tested, {len(loci)} loci: {out}"
    )
