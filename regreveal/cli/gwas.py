"""`regreveal gwas`: the latent GWAS of an embedding, as files in and files out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regreveal.cli.options import (
    AnalysisSplits,
    CovariateColumns,
    Covariates,
    Dask,
    GenotypeFiles,
    Keep,
    Latents,
    RefFirst,
    Remove,
)
from regreveal.cli.participants import (
    choose_participants,
    echo_unmatched,
    split_names,
)
from regreveal.errors import InputError

if TYPE_CHECKING:
    from regreveal.genetics.genotypes.filters import Region
    from regreveal.genetics.gwas import GwasResult

NOWHERE = "listed_never_found"

# What tells a file of regions from a region; names of contigs may have dots, too.
FILE_SUFFIXES = (".bed", ".txt", ".tsv", ".gz")

MANHATTAN, QQ = "manhattan.png", "qq.png"

VARIANTS = "Which variants"
MODEL = "The model"
OUTPUT = "What is written"
MACHINE = "Where it runs"


def gwas(
    embedding: Latents,
    genotypes: GenotypeFiles,
    out: Annotated[Path, typer.Option(help="Folder for the results.", show_default=False)],
    ref_first: RefFirst = False,
    covariates: Covariates = None,
    covariate_columns: CovariateColumns = None,
    splits: AnalysisSplits = None,
    keep: Keep = None,
    remove: Remove = None,
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
            help="Draws of that p-value's null distribution by permutation; turns --min-p on.",
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
            "--region",
            "--chr",
            help="Such as 17 or chr6:25000000-34000000, or a BED file; may be given often.",
            rich_help_panel=VARIANTS,
        ),
    ] = None,
    include: Annotated[
        Path | None,
        typer.Option(
            "--include",
            "--extract",
            help="List of variant ids, the only ones to test.",
            rich_help_panel=VARIANTS,
        ),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(help="List of variant ids to leave out.", rich_help_panel=VARIANTS),
    ] = None,
    min_maf: Annotated[
        float | None,
        typer.Option(
            "--min-maf",
            "--maf",
            help="Least frequency of the rarer allele.",
            rich_help_panel=VARIANTS,
        ),
    ] = None,
    max_maf: Annotated[
        float | None,
        typer.Option(help="Largest frequency of the rarer allele.", rich_help_panel=VARIANTS),
    ] = None,
    min_mac: Annotated[
        float | None,
        typer.Option(
            "--min-mac",
            "--mac",
            help="Fewest copies of the rarer allele.",
            rich_help_panel=VARIANTS,
        ),
    ] = None,
    min_info: Annotated[
        float | None,
        typer.Option(
            "--min-info",
            "--info",
            help="Least imputation quality (MaCH's r²).",
            rich_help_panel=VARIANTS,
        ),
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
        typer.Option(
            "--max-missing",
            "--geno",
            help="Largest share of missing genotypes.",
            rich_help_panel=VARIANTS,
        ),
    ] = None,
    autosomes: Annotated[
        int, typer.Option(help="Pairs of autosomes of the species.", rich_help_panel=VARIANTS)
    ] = 22,
    build: Annotated[
        str | None,
        typer.Option(
            help="GRCh37 or GRCh38: where X is pseudo-autosomal, by default where it is in either; "
            "also named in the tables' metadata."
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(help="Variants with p below this make loci.", rich_help_panel=OUTPUT),
    ] = 5e-8,
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
            help="Precision of the sums over participants: float32, or float64 (as from Python).",
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
    dask: Dask = None,
) -> None:
    """Test every variant against the whole latent vector (MANOVA, Pillai's trace).

    Leaves manova.tsv.gz with its tabix index, loci.tsv, gwas.json, and a Manhattan and a QQ plot
    (manhattan and qq, each .png and .pdf) in the output folder; dimensions/ where asked, and
    nullspace.tsv where columns were projected out. Participants that the embedding's model was
    trained or validated on are left out. A run that was killed goes on where it was.
    """
    from regreveal.cluster import on_cluster
    from regreveal.genetics.genotypes import open_genotypes
    from regreveal.genetics.genotypes.filters import VariantFilter, read_variant_list
    from regreveal.genetics.gwas import run_gwas
    from regreveal.genetics.known import read_known_loci
    from regreveal.genetics.loci import read_genes

    if not 0 < threshold <= 1:
        raise InputError(f"--threshold {threshold}: expected a p-value, above 0 and at most 1")
    variant_filter = VariantFilter(
        regions=_regions(region) if region else None,
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
    latents, chosen = choose_participants(embedding, splits, keep, remove)
    with on_cluster(dask):
        result = run_gwas(
            latents,
            open_genotypes(genotypes, ref_first),
            covariates,
            out,
            covariate_columns=split_names(covariate_columns) or None,
            participants=chosen,
            sex_column=sex_column,
            variant_filter=variant_filter,
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
            threshold=threshold,
            genes=None if genes is None else read_genes(genes),
            known=None if known is None else read_known_loci(known),
            build=build,
            threads=threads,
            dtype=dtype,
            backend=backend,
        )
    _echo(result, out)
    variants = result.summary["variants"]
    if not variants["tested"]:
        for picture in (out / MANHATTAN, out / QQ):  # of an earlier run with other options
            picture.unlink(missing_ok=True)
            picture.with_suffix(".pdf").unlink(missing_ok=True)
        raise InputError(
            f"none of {variants['read']} variants could be tested, so there is nothing to draw; "
            f"{out / 'gwas.json'} counts them by reason: loosen what most were left out for"
        )
    _draw(result, out)


def _regions(texts: list[str]) -> "tuple[Region, ...]":
    from regreveal.genetics.genotypes.filters import parse_region, read_regions

    regions = []
    for text in texts:
        is_file = "/" in text or text.lower().endswith(FILE_SUFFIXES)
        regions += read_regions(text) if is_file else [parse_region(text)]
    return tuple(regions)


def _draw(result: "GwasResult", folder: Path) -> None:
    from regreveal.genetics.analyses import CORRECTED
    from regreveal.report.figures.genome import manhattan, qq_plot

    points = result.points["manova"]
    loci = result.loci.rename(columns={CORRECTED: "neg_log10_p"})
    named = loci.assign(
        gene=loci["nearest_gene"].where(loci["nearest_gene"] != "", loci["variant_id"])
    )
    manhattan(points, folder / MANHATTAN, named if len(named) else None)
    qq_plot(points, folder / QQ)


def _echo(result: "GwasResult", folder: Path) -> None:
    summary = result.summary
    variants = summary["variants"]
    echo_unmatched(summary["participants"])
    kinds = ("read", "tested", "missing_genotypes", "unplaced", "male_heterozygotes", NOWHERE)
    for reason, count in variants.items():
        if count and reason not in kinds and not reason.startswith("no_gwas_ssf_row"):
            told = reason.replace("_", " ").replace("too few", "too few people in a tested group")
            typer.echo(f"left out {count:>7}  variants: {told}")
    if variants.get(NOWHERE):
        typer.echo(f"warning: {variants[NOWHERE]} listed ids are not in the genotypes", err=True)
    related = summary.get("relatedness", {})
    pairs = [
        f"{related[degree]} pairs of {degree.replace('_', '-')} relatives"
        for degree in ("first_degree", "second_degree")
        if related.get(degree)
    ]
    if pairs:
        inflation = summary["lambda_gc"]
        told = "" if inflation is None else f", and lambda GC is {inflation:.2f}"
        typer.echo(
            f"warning: among {related['participants']} sampled participants are "
            f"{' and '.join(pairs)}{told}; relatives inflate the test: give LOCO predictions "
            "(--loco), or leave one of each pair out (--remove)",
            err=True,
        )
    if summary["loci_not_confirmed"]:
        typer.echo(
            f"warning: {summary['loci_not_confirmed']} loci, with few carriers, are not "
            "significant by permutation (column 'confirmed' of loci.tsv)",
            err=True,
        )
    new = f", {summary['new_loci']} of them new" if "new_loci" in summary else ""
    typer.echo(
        f"{summary['participants']['analysed']} participants, {variants['tested']} of "
        f"{variants['read']} variants tested, {len(result.loci)} loci{new}: {folder}"
    )
