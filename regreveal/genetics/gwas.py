"""GWAS from files to files: match participants, stream the genotypes, write tables and loci."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from regreveal.genetics.genotypes import BedGenotypes, chromosome_rank, open_genotypes
from regreveal.genetics.loci import GENOME_WIDE, LOCUS_COLUMNS, find_loci
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.matching import Matched, match_participants
from regreveal.genetics.projection import GenotypeCounts
from regreveal.genetics.summary import Tally, describe_run
from regreveal.genetics.tabix import variant_table
from regreveal.genetics.transforms import transform_latents
from regreveal.genetics.univariate import Effects, TraitSpace
from regreveal.progress import track
from regreveal.store.atomic import atomic_path
from regreveal.store.embedding import Embedding

TABLE_COLUMNS = [
    "chromosome",
    "position",
    "variant_id",
    "ref",
    "alt",
    "alt_frequency",
    "n",
    "n_ref",
    "n_het",
    "n_hom",
    "pillai",
    "f",
    "df1",
    "df2",
    "neg_log10_p",
]

# With fewer carriers, false positives multiply on latents that are not elliptical, even radial ones
# (docs/statistics.md, "Transforms").
MINIMUM_COUNT = 20

# Of single traits, whose ranks make even small groups behave. REGENIE's default for carriers.
TRAIT_MINIMUM_COUNT = 5

# Genotypes in a block: enough for the matrix product to run at full speed, at most some 150 MB.
BLOCK_GENOTYPES = 2**23


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
    """

    folder: Path
    tables: dict[str, Path]
    loci: pd.DataFrame
    summary: dict


def run_gwas(
    embedding: Embedding | str | os.PathLike,
    genotypes: BedGenotypes | str | os.PathLike,
    covariates: pd.DataFrame | str | os.PathLike | None,
    folder: str | os.PathLike,
    *,
    covariate_columns: list[str] | None = None,
    participants: Iterable[str] | None = None,
    genes: pd.DataFrame | None = None,
    coding: str = "genotype",
    transform: str = "radial",
    per_dimension: bool = False,
    minimum_count: int = MINIMUM_COUNT,
    threshold: float = GENOME_WIDE,
    block_size: int | None = None,
    threads: int | None = None,
    dtype: str = "float64",
) -> GwasResult:
    """Test every variant against the whole latent vector.

    Writes manova.tsv.gz (with .tbi), loci.tsv and gwas.json into `folder`, and where asked
    dimensions/<latent>.tsv.gz with additive effects in GWAS-SSF columns.

    Parameters
    ----------
    embedding : Embedding or path
    genotypes : BedGenotypes or path
    covariates : DataFrame (indexed by sample id) or path, or None
        Numbers as they are, categories one-hot.
    folder : path-like
    covariate_columns : list of str, optional
        Which columns of `covariates`; all without it.
    participants : iterable of str, optional
        Analyse only these.
    genes : DataFrame, optional
        chromosome, start, end, gene; names loci.
    coding : "genotype" or "additive"
    transform : "radial", "rint" or "none"
        See `transform_latents`.
    per_dimension : bool
        Write each dimension's own additive effects, too.
    minimum_count : int
        Fewest participants in a tested genotype group, see `LatentSpace.joint_test`.
    threshold : float
        Genome-wide significance, for loci.
    block_size : int, optional
        Variants a block; chosen by the number of participants without it.
    threads : int, optional
        Threads of the matrix products; all cores without it.
    dtype : "float64" or "float32"
        Precision of the matrix products.

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
    as are variants that could not be tested; these keep their row, with NA statistics.
    """
    started, folder = time.monotonic(), Path(folder)
    embedding = embedding if isinstance(embedding, Embedding) else Embedding.read(embedding)
    genotypes = genotypes if isinstance(genotypes, BedGenotypes) else open_genotypes(genotypes)
    matched = match_participants(
        embedding.sample_ids, genotypes.samples, covariates, covariate_columns, participants
    )
    tally = Tally(len(matched.sample_ids))
    table = folder / "manova.tsv.gz"
    with threadpool_limits(threads, user_api="blas"), ExitStack() as files:
        latents = transform_latents(
            embedding.select(matched.sample_ids), transform, matched.covariates
        )
        space = LatentSpace(latents, matched.covariates, dtype)
        write = files.enter_context(variant_table(table))
        dimensions = folder / "dimensions"
        writers = [
            files.enter_context(variant_table(dimensions / f"{name}.tsv.gz"))
            for name in (space.names if per_dimension else [])
        ]
        hits = []
        for variants, dosages in _scan(genotypes, matched, block_size):
            projections = space.project(dosages, coding)
            tested = variants.join(
                space.joint_test(projections, minimum_count).set_index(variants.index)
            )[TABLE_COLUMNS]
            write(tested)
            tally.add(projections.counts, tested["neg_log10_p"], tested["position"])
            hits.append(_significant(tested, threshold))
            if per_dimension:
                effects = space.effects(projections)
                _write_effects(writers, variants, projections.counts, effects, minimum_count)
    read_dosages = _reader(genotypes, matched)
    loci = find_loci(_concatenate(hits), read_dosages, genes, threshold, matched.covariates)
    loci = _exact_leads(loci, space, read_dosages, coding, minimum_count)
    summary = describe_run(
        settings={
            "analysis": "latent",
            "dimensions": space.dimensions,
            "coding": coding,
            "transform": transform,
            "minimum_count": minimum_count,
            "threshold": threshold,
            "dtype": dtype,
        },
        matched=matched,
        tallies={"latent": tally},
        loci=len(loci),
        seconds=time.monotonic() - started,
    )
    trained_on = set(map(str, embedding.metadata.get("trained_on", [])))
    summary["participants"]["seen_in_training"] = len(trained_on & set(matched.sample_ids))
    _write_results(folder, loci, summary)
    return GwasResult(folder, {"manova": table}, loci, summary)


def run_univariate_gwas(
    traits: pd.DataFrame,
    genotypes: BedGenotypes | str | os.PathLike,
    covariates: pd.DataFrame | str | os.PathLike | None,
    folder: str | os.PathLike,
    *,
    covariate_columns: list[str] | None = None,
    participants: Iterable[str] | None = None,
    genes: pd.DataFrame | None = None,
    transform: str = "rint",
    minimum_count: int = TRAIT_MINIMUM_COUNT,
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
    genotypes = genotypes if isinstance(genotypes, BedGenotypes) else open_genotypes(genotypes)
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
    tallies = {str(name): Tally(len(matched.sample_ids)) for name in traits.columns}
    tables = {name: folder / f"gwas_{name}.tsv.gz" for name in tallies}
    with threadpool_limits(threads, user_api="blas"), ExitStack() as files:
        values = complete.set_axis(complete.index.map(str)).loc[matched.sample_ids]
        transformed = transform_latents(values, transform, matched.covariates)
        space = TraitSpace(
            pd.DataFrame(transformed, columns=list(tallies)), matched.covariates, dtype
        )
        writers = [files.enter_context(variant_table(path)) for path in tables.values()]
        hits = {name: [] for name in tallies}
        for variants, dosages in _scan(genotypes, matched, block_size):
            projections = space.project(dosages)
            counts = projections.counts
            effects = space.effects(projections)
            neg_log10_p = _write_effects(writers, variants, counts, effects, minimum_count)
            for column, (name, tally) in enumerate(tallies.items()):
                tested = variants.assign(
                    alt_frequency=counts.alt_frequency, neg_log10_p=neg_log10_p[:, column]
                )
                tally.add(counts, tested["neg_log10_p"], tested["position"])
                hits[name].append(_significant(tested, threshold))
    read_dosages = _reader(genotypes, matched)
    by_trait = {
        name: find_loci(_concatenate(blocks), read_dosages, genes, threshold, matched.covariates)
        for name, blocks in hits.items()
    }
    loci = _concatenate([table.assign(trait=name) for name, table in by_trait.items()])
    loci = loci[["trait", *LOCUS_COLUMNS]].assign(locus=np.arange(1, len(loci) + 1))
    summary = describe_run(
        settings={
            "analysis": "univariate",
            "traits": list(tallies),
            "coding": "additive",
            "transform": transform,
            "minimum_count": minimum_count,
            "threshold": threshold,
            "dtype": dtype,
        },
        matched=matched,
        tallies=tallies,
        loci=len(loci),
        seconds=time.monotonic() - started,
    )
    _write_results(folder, loci, summary)
    return GwasResult(folder, tables, loci, summary)


def _scan(
    genotypes: BedGenotypes, matched: Matched, block_size: int | None
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Blocks of variants in genome order, the next one read while this one is worked on."""
    count = len(matched.sample_ids)
    size = block_size or int(np.clip(BLOCK_GENOTYPES // count, 64, 8192))
    position = genotypes.variants["position"]
    order = np.lexsort((position, chromosome_rank(genotypes.variants["chromosome"])))
    blocks = genotypes.blocks(matched.sample_ids, size, order)
    total = -(-len(order) // size)
    yield from track(_read_ahead(blocks), "Testing variants, in blocks", total)


def _read_ahead(blocks: Iterator) -> Iterator:
    with ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(next, blocks, None)
        while (block := upcoming.result()) is not None:
            upcoming = reader.submit(next, blocks, None)
            yield block


def _reader(genotypes: BedGenotypes, matched: Matched) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: genotypes.dosages(rows, matched.sample_ids)


def _significant(tested: pd.DataFrame, threshold: float) -> pd.DataFrame:
    return tested[tested["neg_log10_p"] > -np.log10(threshold)]


def _concatenate(blocks: list[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of which most are empty; where all are, only their columns count."""
    return pd.concat([block for block in blocks if len(block)] or blocks[:1])


def _exact_leads(
    loci: pd.DataFrame,
    space: LatentSpace,
    read_dosages: Callable[[np.ndarray], np.ndarray],
    coding: str,
    minimum_count: int,
) -> pd.DataFrame:
    """Add the leads' p-values among participants whose genotype is known, beside the scan's.

    Which variants are significant was decided by the scan, so the exact value may be above the
    threshold, or missing where too few are left; the locus stays, and both values are told.
    """
    exact = np.empty(0)
    if len(loci):
        tested = space.test_exact(read_dosages(loci.index.to_numpy()), coding, minimum_count)
        exact = tested["neg_log10_p"].to_numpy()
    loci.insert(loci.columns.get_loc("neg_log10_p") + 1, "neg_log10_p_exact", exact)
    return loci


def _write_effects(
    writers: list[Callable[[pd.DataFrame], None]],
    variants: pd.DataFrame,
    counts: GenotypeCounts,
    effects: Effects,
    minimum_count: int,
) -> np.ndarray:
    """Write each trait's effects with the columns of GWAS-SSF; give −log10 p, (variants, traits).

    GWAS-SSF: https://github.com/EBISPOT/gwas-summary-statistics-standard
    """
    others = np.maximum(counts.n_ref, counts.n_hom)
    few = np.minimum(counts.n - others, others) < minimum_count
    beta, error, neg_log10_p = (np.where(few[:, None], np.nan, values) for values in effects)
    for column, write in enumerate(writers):
        write(
            pd.DataFrame(
                {
                    "chromosome": variants["chromosome"],
                    "base_pair_location": variants["position"],
                    "effect_allele": variants["alt"],
                    "other_allele": variants["ref"],
                    "beta": beta[:, column],
                    "standard_error": error[:, column],
                    "effect_allele_frequency": counts.alt_frequency,
                    "neg_log_10_p_value": neg_log10_p[:, column],
                    "variant_id": variants["variant_id"],
                    "n": counts.n,
                }
            )
        )
    return neg_log10_p


def _write_results(folder: Path, loci: pd.DataFrame, summary: dict) -> None:
    with atomic_path(folder / "loci.tsv") as temporary:
        loci.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.10g")
    # Last, so that a folder with gwas.json is a finished one.
    with atomic_path(folder / "gwas.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
