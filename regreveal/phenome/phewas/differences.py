"""How the PheWAS of two latent spaces of the same people differ, phecode by phecode and over all.

Both spaces see the same halves of the same people, so their errors go together. What a person does
to the log odds ratio of either is subtracted before squares are taken; docs/phewas.md, "Two arms".
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import binomtest, false_discovery_control, t

from regreveal.phenome.phewas.influence import influences
from regreveal.phenome.phewas.split_half import Block, SplitSpace

SIGNIFICANT = 0.05  # after Bonferroni's correction
# Of the coefficients' own standard error: what a difference is known to better than this is
# rounding, as between two spaces of which one is a linear map of the other.
ROUNDING = 1e-6

ESTIMATES = ["difference", "standard_error", "low", "high", "p"]
DIFFERENCES = ["phecode", "name", "category", "n_cases", "n_controls", "arm", "baseline"]
DIFFERENCES += ["beta", "baseline_beta", *ESTIMATES, "q_value"]
DIFFERENCES += ["neg_log10_p", "baseline_neg_log10_p", "significant_in", "reason"]
OVERALL = ["arm", "baseline", "phecodes", "significant", "baseline_significant", "both"]
OVERALL += ["gained", "lost", "p_counts", "mean_z", "baseline_mean_z", *ESTIMATES]


def phewas_differences(
    spaces: Mapping[str, SplitSpace],
    status: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare two arms' PheWAS, the baseline given first.

    Parameters
    ----------
    spaces : mapping of str to SplitSpace
        By arm; of the same people, covariates and order.
    status : DataFrame, shape (n, phecodes)
        As in `regreveal.phenome.phewas.scan.phewas`.
    tables : mapping of str to DataFrame
        What `phewas` gave of either space.

    Returns
    -------
    differences : DataFrame
        A row a phecode: `beta` and `baseline_beta`, log odds ratios of a standard deviation; their
        `difference` with standard_error, low and high (95 %) and p (two-sided); q_value over the
        phecodes; −log10 p of both; significant_in ("both", "gained": only in the arm, "lost": only
        in the baseline, or empty), after Bonferroni's correction; and reason, why not compared.
    overall : DataFrame
        One row: how many phecodes were compared, are significant in either, in both, gained and
        lost; `p_counts`, McNemar's exact test of gained against lost; and the mean over phecodes of
        beta in standard errors, of both, with the difference as above.
    """
    baseline, arm = spaces
    first, second = (tables[name].set_index("phecode") for name in (baseline, arm))
    rows = second[["name", "category", "n_cases", "n_controls", "beta", "neg_log10_p"]].copy()
    rows = rows.assign(arm=arm, baseline=baseline, q_value=np.nan)
    rows[["baseline_beta", "baseline_neg_log10_p"]] = first[["beta", "neg_log10_p"]]
    rows[ESTIMATES] = np.nan
    rows["significant_in"] = _significant_in(first["bonferroni"], second["bonferroni"])
    rows["reason"] = first["reason"].where(first["reason"] != "", second["reason"])
    compared = (rows["reason"] == "").to_numpy()
    overall = {"arm": arm, "baseline": baseline} | _counts(rows.loc[compared, "significant_in"])
    if compared.any():
        errors = np.sqrt(first["standard_error"] * second["standard_error"])[compared]
        estimates, means = _compare(
            spaces[baseline], spaces[arm], status.to_numpy()[:, compared], errors.to_numpy()
        )
        rows.loc[compared, ESTIMATES] = estimates.to_numpy()
        rows.loc[compared, "q_value"] = false_discovery_control(estimates["p"])
        overall |= means
    rows = rows.rename_axis("phecode").reset_index()[DIFFERENCES]
    return rows, pd.DataFrame([overall]).reindex(columns=OVERALL)


def _significant_in(baseline: pd.Series, arm: pd.Series) -> np.ndarray:
    in_baseline, in_arm = baseline < SIGNIFICANT, arm < SIGNIFICANT
    return np.select(
        [in_arm & in_baseline, in_arm, in_baseline], ["both", "gained", "lost"], default=""
    )


def _counts(significant_in: pd.Series) -> dict:
    """Count significant phecodes, and test those gained against those lost."""
    both, gained, lost = (
        int((significant_in == what).sum()) for what in ("both", "gained", "lost")
    )
    return {
        "phecodes": len(significant_in),
        "significant": both + gained,
        "baseline_significant": both + lost,
        "both": both,
        "gained": gained,
        "lost": lost,
        "p_counts": binomtest(gained, gained + lost).pvalue if gained + lost else 1.0,
    }


def _compare(
    baseline: SplitSpace, arm: SplitSpace, values: np.ndarray, errors: np.ndarray
) -> tuple[pd.DataFrame, dict]:
    """Compare the log odds ratios of each phecode, and their mean in units of `errors`."""
    of_block = partial(_compare_block, baseline, arm, errors)
    results = baseline.over_blocks(values, of_block, "Comparing phecodes")
    estimates, tested, learnt = zip(*results, strict=True)
    before, after, variance, freedom = np.concatenate(estimates).T
    means = {"mean_z": np.mean(after / errors), "baseline_mean_z": np.mean(before / errors)}
    overall = _estimates(
        np.array([means["mean_z"] - means["baseline_mean_z"]]),
        *_variance(np.sum(tested, axis=0)[None], np.sum(learnt, axis=0)[None]),
        np.ones(1),
    )
    return _estimates(after - before, variance, freedom, errors), means | overall.iloc[0].to_dict()


def _compare_block(
    baseline: SplitSpace, arm: SplitSpace, errors: np.ndarray, block: Block
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = slice(block.first, block.first + len(block.varying))
    mine = influences(baseline, block)
    others = influences(arm, arm.block(block.status, block.first))
    tested, learnt = others.tested - mine.tested, others.learnt - mine.learnt
    estimates = np.column_stack([mine.beta, others.beta, *_variance(tested, learnt)])
    units = 1 / (len(errors) * errors[columns])
    return estimates, units @ tested, units @ learnt


def _variance(tested: np.ndarray, learnt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance from influences (b, n), and its degrees of freedom (Satterthwaite's).

    A jackknife counts what is of second order twice (Efron and Stein 1981), as is all that is
    learnt of a disease that the latents do not know: the squares of `learnt` are left out.
    """
    variance = np.sum(tested**2, axis=1) + np.maximum(2 * np.sum(tested * learnt, axis=1), 0)
    squares = (tested + learnt) ** 2
    scatter = np.sum((squares - squares.mean(axis=1, keepdims=True)) ** 2, axis=1)
    freedom = np.full(len(variance), np.inf)
    np.divide(2 * squares.sum(axis=1) ** 2, scatter, out=freedom, where=scatter > 0)
    return variance, freedom


def _estimates(
    difference: np.ndarray, variance: np.ndarray, freedom: np.ndarray, unit: np.ndarray
) -> pd.DataFrame:
    """Give the difference with its limits and p; `unit` is the standard error of what differs."""
    error = np.sqrt(variance)
    same = (error <= ROUNDING * unit) & (np.abs(difference) <= ROUNDING * unit)
    difference, error = np.where(same, 0.0, difference), np.where(same, 0.0, error)
    reach = t.ppf(0.975, freedom) * error
    p = 2 * t.sf(np.abs(difference) / np.where(same, 1.0, error), freedom)
    columns = [difference, error, difference - reach, difference + reach, p]
    return pd.DataFrame(dict(zip(ESTIMATES, columns, strict=True)))
