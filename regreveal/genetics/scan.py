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
from queue import Empty, SimpleQueue
from typing import Protocol

import numpy as np
import pandas as pd

from regreveal.genetics.genotypes import Genotypes, chromosome_rank
from regreveal.genetics.genotypes.chromosomes import HUMAN_AUTOSOMES, canonical_chromosome
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.genotypes.ploidy import chromosome_kind, code_males
from regreveal.genetics.genotypes.variant_quality import dosage_info
from regreveal.genetics.kernel.projection import Projections
from regreveal.progress import track

# Genotypes in a block, of which three are held at a time: one is read, one is summed over, one is
# written. Sums over large sets cost the less, the more variants share their tables.
BLOCK_GENOTYPES = 2**25
FEWEST_VARIANTS, MOST_VARIANTS = 512, 8192

# Kinds of chromosomes: with sex among the covariates, where it is known; and not tested at all,
# since everybody has one copy at most.
ON_X = ("x", "par")
HAPLOID = ("y", "mt")

# Ids of the include list that were met, while the run is unfinished.
LISTED = "listed.txt"

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
    haploid : ndarray of bool, shape (variants,)
        On X where men have one copy.
    dosages : ndarray, shape (variants, participants)
    counts : Counter
        Variants read, and those left out by reason.
    listed : frozenset of str
        Ids of the include list that were met.
    memory : ndarray or None
        What the dosages were read into; the next block's are once this one is written.
    """

    chromosome: str
    with_sex: bool
    variants: pd.DataFrame
    haploid: np.ndarray
    dosages: np.ndarray
    counts: Counter
    listed: frozenset[str] = frozenset()
    memory: np.ndarray | None = None


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


def genome_stretches(genotypes: Genotypes, autosomes: int = HUMAN_AUTOSOMES) -> list[Stretch]:
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
            return _sorted_stretches(genotypes.variants, autosomes)
        last_position = position[-1]
    ends = pairwise([*starts, genotypes.variant_count])
    stretches = [Stretch(name, range(*end)) for name, end in zip(names, ends, strict=True)]
    order = np.argsort(chromosome_rank(pd.Series(names, dtype=object), autosomes))
    return [stretches[place] for place in order]


def _sorted_stretches(variants: pd.DataFrame, autosomes: int) -> list[Stretch]:
    rank = chromosome_rank(variants["chromosome"], autosomes)
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
        self._reading, self._memory = threading.Lock(), SimpleQueue()

    def __call__(self, unit: Stretch) -> BlockResult:
        """Do all of a unit's work."""
        block = self.read(unit)
        return self.write(block, self.project(block))

    def __getstate__(self) -> dict:
        """Without lock and memory: each process has its own."""
        return {
            name: value for name, value in vars(self).items() if name not in ("_reading", "_memory")
        }

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._reading, self._memory = threading.Lock(), SimpleQueue()

    def read(self, unit: Stretch) -> Block:
        """Read a unit's genotypes, without the variants that their places leave out."""
        with self._reading:
            variants = _rows(self._genotypes, unit.rows)
            kinds = self._kinds(variants)
            reasons = np.asarray(self._filter.by_place(variants), dtype=object)
            if self._male is None:
                reasons[(reasons == "") & (kinds == "x")] = "x_without_sex"
            reasons[(reasons == "") & np.isin(kinds, HAPLOID)] = "haploid_chromosome"
            kept = reasons == ""
            rows = variants.index[kept].to_numpy()
            memory = self._memory_for(len(rows))
            dosages = self._genotypes.dosages(rows, self._sample_ids, memory)
        counts = Counter(read=len(variants))
        counts.update(reasons[~kept].tolist())
        with_sex = self._male is not None and bool(np.isin(kinds, ON_X).any())
        dosages, counts["male_heterozygotes"] = self._code_males(dosages, kinds[kept])
        listed = self._filter.include_met(variants)
        haploid = kinds[kept] == "x"
        return Block(
            unit.chromosome, with_sex, variants[kept], haploid, dosages, counts, listed, memory
        )

    def project(self, block: Block) -> Projections | None:
        """Make the matrix product, if there is something to test."""
        return self._analysis.project(block) if len(block.variants) else None

    def _memory_for(self, variants: int) -> np.ndarray:
        """Give memory that a finished block has left, if that is large enough, or else new.

        The first touch of memory costs more than reading a .bed into it.
        """
        shape = variants, len(self._sample_ids)
        try:
            memory = self._memory.get_nowait()
        except Empty:
            return np.empty(shape, self._genotypes.dtype)
        return memory if len(memory) >= variants else np.empty(shape, memory.dtype)

    def write(self, block: Block, projections: Projections | None) -> BlockResult:
        """Make statistics and lines of text of the variants that their genotypes leave in."""
        memory = block.memory
        if projections is not None and self._filter.looks_at_genotypes:
            block, projections = self._filtered(block, projections)
        if len(block.variants):
            result = self._analysis.write(block, projections)
        else:
            result = BlockResult({}, block.counts)
        if block.listed:
            text = "".join(f"{name}\n" for name in sorted(block.listed))
            result = replace(result, parts=result.parts | {LISTED: text.encode()})
        self._memory.put(memory)
        return result

    def headers(self) -> dict[str, bytes]:
        """First bytes of each file that a run writes."""
        return self._analysis.headers() | {LISTED: b""}

    def dosages(self, rows: np.ndarray) -> np.ndarray:
        """Dosages of some rows of the genotype file, as they are tested."""
        rows = np.asarray(rows)
        with self._reading:
            blocks = self._genotypes.blocks(self._sample_ids, max(len(rows), 1), rows)
            for variants, dosages in blocks:
                return self._code_males(dosages, self._kinds(variants))[0]
            return self._genotypes.dosages(rows, self._sample_ids)

    def tests_on(self, chromosome: str) -> bool:
        """Whether variants of a chromosome can be tested, as far as its name tells."""
        (kind,) = self._kinds(pd.DataFrame({"chromosome": [chromosome], "position": [0]}))
        if kind in HAPLOID or (kind == "x" and self._male is None):
            return False
        autosomes = self._filter.autosomes
        name = canonical_chromosome(chromosome, autosomes)
        regions = self._filter.regions
        return regions is None or name in {canonical_chromosome(r[0], autosomes) for r in regions}

    def is_on_x(self, variants: pd.DataFrame) -> np.ndarray:
        """Whether each variant is tested with sex among the covariates."""
        return np.isin(self._kinds(variants), ON_X) & (self._male is not None)

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
        counts, info = projections.counts, projections.info
        genotypes = [counts.n_ref, counts.n_het, counts.n_hom]
        if block.haploid.any():
            # In Hardy-Weinberg equilibrium, and imputed or not, are women only.
            women = block.dosages[block.haploid][:, ~self._male]
            nearest = np.rint(women)
            info = info.copy()
            info[block.haploid] = dosage_info(women)
            genotypes = [known.copy() for known in genotypes]
            for copies, known in enumerate(genotypes):
                known[block.haploid] = (nearest == copies).sum(axis=1)
        reasons = self._filter.by_genotypes(
            counts.n_ref,
            counts.n_het,
            counts.n_hom,
            counts.alt_frequency,
            block.dosages.shape[1],
            info,
            genotypes,
        )
        kept = np.asarray(reasons) == ""
        left_out = Counter(np.asarray(reasons)[~kept].tolist())
        block = replace(
            block,
            variants=block.variants[kept],
            haploid=block.haploid[kept],
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
