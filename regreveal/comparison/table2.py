"""Table 2: what every arm's latent space knows, and what it cost, out of a run's files.

A row for each arm of each comparison, its baseline first: participants and phenotypes are those of
the comparison, so an arm that stands in several has a row in each. Nothing is computed anew: what
an analysis that was not made would have told stays empty, and the last column says why.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from regreveal.comparison.arm_costs import arm_costs, describe_arm, read_arm
from regreveal.comparison.loci import SHARED, UNIQUE, WEAKER

COLUMNS = {
    "comparison": "name, empty for an arm that is in none",
    "arm": "name",
    "baseline": "the arm it is compared with; empty for the baseline itself",
    "modality": "module of the tensor maps",
    "tensor_map": "name of what the encoder takes",
    "registration": "how its tensors or latents were registered, the first step first",
    "shape": "of one participant's tensor",
    "tensor_values": "numbers in one participant's tensor",
    "latent_size": "dimensions of the latent space",
    "reduction": "tensor_values / latent_size",
    "tensor_bytes": "on disk, a participant",
    "embedding_bytes": "on disk, a participant",
    "reduction_bytes": "tensor_bytes / embedding_bytes",
    "participants": "analysed",
    "r2_targets": "numbers probed in both arms",
    "r2": "mean over them",
    "r2_low": "95 % interval",
    "r2_high": "95 % interval",
    "r2_difference": "r2 less that of the baseline, paired",
    "r2_difference_low": "95 % interval",
    "r2_difference_high": "95 % interval",
    "r2_p": "two-sided, of no difference",
    "auc_targets": "categories probed in both arms",
    "auc": "mean over them",
    "auc_low": "95 % interval",
    "auc_high": "95 % interval",
    "auc_difference": "auc less that of the baseline, paired",
    "auc_difference_low": "95 % interval",
    "auc_difference_high": "95 % interval",
    "auc_p": "two-sided, of no difference",
    "targets_better": "phenotypes read better than in the baseline, false discovery rate 5 %",
    "targets_worse": "likewise worse",
    "loci": "genome-wide significant, of the latent GWAS",
    "loci_shared": "of them, that the other arm of the comparison has, too",
    "loci_weaker": "of them, that are below the threshold in the other arm, but not by much",
    "loci_unique": "of them, that the other arm knows nothing of",
    "loci_tested_again": "places found in either half of the participants and tested in the other",
    "loci_replicated": "of them, that passed there, by the test of the whole latent vector",
    "loci_replicated_direction": "likewise by the test along the direction found first",
    "planted": "simulated data: loci that could be found",
    "planted_found": "of them, found",
    "planted_share": "planted_found / planted",
    "loci_false": "loci without a planted variant",
    "lambda_gc": "genomic inflation factor",
    "phecodes_tested": "in the PheWAS",
    "phecodes_bonferroni": "of them, p < 0.05 after Bonferroni's correction",
    "phecodes_fdr": "of them, q < 0.05",
    "seeds": "training seeds, the run's own among them",
    "loci_in_all_seeds": "loci found with every seed",
    "loci_in_any_seed": "loci found with at least one",
    "explained_variance": "of validation participants' tensors, by encoder and decoder",
    "weights": "parameters of the network",
    "steps": "of training",
    "batch_size": "participants a step",
    "seconds_registration": "fitting it and registering everybody, with those it goes on from",
    "seconds_training": "of the network; of a fusion, of all its arms together",
    "seconds_embedding": "of those analysed",
    "seconds_seeds": "training and embedding with further seeds",
    "seconds_probes": "of both arms together",
    "seconds_gwas": "latent GWAS",
    "seconds_phewas": "PheWAS",
    "seconds_other": "other analyses of the arm in this comparison",
    "peak_memory_mib": "largest of these stages, with what the process held before",
    "empty": "what is empty, and why",
}

SIGNIFICANT = 0.05


def make_table2(folder: Path, experiment: Mapping, stages: Mapping[str, Mapping]) -> pd.DataFrame:
    """Read Table 2 out of a run folder.

    Parameters
    ----------
    folder : Path
        The run folder.
    experiment : mapping
        What its experiment file says.
    stages : mapping of str to mapping
        `stages` of its manifest.

    Returns
    -------
    DataFrame
        `COLUMNS`; a row for each arm of each comparison, then one for each arm that is in none.
    """
    described = {name: read_arm(folder / "arms" / name) for name in experiment["arms"]}
    rows, seen = [], set()
    for name, comparison in experiment.get("comparisons", {}).items():
        arms = (comparison["baseline"], comparison["against"])
        seen.update(arms)
        for arm in arms:
            place = {"comparison": name, "arm": arm, "baseline": arms[0] if arm != arms[0] else ""}
            knows, empty = arm_results(folder / "comparisons" / name, arm)
            costs, unknown = arm_costs(stages, described, arm, name)
            rows.append(
                place
                | describe_arm(described, arm)
                | knows
                | costs
                | {"empty": _told(empty | unknown)}
            )
    for arm in experiment["arms"]:
        if arm not in seen:
            costs, unknown = arm_costs(stages, described, arm, None)
            empty = {"results": "in no comparison"} | unknown
            place = {"comparison": "", "arm": arm, "baseline": ""}
            rows.append(place | describe_arm(described, arm) | costs | {"empty": _told(empty)})
    return as_table(rows)


def as_table(rows: list[dict]) -> pd.DataFrame:
    """Put rows of Table 2 together, all columns there, counts as whole numbers."""
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    return table.astype(dict.fromkeys(_COUNTS, "Int64"))


_COUNTS = (
    "tensor_values", "latent_size", "participants", "r2_targets", "auc_targets", "targets_better",
    "targets_worse", "loci", "loci_shared", "loci_weaker", "loci_unique", "loci_tested_again",
    "loci_replicated", "loci_replicated_direction", "planted", "planted_found", "loci_false",
    "phecodes_tested", "phecodes_bonferroni", "phecodes_fdr", "seeds", "loci_in_all_seeds",
    "loci_in_any_seed", "weights", "steps", "batch_size",
)  # fmt: skip


def arm_results(folder: Path, arm: str) -> tuple[dict, dict]:
    """Give what a comparison's files tell of one of its arms.

    Parameters
    ----------
    folder : Path
        Of the comparison.
    arm : str

    Returns
    -------
    dict
        The columns that can be told.
    dict
        Why others can not, by what they are of.
    """
    told, empty = {}, {}
    parts = {
        "participants": lambda: _participants(folder / "participants.parquet"),
        "probes": lambda: _probes(folder, arm),
        "GWAS": lambda: _loci(folder / arm / "gwas"),
        "shared loci": lambda: _shared(folder / "shared_loci.tsv", arm),
        "replication": lambda: _replicated(folder / arm / "replication" / "summary.tsv"),
        "planted loci": lambda: _planted(folder / "truth_summary.tsv", arm),
        "PheWAS": lambda: _phecodes(folder / arm / "phewas" / "phewas.tsv"),
        "further seeds": lambda: _recurring(folder / arm / "recurrence.json"),
    }
    for name, read in parts.items():
        try:
            told |= read()
        except FileNotFoundError:
            empty[name] = "not made"
    return told, empty


def _participants(file: Path) -> dict:
    import pyarrow.parquet as pq

    return {"participants": pq.read_metadata(file).num_rows}


def _probes(folder: Path, arm: str) -> dict:
    means = pd.read_csv(folder / "probe_means.tsv", sep="\t")
    told = {}
    for mean in means.to_dict("records"):
        metric = mean["metric"]
        told[f"{metric}_targets"] = mean["targets"]
        of_baseline = arm == mean["baseline"]
        side = "baseline_" if of_baseline else ""
        told[metric] = mean[f"{side}score"]
        for end in ("low", "high"):
            told[f"{metric}_{end}"] = mean.get(f"{side or 'score_'}{end}", math.nan)
        if not of_baseline:
            for name in ("difference", "low", "high", "p"):
                column = name if name in ("difference", "p") else f"difference_{name}"
                told[f"{metric}_{column}"] = mean[name]
    differences = pd.read_csv(folder / "probe_differences.tsv", sep="\t")
    if (differences["arm"] == arm).any():
        apart = differences["q_value"] < SIGNIFICANT
        told["targets_better"] = int((apart & (differences["difference"] > 0)).sum())
        told["targets_worse"] = int((apart & (differences["difference"] < 0)).sum())
    return told


def _loci(folder: Path) -> dict:
    description = json.loads((folder / "gwas.json").read_text())
    loci = pd.read_csv(folder / "loci.tsv", sep="\t")
    return {"loci": len(loci), "lambda_gc": description["lambda_gc"]}


def _shared(file: Path, arm: str) -> dict:
    table = pd.read_csv(file, sep="\t")
    kinds = {"shared": SHARED, "weaker": WEAKER, "unique": UNIQUE}
    counts = table.groupby("class")[f"loci_{arm}"].sum()
    return {f"loci_{name}": int(counts.get(kind, 0)) for name, kind in kinds.items()}


def _replicated(file: Path) -> dict:
    either = pd.read_csv(file, sep="\t").set_index("discovery").loc["either"]
    return {
        "loci_tested_again": int(either["tested"]),
        "loci_replicated": int(either["joint_replicated"]),
        "loci_replicated_direction": int(either["direction_replicated"]),
    }


def _recurring(file: Path) -> dict:
    told = json.loads(file.read_text())
    return {
        "seeds": len(told["seeds"]),
        "loci_in_all_seeds": told["places_in_all"],
        "loci_in_any_seed": told["places_in_any"],
    }


def _planted(file: Path, arm: str) -> dict:
    of = pd.read_csv(file, sep="\t").set_index("arm").loc[arm]
    return {
        "planted": int(of["planted"]),
        "planted_found": int(of["found"]),
        "planted_share": of["found"] / of["planted"] if of["planted"] else math.nan,
        "loci_false": int(of["false"]),
    }


def _phecodes(file: Path) -> dict:
    table = pd.read_csv(file, sep="\t", dtype={"phecode": str})
    return {
        "phecodes_tested": int(table["neg_log10_p"].notna().sum()),
        "phecodes_bonferroni": int((table["bonferroni"] < SIGNIFICANT).sum()),
        "phecodes_fdr": int((table["q_value"] < SIGNIFICANT).sum()),
    }


def _told(empty: Mapping[str, str]) -> str:
    return "; ".join(f"{what}: {why}" for what, why in empty.items())
