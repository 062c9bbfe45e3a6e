"""The scan: all variants of a genotype file, in genome order, read, tested and written in blocks.

A block is a unit of work: some hundred variants of one chromosome. On one machine the next block
is read, and the last one's statistics are made into lines of text, while this one's matrix product
is computed; on a cluster each worker does all three with blocks of its own.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import pandas as pd

from regreveal.genetics.genotypes import Genotypes, chromosome_rank
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.genotypes.ploidy import chromosome_kind, code_males
from regreveal.genetics.kernel.projection import Projections
from regreveal.progress import track

# Genotypes in a block, of which three are held at a time: one is read, one is summed over, one is
# written. Sums over large sets cost the less, the more variants share their tables.
BLOCK_GENOTYPES = 2**25
FEWEST_VARIANTS, MOST_VARIANTS = 512, 8192

# Kinds of chromosomes of which men have one copy, or that are tested like it; and those of which
# everybody has one at most.
ON_X = ("x", "par")
HAPLOID = ("y", "mt")

# Variants whose places are looked through at a time, to find the genome order.
PLACES_AT_ONCE = 2**16


@dataclass(frozen=True)
class Stretch:
    """Rows of one chromosome's variants by position; a range where the file is so ordered."""

    chromosome: str
    rows: range | np.ndarray


@dataclass(frozen=True)
class Block:
    """Variants to be tested.

    Attributes
    ----------
    chromosome : str
    with_sex : bool
        On chromosome X, whose latent space has sex among its covariates.
    variants : DataFrame
        Rows of the genotype file's variants.
    dosages : ndarray, shape (variants, participants)
    counts : Counter
        Variants read, and those left out by reason.
    """

    chromosome: str
    with_sex: bool
    variants: pd.DataFrame
    dosages: np.ndarray
    counts: Counter


@dataclass(frozen=True)
class BlockResult:
    """What a block adds to each of the run's files, and to its counts."""

    parts: dict[str, bytes]
    counts: Counter


class Analysis(Protocol):
    """What is computed of a block of variants, and written."""

    def headers(self) -> dict[str, bytes]:
        """First bytes of each file."""

    def project(self, block: Block) -> Projections:
        """Make the matrix product."""

    def write(self, block: Block, projections: Projections) -> BlockResult:
        """Make lines of text from it."""


def genome_stretches(genotypes: Genotypes) -> list[Stretch]:
    """Chromosomes in genome order, with their variants by position.

    Files have nearly always each chromosome in one piece, by position; then nothing but the pieces'
    ends is kept, however many variants there are. Otherwise all are sorted.
    """
    starts, names, sorted_so_far = [], [], True
    last_position = None
    for start in track(
        range(0, genotypes.variant_count, PLACES_AT_ONCE), "Reading the list of variants"
    ):
        places = genotypes.variant_rows(start, min(start + PLACES_AT_ONCE, genotypes.variant_count))
        chromosome = places["chromosome"].to_numpy(object)
        position = places["position"].to_numpy()
        if names and chromosome[0] == names[-1]:
            sorted_so_far &= position[0] >= last_position
        else:
            starts.append(start)
            names.append(chromosome[0])
        same = chromosome[1:] == chromosome[:-1]
        sorted_so_far &= bool((np.diff(position)[same] >= 0).all())
        changes = np.flatnonzero(~same) + 1
        starts.extend((start + changes).tolist())
        names.extend(chromosome[changes])
        if not sorted_so_far or len(set(names)) < len(names):
            return _sorted_stretches(genotypes.variants)
        last_position = position[-1]
    ends = pairwise([*starts, genotypes.variant_count])
    stretches = [Stretch(name, range(*end)) for name, end in zip(names, ends, strict=True)]
    order = np.argsort(chromosome_rank(pd.Series(names, dtype=object)))
    return [stretches[place] for place in order]


def _sorted_stretches(variants: pd.DataFrame) -> list[Stretch]:
    rank = chromosome_rank(variants["chromosome"])
    order = np.lexsort((variants["position"], rank))
    changes = np.flatnonzero(np.diff(rank[order])) + 1
    pieces = np.split(order, changes)
    return [Stretch(variants["chromosome"].iloc[rows[0]], rows) for rows in pieces]


def units(stretches: Iterable[Stretch], size: int) -> Iterator[Stretch]:
    """Cut stretches into units of work of at most `size` variants."""
    for stretch in stretches:
        for start in range(0, len(stretch.rows), size):
            yield replace(stretch, rows=stretch.rows[start : start + size])


def unit_size(participants: int) -> int:
    """Variants a unit of work."""
    return int(np.clip(BLOCK_GENOTYPES // participants, FEWEST_VARIANTS, MOST_VARIANTS))


class Scanner:
    """Reads, tests and formats units of work. Goes to other processes as it is.

    Parameters
    ----------
    genotypes : Genotypes
    sample_ids : list of str, length n
    analysis : Analysis
    variant_filter : VariantFilter
    male : ndarray of bool, shape (n,), or None
        None where sex is not known of everyone: variants on X are left out then.
    build : str or None
        Genome build, for the pseudo-autosomal regions.
    """

    def __init__(
        self,
        genotypes: Genotypes,
        sample_ids: list[str],
        analysis: Analysis,
        variant_filter: VariantFilter,
        male: np.ndarray | None = None,
        build: str | None = None,
    ):
        self._genotypes, self._sample_ids = genotypes, tuple(sample_ids)
        self._analysis, self._filter = analysis, variant_filter
        self._male, self._build = male, build
        self._reading = threading.Lock()

    def __call__(self, unit: Stretch) -> BlockResult:
        """Do all of a unit's work."""
        block = self.read(unit)
        return self.write(block, self.project(block))

    def __getstate__(self) -> dict:
        """Without the lock: each process has its own."""
        return {name: value for name, value in vars(self).items() if name != "_reading"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._reading = threading.Lock()

    def read(self, unit: Stretch) -> Block:
        """Read a unit's genotypes, without the variants that their places leave out."""
        with self._reading:
            variants = _rows(self._genotypes, unit.rows)
            kinds = self._kinds(variants)
            reasons = np.asarray(self._filter.by_place(variants), dtype=object)
            if self._male is None:
                reasons[(reasons == "") & np.isin(kinds, ON_X)] = "x_without_sex"
            reasons[(reasons == "") & np.isin(kinds, HAPLOID)] = "haploid_chromosome"
            kept = reasons == ""
            dosages = self._genotypes.dosages(variants.index[kept].to_numpy(), self._sample_ids)
        counts = Counter(read=len(variants))
        counts.update(reasons[~kept].tolist())
        if self._filter.include is not None:
            counts["listed_found"] = len(self._filter.include_met(variants))
        variants, kinds = variants[kept], kinds[kept]
        dosages, counts["male_heterozygotes"] = self._code_males(dosages, kinds)
        on_x = bool(np.isin(kinds, ON_X).any())
        return Block(unit.chromosome, on_x, variants, dosages, counts)

    def project(self, block: Block) -> Projections:
        """Make the matrix product."""
        return self._analysis.project(block)

    def write(self, block: Block, projections: Projections) -> BlockResult:
        """Make statistics and lines of text of the variants that their genotypes leave in."""
        if self._filter.looks_at_genotypes:
            block, projections = self._filtered(block, projections)
        return self._analysis.write(block, projections)

    def dosages(self, rows: np.ndarray) -> np.ndarray:
        """Dosages of some rows of the genotype file, as they are tested."""
        rows = np.asarray(rows)
        with self._reading:
            blocks = self._genotypes.blocks(self._sample_ids, max(len(rows), 1), rows)
            for variants, dosages in blocks:
                return self._code_males(dosages, self._kinds(variants))[0]
            return self._genotypes.dosages(rows, self._sample_ids)

    def tests_on(self, chromosome: str) -> bool:
        """Whether variants of a chromosome are tested, wherever on it they are."""
        (kind,) = self._kinds(pd.DataFrame({"chromosome": [chromosome], "position": [0]}))
        return kind not in HAPLOID and (kind not in ON_X or self._male is not None)

    def is_on_x(self, variants: pd.DataFrame) -> np.ndarray:
        """Whether each variant is tested with sex among the covariates."""
        return np.isin(self._kinds(variants), ON_X)

    def _kinds(self, variants: pd.DataFrame) -> np.ndarray:
        kinds = chromosome_kind(
            variants["chromosome"], variants["position"], self._build, self._filter.autosomes
        )
        return np.asarray(kinds, dtype=object)

    def _code_males(self, dosages: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, int]:
        """Code men's X, and count the variants of which some are called heterozygous."""
        haploid = kinds == "x"
        if self._male is None or not haploid.any():
            return dosages, 0
        coded, set_missing = code_males(dosages[haploid], self._male)
        dosages[haploid] = coded
        return dosages, int((set_missing > 0).sum())

    def _filtered(self, block: Block, projections: Projections) -> tuple[Block, Projections]:
        counts = projections.counts
        women = None
        if block.with_sex and self._filter.hwe_p is not None:
            of_women = block.dosages[:, ~self._male]
            women = tuple((of_women == copies).sum(axis=1) for copies in (0, 1, 2))
        reasons = self._filter.by_genotypes(
            counts.n_ref,
            counts.n_het,
            counts.n_hom,
            counts.alt_frequency,
            block.dosages.shape[1],
            projections.info,
            women,
        )
        kept = np.asarray(reasons) == ""
        left_out = Counter(np.asarray(reasons)[~kept].tolist())
        block = replace(
            block,
            variants=block.variants[kept],
            dosages=block.dosages[kept],
            counts=block.counts + left_out,
        )
        return block, projections.select(kept)


def scan(scanner: Scanner, to_do: Iterable[Stretch]) -> Iterator[BlockResult]:
    """Work through units on this machine, reading ahead and writing behind, in order."""
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        being_written: Future | None = None
        for block in _ahead(scanner.read, to_do, reader):
            projections = scanner.project(block)
            if being_written is not None:
                yield being_written.result()
            being_written = writer.submit(scanner.write, block, projections)
        if being_written is not None:
            yield being_written.result()


def _ahead(function: Callable, items: Iterable, thread: ThreadPoolExecutor) -> Iterator:
    """Apply `function` in another thread, one item ahead of who takes the results."""
    upcoming: Future | None = None
    for item in items:
        submitted = thread.submit(function, item)
        if upcoming is not None:
            yield upcoming.result()
        upcoming = submitted
    if upcoming is not None:
        yield upcoming.result()


def _rows(genotypes: Genotypes, rows: range | np.ndarray) -> pd.DataFrame:
    if isinstance(rows, range):
        return genotypes.variant_rows(rows.start, rows.stop)
    return genotypes.variants.iloc[rows]
