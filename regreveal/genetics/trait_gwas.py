"""GWAS of single traits, from files to files: what the latent one is held against."""

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from regreveal.genetics.analyses import TraitAnalysis, hits_of, points_of
from regreveal.genetics.genotypes import Genotypes, open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.gwas import GwasResult, describe_table
from regreveal.genetics.loci import GENOME_WIDE, LOCUS_COLUMNS, find_loci
from regreveal.genetics.matching import match_participants
from regreveal.genetics.output.files import fingerprint, read_hits, scanned
from regreveal.genetics.output.plot_points import read_points
from regreveal.genetics.output.summary import describe_run
from regreveal.genetics.scan import Scanner, genome_stretches, unit_size
from regreveal.genetics.transforms import transform_latents
from regreveal.genetics.univariate import TraitSpace

# Of single traits, whose ranks make even small groups behave. REGENIE's default for carriers.
MINIMUM_COUNT = 5


def run_univariate_gwas(
    traits: pd.DataFrame,
    genotypes: Genotypes | str | os.PathLike | Sequence[str | os.PathLike],
    covariates: pd.DataFrame | str | os.PathLike | None,
    folder: str | os.PathLike,
    *,
    covariate_columns: list[str] | None = None,
    participants: Iterable[str] | None = None,
    genes: pd.DataFrame | None = None,
    transform: str = "rint",
    minimum_count: int = MINIMUM_COUNT,
    threshold: float = GENOME_WIDE,
    block_size: int | None = None,
    threads: int | None = None,
    dtype: str = "float64",
) -> GwasResult:
    """Test every variant's additive effect on each of several traits: an ordinary GWAS of each.

    Writes gwas_<trait>.tsv.gz (GWAS-SSF columns, with .tbi) for each trait, loci.tsv with a
    leading column `trait`, and gwas.json into `folder`.

    Parameters
    ----------
    traits : DataFrame
        Indexed by sample id, a column a trait; who lacks a value is left out of all.
    genotypes, covariates, folder, covariate_columns, participants, genes
        As in `run_gwas`.
    transform : "rint" or "none"
    threshold : float
        Genome-wide significance of one trait; divided by the number of traits.
    minimum_count, block_size, threads, dtype
        As in `run_gwas`.

    Returns
    -------
    GwasResult
        Loci are numbered through over all traits.

    Raises
    ------
    InputError
        Inputs that cannot be read or do not fit together; see `TraitSpace`.
    """
    started, folder = time.monotonic(), Path(folder)
    genotypes = genotypes if isinstance(genotypes, Genotypes) else open_genotypes(genotypes)
    complete = traits[traits.notna().all(axis=1)]
    matched = match_participants(
        [str(name) for name in complete.index],
        genotypes.samples,
        covariates,
        covariate_columns,
        participants,
    )
    matched.counts["incomplete_traits"] = len(traits) - len(complete)
    threshold = threshold / traits.shape[1]
    settings = {
        "analysis": "univariate",
        "traits": [str(name) for name in traits.columns],
        "coding": "additive",
        "transform": transform,
        "minimum_count": minimum_count,
        "threshold": threshold,
        "dtype": dtype,
    }
    with threadpool_limits(threads, user_api="blas"):
        values = complete.set_axis(complete.index.map(str)).loc[matched.sample_ids]
        transformed = transform_latents(values, transform, matched.covariates)
        space = TraitSpace(
            pd.DataFrame(transformed, columns=settings["traits"]),
            matched.covariates,
            dtype,
            threads=threads,
        )
        analysis = TraitAnalysis(space, minimum_count, threshold)
        scanner = Scanner(genotypes, matched.sample_ids, analysis, VariantFilter())
        decided_by = fingerprint(
            settings, [values, matched.covariates, matched.sample_ids], genotypes.paths
        )
        size = block_size or unit_size(len(matched.sample_ids))
        stretches = genome_stretches(genotypes)
        with scanned(folder, scanner, stretches, size, decided_by) as files:
            points, found = {}, []
            for name, table in analysis.tables.items():
                points[name] = read_points(files.path(points_of(name)))
                hits = read_hits(files.path(hits_of(name)))
                loci = find_loci(hits, scanner.dosages, genes, threshold, matched.covariates)
                found.append(loci.assign(trait=name))
                files.close_table(table)
                describe_table(files, table, name, matched)
            loci = _concatenate(found)[["trait", *LOCUS_COLUMNS]]
            loci = loci.assign(locus=np.arange(1, len(loci) + 1))
            more = {"seconds": round(time.monotonic() - started, 2)}
            summary = describe_run(settings, matched, files.counts, points, loci, more)
            summary = files.publish(loci, summary)
    tables = {name: folder / table for name, table in analysis.tables.items()}
    return GwasResult(folder, tables, loci, summary, points)


def _concatenate(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of which most are empty; where all are, only their columns count."""
    return pd.concat([table for table in tables if len(table)] or tables[:1])
