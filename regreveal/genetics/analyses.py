"""What is computed of each block of variants, and written: the latent test, or single traits."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.genetics.criteria import CRITERIA, criterion_columns
from regreveal.genetics.genotypes.chromosomes import HUMAN_AUTOSOMES
from regreveal.genetics.kernel.projection import CODINGS, GenotypeCounts, Projections
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.minp import MinimumP, corrected
from regreveal.genetics.output.bgzf import bgzf
from regreveal.genetics.output.plot_points import point_bytes
from regreveal.genetics.output.sumstats import (
    is_below,
    regenie_header,
    regenie_rows,
    ssf_header,
    ssf_rows,
)
from regreveal.genetics.output.table_text import header_line, tsv_lines
from regreveal.genetics.scan import Block, BlockResult
from regreveal.genetics.spaces import LatentSpaces
from regreveal.genetics.univariate import Effects, TraitSpace

PLACE_COLUMNS = ["chromosome", "position", "variant_id", "ref", "alt", "alt_frequency"]

TABLE_COLUMNS = [
    *PLACE_COLUMNS,
    *("n", "n_ref", "n_het", "n_hom", "pillai", "f", "df1", "df2", "neg_log10_p"),
]

# What is significant is decided by this one, and plots show it.
CORRECTED = "neg_log10_p_corrected"

HIT_COLUMNS = ["row", *PLACE_COLUMNS, "neg_log10_p"]

TABLE = "manova.tsv.gz"

# What a run keeps for itself until it is finished.
HITS = "hits.tsv"
MINIMUM_P_HITS = "minimum_p_hits.tsv"
POINTS = "points.bin"

# Significant digits written; single precision has seven.
DIGITS = {"float64": 12, "float32": 8}


class LatentAnalysis:
    """The joint test of all dimensions, and each dimension's own effects where asked.

    Parameters
    ----------
    spaces : LatentSpaces
    names : list of str
        Of the dimensions.
    coding : "genotype" or "additive"
    minimum_count : int
    threshold : float
        Genome-wide significance.
    criteria : sequence of str
        Beside Pillai's trace.
    minimum_p : MinimumP or None
        Also test by the smallest p-value of all dimensions.
    layouts : sequence of "ssf" and "regenie"
        Tables of each dimension's own effects.
    top : float or None
        Write only results with p below this.
    dtype : str
    corrects : bool
        Correct p-values for the latents' skewness, which is right where norms are (`radial`).
    with_info : bool
        Tables of dimensions have imputation quality, since dosages are fractional.
    autosomes : int
        Pairs of autosomes of the species.
    """

    def __init__(
        self,
        spaces: LatentSpaces,
        names: Sequence[str],
        *,
        coding: str,
        minimum_count: int,
        threshold: float,
        criteria: Sequence[str] = (),
        minimum_p: MinimumP | None = None,
        layouts: Sequence[str] = (),
        top: float | None = None,
        dtype: str = "float64",
        corrects: bool = True,
        with_info: bool = False,
        autosomes: int = HUMAN_AUTOSOMES,
    ):
        self._spaces = spaces
        self._corrects, self._with_info = corrects, with_info
        self._autosomes = autosomes
        self._coding, self._minimum_count = coding, minimum_count
        self._threshold, self._top = threshold, top
        self._criteria, self._minimum_p = tuple(criteria), minimum_p
        self._digits = DIGITS[dtype]
        self.dimension_tables = dimension_tables(names, layouts)
        more = [column for name in self._criteria for column in criterion_columns(name)]
        self._columns = [
            *TABLE_COLUMNS,
            CORRECTED,
            *more,
            *(minimum_p.columns if minimum_p else ()),
        ]

    def headers(self) -> dict[str, bytes]:
        """First bytes of each file."""
        headers = {TABLE: bgzf(header_line(self._columns)), POINTS: b"", HITS: _HIT_HEADER}
        if self._minimum_p:
            headers[MINIMUM_P_HITS] = _HIT_HEADER
        return headers | dimension_headers(self.dimension_tables, self._with_info)

    def project(self, block: Block) -> Projections:
        """Make the matrix product, in the space of the block's chromosome."""
        space = self._spaces.of(block.chromosome, block.with_sex)
        return space.project(block.dosages, self._coding)

    def write(self, block: Block, projections: Projections) -> BlockResult:
        """Make statistics of the products, and lines of text from them."""
        space = self._spaces.of(block.chromosome, block.with_sex)
        counts = projections.counts
        tested = space.joint_test(projections, self._minimum_count, self._criteria)
        neg_log10_p = self.corrected(space, tested, projections)
        table = _with_places(block.variants, tested) | {CORRECTED: neg_log10_p}
        parts, left_out = {}, Counter()
        if self._minimum_p or self.dimension_tables:
            effects = _with_enough_carriers(space.effects(projections), counts, self._minimum_count)
            info = projections.info if self._with_info else None
            described = block.variants, counts.alt_frequency, counts.n, effects, info, self._top
            dimensions, left_out = dimension_parts(
                self.dimension_tables, *described, self._autosomes
            )
            parts |= dimensions
            if self._minimum_p:
                smallest = self._minimum_p.table(effects)
                table |= {name: smallest[name].to_numpy() for name in smallest}
                # By the number of dimensions, not the effective one, which is too small where it
                # matters (docs/statistics.md, "Smallest p over dimensions").
                by_number = corrected(smallest["min_neg_log10_p"].to_numpy(), space.dimensions)
                parts[MINIMUM_P_HITS] = _hits(table, by_number, self._threshold)
        written = {name: table[name] for name in self._columns}
        shown = is_below(neg_log10_p, self._top)
        if not shown.all():
            written = {name: np.asarray(values)[shown] for name, values in written.items()}
        parts[TABLE] = bgzf(tsv_lines(written, self._digits))
        parts[HITS] = _hits(table, neg_log10_p, self._threshold)
        parts[POINTS] = point_bytes(block.chromosome, table["position"], neg_log10_p)
        told = variant_counts(counts, block, neg_log10_p)
        return BlockResult(parts, block.counts + told + left_out)

    def corrected(
        self, space: LatentSpace, tested: pd.DataFrame, projections: Projections | None = None
    ) -> np.ndarray:
        """Give −log10 p by which significance is decided, of a table of joint tests."""
        if not self._corrects:
            return tested["neg_log10_p"].to_numpy()
        return space.skewness.neg_log10_p(tested, self._coding, projections)


class TraitAnalysis:
    """Each trait's own additive effects: an ordinary GWAS of each.

    Parameters
    ----------
    space : TraitSpace
    minimum_count : int
    threshold : float
        Genome-wide significance.
    """

    def __init__(self, space: TraitSpace, minimum_count: int, threshold: float):
        for name in space.names:
            if not name or "/" in name or space.names.count(name) > 1:
                raise InputError(
                    f"traits: '{name}' cannot name a file of its own; names must differ and hold "
                    "no slash"
                )
        self._space = space
        self._minimum_count, self._threshold = minimum_count, threshold
        self.tables = {name: f"gwas_{name}.tsv.gz" for name in space.names}

    def headers(self) -> dict[str, bytes]:
        """First bytes of each file."""
        own = dict.fromkeys(map(hits_of, self.tables), _HIT_HEADER)
        points = dict.fromkeys(map(points_of, self.tables), b"")
        return dict.fromkeys(self.tables.values(), bgzf(ssf_header())) | own | points

    def project(self, block: Block) -> Projections:
        """Make the matrix product."""
        return self._space.project(block.dosages)

    def write(self, block: Block, projections: Projections) -> BlockResult:
        """Make statistics of the products, and lines of text from them."""
        counts = projections.counts
        effects = _with_enough_carriers(
            self._space.effects(projections), counts, self._minimum_count
        )
        rows = ssf_rows(block.variants, counts.alt_frequency, counts.n, effects)
        parts = {}
        table = _with_places(block.variants, {"alt_frequency": counts.alt_frequency})
        for column, (name, file) in enumerate(self.tables.items()):
            neg_log10_p = effects.neg_log10_p[:, column]
            parts[file] = bgzf(rows.texts[column])
            parts[hits_of(name)] = _hits(table, neg_log10_p, self._threshold)
            parts[points_of(name)] = point_bytes(block.chromosome, table["position"], neg_log10_p)
        told = variant_counts(counts, block, effects.neg_log10_p[:, 0])
        return BlockResult(parts, block.counts + told + _without_row(rows.left_out))


def check_options(coding: str, criteria: Sequence[str], top: float | None) -> None:
    """Raise InputError for what would otherwise come up only with the first block."""
    if coding not in CODINGS:
        raise InputError(f"coding '{coding}': expected {' or '.join(CODINGS)}")
    for name in criteria:
        if name not in CRITERIA:
            raise InputError(f"criterion '{name}': expected one of {', '.join(CRITERIA)}")
    if top is not None and not 0 < top <= 1:
        raise InputError(f"top {top}: expected a p-value, above 0 and at most 1")


def hits_of(trait: str) -> str:
    """File of a trait's significant variants, while the run is unfinished."""
    return f"hits_{trait}.tsv"


def points_of(trait: str) -> str:
    """File of a trait's points, while the run is unfinished."""
    return f"points_{trait}.bin"


def dimension_tables(names: Sequence[str], layouts: Sequence[str]) -> dict[str, list[str]]:
    """Files of each layout, a file a dimension."""
    files = {
        "ssf": [f"dimensions/{name}.tsv.gz" for name in names],
        "regenie": [f"dimensions/{name}.regenie.gz" for name in names],
    }
    return {layout: files[layout] for layout in layouts}


def dimension_headers(tables: dict[str, list[str]], with_info: bool) -> dict[str, bytes]:
    """First bytes of each dimension's files."""
    header = {"ssf": ssf_header, "regenie": regenie_header}
    return {
        file: bgzf(header[layout](with_info)) for layout, files in tables.items() for file in files
    }


def dimension_parts(tables: dict[str, list[str]], *described) -> tuple[dict[str, bytes], Counter]:
    """Lines of a block for each dimension's files, and counts of those that GWAS-SSF has none for.

    What is `described` is that of `ssf_rows` and `regenie_rows`.
    """
    parts, left_out = {}, Counter()
    for layout, files in tables.items():
        if layout == "ssf":
            texts, reasons = ssf_rows(*described)
            left_out += _without_row(reasons)
        else:
            texts = regenie_rows(*described)
        parts |= {file: bgzf(text) for file, text in zip(files, texts, strict=True)}
    return parts, left_out


def _without_row(reasons: dict[str, int]) -> Counter:
    """Count variants that GWAS-SSF has no row for, by what it does not allow."""
    return Counter({f"no_gwas_ssf_row_{reason}": count for reason, count in reasons.items()})


def variant_counts(counts: GenotypeCounts, block: Block, neg_log10_p: np.ndarray) -> Counter:
    """Variants of a block by what became of them."""
    tested = ~np.isnan(neg_log10_p)
    constant = np.maximum(np.maximum(counts.n_ref, counts.n_het), counts.n_hom) == counts.n
    found = {
        "tested": tested,
        "no_variation": ~tested & constant,
        "too_few": ~tested & ~constant,
        "missing_genotypes": counts.n < block.dosages.shape[1],
        "unplaced": block.variants["position"].to_numpy() < 1,
    }
    return Counter({what: int(which.sum()) for what, which in found.items()})


_HIT_HEADER = header_line(HIT_COLUMNS)


def _with_places(variants: pd.DataFrame, tested: pd.DataFrame | dict) -> dict[str, np.ndarray]:
    columns = {"row": variants.index.to_numpy()}
    columns |= {name: variants[name].to_numpy() for name in variants}
    return columns | {name: np.asarray(tested[name]) for name in tested}


def _hits(table: dict[str, np.ndarray], neg_log10_p: np.ndarray, threshold: float) -> bytes:
    significant = is_below(neg_log10_p, threshold)
    columns = {name: table[name] for name in HIT_COLUMNS[:-1]} | {"neg_log10_p": neg_log10_p}
    return tsv_lines({name: values[significant] for name, values in columns.items()})


def _with_enough_carriers(effects: Effects, counts: GenotypeCounts, minimum: int) -> Effects:
    others = np.maximum(counts.n_ref, counts.n_hom)
    few = np.minimum(counts.n - others, others) < minimum
    return Effects(*(np.where(few[:, None], np.nan, values) for values in effects))
