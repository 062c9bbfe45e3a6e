"""What gwas.json says of a GWAS: settings, counts by reason, genomic inflation, versions."""

import importlib.metadata

import numpy as np
import pandas as pd
from scipy import stats

from regreveal.genetics.matching import Matched
from regreveal.genetics.projection import GenotypeCounts

LAMBDA_GC_CAVEAT = (
    "Ratio of the median chi-square (one degree of freedom, from the p-values) to its expectation. "
    "Above 1 it may mean population structure or relatedness that the covariates leave, or many "
    "true small effects, which raise it with sample size; it says nothing about the tails, where "
    "rare genotypes and heavy-tailed latents do their harm."
)

VERSIONS_OF = ("regreveal", "numpy", "scipy", "pandas", "numba", "pysam")


class Tally:
    """Counts of variants by what became of them, and their p-values, collected block by block.

    Parameters
    ----------
    participants : int
        How many are analysed.
    """

    def __init__(self, participants: int):
        self.participants = participants
        self.counts = dict.fromkeys(
            ("read", "tested", "no_variation", "too_few", "missing_genotypes", "unplaced"), 0
        )
        self._neg_log10_p = []

    def add(self, counts: GenotypeCounts, neg_log10_p: pd.Series, positions: pd.Series) -> None:
        """Add a block: variants tested, the same in everyone, with too few carriers, and so on."""
        tested = neg_log10_p.notna().to_numpy()
        constant = np.maximum(np.maximum(counts.n_ref, counts.n_het), counts.n_hom) == counts.n
        block = {
            "read": len(tested),
            "tested": tested.sum(),
            "no_variation": (~tested & constant).sum(),
            "too_few": (~tested & ~constant).sum(),
            "missing_genotypes": (counts.n < self.participants).sum(),
            "unplaced": (positions < 1).sum(),
        }
        for reason, count in block.items():
            self.counts[reason] += int(count)
        self._neg_log10_p.append(neg_log10_p.to_numpy()[tested])

    def lambda_gc(self) -> float | None:
        """Genomic inflation factor; None where nothing was tested."""
        values = np.concatenate(self._neg_log10_p) if self._neg_log10_p else np.empty(0)
        if not len(values):
            return None
        median = stats.chi2.isf(10.0 ** -np.median(values), 1)
        return float(median / stats.chi2.median(1))


def describe_run(
    settings: dict, matched: Matched, tallies: dict[str, Tally], loci: int, seconds: float
) -> dict:
    """Put together what gwas.json holds.

    Parameters
    ----------
    settings : dict
        Options that decide the result.
    matched : Matched
    tallies : dict of str to Tally
        By what was tested; counts of variants are those of the first.
    loci : int
        How many were found.
    seconds : float
        Wall time.

    Returns
    -------
    dict
    """
    covariates = [] if matched.covariates is None else list(matched.covariates.columns)
    inflation = {name: tally.lambda_gc() for name, tally in tallies.items()}
    return {
        "settings": settings | {"covariates": covariates},
        "participants": matched.counts,
        "variants": next(iter(tallies.values())).counts,
        "loci": loci,
        "lambda_gc": inflation if len(inflation) > 1 else next(iter(inflation.values())),
        "lambda_gc_caveat": LAMBDA_GC_CAVEAT,
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS_OF},
        "seconds": round(seconds, 2),
    }
