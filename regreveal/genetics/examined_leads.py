"""A closer look at lead variants than a scan takes of all."""

import numpy as np
import pandas as pd

from regreveal.genetics.analyses import CORRECTED, LatentAnalysis
from regreveal.genetics.permuted import permuted_tests
from regreveal.genetics.scan import Scanner
from regreveal.genetics.spaces import LatentSpaces

# Lead variants whose genotypes are held at a time.
LEADS_AT_ONCE = 32


def examine_leads(
    loci: pd.DataFrame,
    spaces: LatentSpaces,
    scanner: Scanner,
    analysis: LatentAnalysis,
    coding: str,
    minimum_count: int,
    threshold: float,
) -> pd.DataFrame:
    """Add what a closer look at the leads gives, beside the scan's p-values.

    Which variants are significant was decided by the scan: the locus stays, whatever is found.

    Parameters
    ----------
    loci : DataFrame
        Of `find_loci`.
    spaces, scanner, analysis
        Of the scan that found them.
    coding, minimum_count, threshold
        As of `run_gwas`.

    Returns
    -------
    DataFrame
        The loci, with `neg_log10_p_exact`, among participants whose genotype is known; where
        genotype groups are small `neg_log10_p_permuted`, with its standard error and whether it is
        only a lower bound; and `confirmed`, whether permutation agrees, where it was asked.
    """
    look = pd.DataFrame(
        {
            "neg_log10_p_exact": np.full(len(loci), np.nan),
            "neg_log10_p_permuted": np.nan,
            "permuted_standard_error": np.nan,
            "permuted_at_least": False,
        }
    )
    on_x = scanner.is_on_x(loci)
    rows = loci["row"].to_numpy()
    for (chromosome, with_sex), leads in loci.groupby(["chromosome", on_x]).indices.items():
        space = spaces.of(chromosome, with_sex)
        for some in np.array_split(leads, -(-len(leads) // LEADS_AT_ONCE)):
            dosages = scanner.dosages(rows[some])
            tested = space.test_exact(dosages, coding, minimum_count)
            permuted = permuted_tests(space, dosages, coding, minimum_count, threshold)
            look.iloc[some, 0] = analysis.corrected(space, tested, space.project(dosages, coding))
            look.iloc[some, 1:] = permuted.to_numpy()
    loci = loci.rename(columns={"neg_log10_p": CORRECTED})
    look["confirmed"] = ~(look["neg_log10_p_permuted"] <= -np.log10(threshold))
    place = loci.columns.get_loc(CORRECTED) + 1
    parts = loci.iloc[:, :place], look.set_axis(loci.index), loci.iloc[:, place:]
    return pd.concat(parts, axis=1)
