"""The genome of a comparison: GWAS of both arms, clusters, and whether loci come back."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.genetics.clusters.agreement import compare_clusters
from regreveal.genetics.clusters.clustering import VariantClusters, cluster_variants
from regreveal.genetics.replication import summarise

from .files import write_json, write_tsv

GENES = (
    "RNF207", "CASQ2", "NOS1AP", "MEIS1", "TTN", "SCN5A", "PITX2", "HAND1", "NKX2-5", "DSP",
    "CDKN1A", "PLN", "TBX20", "CAV1", "KCNH2", "VTI1A", "BAG3", "KCNQ1", "SOX5", "TBX3",
)  # fmt: skip


def write_genetics(comparison: Path, arms: tuple[str, str], rng: np.random.Generator) -> None:
    native, registered = arms
    lengths = np.linspace(249e6, 50e6, 22)
    chromosome = np.sort(rng.choice(np.arange(1, 23), 4000, p=lengths / lengths.sum()))
    variants = pd.DataFrame(
        {
            "chromosome": chromosome,
            "position": (rng.random(4000) * lengths[chromosome - 1]).astype(int),
        }
    ).sort_values(["chromosome", "position"], ignore_index=True)
    variants["variant_id"] = [f"rs{1000 + i}" for i in range(4000)]
    causal = np.sort(rng.choice(np.arange(10, 3990), len(GENES), replace=False))
    seen = {"oracle": rng.uniform(9, 60, 20), registered: rng.uniform(2, 40, 20)}
    seen[native] = np.append(rng.uniform(0.2, 4, 19), 8.5)
    truth = variants.iloc[causal].assign(
        gene=GENES, trait="qt_interval", effect=0.1, variance_explained=rng.uniform(0.03, 0.05, 20)
    )
    rows = []
    for name, strongest in seen.items():
        found = strongest > -np.log10(5e-8)
        truth[name], truth[f"neg_log10_p_{name}"] = found, strongest
        rows.append((name, 20, found.sum(), 20 - found.sum(), int(name == registered)))
        if name != "oracle":
            _write_gwas(comparison / name / "gwas", variants, causal, strongest, rng)
    write_tsv(truth, comparison / "truth.tsv")
    _write_clusters(comparison, arms, truth.reset_index(drop=True))
    summary = pd.DataFrame(rows, columns=["arm", "planted", "found", "missed", "false"])
    summary["share_of_oracle"] = summary["found"] / summary["found"].iloc[0]
    write_tsv(summary, comparison / "truth_summary.tsv")


def _write_gwas(folder: Path, variants: pd.DataFrame, causal, strongest, rng) -> None:
    folder.mkdir(parents=True)
    table = variants.assign(neg_log10_p=rng.exponential(1 / np.log(10), len(variants)))
    for row, peak in zip(causal, strongest, strict=True):
        near = np.arange(row - 3, row + 4)
        linked = peak * np.exp(-np.abs(near - row) / 1.5) * rng.uniform(0.6, 1, 7)
        table.loc[near, "neg_log10_p"] = np.maximum(table.loc[near, "neg_log10_p"], linked)
        table.loc[row, "neg_log10_p"] = peak
    table.loc[5, "neg_log10_p"] = np.nan
    with gzip.open(folder / "manova.tsv.gz", "wt") as stream:
        table.assign(neg_log10_p_corrected=table["neg_log10_p"]).to_csv(
            stream, sep="\t", index=False, na_rep="NA"
        )
    loci = table.iloc[causal].assign(nearest_gene=GENES, ref="A", alt="G", alt_frequency=0.31)
    loci = loci[loci["neg_log10_p"] > -np.log10(5e-8)]
    loci = loci.rename(columns={"neg_log10_p": "neg_log10_p_corrected"})
    write_tsv(loci.assign(n_variants=4, locus=np.arange(1, len(loci) + 1)), folder / "loci.tsv")
    settings = {"coding": "additive", "transform": "radial", "minimum_count": 5}
    write_json(
        folder / "gwas.json",
        {
            "settings": settings | {"covariates": ["age", "sex=male"]},
            "participants": {"analysed": 293},
            "variants": {"read": 4000, "tested": 3999, "no_variation": 1, "too_few": 0},
            "lambda_gc": 1.013,
        },
    )


def _write_clusters(comparison: Path, arms: tuple[str, str], truth: pd.DataFrame) -> None:
    """Write each arm's clusters of what it found, and those of what the arms found together."""
    rng = np.random.default_rng(3)
    group = np.arange(len(truth)) % 4
    dosages = rng.binomial(2, 0.3, (len(truth), 300)).astype(np.int8)
    moved = 0.5 * dosages.T @ rng.normal(size=(4, 12))[group]
    noise = rng.normal(size=(2, 300, 12))
    spaces = dict(zip(arms, (0.2 * moved + noise[0], moved + noise[1]), strict=True))

    def clusters(arm: str, shown: np.ndarray) -> VariantClusters:
        named = (truth.loc[shown, name].tolist() for name in ("variant_id", "gene"))
        return cluster_variants(spaces[arm], dosages[shown], *named, signed=False, bootstraps=5)

    for arm in arms:
        if truth[arm].sum() > 1:
            clusters(arm, truth[arm].to_numpy()).write(comparison / arm / "clusters")
    either = truth[list(arms)].any(axis=1).to_numpy()
    both = [clusters(arm, either) for arm in arms]
    for arm, found in zip(arms, both, strict=True):
        found.write(comparison / "cluster_agreement" / arm)
    row = {"baseline": arms[0], "against": arms[1], **compare_clusters(*both, 99).as_row()}
    write_tsv(pd.DataFrame([row]), comparison / "cluster_agreement.tsv")
    scores = {"rand_index": 0.81, "low": 0.7, "high": 0.9, "p_value": 1e-4}
    counts = {"variants": 12, "without_planted": 1, "traits": 4, "clusters": 5}
    told = {"arm": arms[1], "lead_variants_of": "own", "stability": 0.9, "reliability": 0.7}
    write_tsv(pd.DataFrame([told | counts | scores]), comparison / "cluster_truth.tsv")


def write_loci_again(comparison: Path, arms: tuple[str, str]) -> None:
    """Write which loci are shared, which replicate, and which recur over seeds."""
    truth = pd.read_csv(comparison / "truth.tsv", sep="\t", dtype={"chromosome": str})
    truth = truth[truth[list(arms)].any(axis=1)].reset_index(drop=True)
    places = truth[["chromosome"]].assign(start=truth["position"], end=truth["position"] + 900)
    places = places.assign(locus=np.arange(1, len(truth) + 1), nearest_gene=truth["gene"])
    first, second = (truth[arm].to_numpy() for arm in arms)
    shared = places.assign(
        found=np.select([first & second, first], ["both", arms[0]], arms[1]), other_at_lead=0.4
    )
    shared["class"] = np.where(shared["found"] == "both", "shared", "unique")
    shared.loc[shared.index[shared["found"] != "both"][0], "class"] = "weaker in the other"
    for arm in arms:
        shared[f"loci_{arm}"] = truth[arm].astype(int)
        shared[f"neg_log10_p_{arm}"] = truth[f"neg_log10_p_{arm}"]
    write_tsv(shared, comparison / "shared_loci.tsv")
    for arm in arms:
        _write_replication(comparison / arm / "replication", truth[truth[arm]], arm)
    again = comparison / arms[1]
    strength = truth[f"neg_log10_p_{arms[1]}"]
    table = places.assign(seeds=2 + second, **{f"found_{seed}": True for seed in (8, 9)})
    table = table.assign(found_7=second, neg_log10_p_7=strength, neg_log10_p_8=strength + 1)
    write_tsv(table.assign(neg_log10_p_9=strength + 2), again / "recurrence.tsv")
    pairs = [(7, 8, 0.9, 0.93, 0.81), (7, 9, 0.9, 0.94, 0.82), (8, 9, 1.0, 0.95, 0.83)]
    columns = ["seed", "other_seed", "jaccard", "linear_cka", "mean_canonical_correlation"]
    write_tsv(pd.DataFrame(pairs, columns=columns), again / "recurrence_pairs.tsv")
    counts = {"7": int(second.sum()), "8": len(truth), "9": len(truth)}
    told = {"seeds": [7, 8, 9], "loci": counts, "loci_mean": float(np.mean([*counts.values()]))}
    told |= {"loci_low": counts["7"], "loci_high": len(truth), "places_in_any": len(truth)}
    told |= {"places_in_all": counts["7"], "places_in_most": len(truth) - counts["7"]}
    write_json(again / "recurrence.json", told | {"places_in_fewer": 0, "places_in_one": 0})


def _write_replication(folder: Path, found: pd.DataFrame, arm: str) -> None:
    """Write leads of the first half, of which the last does not replicate, and one not tested."""
    folder.mkdir(parents=True)
    leads = found.head(6).rename(columns={"gene": "nearest_gene"})
    strength = leads[f"neg_log10_p_{arm}"].to_numpy()
    leads = leads[["chromosome", "position", "variant_id", "nearest_gene"]].assign(
        discovery=1, place=np.arange(1, len(leads) + 1), discovery_neg_log10_p=strength,
        joint_neg_log10_p=strength / 3, direction_neg_log10_p=strength / 2, direction_beta=0.3,
        direction_standard_error=0.05, level=0.01, reason="",
    )  # fmt: skip
    leads.iloc[-1, leads.columns.get_loc("direction_neg_log10_p")] = 1.1
    statistics = [column for column in leads if column.endswith(("_log10_p", "_beta", "_error"))]
    if len(leads) > 1:
        leads.loc[leads.index[0], statistics[1:]] = np.nan
        leads.loc[leads.index[0], "reason"] = "too few carriers in the other half"
    for test in ("joint", "direction"):
        leads[f"replicated_{test}"] = leads[f"{test}_neg_log10_p"] > 2
        leads[f"{test}_power_cautious"], leads[f"{test}_power_hopeful"] = 0.6, 0.95
    write_tsv(leads, folder / "leads.tsv")
    write_tsv(summarise(leads), folder / "summary.tsv")
    relatives = {"degree": 2, "pairs_kept_together": 12, "variants": 4000}
    halves = {"participants": {"1": 146, "2": 147}, "relatives": relatives, "threshold": 5e-8}
    write_json(folder / "replication.json", halves)
