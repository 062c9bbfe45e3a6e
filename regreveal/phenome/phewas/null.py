"""A PheWAS of what cannot be: of labels that were permuted, or of latents that are nobody's own.

Its p-values are uniform where the test is right. The largest −log10 p of a draw, over many draws,
gives a threshold that one draw in twenty passes, with phecodes as correlated as they are.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import kstest, norm

from regreveal.cluster import cluster_address, cluster_map
from regreveal.phenome.phewas.scan import MINIMUM_CASES, scan
from regreveal.phenome.phewas.split_half import SplitSpace, in_bytes
from regreveal.progress import track

# labels: everybody's diseases are somebody else's, who keeps latents and covariates.
# latents: everybody's latents are somebody else's; diseases still follow the covariates.
# gaussian: latents are normal noise of as many dimensions.
KINDS = ("labels", "latents", "gaussian")
FEWEST_FOR_THRESHOLD = 100  # draws, of which the 95th percentile of the largest is then known
SUMMARY_COLUMNS = (
    "null",
    "repeats",
    "tests",
    "below_0.05",
    "below_0.01",
    "p_uniform",
    "threshold",
)
FAMILY_WISE_ERROR = 0.05


def null_scans(
    space: SplitSpace,
    status: pd.DataFrame,
    kinds: Sequence[str] = KINDS,
    repeats: int = 1,
    seed: int = 0,
    minimum_cases: int = MINIMUM_CASES,
) -> pd.DataFrame:
    """Test every phecode where there is nothing to find.

    Parameters
    ----------
    space, status, minimum_cases
        As in `regreveal.phenome.phewas.scan.scan`.
    kinds : sequence of str
        Of `KINDS`.
    repeats : int
        Draws of each kind.
    seed : int

    Returns
    -------
    DataFrame
        A row a kind, repeat (from 1) and phecode tested: null, repeat, phecode, neg_log10_p and
        method.
    """
    generators = np.random.default_rng(seed).spawn(len(kinds) * repeats)
    draws = [
        (kinds[draw // repeats], draw % repeats + 1, generator)
        for draw, generator in enumerate(generators)
    ]
    # Each worker of a cluster holds all of it, twice where labels are permuted.
    small = pd.DataFrame(in_bytes(status.to_numpy()), status.index, status.columns)
    work = partial(_null_scan, space, small, minimum_cases)
    if cluster := cluster_address():
        tables = track(cluster_map(work, draws, cluster), "Testing draws of the null", len(draws))
    else:  # each scan has all cores, and shows its progress
        tables = map(work, draws)
    return pd.concat(list(tables), ignore_index=True)


def _null_scan(
    space: SplitSpace,
    status: pd.DataFrame,
    minimum_cases: int,
    draw: tuple[str, int, np.random.Generator],
) -> pd.DataFrame:
    kind, repeat, generator = draw
    tests = scan(*_without_association(space, status, kind, generator), minimum_cases)
    tests = tests[tests["reason"] == ""]
    return pd.DataFrame(
        {
            "null": kind,
            "repeat": repeat,
            "phecode": tests.index,
            "neg_log10_p": -norm.logsf(tests["z"].to_numpy()) / np.log(10),
            "method": tests["method"].to_numpy(),
        }
    )


def null_summary(nulls: pd.DataFrame) -> pd.DataFrame:
    """Say how flat each kind is.

    Parameters
    ----------
    nulls : DataFrame
        What `null_scans` gave.

    Returns
    -------
    DataFrame
        A row a kind: null, repeats, tests, the shares of p below 0.05 and 0.01, p of a
        Kolmogorov-Smirnov test for uniform p, and threshold, the −log10 p that the largest of a
        draw passes in one of twenty; empty for fewer than 100 draws.
    """
    rows = []
    for kind, table in nulls.groupby("null", sort=False):
        p = 10.0 ** -table["neg_log10_p"]
        largest = table.groupby("repeat")["neg_log10_p"].max()
        enough = len(largest) >= FEWEST_FOR_THRESHOLD
        rows.append(
            {
                "null": kind,
                "repeats": len(largest),
                "tests": len(p),
                "below_0.05": np.mean(p < 0.05),
                "below_0.01": np.mean(p < 0.01),
                "p_uniform": kstest(p, "uniform").pvalue,
                "threshold": largest.quantile(1 - FAMILY_WISE_ERROR) if enough else np.nan,
            }
        )
    # Where no phecode is frequent enough to be tested there is no row, but a table all the same.
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _without_association(space, status, kind, generator) -> tuple[SplitSpace, pd.DataFrame]:
    order = generator.permutation(len(status))
    if kind == "labels":
        return space, pd.DataFrame(status.to_numpy()[order], status.index, status.columns)
    if kind == "latents":
        return replace(space, whitened=space.whitened[order]), status
    return replace(space, whitened=generator.standard_normal(space.whitened.shape)), status
