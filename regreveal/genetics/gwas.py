"""Latent GWAS from files to files: match participants, scan genotypes, write tables and loci."""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from regreveal.cluster import cluster_address
from regreveal.genetics.analyses import (
    CORRECTED,
    HITS,
    MINIMUM_P_HITS,
    POINTS,
    TABLE,
    LatentAnalysis,
    check_options,
)
from regreveal.genetics.examined_leads import examine_leads
from regreveal.genetics.genotypes import Genotypes, open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.known import mark_novel
from regreveal.genetics.loci import GENOME_WIDE, find_loci
from regreveal.genetics.loco import LocoPredictions, read_loco_list
from regreveal.genetics.matching import Matched
from regreveal.genetics.minp import MinimumP, draw_tested_variants, overlap
from regreveal.genetics.output.files import ResultFiles, fingerprint, read_hits, scanned
from regreveal.genetics.output.plot_points import PlotPoints, read_points
from regreveal.genetics.output.summary import describe_run
from regreveal.genetics.output.sumstats import ssf_metadata, ssf_metadata_path
from regreveal.genetics.prepare import prepare_latents
from regreveal.genetics.relatedness import once_for_the_same, related_pairs
from regreveal.genetics.scan import LISTED, Scanner, genome_stretches, unit_size
from regreveal.genetics.spaces import LatentSpaces
from regreveal.store.embedding import Embedding

# With fewer carriers, false positives multiply on latents that are not elliptical, even radial ones
# (docs/statistics.md, "Transforms").
MINIMUM_COUNT = 20


@dataclass(frozen=True)
class GwasResult:
    """What a GWAS left in its folder.

    Attributes
    ----------
    folder : Path
    tables : dict of str to Path
        The table of all variants, as "manova", or by trait.
    loci : DataFrame
        As in loci.tsv.
    summary : dict
        As in gwas.json.
    points : dict of str to PlotPoints
        What Manhattan and QQ plots need, by the same names as `tables`.
    """

    folder: Path
    tables: dict[str, Path]
    loci: pd.DataFrame
    summary: dict
    points: dict[str, PlotPoints]


def run_gwas(
    embedding: Embedding | str | os.PathLike,
    genotypes: Genotypes | str | os.PathLike | Sequence[str | os.PathLike],
    covariates: pd.DataFrame | str | os.PathLike | None,
    folder: str | os.PathLike,
    *,
    covariate_columns: list[str] | None = None,
    participants: Iterable[str] | None = None,
    sex_column: str | None = None,
    variant_filter: VariantFilter | None = None,
    project_out_columns: Sequence[str] = (),
    loco: LocoPredictions | str | os.PathLike | None = None,
    coding: str = "genotype",
    transform: str = "radial",
    criteria: Sequence[str] = (),
    minimum_p: bool = False,
    permutations: int = 0,
    per_dimension: bool = False,
    regenie_tables: bool = False,
    top: float | None = None,
    minimum_count: int = MINIMUM_COUNT,
    threshold: float = GENOME_WIDE,
    genes: pd.DataFrame | None = None,
    known: pd.DataFrame | None = None,
    build: str | None = None,
    block_size: int | None = None,
    threads: int | None = None,
    dtype: str = "float64",
    backend: str = "numpy",
    examine: bool = True,
) -> GwasResult:
    """Test every variant against the whole latent vector.

    Writes manova.tsv.gz (with .tbi), loci.tsv and gwas.json into `folder`, and where asked tables
    of each dimension's own additive effects into dimensions/. A run that was killed goes on where
    it was when it is started again with the same inputs, and leaves the same bytes.

    Parameters
    ----------
    embedding : Embedding or path
    genotypes : Genotypes, path, or several paths
        See `open_genotypes`.
    covariates : DataFrame (indexed by sample id) or path, or None
        Numbers as they are, categories one-hot.
    folder : path-like
    covariate_columns : list of str, optional
        Which columns of `covariates`; all without it. Columns that are projected out belong among
        them, too: projection alone is conservative for variants that follow a confounder.
    participants : iterable of str, optional
        Analyse only these.
    sex_column : str, optional
        Column of `covariates` that tells men from women, for variants on X; by default sex comes
        from the genotype files.
    variant_filter : VariantFilter, optional
        Which variants are tested.
    project_out_columns : list of str, optional
        Columns of `covariates` that the latents shall no longer tell, see `project_out`. What they
        were predicted with before and after is written to nullspace.tsv.
    loco : LocoPredictions or path, optional
        REGENIE's step 1 predictions of every dimension, see `regreveal.genetics.loco`.
    coding : "genotype" or "additive"
    transform : "radial", "rint" or "none"
        See `transform_latents`.
    criteria : sequence of "wilks", "hotelling-lawley" and "roy"
        Tests beside Pillai's trace, in columns of their own.
    minimum_p : bool
        Also test by the smallest p-value of all dimensions, in columns of its own.
    permutations : int
        Draws of that p-value's null distribution by permutation; none with 0.
    per_dimension, regenie_tables : bool
        Write each dimension's own additive effects, too: as GWAS-SSF with its metadata, and in
        REGENIE's layout.
    top : float, optional
        Write only results with p below this into the tables; loci and plots know all.
    minimum_count : int
        Fewest participants in a tested genotype group, see `LatentSpace.joint_test`.
    threshold : float
        Genome-wide significance, for loci.
    genes : DataFrame, optional
        chromosome, start, end, gene; names loci.
    known : DataFrame, optional
        From `read_known_loci`; tells which loci are new.
    build : "GRCh37" or "GRCh38", optional
        Genome build, for the pseudo-autosomal regions and the tables' metadata.
    block_size : int, optional
        Variants a block; chosen by the number of participants without it.
    threads : int, optional
        Threads of the matrix products; all cores without it.
    dtype : "float64" or "float32"
        Precision of the matrix products.
    backend : str
        Where they are made, see `BlockProjector`.
    examine : bool
        Look closer at lead variants, see `permuted_tests`, and count relatives. Without, loci are
        those of the scan: for scans that others follow, of the same participants.

    Returns
    -------
    GwasResult

    Raises
    ------
    InputError
        Inputs that cannot be read or do not fit together; see `LatentSpace`.

    Notes
    -----
    Participants lacking genotypes or covariates are left out and counted by reason in gwas.json,
    as are variants. Variants that pass the filter but could not be tested keep their row, with NA
    statistics.
    """
    check_options(coding, criteria, top)
    started, folder = time.monotonic(), Path(folder)
    embedding = embedding if isinstance(embedding, Embedding) else Embedding.read(embedding)
    genotypes = genotypes if isinstance(genotypes, Genotypes) else open_genotypes(genotypes)
    variant_filter = variant_filter or VariantFilter()
    if isinstance(loco, str | os.PathLike):
        loco = read_loco_list(loco, variant_filter.autosomes)
    settings = {
        "analysis": "latent",
        "coding": coding,
        "transform": transform,
        "criteria": list(criteria),
        "minimum_p": minimum_p,
        "permutations": permutations,
        "per_dimension": per_dimension,
        "regenie_tables": regenie_tables,
        "projected_out": list(project_out_columns),
        "loco": loco is not None,
        "minimum_count": minimum_count,
        "threshold": threshold,
        "top": top,
        "filter": variant_filter.told(),
        "build": build,
        "dtype": dtype,
        "backend": backend,
    }
    with threadpool_limits(threads, user_api="blas"):
        prepared = prepare_latents(
            embedding,
            genotypes,
            covariates,
            covariate_columns=covariate_columns,
            participants=participants,
            sex_column=sex_column,
            project_out_columns=project_out_columns,
            transform=transform,
        )
        matched, names = prepared.matched, list(prepared.latents.columns)
        settings["dimensions"] = len(names)
        # On a cluster each worker thread has a block of its own.
        threads = 1 if cluster_address() else threads
        spaces = LatentSpaces(
            prepared.transformed,
            matched.covariates,
            matched.sample_ids,
            prepared.men,
            loco,
            dtype=dtype,
            backend=backend,
            threads=threads,
        )
        smallest = None
        if minimum_p:
            dosages = None
            if permutations:
                dosages = draw_tested_variants(
                    genotypes, matched.sample_ids, variant_filter, minimum_count
                )
            smallest = MinimumP(spaces.of_autosomes(), permutations, dosages_for_null=dosages)
        analysis = LatentAnalysis(
            spaces,
            names,
            coding=coding,
            minimum_count=minimum_count,
            threshold=threshold,
            criteria=criteria,
            minimum_p=smallest,
            layouts=["ssf"] * per_dimension + ["regenie"] * regenie_tables,
            top=top,
            dtype=dtype,
            corrects=transform == "radial",
            with_info=not genotypes.hard_calls,
            autosomes=variant_filter.autosomes,
        )
        scanner = Scanner(
            genotypes, matched.sample_ids, analysis, variant_filter, prepared.men, build
        )
        autosomes = variant_filter.autosomes
        stretches = genome_stretches(genotypes, autosomes)
        tested_on = [each.chromosome for each in stretches if scanner.tests_on(each.chromosome)]
        if loco is not None:
            loco.check(tested_on, names)
        decided_by = fingerprint(
            settings,
            [
                embedding.select(matched.sample_ids),
                matched.covariates,
                matched.confounders,
                prepared.men,
                matched.sample_ids,
                variant_filter.lists(),
                genotypes.identity,
                scanner.headers(),
            ],
            [*genotypes.paths, *(loco.paths if loco else [])],
        )
        size = block_size or unit_size(len(matched.sample_ids))
        with scanned(folder, scanner, stretches, size, decided_by) as files:
            points = read_points(files.path(POINTS))
            hits = read_hits(files.path(HITS))
            loci = find_loci(
                hits, scanner.dosages, genes, threshold, matched.covariates, autosomes=autosomes
            )
            if examine:
                loci = examine_leads(
                    loci, spaces, scanner, analysis, coding, minimum_count, threshold
                )
            else:
                loci = loci.rename(columns={"neg_log10_p": CORRECTED})
            loci = loci if known is None else mark_novel(loci, known, autosomes=autosomes)
            more = {"seconds": round(time.monotonic() - started, 2)}
            if examine:
                more["loci_not_confirmed"] = int((~loci["confirmed"]).sum())
            if smallest is not None:
                others = read_hits(files.path(MINIMUM_P_HITS))
                more["minimum_p"] = _minimum_p_summary(smallest, hits, others)
            if loco is None and examine:
                related = once_for_the_same(related_pairs, genotypes, matched.sample_ids, autosomes)
                more["relatedness"] = related._asdict()
            if variant_filter.include is not None:
                met = set(files.path(LISTED).read_text().splitlines())
                files.counts["listed_never_found"] = len(variant_filter.include - met)
            more["left_out_by_reader"] = genotypes.left_out
            summary = describe_run(settings, matched, files.counts, {"latent": points}, loci, more)
            seen = set(matched.sample_ids).difference(embedding.unseen_ids())
            summary["participants"]["seen_in_training"] = len(seen)
            files.close_table(TABLE)
            for layout, tables in analysis.dimension_tables.items():
                for name, table in zip(names, tables, strict=True):
                    files.close_table(table, indexed=layout == "ssf")
                    if layout == "ssf":
                        describe_table(files, table, f"latent dimension {name}", matched, build)
            if prepared.nullspace is not None:
                files.add_table("nullspace.tsv", prepared.nullspace)
            summary = files.publish(loci, summary)
    return GwasResult(folder, {"manova": folder / TABLE}, loci, summary, {"manova": points})


def _minimum_p_summary(smallest: MinimumP, joint: pd.DataFrame, others: pd.DataFrame) -> dict:
    return {
        "effective_dimensions": smallest.effective_dimensions,
        "effective_dimensions_by_permutation": {
            f"{level:g}": number for level, number in smallest.effective_by_permutation.items()
        },
        "overlap_with_joint_test": overlap(joint, others).to_dict(orient="index"),
    }


def describe_table(
    files: ResultFiles, table: str, trait: str, matched: Matched, build: str | None = None
) -> None:
    """Put GWAS-SSF's metadata beside a finished table."""
    covariates = [] if matched.covariates is None else list(matched.covariates.columns)
    metadata = ssf_metadata(
        files.path(table),
        trait,
        len(matched.sample_ids),
        covariates,
        genome_assembly=build,
    )
    files.add(str(ssf_metadata_path(table)), metadata.encode())
