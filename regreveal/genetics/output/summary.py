"""What gwas.json says of a GWAS: settings, counts by reason, genomic inflation, versions."""

import importlib.metadata
from collections import Counter

import pandas as pd
from scipy import stats

from regreveal.genetics.matching import Matched
from regreveal.genetics.output.plot_points import PlotPoints

LAMBDA_GC_CAVEAT = (
    "Ratio of the median chi-square (one degree of freedom, from the p-values) to its expectation. "
    "Above 1 it may mean population structure or relatedness that the covariates leave, or many "
    "true small effects, which raise it with sample size; it says nothing about the tails, where "
    "rare genotypes and heavy-tailed latents do their harm."
)

VERSIONS_OF = ("regreveal", "numpy", "scipy", "pandas", "numba", "pysam")


# What every run tells of its variants, even where there are none of a kind.
ALWAYS_TOLD = ("read", "tested", "no_variation", "too_few", "missing_genotypes", "unplaced")


def lambda_gc(points: PlotPoints) -> float | None:
    """Genomic inflation factor; None where nothing was tested."""
    if not points.count:
        return None
    return float(stats.chi2.isf(10.0 ** -points.median(), 1) / stats.chi2.median(1))


def describe_run(
    settings: dict,
    matched: Matched,
    counts: Counter,
    points: dict[str, PlotPoints],
    loci: pd.DataFrame,
    more: dict,
) -> dict:
    """Put together what gwas.json holds.

    Parameters
    ----------
    settings : dict
        Options that decide the result.
    matched : Matched
    counts : Counter
        Variants by what became of them.
    points : dict of str to PlotPoints
        By what was tested.
    loci : DataFrame
    more : dict
        Whatever else there is to tell.

    Returns
    -------
    dict
    """
    covariates = [] if matched.covariates is None else list(matched.covariates.columns)
    inflation = {name: lambda_gc(of) for name, of in points.items()}
    variants = dict.fromkeys(ALWAYS_TOLD, 0) | {what: n for what, n in counts.items() if n}
    summary = {
        "settings": settings | {"covariates": covariates},
        "participants": matched.counts,
        "variants": variants,
        "loci": len(loci),
        "lambda_gc": inflation if len(inflation) > 1 else next(iter(inflation.values())),
        "lambda_gc_caveat": LAMBDA_GC_CAVEAT,
    }
    if "known" in loci:
        summary["new_loci"] = int((~loci["known"]).sum())
    versions = {name: importlib.metadata.version(name) for name in VERSIONS_OF}
    return summary | more | {"versions": versions}
