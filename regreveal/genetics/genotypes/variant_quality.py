"""What genotypes say of a variant's own quality: imputation r² and Hardy-Weinberg equilibrium."""

from functools import cache

import numpy as np

# In the exact test, genotype counts as likely as the observed ones but for rounding count as such.
EQUALLY_LIKELY = 1 + 1e-10
NOTHING_MORE = 1e-17


def dosage_info(dosages: np.ndarray) -> np.ndarray:
    """Imputation quality as MaCH's r²: variance of the dosages over that of certain genotypes.

    The expectation is 2p(1 − p), with p the frequency seen. Variants of whole numbers only are
    hard calls and have 1: nothing is uncertain in them, and the ratio would say how far they
    are from Hardy-Weinberg equilibrium instead.

    Parameters
    ----------
    dosages : ndarray of int8 or float32, shape (variants, n)
        On X, of women only: men's dosages of 0 and 2 vary twice as much.

    Returns
    -------
    ndarray, shape (variants,)
        About 0 to 1, at times somewhat above; NaN where no fractional or whole dosage is known.

    References
    ----------
    Li et al. (2010), Genet. Epidemiol. 34:816; PLINK 2's MACH_R2.
    """
    if not np.issubdtype(dosages.dtype, np.floating):
        return np.where((dosages >= 0).any(axis=1), 1.0, np.nan)
    return _compiled_info()(np.ascontiguousarray(dosages))


def hwe_exact(n_het: np.ndarray, n_hom1: np.ndarray, n_hom2: np.ndarray) -> np.ndarray:
    """Exact test of Hardy-Weinberg equilibrium, given the allele counts.

    The p-value is the probability of all numbers of heterozygotes that are as likely as the one
    observed, or less. On X only women count.

    Parameters
    ----------
    n_het, n_hom1, n_hom2 : array_like of int, shape (variants,)
        Heterozygotes, and homozygotes of either allele.

    Returns
    -------
    ndarray, shape (variants,)
        1 where nobody is counted; 0 where p is below some 1e-300.

    References
    ----------
    Wigginton, Cutler and Abecasis (2005), Am. J. Hum. Genet. 76:887.
    """
    counts = (np.ascontiguousarray(n, dtype=np.int64) for n in (n_het, n_hom1, n_hom2))
    return _compiled_hwe()(*counts)


@cache
def _compiled_info():
    """Compile the sums over dosages; numba is imported only where it runs."""
    import numba

    @numba.njit(nogil=True)
    def info(dosages):
        ratio = np.empty(dosages.shape[0])
        for variant in range(dosages.shape[0]):
            known, total, squares, whole = 0, 0.0, 0.0, True
            for sample in range(dosages.shape[1]):
                dosage = np.float64(dosages[variant, sample])
                if np.isnan(dosage):
                    continue
                known += 1
                total += dosage
                squares += dosage * dosage
                whole = whole and dosage == np.rint(dosage)
            if known == 0:
                ratio[variant] = np.nan
            elif whole:
                ratio[variant] = 1.0
            else:
                mean = total / known
                ratio[variant] = 2 * (squares / known - mean * mean) / (mean * (2 - mean))
        return ratio

    return info


@cache
def _compiled_hwe():
    """Compile the exact test's sums.

    Probabilities of neighbouring numbers of heterozygotes have simple ratios, so all come from the
    likeliest one, whose own is taken as 1, outwards to both sides until nothing more is added.
    """
    import numba

    @numba.njit(nogil=True)
    def two_fewer(het, rarer, commoner):
        """Probability of het - 2 heterozygotes over that of het."""
        return het * (het - 1) / ((rarer - het + 2) * (commoner - het + 2))

    @numba.njit(nogil=True)
    def two_more(het, rarer, commoner):
        """Probability of het + 2 heterozygotes over that of het."""
        return (rarer - het) * (commoner - het) / ((het + 2) * (het + 1))

    @numba.njit(nogil=True)
    def relative(observed, likeliest, rarer, commoner):
        """Probability of the observed number over that of the likeliest one."""
        value, het = 1.0, likeliest
        while het > observed and value > 0:
            value *= two_fewer(het, rarer, commoner)
            het -= 2
        while het < observed and value > 0:
            value *= two_more(het, rarer, commoner)
            het += 2
        return value

    @numba.njit(nogil=True)
    def test(n_het, n_hom1, n_hom2):
        p = np.ones(n_het.size)
        for variant in range(n_het.size):
            # All in floating point, whose products do not overflow.
            observed = float(n_het[variant])
            rarer = observed + 2.0 * min(n_hom1[variant], n_hom2[variant])
            commoner = observed + 2.0 * max(n_hom1[variant], n_hom2[variant])
            if rarer == 0:
                continue
            likeliest = np.floor(rarer * (commoner / (rarer + commoner)))
            likeliest += (likeliest + rarer) % 2
            limit = relative(observed, likeliest, rarer, commoner) * EQUALLY_LIKELY
            everything, tail = 1.0, 1.0 if limit >= 1 else 0.0
            for step in (-2, 2):
                het, value = likeliest, 1.0
                while 0 <= het + step <= rarer:
                    if step < 0:
                        value *= two_fewer(het, rarer, commoner)
                    else:
                        value *= two_more(het, rarer, commoner)
                    het += step
                    everything += value
                    if value <= limit:
                        tail += value
                        if value <= NOTHING_MORE * tail:
                            break
            p[variant] = min(1.0, tail / everything)
        return p

    return test
