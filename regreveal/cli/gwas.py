"""`regreveal gwas`: the latent GWAS of an embedding, as files in and files out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    read_embeddings,
    split_names,
)

if TYPE_CHECKING:
    from regreveal.genetics.genotypes.filters import VariantFilter
    from regreveal.genetics.gwas import GwasResult

NOWHERE = "listed_never_found"

VARIANTS = "Which variants"
MODEL = "The model"
OUTPUT = "What is written"
MACHINE = "Where it runs"


def gwas(
    embedding: Annotated[
        Path, typer.Option(help="Latents: .parquet, or ml4h's hidden_*.tsv.", show_default=False)
    ],
    genotypes: Annotated[
        list[Path],
        typer.Option(
            help="PLINK .bed or .pgen, .bgen, .vcf.gz or .bcf; once for each file, such as one a "
            "chromosome.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.", show_default=False)],
    ref_first: Annotated[
        bool,
        typer.Option(
            "--ref-first",
            help="BGEN's first allele is the reference (as UK Biobank's), not its last.",
        ),
    ] = False,
    covariates: Annotated[
        Path | None, typer.Option(help="Table with sample_id: .tsv, .csv or .parquet.")
    ] = None,
    covariate_columns: Annotated[
        str | None, typer.Option(help="Columns to use, with commas between; all by default.")
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="Split file, to use its analysis participants only.")
    ] = None,
    sex_column: Annotated[
        str | None,
        typer.Option(help="Column of the covariates with sex, for X; by default the genotypes'."),
    ] = None,
    coding: Annotated[
        str,
        typer.Option(help="genotype (three groups) or additive (a trend).", rich_help_panel=MODEL),
    ] = "genotype",
    transform: Annotated[
        str,
        typer.Option(
            help="Of the latents before the test: radial, rint or none.", rich_help_panel=MODEL
        ),
    ] = "radial",
    minimum_count: Annotated[
        int,
        typer.Option(
            help="Fewest participants in a tested genotype group.", min=0, rich_help_panel=MODEL
        ),
    ] = 20,
    criteria: Annotated[
        str | None,
        typer.Option(
            help="More tests beside Pillai's trace: wilks, hotelling-lawley, roy.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    min_p: Annotated[
        bool,
        typer.Option(
            "--min-p",
            help="Also test by the smallest p-value of all dimensions.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    permutations: Annotated[
        int,
        typer.Option(
            help="Draws of that p-value's null distribution by permutation.",
            min=0,
            rich_help_panel=MODEL,
        ),
    ] = 0,
    project_out: Annotated[
        str | None,
        typer.Option(
            help="Columns of the covariates to project out of the latents, with commas between.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    loco: Annotated[
        Path | None,
        typer.Option(
            help="List of REGENIE step 1's LOCO predictions, *_pred.list.", rich_help_panel=MODEL
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as 17 or chr6:25000000-34000000, or a BED file; may be given often.",
            rich_help_panel=VARIANTS,
        ),
    ] = None,
    include: Annotated[
        Path | None,
        typer.Option(help="List of variant ids, the only ones to test.", rich_help_panel=VARIANTS),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(help="List of variant ids to leave out.", rich_help_panel=VARIANTS),
    ] = None,
    min_maf: Annotated[
        float | None,
        typer.Option(help="Least frequency of the rarer allele.", rich_help_panel=VARIANTS),
    ] = None,
    max_maf: Annotated[
        float | None,
        typer.Option(help="Largest frequency of the rarer allele.", rich_help_panel=VARIANTS),
    ] = None,
    min_mac: Annotated[
        float | None,
        typer.Option(help="Fewest copies of the rarer allele.", rich_help_panel=VARIANTS),
    ] = None,
    min_info: Annotated[
        float | None,
        typer.Option(help="Least imputation quality (MaCH's r²).", rich_help_panel=VARIANTS),
    ] = None,
    hwe: Annotated[
        float | None,
        typer.Option(
            help="Least p of the exact test of Hardy-Weinberg equilibrium.",
            rich_help_panel=VARIANTS,
        ),
    ] = None,
    max_missing: Annotated[
        float | None,
        typer.Option(help="Largest share of missing genotypes.", rich_help_panel=VARIANTS),
    ] = None,
    autosomes: Annotated[
        int, typer.Option(help="Pairs of autosomes of the species.", rich_help_panel=VARIANTS)
    ] = 22,
    build: Annotated[
        str | None,
        typer.Option(help="GRCh37 or GRCh38; tells where X is pseudo-autosomal."),
    ] = None,
    genes: Annotated[
        Path | None,
        typer.Option(
            help="Table of genes (chromosome, start, end, gene), or NCBI's .gene.loc.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(
            help="Table of known loci (chromosome, position), or the GWAS Catalog's.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    per_dimension: Annotated[
        bool,
        typer.Option(
            "--per-dimension",
            help="Write each dimension's own effects, as GWAS-SSF.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    regenie: Annotated[
        bool,
        typer.Option(
            "--regenie",
            help="Write each dimension's own effects in REGENIE's layout.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    top: Annotated[
        float | None,
        typer.Option(help="Write only results with p below this.", rich_help_panel=OUTPUT),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads; all cores by default.", min=1, rich_help_panel=MACHINE),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            help="Precision of the sums over participants: float32 or float64.",
            rich_help_panel=MACHINE,
        ),
    ] = "float32",
    backend: Annotated[
        str,
        typer.Option(
            help="numpy (this machine's cores), or keras (its backend's accelerator).",
            rich_help_panel=MACHINE,
        ),
    ] = "numpy",
    dask: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler whose workers shall do the blocks.",
            rich_help_panel=MACHINE,
        ),
    ] = None,
) -> None:
    """Test every variant against the whole latent vector (MANOVA, Pillai's trace).

    Leaves manova.tsv.gz with its tabix index, loci.tsv, manhattan.png, qq.png and gwas.json in the
    output folder, and dimensions/ where asked. Participants that the embedding's model was trained
    or validated on are left out. A run that was killed goes on where it was.
    """
    from regreveal.genetics.genotypes import open_genotypes
    from regreveal.genetics.gwas import run_gwas
    from regreveal.genetics.known import read_known_loci
    from regreveal.genetics.loci import read_genes
    from regreveal.store.cohort import read_splits

    embeddings = read_embeddings([f"latents={embedding}"])
    chosen, left_out = common_participants(
        embeddings, None if splits is None else read_splits(splits), {}
    )
    result = run_gwas(
        embeddings["latents"],
        open_genotypes(genotypes, ref_first),
        covariates,
        out,
        covariate_columns=split_names(covariate_columns) or None,
        participants=chosen,
        sex_column=sex_column,
        variant_filter=_filter(
            region,
            include,
            exclude,
            min_maf,
            max_maf,
            min_mac,
            min_info,
            hwe,
            max_missing,
            autosomes,
        ),
        project_out_columns=split_names(project_out),
        loco=loco,
        coding=coding,
        transform=transform,
        criteria=split_names(criteria),
        minimum_p=min_p or permutations > 0,
        permutations=permutations,
        per_dimension=per_dimension,
        regenie_tables=regenie,
        top=top,
        minimum_count=minimum_count,
        genes=None if genes is None else read_genes(genes),
        known=None if known is None else read_known_loci(known),
        build=build,
        threads=threads,
        dtype=dtype,
        backend=backend,
        cluster=dask,
    )
    _draw(result, out)
    echo_left_out(left_out)
    _echo(result, out)


def _filter(
    region: list[str] | None,
    include: Path | None,
    exclude: Path | None,
    min_maf: float | None,
    max_maf: float | None,
    min_mac: float | None,
    min_info: float | None,
    hwe: float | None,
    max_missing: float | None,
    autosomes: int,
) -> "VariantFilter":
    from regreveal.genetics.genotypes.filters import (
        VariantFilter,
        parse_region,
        read_regions,
        read_variant_list,
    )

    regions = []
    for text in region or []:
        regions += read_regions(text) if Path(text).is_file() else [parse_region(text)]
    return VariantFilter(
        regions=tuple(regions) or None,
        include=None if include is None else read_variant_list(include),
        exclude=None if exclude is None else read_variant_list(exclude),
        minimum_maf=min_maf,
        maximum_maf=max_maf,
        minimum_mac=min_mac,
        minimum_info=min_info,
        hwe_p=hwe,
        maximum_missing=max_missing,
        autosomes=autosomes,
    )


def _draw(result: "GwasResult", folder: Path) -> None:
    from regreveal.report.figures import manhattan, qq_plot

    loci, points = result.loci, result.points["manova"]
    named = loci.assign(
        gene=loci["nearest_gene"].where(loci["nearest_gene"] != "", loci["variant_id"])
    )
    manhattan(points, folder / "manhattan.png", named if len(named) else None)
    qq_plot(points, folder / "qq.png")


def _echo(result: "GwasResult", folder: Path) -> None:
    summary = result.summary
    variants = summary["variants"]
    kinds = ("read", "tested", "missing_genotypes", "unplaced", "male_heterozygotes", NOWHERE)
    for reason, count in variants.items():
        if count and reason not in kinds:
            typer.echo(f"left out {count:>7}  variants: {reason.replace('_', ' ')}")
    if variants.get(NOWHERE):
        typer.echo(f"warning: {variants[NOWHERE]} listed ids are not in the genotypes", err=True)
    related = summary.get("relatedness", {})
    pairs = [
        f"{related[degree]} pairs of {degree.replace('_', '-')} relatives"
        for degree in ("first_degree", "second_degree")
        if related.get(degree)
    ]
    if pairs:
        typer.echo(
            f"warning: {related['participants']} of the participants have {' and '.join(pairs)}, "
            f"and lambda GC is {summary['lambda_gc']:.2f}; relatives inflate the test: give LOCO "
            "predictions (--loco), or leave one of each pair out",
            err=True,
        )
    new = f", {summary['new_loci']} of them new" if "new_loci" in summary else ""
    typer.echo(
        f"{summary['participants']['analysed']} participants, {variants['tested']} of "
        f"{variants['read']} variants tested, {len(result.loci)} loci{new}: {folder}"
    )
