"""p-values of lead variants by permutation, however small: the null's tail by subset simulation.

The p-values by which variants are scanned, F corrected for skewness, are right near 1e-4. Far
out, with few carriers of skewed latents, they are too small (docs/gwas_evidence.md, "Far out"). For
a few variants the tail can be simulated: by levels, each a tenth of the one before.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import special

from regreveal.compute import available_cores, parallel_map
from regreveal.genetics.kernel.dosages import HARD_CALL_MARGIN, in_threads, whole_dosages
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.pillai import pillai_f

# Chains of one simulation, the share of them that makes a level, and simulations; the spread of
# the latter tells the error.
CHAINS = 500
KEPT = 50
SIMULATIONS = 8

# Exchanges that a chain attempts between levels: as many as people do not have the usual genotype,
# within these limits, above which errors hardly became smaller.
EXCHANGES = 100, 500

# How far beyond the threshold, in decades, tails are followed.
DECADES_BEYOND = 5

# Designs in which nobody weighs more are not simulated: groups of 500 people. What skewness adds
# beyond its correction fades with the group, and is no more there than the simulation's own error.
LEAST_LEVERAGE = 2e-3

# F p-values beyond are taken for this one.
LARGEST = 290.0

# What sums in another order are equal to.
EQUAL = 1 - 1e-6


@dataclass(frozen=True)
class PermutationTail:
    """Tail of Pillai's trace, were genotypes given to people at random.

    Attributes
    ----------
    simulations : list of ndarray, each of shape (levels, chains)
        Traces of the chains, ascending. Those of the first level are of random permutations, and
        those of each other of permutations whose trace is beyond all but the `KEPT` largest before.
    """

    simulations: list[np.ndarray]

    def neg_log10_p(self, trace: float) -> tuple[float, float, bool]:
        """−log10 of how often the trace is at least `trace`.

        Returns
        -------
        neg_log10_p, standard_error : float
            The error is that between simulations.
        at_least : bool
            Whether one of them ended before the trace; then −log10 p is at least this.
        """
        tails = [_log10_tail(levels, trace * EQUAL) for levels in self.simulations]
        logarithms = np.array([logarithm for logarithm, _ in tails])
        # Shares, not their logarithms, are what simulations estimate without bias.
        mean = np.log10(np.mean(10.0**logarithms))
        error = logarithms.std(ddof=1) / np.sqrt(len(logarithms))
        return abs(float(mean)), float(error), any(ended for _, ended in tails)

    def traces(self, neg_log10_p: float) -> np.ndarray:
        """Trace that is exceeded with this probability, by each simulation."""
        return np.array([_trace_at(levels, -neg_log10_p) for levels in self.simulations])


def permuted_tests(
    space: LatentSpace,
    dosages: np.ndarray,
    coding: str = "genotype",
    minimum_count: int = 0,
    threshold: float = 5e-8,
    seed: int = 0,
) -> pd.DataFrame:
    """p-values by permutation of the joint test, of a few variants: about a second each.

    The null hypothesis is that the variant's genotypes were given to participants at random. Each
    permutation gives them to other participants' latent vectors, covariates regressed out, and
    takes Pillai's trace; the covariates are not regressed out of the permuted design, which has
    nothing of them on average (Freedman and Lane's permutation, less its last step). Traces are
    compared by their F p-values, since the observed one spent degrees of freedom on covariates;
    for Gaussian latents, p-values are then those of F.

    Parameters
    ----------
    space : LatentSpace
    dosages : ndarray, shape (variants, n)
        As of `LatentSpace.test`. Participants without a genotype count as of the most frequent
        one among those that permutations draw from, and so do fractional dosages within 0.1 of it.
    coding, minimum_count
        As of `LatentSpace.test`.
    threshold : float
        p-value by which variants are called. Tails are followed five decades beyond it.
    seed : int
        Of the simulation. A variant's result does not depend on those beside it.

    Returns
    -------
    DataFrame
        One row a variant: neg_log10_p_permuted, its standard_error (about 0.1), and at_least:
        whether the tail ended before the variant's statistic, so that its −log10 p is at least
        this. Missing, and False, where nothing was tested, and where the rarest genotype is of
        more than some 500 people: there the corrected p-value is as good.

    Raises
    ------
    InputError
        As of `LatentSpace.test`.

    References
    ----------
    Au and Beck (2001), Probab. Eng. Mech. 16:263 (subset simulation). Botev and Kroese (2012),
    Stat. Comput. 22:1 (splitting). Freedman and Lane (1983), J. Bus. Econ. Stat. 1:292.
    """
    tests = space.test(dosages, coding, minimum_count)
    if coding == "genotype":
        dosages = whole_dosages(dosages)
    depth = int(np.ceil(-np.log10(threshold))) + DECADES_BEYOND
    missing = (np.nan, np.nan, False)
    rows, simulated = [missing] * len(tests), []
    for row in range(len(tests)):
        test = tests.iloc[row]
        weights = None
        if not np.isnan(test["neg_log10_p"]):
            both = test["df1"] > space.dimensions
            weights = design_weights(np.asarray(dosages[row], dtype=float), coding, both)
        if weights is None or largest_leverage(weights, space.participants) < LEAST_LEVERAGE:
            continue
        trace = trace_without_covariates(
            test["neg_log10_p"], weights.shape[1], *space.whitened.shape
        )
        simulated.append((row, weights, trace))
    work = partial(_simulated_test, space.whitened, depth, seed)
    # One process, which simulates with a thread a core.
    results = parallel_map(work, simulated, "Permuting lead variants", workers=1)
    for (row, *_), result in zip(simulated, results, strict=True):
        rows[row] = result
    return pd.DataFrame(rows, columns=["neg_log10_p_permuted", "standard_error", "at_least"])


def _simulated_test(
    whitened: np.ndarray, depth: int, seed: int, variant: tuple[int, np.ndarray, float]
) -> tuple[float, float, bool]:
    _, weights, trace = variant
    return permutation_tail(whitened, weights, depth, trace, seed).neg_log10_p(trace)


def design_weights(dosages: np.ndarray, coding: str, both: bool) -> np.ndarray | None:
    """Whitened design of one variant, as what people add who do not have the usual genotype.

    Parameters
    ----------
    dosages : ndarray, shape (n,)
        Negative or NaN where missing.
    coding : "genotype" or "additive"
        Whole dosages with the former.
    both : bool
        Whether the genotype coding's two indicators are tested, and not carriers as one group.

    Returns
    -------
    ndarray, shape (people, q), or None
        W such that Pillai's trace is ‖W'Z‖², Z the whitened latents of those people; None where
        all have the usual genotype.
    """
    values = dosages[dosages >= 0]
    nearest = np.rint(values)
    codes, counts = np.unique(nearest, return_counts=True)
    usual = codes[counts.argmax()]
    if coding == "genotype":
        if both:
            sizes = counts[codes != usual]
            design = np.repeat(np.eye(len(sizes)), sizes, axis=0)
        else:
            carriers = len(values) - max((nearest == 0).sum(), (nearest == 2).sum())
            design = np.ones((min(carriers, len(values) - carriers), 1))
    else:
        design = values[np.abs(values - usual) > HARD_CALL_MARGIN, None] - usual
    if not len(design):
        return None
    total = design.sum(axis=0)
    gram = design.T @ design - np.outer(total, total) / len(dosages)
    return design @ np.linalg.cholesky(np.linalg.inv(gram))


def largest_leverage(weights: np.ndarray, participants: int) -> float:
    """Largest diagonal entry of the projection on the centred design; 1/m − 1/n in a group of m."""
    mean = weights.sum(axis=0) / participants
    return float(np.square(np.vstack([weights, np.zeros_like(mean)]) - mean).sum(axis=1).max())


def permutation_tail(
    whitened: np.ndarray, weights: np.ndarray, depth: int, trace: float = np.inf, seed: int = 0
) -> PermutationTail:
    """Simulate the tail of ‖W'Z‖² over which people's rows of Z the design weighs.

    Parameters
    ----------
    whitened : ndarray, shape (n, k)
        Latents with covariates regressed out and identity Gram matrix.
    weights : ndarray, shape (people, q)
        W, from `design_weights`.
    depth : int
        Most levels: a tail of 10^-depth.
    trace : float
        Levels end where they reach it.
    seed : int

    Returns
    -------
    PermutationTail
    """
    from regreveal.genetics.kernel.permutation_loops import simulate

    latents = np.ascontiguousarray(whitened, dtype=np.float32)
    shares = np.square(weights).sum(axis=1).cumsum()
    exchanges = int(np.clip(len(weights), *EXCHANGES))

    def levels(generator: np.random.Generator) -> np.ndarray:
        traces = np.empty((depth, CHAINS))
        picked = shares / shares[-1]
        sought = trace * EQUAL
        made = simulate(latents, weights, picked, exchanges, KEPT, sought, EQUAL, generator, traces)
        return np.sort(traces[:made], axis=1)

    generators = np.random.default_rng(seed).spawn(SIMULATIONS)
    return PermutationTail(in_threads(levels, generators, min(available_cores(), SIMULATIONS)))


def trace_without_covariates(
    neg_log10_p: float, rank: int, participants: int, dimensions: int
) -> float:
    """Trace that has an F p-value where there are no covariates but the intercept."""
    largest = min(rank, dimensions)
    _, df1, df2 = pillai_f(np.zeros(1), np.array([rank]), participants, dimensions, 1)
    p = 10.0 ** -min(neg_log10_p, LARGEST)
    return largest * (1 - float(special.betaincinv(df2[0] / 2, df1[0] / 2, p)))


def _log10_tail(levels: np.ndarray, trace: float) -> tuple[float, bool]:
    """log10 of the share at or beyond a trace, and whether levels end before it."""
    logarithm = 0.0
    for traces in levels:
        limit = traces[-KEPT - 1] / EQUAL
        if limit >= trace:
            return logarithm + np.log10((traces >= trace).mean()), False
        # Fewer than `KEPT` of them where some are equal, and none where no more can be reached.
        logarithm += np.log10(max((traces > limit).mean(), 1 / CHAINS))
    return logarithm, True


def _trace_at(levels: np.ndarray, logarithm: float) -> float:
    """Quantile of one simulation."""
    before = 0.0
    for traces in levels:
        after = before + np.log10((traces > traces[-KEPT - 1] / EQUAL).mean())
        if after <= logarithm:
            return float(np.quantile(traces, 1 - 10.0 ** (logarithm - before)))
        before = after
    return np.nan
