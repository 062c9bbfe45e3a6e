"""PheWAS of a comparison: of either arm, and what differs between them."""

from pathlib import Path

import numpy as np
import pandas as pd

from .files import write_tsv

CATEGORIES = {
    "circulatory": 12,
    "digestive": 6,
    "endocrine": 6,
    "genitourinary": 9,
    "neoplasms": 7,
    "respiratory": 5,
}


def write_phewas(folder: Path, registered: bool, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    rows = [
        {"phecode": f"{100 * i + j}.{j}", "name": f"Condition {i} {j}", "category": category}
        for i, (category, count) in enumerate(CATEGORIES.items(), start=1)
        for j in range(count)
    ]
    table = pd.DataFrame(rows).assign(n_cases=60, n_controls=230, n_excluded=3, reason="")
    table["neg_log10_p"] = rng.exponential(1 / np.log(10), len(table))
    if registered:
        table.loc[[0, 1, 2, 4, 40], "neg_log10_p"] = [12.0, 5.0, 8.0, 4.2, 6.0]
    table["beta"] = 0.1 + table["neg_log10_p"] / 10
    table["odds_ratio"] = np.exp(table["beta"])
    table["low"], table["high"] = table["odds_ratio"] - 0.1, table["odds_ratio"] + 0.1
    table["bonferroni"] = np.minimum(10 ** -table["neg_log10_p"] * (len(table) - 1), 1)
    table["q_value"], table["method"], table["standard_error"] = 0.5, "logistic", 0.1
    table.loc[2, "n_controls"] = 4
    statistics = ["beta", "odds_ratio", "low", "high", "neg_log10_p", "bonferroni", "q_value"]
    table.loc[44, statistics], table.loc[44, "n_cases"] = np.nan, 2
    table.loc[44, "reason"] = "fewer than 20 cases"
    write_tsv(table, folder / "phewas.tsv")


def write_phewas_differences(folder: Path, arms: tuple[str, str], rng) -> None:
    """Write how the two arms' PheWAS differ, what is found by chance, and incident disease."""
    scans = [
        pd.read_csv(folder / arm / "phewas/phewas.tsv", sep="\t", dtype={"phecode": str})
        for arm in arms
    ]
    before, after = scans
    table = after[["phecode", "name", "category", "neg_log10_p", "beta", "reason"]].copy()
    table["baseline_neg_log10_p"], table["baseline_beta"] = before["neg_log10_p"], before["beta"]
    table["difference"] = after["beta"] - before["beta"]
    table["low"], table["high"] = table["difference"] - 0.3, table["difference"] + 0.3
    table["p"] = np.where(table["low"] > 0, 0.001, 0.4)
    table["q_value"] = np.where(table["low"] > 0, 0.01, 0.6)
    gained = (after["bonferroni"] < 0.05) & ~(before["bonferroni"] < 0.05)
    table["significant_in"] = np.where(gained, "gained", "")
    write_tsv(table, folder / "phewas_differences.tsv")
    overall = {"arm": arms[1], "baseline": arms[0], "phecodes": len(table) - 1}
    overall |= {"significant": 5, "baseline_significant": 0, "both": 0, "gained": 5, "lost": 0}
    overall |= {"p_counts": 0.0625, "mean_z": 1.15, "baseline_mean_z": 0.16, "difference": 0.99}
    overall |= {"standard_error": 0.23, "low": 0.54, "high": 1.44, "p": 1.5e-5}
    write_tsv(pd.DataFrame([overall]), folder / "phewas_overall.tsv")
    for arm, scan in zip(arms, scans, strict=True):
        null = pd.DataFrame({"null": "labels", "repeat": 1, "phecode": scan["phecode"]})
        null["neg_log10_p"] = rng.exponential(1 / np.log(10), len(null))
        write_tsv(null, folder / arm / "phewas/phewas_null.tsv")
        flat = {"null": "labels", "repeats": 1, "tests": len(null), "below_0.05": 0.048}
        flat |= {"below_0.01": 0.009, "p_uniform": 0.4, "threshold": np.nan}
        write_tsv(pd.DataFrame([flat]), folder / arm / "phewas/phewas_null_summary.tsv")
        incident = scan.rename(columns={"odds_ratio": "hazard_ratio"})
        incident = incident.assign(n_earlier=3, n_not_followed_up=0, person_years=1234.5)
        write_tsv(incident, folder / arm / "phewas/phewas_incident.tsv")
