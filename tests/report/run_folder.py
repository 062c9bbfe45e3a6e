"""A run folder like those `regreveal run` leaves, of invented but plausible numbers."""

import gzip
import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.brain_atlas import template
from regreveal.comparison.table2 import make_table2
from regreveal.experiment.experiment_file import parse_experiment
from regreveal.genetics.clusters.agreement import compare_clusters
from regreveal.genetics.clusters.clustering import VariantClusters, cluster_variants
from regreveal.genetics.replication import summarise
from regreveal.simulation.ecg import phantom

ARMS = ("native", "registered")
PARTICIPANTS = 400
GENES = (
    "RNF207", "CASQ2", "NOS1AP", "MEIS1", "TTN", "SCN5A", "PITX2", "HAND1", "NKX2-5", "DSP",
    "CDKN1A", "PLN", "TBX20", "CAV1", "KCNH2", "VTI1A", "BAG3", "KCNQ1", "SOX5", "TBX3",
)  # fmt: skip
TARGETS = {
    # target: metric, native, registered
    "heart_rate": ("r2", 0.62, 0.08),
    "pr_interval": ("r2", 0.03, 0.88),
    "qrs_duration": ("r2", 0.05, 0.91),
    "qt_interval": ("r2", 0.11, 0.83),
    "frontal_axis": ("r2", 0.48, 0.93),
    "p_amplitude": ("r2", 0.02, 0.71),
    "age": ("r2", 0.10, 0.24),
    "bmi": ("r2", 0.02, 0.03),
    "sex": ("auc", 0.66, 0.74),
    "smoking": ("auc", 0.53, 0.52),
}
CATEGORIES = {
    "circulatory": 12,
    "digestive": 6,
    "endocrine": 6,
    "genitourinary": 9,
    "neoplasms": 7,
    "respiratory": 5,
}
EXPERIMENT = """\
title = "Does aligning ECGs reveal more biology?"
seed = 7

[data.simulate]
participants = 600
variants = 4000

[autoencoder]
latent_size = 16
steps = 2000

[arms.native]
tensor_map = "ecg.rest_10s"

[arms.registered]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }

[comparisons.alignment]
baseline = "native"
against = "registered"

[probes]
targets = ["heart_rate", "pr_interval"]
"""
# Native and registered arm, and what they show, of the comparisons of images.
IMAGE_ARMS = {
    "dxa": ("dxa_native", "dxa_homography", "dxa.body", "Homography"),
    "brain": ("brain_native", "brain_mni", "brain.t1_mni_6mm", "Affine"),
    "cardiac": ("cardiac_native", "cardiac_voxelmorph", "cardiac.lax_4ch_small", "VoxelMorph"),
}
IMAGES = "\n" + "\n".join(
    f"""\
[arms.{native}]
tensor_map = "{tensor_map}"

[arms.{registered}]
tensor_map = "{tensor_map}"
registration = {{ method = "{method}", input = "{tensor_map}" }}

[comparisons.{name}]
baseline = "{native}"
against = "{registered}"
"""
    for name, (native, registered, tensor_map, method) in IMAGE_ARMS.items()
)
# The ECGs fused with cines, of which no other arm is.
FUSED_ARMS = ("ecg_fused", "cine_fused")
FUSION = """
[arms.ecg_fused]
tensor_map = "ecg.median"
after = "registered"
fusion = "heart"

[arms.cine_fused]
tensor_map = "cardiac.lax_4ch_small"
fusion = "heart"

[fusions.heart]
latent_size = 16
warm_start = ["registered"]

[comparisons.fused]
baseline = "registered"
against = "ecg_fused"

[arms.number]
tensor_map = "cardiac.lax_4ch_small"

[arms.number.registration]
method = "DeepCycle"
input = "cardiac.lax_4ch_small"
parameters = { circular = false }

[arms.phase]
tensor_map = "cardiac.lax_4ch_small"
registration = { method = "DeepCycle", input = "cardiac.lax_4ch_small" }
"""
GENETICS = """
[gwas]
coding = "additive"
covariates = ["age", "sex"]

[phewas]
covariates = ["age", "sex"]

[clusters]
bootstraps = 100

[replication]

[recurrence]
arms = ["registered"]
seeds = 2

[directions]
"""


def sample_ids() -> list[str]:
    """Ids of the run's participants; none may turn up in a report."""
    return [f"person-{7_000_001 + 13 * i}" for i in range(PARTICIPANTS)]


def make_run_folder(
    folder: Path, genetics: bool = True, images: bool = False, fusion: bool = False
) -> Path:
    """Write a finished run, with or without genotypes and diagnoses, of ECGs or of all there is."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    (folder / "experiment.toml").write_text(
        EXPERIMENT
        + (IMAGES if images else "")
        + (FUSION if fusion else "")
        + (GENETICS if genetics else "")
    )
    experiment = parse_experiment((folder / "experiment.toml").read_text(), "experiment.toml")
    (folder / "settings.json").write_text(experiment.model_dump_json())
    stages = {name: {"key": "0", "seconds": 1.0, "finished": True} for name in ("data", "splits")}
    # This is how the stage stands while the report is being made.
    stages["report"] = {"key": "0", "finished": False}
    versions = {"keras": "3.15.0", "numpy": "2.4.0"}
    manifest = {"regreveal": "0.1.0", "python": "3.11.9", "versions": versions, "seed": 7}
    _json(folder / "manifest.json", manifest | {"stages": stages})
    ids = sample_ids()
    split = ["train"] * 80 + ["validation"] * 20 + ["analysis"] * (PARTICIPANTS - 100)
    splits = pd.DataFrame({"sample_id": ids, "split": split, "fold": np.arange(len(ids)) % 5})
    splits.to_parquet(folder / "splits.parquet")
    dropped = [
        ("registration", "registered", "fewer than three beats", 3),
        ("registration", "registered", "no beat stands out of the noise", 12),
        ("gwas", "", "no genotypes", 7),
    ]
    _tsv(pd.DataFrame(dropped, columns=["stage", "arm", "reason", "count"]), folder / "dropped.tsv")
    participants = splits.iloc[100:][["sample_id", "fold"]]
    strips, beats = phantom(60, rng, noise_mv=0.03, rr_sd_ms=60)
    medians = np.stack([_median_beat(*pair) for pair in zip(strips, beats, strict=True)])
    smooth = np.hanning(25) / np.hanning(25).sum()
    native = {"tensor_map": "ecg.rest_10s", "description": "The ten-second strip."}
    registered = {"tensor_map": "ecg.median", "description": "The median beat."}
    registered |= {"registration": "QRSAlignment", "quality": {"beats": [8.0, 10.0, 12.5]}}
    ecgs = zip(ARMS, (strips, medians), (native, registered), (0.42, 0.05), strict=True)
    for arm, inputs, told, left in ecgs:
        made = np.apply_along_axis(np.convolve, 1, inputs[:8], smooth, "same") * np.sqrt(1 - left)
        told |= {"units": "mV", "sampling_rate": 500}
        _write_arm(folder / "arms" / arm, inputs, made, told, left, ids)
    _write_comparison(folder / "comparisons" / "alignment", ARMS, participants, genetics, rng)
    for name in IMAGE_ARMS if images else ():
        _write_images(folder, name, ids, rng)
        arms = IMAGE_ARMS[name][:2]
        _write_comparison(folder / "comparisons" / name, arms, participants, genetics, rng)
    if fusion:
        _write_fusion(folder, medians, ids, rng)
        arms = ("registered", "ecg_fused")
        _write_comparison(folder / "comparisons" / "fused", arms, participants, genetics, rng)
    _write_table2(folder)
    return folder


def _write_table2(folder: Path) -> None:
    """Write what the other files tell of every arm; this comes last."""
    experiment = tomllib.loads((folder / "experiment.toml").read_text())
    stages = json.loads((folder / "manifest.json").read_text())["stages"]
    _tsv(make_table2(folder, experiment, stages), folder / "table2.tsv")


def _write_fusion(folder: Path, ecgs: np.ndarray, ids: list[str], rng: np.random.Generator) -> None:
    """Write two fused arms, who was found by whom, and phases."""
    cines = rng.random((12, 48, 48, 16))
    fused = {"fusion": "heart", "latents_by": "DropFuse"}
    ecg = {"tensor_map": "ecg.median", "units": "mV", "sampling_rate": 500, "after": "registered"}
    cine = {"tensor_map": "cardiac.lax_4ch_small", "units": "intensity", "sampling_rate": None}
    for arm, inputs, told in zip(FUSED_ARMS, (ecgs, cines), (ecg, cine), strict=True):
        told |= fused | {"description": "Fused."}
        _write_arm(folder / "arms" / arm, inputs, 0.9 * inputs[:8], told, 0.2, ids)
    told = cine | {"description": "Phases.", "registration": "DeepCycle", "latents_by": "DeepCycle"}
    for arm, parameters in {"number": {"circular": False}, "phase": {}}.items():
        of_arm = told | {"parameters": parameters, "latent_size": 16, "fusion": None}
        _write_arm(folder / "arms" / arm, cines, cines[:8], of_arm, 0.2, ids)
    course = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    phases = course + 0.1 * rng.standard_normal((150, 16))
    loop = np.moveaxis(cines[0], -1, 0)
    np.savez_compressed(folder / "arms/phase/cycle.npz", phases=phases, loop=loop)
    (folder / "fusions/heart").mkdir(parents=True)
    rows = [(*FUSED_ARMS, 250, 0.42, 0.88), (*FUSED_ARMS[::-1], 250, 0.36, 0.84)]
    table = pd.DataFrame(rows, columns=["from", "to", "pairs", "top_1", "top_10"])
    _tsv(table, folder / "fusions/heart/retrieval.tsv")


def _write_images(folder: Path, name: str, ids: list[str], rng: np.random.Generator) -> None:
    """Write the arms of images: those registered all alike, the native ones moved."""
    *arms, tensor_map, method = IMAGE_ARMS[name]
    if name == "brain":
        registered = np.tile(template(6)[0][None, ..., None], (12, 1, 1, 1, 1))
        across = 3
    else:
        rows, columns, frames = (232, 88, 1) if name == "dxa" else (64, 64, 12)
        y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
        beat = 0.5 + 0.1 * np.cos(2 * np.pi * np.arange(frames) / frames)
        shape = np.exp(-((x / beat[:, None, None]) ** 2) - y**2) * (1 + 0.3 * np.sin(9 * y) * x)
        registered = np.tile(np.moveaxis(shape, 0, -1)[None], (12, 1, 1, 1))
        across = 2
    registered = registered + 0.05 * rng.standard_normal(registered.shape)
    axes = tuple(range(across))
    native = np.stack([np.roll(one, rng.integers(-4, 5, across), axes) for one in registered])
    quality = {"correlation": [0.71, 0.83, 0.9], "largest_displacement": [1.2, 3.4, 9.8]}
    for arm, inputs, left in zip(arms, (native, registered), (0.42, 0.05), strict=True):
        told = {"tensor_map": tensor_map, "description": f"Images of the {name}."}
        told |= {"units": "grey value", "sampling_rate": None}
        if arm == arms[1]:
            told |= {"registration": method, "quality": quality}
        _write_arm(folder / "arms" / arm, inputs, (1 - left) * inputs[:8], told, left, ids)


def _write_arm(
    place: Path, inputs: np.ndarray, rebuilt: np.ndarray, told: dict, left: float, ids: list[str]
) -> None:
    (place / "model").mkdir(parents=True)
    np.savez_compressed(place / "examples.npz", inputs=inputs, reconstructions=rebuilt)
    registered = "registration" in told
    latent_size = told.pop("latent_size", 16)
    description = {
        "shape": inputs.shape[1:],
        "registration": None,
        "parameters": {},
        "fusion": None,
        "latents_by": "autoencoder",
        "n_registered": PARTICIPANTS - 15 if registered else None,
        "n_failed": 15 if registered else None,
        "after": None,
        "quality": {},
    }
    _json(place / "arm.json", description | told)
    epochs = np.arange(1, 21)
    loss = 0.3 * (left + (1 - left) * np.exp(-epochs / 3))
    history = pd.DataFrame({"epoch": epochs, "steps": 100 * epochs, "loss": loss})
    history.assign(validation_loss=1.02 * loss).to_csv(place / "model/history.csv", index=False)
    model = {
        "latent_size": latent_size,
        "weights": 123_456,
        "steps": 2000,
        "steps_per_epoch": 100,
        "best_epoch": 20 if registered else 6,
        "batch_size": 32,
        "trained_on": ids[:80],
        "validated_on": ids[80:100],
        "baseline_loss": 0.3,
        "validation_baseline_loss": 0.31,
        "explained_variance": 1 - left,
    }
    _json(place / "model/model.json", model)


def _write_comparison(
    folder: Path,
    arms: tuple[str, str],
    participants: pd.DataFrame,
    genetics: bool,
    rng: np.random.Generator,
) -> None:
    folder.mkdir(parents=True)
    participants.to_parquet(folder / "participants.parquet")
    _write_probes(folder, arms)
    if genetics:
        _write_genetics(folder, arms, rng)
        _write_loci_again(folder, arms)
        for arm in arms:
            _write_phewas(folder / arm / "phewas", arm == arms[1], rng)
            _write_directions(folder / arm / "directions", arm == arms[1])
        _write_phewas_differences(folder, arms, np.random.default_rng(8))


def _median_beat(strip: np.ndarray, beats: np.ndarray) -> np.ndarray:
    inside = [int(beat) for beat in beats if 250 < beat < len(strip) - 370]
    return np.median([strip[beat - 240 : beat + 360] for beat in inside], axis=0)


def _write_probes(comparison: Path, arms: tuple[str, str]) -> None:
    scores, differences = [], []
    sides = {"arm": arms[1], "baseline": arms[0]}
    for target, (metric, native, registered) in TARGETS.items():
        shared = {"target": target, "type": "continuous" if metric == "r2" else "binary"}
        shared |= {
            "metric": metric,
            "n": 291,
            "reason": "",
            "units": "ms" if metric == "r2" else "",
        }
        for arm, score in zip(arms, (native, registered), strict=True):
            interval = {"score": score, "low": score - 0.03, "high": score + 0.03}
            scores.append(
                shared | {"arm": arm, "n_missing": 9} | interval | _measures(metric, score)
            )
        difference = registered - native
        differences.append(
            shared
            | sides
            | {"score": registered}
            | {"baseline_score": native, "difference": difference, "p": 0.001}
            | {"low": difference - 0.04, "high": difference + 0.04}
            | {"q_value": 0.001 if abs(difference) > 0.04 else 0.4}
            | {"p_corrected": 0.0001 if abs(difference) > 0.04 else 0.7}
        )
    nothing = {"target": "sinus_rhythm", "type": "categorical", "metric": "auc", "n": 3}
    nothing["reason"] = "fewer than two classes of at least 10 participants"
    _tsv(
        pd.DataFrame([*scores, *(nothing | {"arm": arm} for arm in arms)]),
        comparison / "probes.tsv",
    )
    differences.append(nothing | sides)
    _tsv(pd.DataFrame(differences), comparison / "probe_differences.tsv")
    means = []
    for metric in ("r2", "auc"):
        scored = [scores for name, *scores in TARGETS.values() if name == metric]
        native, registered = np.mean(scored, axis=0)
        difference = registered - native
        means.append(
            sides
            | {"metric": metric, "targets": len(scored)}
            | {"score": registered, "baseline_score": native, "difference": difference}
            | {"low": difference - 0.02, "high": difference + 0.02, "p": 0.001}
        )
    _tsv(pd.DataFrame(means), comparison / "probe_means.tsv")
    _write_calibration(comparison, arms)


def _measures(metric: str, score: float) -> dict:
    if metric == "r2":
        numbers = {"pearson_r": np.sqrt(max(score, 0)), "rmse": 12.5 - 8 * score, "sd": 12.5}
        return numbers | {"floor": -0.01, "ceiling": 0.96}
    classes = {"average_precision": score - 0.1, "prevalence": 0.4, "calibration_slope": 1.05}
    return classes | {"positive_class": "yes", "floor": 0.49, "ceiling": 0.97}


def _write_calibration(comparison: Path, arms: tuple[str, str]) -> None:
    rows = [
        {"arm": arm, "target": target, "class": "yes", "bin": place, "n": 58, "predicted": share}
        | {"observed": share + 0.02, "low": share - 0.08, "high": share + 0.12}
        for target, (metric, *_) in TARGETS.items()
        if metric == "auc"
        for arm in arms
        for place, share in enumerate((0.1, 0.2, 0.4, 0.6, 0.8), start=1)
    ]
    _tsv(pd.DataFrame(rows), comparison / "probe_calibration.tsv")


def _write_genetics(comparison: Path, arms: tuple[str, str], rng: np.random.Generator) -> None:
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
    _tsv(truth, comparison / "truth.tsv")
    _write_clusters(comparison, arms, truth.reset_index(drop=True))
    summary = pd.DataFrame(rows, columns=["arm", "planted", "found", "missed", "false"])
    summary["share_of_oracle"] = summary["found"] / summary["found"].iloc[0]
    _tsv(summary, comparison / "truth_summary.tsv")


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
    _tsv(loci.assign(n_variants=4, locus=np.arange(1, len(loci) + 1)), folder / "loci.tsv")
    settings = {"coding": "additive", "transform": "radial", "minimum_count": 5}
    _json(
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
    _tsv(pd.DataFrame([row]), comparison / "cluster_agreement.tsv")
    scores = {"rand_index": 0.81, "low": 0.7, "high": 0.9, "p_value": 1e-4}
    counts = {"variants": 12, "without_planted": 1, "traits": 4, "clusters": 5}
    told = {"arm": arms[1], "lead_variants_of": "own", "stability": 0.9, "reliability": 0.7}
    _tsv(pd.DataFrame([told | counts | scores]), comparison / "cluster_truth.tsv")


def _write_loci_again(comparison: Path, arms: tuple[str, str]) -> None:
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
    _tsv(shared, comparison / "shared_loci.tsv")
    for arm in arms:
        _write_replication(comparison / arm / "replication", truth[truth[arm]], arm)
    again = comparison / arms[1]
    strength = truth[f"neg_log10_p_{arms[1]}"]
    table = places.assign(seeds=2 + second, **{f"found_{seed}": True for seed in (8, 9)})
    table = table.assign(found_7=second, neg_log10_p_7=strength, neg_log10_p_8=strength + 1)
    _tsv(table.assign(neg_log10_p_9=strength + 2), again / "recurrence.tsv")
    pairs = [(7, 8, 0.9, 0.93, 0.81), (7, 9, 0.9, 0.94, 0.82), (8, 9, 1.0, 0.95, 0.83)]
    columns = ["seed", "other_seed", "jaccard", "linear_cka", "mean_canonical_correlation"]
    _tsv(pd.DataFrame(pairs, columns=columns), again / "recurrence_pairs.tsv")
    counts = {"7": int(second.sum()), "8": len(truth), "9": len(truth)}
    told = {"seeds": [7, 8, 9], "loci": counts, "loci_mean": float(np.mean([*counts.values()]))}
    told |= {"loci_low": counts["7"], "loci_high": len(truth), "places_in_any": len(truth)}
    told |= {"places_in_all": counts["7"], "places_in_most": len(truth) - counts["7"]}
    _json(again / "recurrence.json", told | {"places_in_fewer": 0, "places_in_one": 0})


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
    _tsv(leads, folder / "leads.tsv")
    _tsv(summarise(leads), folder / "summary.tsv")
    relatives = {"degree": 2, "pairs_kept_together": 12, "variants": 4000}
    halves = {"participants": {"1": 146, "2": 147}, "relatives": relatives, "threshold": 5e-8}
    _json(folder / "replication.json", halves)


def _write_phewas(folder: Path, registered: bool, rng: np.random.Generator) -> None:
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
    _tsv(table, folder / "phewas.tsv")


def _write_directions(folder: Path, registered: bool) -> None:
    """Write a locus and a disease decoded as ECGs, and a disease of too few; of native, nothing."""
    folder.mkdir(parents=True)
    time = np.arange(600)[:, None]
    change = 0.05 * np.exp(-(((time - 160) / 12) ** 2)) * np.linspace(-1, 1, 12)
    steps = np.arange(-3.0, 4)
    rows = [
        ("01.npz", "variant", "rs1010", "SCN5A", "G allele", 290, ""),
        ("02.npz", "phecode", "101.1", "Condition 1 1", "case", 290, ""),
        ("", "phecode", "102.2", "Condition 1 2", "case", 290, "fewer than 20 participants differ"),
    ]
    columns = ["file", "kind", "name", "label", "unit", "n", "reason"]
    table = pd.DataFrame(rows if registered else [], columns=columns)
    figures = {"effect": 0.35, "certainty": 0.94, "n_beyond": 3, "distance": 2.9}
    figures |= {"people_distance": 4.3, "cycle_slope": 0.92, "cycle_correlation": 1.0}
    figures |= {"purity": 0.97, "n_low": 20, "score_low": -2.0, "n_high": 20, "score_high": 2.1}
    figures |= {"agreement": 0.96, "size": 0.85}
    table = table.assign(**figures)
    table.loc[table["file"] == "", list(figures)] = np.nan
    _tsv(table, folder / "directions.tsv")
    groups = [("01.npz", v, n, s, 0.1) for v, n, s in [(0, 200, -0.2), (1, 86, 0.2), (2, 4, None)]]
    groups = groups if registered else []
    columns = ["file", "value", "n", "score", "standard_error"]
    _tsv(pd.DataFrame(groups, columns=columns), folder / "groups.tsv")
    facts = {"participants": 293, "tensor_map": "ecg.median", "shape": [600, 12]}
    facts |= {"units": "mV", "sampling_rate": 500}
    _json(folder / "directions.json", facts)
    for file in table["file"][table["file"] != ""]:
        walk = np.sin(time / 60) + steps[:, None, None] * change
        np.savez(folder / file, steps=steps, walk=walk, decoded=change, people=1.1 * change)


def _write_phewas_differences(folder: Path, arms: tuple[str, str], rng) -> None:
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
    _tsv(table, folder / "phewas_differences.tsv")
    overall = {"arm": arms[1], "baseline": arms[0], "phecodes": len(table) - 1}
    overall |= {"significant": 5, "baseline_significant": 0, "both": 0, "gained": 5, "lost": 0}
    overall |= {"p_counts": 0.0625, "mean_z": 1.15, "baseline_mean_z": 0.16, "difference": 0.99}
    overall |= {"standard_error": 0.23, "low": 0.54, "high": 1.44, "p": 1.5e-5}
    _tsv(pd.DataFrame([overall]), folder / "phewas_overall.tsv")
    for arm, scan in zip(arms, scans, strict=True):
        null = pd.DataFrame({"null": "labels", "repeat": 1, "phecode": scan["phecode"]})
        null["neg_log10_p"] = rng.exponential(1 / np.log(10), len(null))
        _tsv(null, folder / arm / "phewas/phewas_null.tsv")
        flat = {"null": "labels", "repeats": 1, "tests": len(null), "below_0.05": 0.048}
        flat |= {"below_0.01": 0.009, "p_uniform": 0.4, "threshold": np.nan}
        _tsv(pd.DataFrame([flat]), folder / arm / "phewas/phewas_null_summary.tsv")
        incident = scan.rename(columns={"odds_ratio": "hazard_ratio"})
        incident = incident.assign(n_earlier=3, n_not_followed_up=0, person_years=1234.5)
        _tsv(incident, folder / arm / "phewas/phewas_incident.tsv")


def _json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content))


def _tsv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep="\t", index=False)
