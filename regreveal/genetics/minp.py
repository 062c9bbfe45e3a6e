"""The univariate counterpart of the latent test: the smallest p-value over the dimensions.

Dimensions are tested one by one and the best is corrected for having been chosen, by an effective
number of independent dimensions and, where asked, by permuting participants.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.genetics.genotypes import Genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.genotypes.ploidy import chromosome_kind
from regreveal.genetics.loci import MERGE_DISTANCE
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.univariate import Effects

# Null genotypes projected at a time: some 100 MB with their design in double precision.
BLOCK_GENOTYPES = 2**22

# Where the effective number of dimensions that permutation implies is told.
LEVELS = (0.05, 0.001)


class MinimumP:
    """The minimum-p test over the dimensions of a latent space.

    Parameters
    ----------
    space : LatentSpace
        Whose effects are to be tested. It is not kept.
    permutations : int
        Null draws of the smallest p-value; without any there is no p-value by permutation.
    seed : int
    dosages_for_null : ndarray, shape (variants, n), optional
        A sample of the variants that are tested, needed for permutations. Each draw takes the next
        of them and permutes its participants.

    Attributes
    ----------
    effective_dimensions : float
        By the formula, see `effective_dimensions`.
    null : ndarray, shape (permutations,)
        −log10 of the smallest p-value of each null draw, ascending.
    effective_by_permutation : dict of float to float
        By level: the number of independent dimensions whose smallest p-value falls as often below
        what it takes. Empty without permutations; a level with fewer than one expected draw is left
        out.

    Raises
    ------
    InputError
        Permutations without variants that vary.

    Notes
    -----
    The formula's number is too small where dimensions are correlated, and so are its p-values, the
    more so the smaller they are: far out by the number of dimensions over the formula's
    (docs/statistics.md, "Smallest p over dimensions"). Permutation is right, but cannot go below
    1 / (permutations + 1); there, `corrected` by the number of dimensions is hardly too strict.
    """

    def __init__(
        self,
        space: LatentSpace,
        permutations: int = 0,
        seed: int = 0,
        dosages_for_null: np.ndarray | None = None,
    ):
        self._names = np.array(space.names, dtype=object)
        self.effective_dimensions = effective_dimensions(space.correlation)
        self.null = np.empty(0)
        if permutations:
            if dosages_for_null is None or not len(dosages_for_null):
                raise InputError(
                    f"minimum p: {permutations} permutations asked for, but no variants to "
                    "permute; give some"
                )
            generator = np.random.default_rng(seed)
            self.null = np.sort(_null_draws(space, dosages_for_null, permutations, generator))
        self.effective_by_permutation = {
            level: effective_number(self.null, level)
            for level in LEVELS
            if level * len(self.null) >= 1
        }

    @property
    def columns(self) -> list[str]:
        """Columns of `table`."""
        columns = ["min_p_dimension", "min_neg_log10_p", "minp_neg_log10_p"]
        return [*columns, "minp_permutation_neg_log10_p"] if len(self.null) else columns

    def table(self, effects: Effects) -> pd.DataFrame:
        """Smallest p-value over dimensions of each variant, raw and corrected.

        Parameters
        ----------
        effects : Effects
            Of a block of variants, by the latent space.

        Returns
        -------
        DataFrame
            One row a variant: min_p_dimension (name of the dimension), min_neg_log10_p,
            minp_neg_log10_p (corrected by the effective number), and with permutations
            minp_permutation_neg_log10_p, at most log10(permutations + 1). Missing where nothing was
            tested.
        """
        dimension, largest = minimum_p(effects.neg_log10_p)
        table = {
            "min_p_dimension": np.where(dimension < 0, None, self._names[dimension]),
            "min_neg_log10_p": largest,
            "minp_neg_log10_p": corrected(largest, self.effective_dimensions),
        }
        if len(self.null):
            table["minp_permutation_neg_log10_p"] = permutation_neg_log10_p(largest, self.null)
        return pd.DataFrame(table)


def effective_dimensions(correlation: np.ndarray) -> float:
    """Effective number of independent dimensions, (Σλ)² / Σλ² over the eigenvalues λ.

    Parameters
    ----------
    correlation : ndarray, shape (k, k)

    Returns
    -------
    float
        From 1, all dimensions the same, to k, all uncorrelated.

    References
    ----------
    Bretherton et al. (1999), J. Clim. 12:1990.
    """
    # Of a symmetric matrix, Σλ is the trace and Σλ² the sum of all squared entries.
    return float(np.trace(correlation) ** 2 / np.square(correlation).sum())


def minimum_p(neg_log10_p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find each variant's dimension with the smallest p-value.

    Parameters
    ----------
    neg_log10_p : ndarray, shape (variants, k)

    Returns
    -------
    dimension : ndarray of int, shape (variants,)
        -1 where no dimension was tested.
    largest : ndarray, shape (variants,)
        −log10 of that smallest p-value; NaN where no dimension was tested.
    """
    tested = np.where(np.isnan(neg_log10_p), -1.0, neg_log10_p)
    dimension = tested.argmax(axis=1)
    largest = tested[np.arange(len(tested)), dimension]
    untested = largest < 0
    return np.where(untested, -1, dimension), np.where(untested, np.nan, largest)


def corrected(neg_log10_p: np.ndarray, number: float) -> np.ndarray:
    """Šidák's correction 1 − (1 − p)^number of a smallest p-value, as −log10, for p of any size.

    Parameters
    ----------
    neg_log10_p : ndarray
    number : float
        Of independent tests that the p-value is the smallest of.

    Returns
    -------
    ndarray
    """
    neg_log_p = np.asarray(neg_log10_p, dtype=float) * np.log(10)
    # Beyond what a double holds, 1 − (1 − p)^number is p · number.
    far = neg_log_p > 600
    near = np.where(far, 1.0, neg_log_p)
    log_none = number * _log_of_complement(near)
    with np.errstate(divide="ignore"):
        result = np.where(far, neg_log_p - np.log(number), -_log_of_complement(-log_none))
    return np.abs(result) / np.log(10)


def permutation_neg_log10_p(neg_log10_p: np.ndarray, null: np.ndarray) -> np.ndarray:
    """−log10 of (1 + how many null draws are as extreme) / (1 + draws).

    Parameters
    ----------
    neg_log10_p : ndarray, shape (variants,)
        Of the smallest p-value over dimensions.
    null : ndarray, shape (draws,)
        The same of null draws, ascending.

    Returns
    -------
    ndarray, shape (variants,)
        At most log10(draws + 1), which means: beyond all of them.
    """
    as_extreme = len(null) - np.searchsorted(null, neg_log10_p, side="left")
    p = (1 + as_extreme) / (1 + len(null))
    return np.where(np.isnan(neg_log10_p), np.nan, np.abs(np.log10(p)))


def effective_number(null: np.ndarray, level: float) -> float:
    """Find how many independent tests have their smallest p below the null's quantile as often.

    Parameters
    ----------
    null : ndarray, shape (draws,)
        −log10 of smallest p-values without effect.
    level : float
        Probability of the quantile.

    Returns
    -------
    float
        log(1 − level) / log(1 − quantile).
    """
    quantile = 10 ** -np.quantile(null, 1 - level)
    return float(np.log1p(-level) / np.log1p(-quantile))


def overlap(joint_hits: pd.DataFrame, minp_hits: pd.DataFrame) -> pd.DataFrame:
    """Count what the joint test and the minimum-p test find, alone and together.

    Loci are runs of variants, significant by either test, less than 250 kb apart.

    Parameters
    ----------
    joint_hits, minp_hits : DataFrame
        Variants that are significant by each test: chromosome, position, ref, alt.

    Returns
    -------
    DataFrame
        Rows variants and loci; columns joint_only, minp_only, both.
    """
    key = ["chromosome", "position", "ref", "alt"]
    merged = joint_hits[key].merge(minp_hits[key], how="outer", indicator="by")
    merged = merged.sort_values(["chromosome", "position"], ignore_index=True)
    starts = merged["chromosome"].ne(merged["chromosome"].shift()) | (
        merged["position"].diff() >= MERGE_DISTANCE
    )
    found = pd.DataFrame(
        {"joint": merged["by"] != "right_only", "minp": merged["by"] != "left_only"}
    )
    return pd.DataFrame(
        {
            name: {
                "joint_only": int((of["joint"] & ~of["minp"]).sum()),
                "minp_only": int((of["minp"] & ~of["joint"]).sum()),
                "both": int((of["joint"] & of["minp"]).sum()),
            }
            for name, of in {
                "variants": found,
                "loci": found.groupby(starts.cumsum().to_numpy()).any(),
            }.items()
        }
    ).T


def draw_tested_variants(
    genotypes: Genotypes,
    sample_ids: Sequence[str],
    variant_filter: VariantFilter,
    minimum_count: int,
    count: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """Dosages of some of the autosomal variants that a scan tests, to permute.

    Rarer ones than are tested would thin out the null distribution: the effects of few people
    cannot be far out.

    Parameters
    ----------
    genotypes : Genotypes
    sample_ids : sequence of str, length n
    variant_filter : VariantFilter
    minimum_count : int
        Fewest carriers, and fewest others.
    count : int
        How many, at most.
    seed : int

    Returns
    -------
    ndarray, shape (variants, n)

    Raises
    ------
    InputError
        Twenty times as many variants were looked at, and none is tested.
    """
    generator = np.random.default_rng(seed)
    looked_at = min(genotypes.variant_count, 20 * count)
    drawn = generator.choice(genotypes.variant_count, looked_at, replace=False)
    found, missing = [], count
    for variants, dosages in genotypes.blocks(sample_ids, count, drawn):
        kinds = chromosome_kind(
            variants["chromosome"], variants["position"], autosomes=variant_filter.autosomes
        )
        kept = np.isin(kinds, ("autosome", "other")) & (variant_filter.by_place(variants) == "")
        nearest = np.rint(dosages)
        ref, het, hom = ((nearest == copies).sum(axis=1) for copies in range(3))
        others = np.maximum(ref, hom)
        kept &= np.minimum(ref + het + hom - others, others) >= max(minimum_count, 1)
        with np.errstate(invalid="ignore"):
            frequency = (het + 2 * hom) / (2 * (ref + het + hom))
        kept &= variant_filter.by_genotypes(ref, het, hom, frequency, dosages.shape[1]) == ""
        found.append(dosages[kept][:missing])
        missing -= len(found[-1])
        if not missing:
            break
    if missing == count:
        raise InputError(f"minimum p: none of {looked_at} variants drawn is one that is tested")
    return np.concatenate(found)


def _null_draws(
    space: LatentSpace, dosages: np.ndarray, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """−log10 of the smallest p-value over dimensions, of variants with participants permuted."""
    varies = ~np.isnan(space.effects(space.project(dosages, "additive")).neg_log10_p[:, 0])
    if not varies.any():
        raise InputError("minimum p: none of the variants to permute varies; give others")
    dosages = dosages[varies]
    size = max(1, BLOCK_GENOTYPES // space.participants)
    rows = [
        np.arange(start, min(start + size, draws)) % len(dosages) for start in range(0, draws, size)
    ]
    blocks = list(zip(rows, generator.spawn(len(rows)), strict=True))
    work = partial(_null_block, space, dosages)
    # One process has the kernel's threads.
    return np.concatenate(
        list(parallel_map(work, blocks, "Permuting participants, in blocks", workers=1))
    )


def _null_block(
    space: LatentSpace, dosages: np.ndarray, block: tuple[np.ndarray, np.random.Generator]
) -> np.ndarray:
    rows, generator = block
    permuted = generator.permuted(dosages[rows], axis=1)
    _, largest = minimum_p(space.effects(space.project(permuted, "additive")).neg_log10_p)
    return largest


def _log_of_complement(x: np.ndarray) -> np.ndarray:
    """log(1 − exp(−x)) for x ≥ 0, without loss of digits (Mächler 2012)."""
    with np.errstate(divide="ignore"):
        return np.where(x > np.log(2), np.log1p(-np.exp(-x)), np.log(-np.expm1(-x)))
