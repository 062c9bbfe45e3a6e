"""`regreveal clusters`: which variants move people the same way through a latent space."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regreveal.cli.options import (
    AnalysisSplits,
    CovariateColumns,
    Covariates,
    Genes,
    GenotypeFiles,
    Keep,
    NewFolder,
    RefFirst,
    Remove,
)
from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    echo_unmatched,
    read_embeddings,
    read_participant_lists,
    split_names,
)
from regreveal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from regreveal.genetics.clusters.clustering import VariantClusters
    from regreveal.genetics.genotypes import Genotypes


def clusters(
    embedding: Annotated[
        list[str],
        typer.Option(
            help="Latents, as PATH or NAME=PATH; several are compared.", show_default=False
        ),
    ],
    genotypes: GenotypeFiles,
    out: NewFolder,
    loci: Annotated[
        list[Path] | None,
        typer.Option(
            help="loci.tsv of a GWAS of these genotypes, whose lead variants to cluster; of "
            "several, one lead for each place."
        ),
    ] = None,
    variants: Annotated[
        Path | None, typer.Option(help="List of variant ids to cluster instead.")
    ] = None,
    ref_first: RefFirst = False,
    covariates: Covariates = None,
    covariate_columns: CovariateColumns = None,
    splits: AnalysisSplits = None,
    keep: Keep = None,
    remove: Remove = None,
    genes: Genes = None,
    height: Annotated[
        float | None,
        typer.Option(
            help="Distance at which to cut the trees; by default midway between identical and "
            "unrelated directions."
        ),
    ] = None,
    signed: Annotated[
        bool,
        typer.Option("--signed", help="Opposite directions are far apart, and not the same."),
    ] = False,
    bootstraps: Annotated[
        int, typer.Option(help="Samples of participants, of each size.", min=0)
    ] = 200,
    permutations: Annotated[
        int, typer.Option(help="Of the variants, where embeddings are compared.", min=99)
    ] = 9999,
    seed: Annotated[int, typer.Option(help="Of samples and permutations.", min=0)] = 0,
) -> None:
    """Cluster variants by the direction in which they move people through the latent space.

    Leaves in the output folder clusters.tsv, cluster_stability.tsv, clusters_by_height.tsv,
    linkage.tsv, pairs.tsv, distances.tsv, cosines.tsv, co_clustering.tsv, bootstrap_clusters.tsv,
    left_out.tsv, clusters.json, and a heat map (clusters.png, .pdf). With several embeddings each
    has a folder of its own, of the same variants and participants; cluster_agreement.tsv says how
    far each agrees with the one before it, and tanglegrams show their trees face to face.
    Participants that an embedding's model was trained or validated on are left out.
    """
    from regreveal.genetics.clusters.clustering import cluster_variants
    from regreveal.genetics.genotypes import open_genotypes
    from regreveal.genetics.matching import match_participants
    from regreveal.store.atomic import new_folder
    from regreveal.store.cohort import read_splits

    if bool(loci) == (variants is not None):
        raise InputError("clusters: give either --loci or --variants")
    embeddings = read_embeddings(embedding)
    chosen, left_out = common_participants(
        embeddings,
        None if splits is None else read_splits(splits),
        {},
        **read_participant_lists(keep, remove),
    )
    echo_left_out(left_out)
    files = open_genotypes(genotypes, ref_first)
    columns = split_names(covariate_columns) or None
    matched = match_participants(chosen, files.samples, covariates, columns)
    echo_unmatched(matched.counts)
    with new_folder(out) as folder:
        leads = _leads(loci, variants, files, genes, matched)
        dosages = files.dosages(leads["row"].to_numpy(int), matched.sample_ids)
        found = {}
        for name, latents in embeddings.items():
            found[name] = cluster_variants(
                latents.select(matched.sample_ids),
                dosages,
                leads["variant_id"],
                leads["nearest_gene"],
                matched.covariates,
                signed=signed,
                height=height,
                bootstraps=bootstraps,
                seed=seed,
            )
            place = folder if len(embeddings) == 1 else folder / name
            found[name].write(place)
            _draw(found[name], place)
            _echo(name, found[name])
        if len(found) > 1:
            _compare(found, folder, permutations, seed)
    typer.echo(f"the results are in {out}")


def _leads(
    loci: list[Path] | None, variants: Path | None, files: "Genotypes", genes: Path | None, matched
) -> "pd.DataFrame":
    """Find the variants to cluster."""
    from regreveal.genetics.clusters.locus_union import unite_leads
    from regreveal.genetics.listed_variants import lead_variants, listed_variants
    from regreveal.genetics.loci import read_genes

    if variants is not None:
        table = None if genes is None else read_genes(genes)
        found, unknown = listed_variants(variants, files, table)
        if unknown:
            typer.echo(f"warning: {unknown} listed ids are not in the genotypes", err=True)
        return found
    scans = {str(path): lead_variants(path, files) for path in loci}
    if not any(map(len, scans.values())):
        raise InputError(f"{loci[0]}: no loci, so there is nothing to cluster")
    if len(scans) == 1:
        return next(iter(scans.values()))
    return unite_leads(
        scans, lambda rows: files.dosages(rows, matched.sample_ids), matched.covariates
    )


def _draw(found: "VariantClusters", folder: Path) -> None:
    from regreveal.report.figures.clusters import cluster_heat_map
    from regreveal.report.figures.trees import unlike_labels

    if len(found.variant_ids) < 2:
        return
    cluster_heat_map(
        found.cosines.to_numpy(),
        found.linkage,
        found.nodes["support"].to_numpy(),
        unlike_labels(found.genes, found.variant_ids),
        found.clusters,
        found.height,
        folder / "clusters.png",
    )


def _echo(name: str, found: "VariantClusters") -> None:
    for reason, count in found.left_out["reason"].value_counts().items():
        typer.echo(f"left out {count:>7}  variants: {reason}")
    told = found.summary()
    stability = "" if told["rand_index"] is None else f", stability {told['rand_index']:.2f}"
    typer.echo(
        f"{name}: {told['participants']} participants, {told['variants']} variants, "
        f"{told['clusters']} clusters at height {told['height']:.2f}{stability}"
    )


def _compare(found: "dict[str, VariantClusters]", out: Path, permutations: int, seed: int) -> None:
    """Compare each embedding's clusters with those of the one before it."""
    import pandas as pd

    from regreveal.genetics.clusters.agreement import compare_clusters
    from regreveal.genetics.clusters.tanglegram import untangle
    from regreveal.report.figures.tanglegram import tanglegram
    from regreveal.report.figures.trees import unlike_labels
    from regreveal.report.style import arm_colours
    from regreveal.store.cohort import write_table

    rows = []
    for first, second in pairwise(found):
        one, other = found[first], found[second]
        agreement = compare_clusters(one, other, permutations, seed)
        rows.append({"baseline": first, "against": second, **agreement.as_row()})
        tanglegram(
            (one.linkage, other.linkage),
            (one.nodes["support"].to_numpy(), other.nodes["support"].to_numpy()),
            untangle(one.linkage, other.linkage)[:2],
            (one.clusters.tolist(), other.clusters.tolist()),
            (one.height, other.height),
            unlike_labels(one.genes, one.variant_ids),
            arm_colours([first, second]),
            out / f"{first}-{second}.png",
        )
        typer.echo(
            f"{first} and {second}: adjusted Rand index {agreement.rand_index:.2f} "
            f"({agreement.low:.2f} to {agreement.high:.2f}), p {agreement.p_value:.2g}"
        )
    write_table(pd.DataFrame(rows), out / "cluster_agreement.tsv")
