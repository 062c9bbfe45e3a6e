"""Whether what is decoded along a variant's direction moves the trait that the variant was given.

Takes a finished run of a simulated biobank with an arm of median beats. Traits are measured in the
decoded beats by thresholds on the traces, which know nothing of the simulation; how well they
measure is seen in people's own median beats first.

    python benchmarks/directions/truth.py RUN --comparison ecg --arm ecg_aligned
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import savgol_filter
from scipy.stats import spearmanr, theilslopes

from regreveal.directions.run import Model, run_directions
from regreveal.directions.variables import find_variants, variant_variables
from regreveal.ecg_leads import LEADS
from regreveal.experiment.experiment_file import load_experiment
from regreveal.genetics.genotypes import open_genotypes
from regreveal.store.cohort import read_table
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import find_tensor_map

MS = 2  # a sample, at 500 Hz
CENTRE = 240  # sample that the QRS complexes are aligned at
EDGE, FLANK = 0.12, 0.3  # shares of a peak where a complex, or a wave, begins and ends
PEOPLE = 400
TRAITS = ["pr_interval", "qrs_duration", "qt_interval", "frontal_axis"]
TRAITS += ["p_amplitude", "r_amplitude", "t_amplitude"]


def crossing(signal: np.ndarray, start: int, level: float, step: int) -> float:
    """Where a signal first falls to a level on the way from `start`, between samples."""
    place = start
    while 0 < place < len(signal) - 1 and signal[place] > level:
        place += step
    inside, outside = signal[place - step], signal[place]
    return place - step * (level - outside) / (inside - outside) if outside < level else place


def measure(beat: np.ndarray) -> dict[str, float]:
    """Measure the traits of one median beat (600, 12), in ms, degrees and mV."""
    # Speed of the traces over 10 ms, beyond that of the noise between beats.
    speed = np.linalg.norm(savgol_filter(beat, 9, 2, deriv=1, axis=0), axis=1)
    speed -= np.quantile(speed, 0.2)
    near = np.arange(CENTRE - 40, CENTRE + 40)
    level = EDGE * speed[near].max()
    fast = near[speed[near] > level]
    onset = crossing(speed, fast[0], level, -1)
    end = crossing(speed, fast[-1], level, 1)

    second = beat[:, LEADS.index("II")]
    before = np.arange(max(0, int(onset) - 130), int(onset) - 5)
    p_peak = before[np.argmax(second[before])]
    p_base = second[max(0, p_peak - 60) : p_peak].min()
    p_height = second[p_peak] - p_base
    p_onset = crossing(second - p_base, p_peak, FLANK * p_height, -1)

    size = np.linalg.norm(beat - np.median(beat, axis=0), axis=1)
    after = np.arange(int(end) + 20, min(len(beat) - 1, int(end) + 200))
    t_peak = after[np.argmax(size[after])]
    t_end = crossing(size, t_peak, FLANK * size[t_peak], 1)

    qrs = slice(int(onset), int(end) + 1)
    across, down = (beat[qrs, LEADS.index(lead)].sum() for lead in ("I", "aVF"))
    return {
        "pr_interval": (onset - p_onset) * MS,
        "qrs_duration": (end - onset) * MS,
        "qt_interval": (t_end - onset) * MS,
        "frontal_axis": float(np.degrees(np.arctan2(down, across))),
        "p_amplitude": p_height,
        "r_amplitude": size[qrs].max(),
        "t_amplitude": size[t_peak],
    }


def main() -> None:
    """Print how well traits are measured, and how they move along every planted variant."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--comparison", default="ecg")
    parser.add_argument("--arm", default="ecg_aligned")
    arguments = parser.parse_args()
    run, arm = arguments.run, arguments.run / "arms" / arguments.arm
    experiment = load_experiment(run / "experiment.toml")
    told = pd.read_json(arm / "arm.json", typ="series")
    registered = arm / "registered"
    store = TensorStore(registered if registered.is_dir() else run / "data" / "tensors")
    model = Model(arm / "model", store, find_tensor_map(told["tensor_map"]))
    folder = run / "comparisons" / arguments.comparison
    participants = read_table(folder / "participants.parquet").index.tolist()
    traits = read_table(run / "data/truth/traits.tsv").loc[participants, TRAITS]

    chosen = participants[:PEOPLE]
    beats = model.tensor_map.normalize.inverse(model.tensor_map.load(store, chosen))
    measured = pd.DataFrame([measure(beat) for beat in beats], index=chosen)
    scale = {}
    print(f"Rank correlation of measured with true traits, {PEOPLE} people's median beats:")
    for name in TRAITS:
        r = spearmanr(measured[name], traits.loc[chosen, name])[0]
        scale[name] = theilslopes(measured[name], traits.loc[chosen, name])[0]
        print(f"  {name:14s} r {r:.2f}, measured per true {scale[name]:.2f}")
    spread = measured.quantile([0.16, 0.84]).diff().iloc[1] / 2

    planted = pd.read_csv(run / "data/truth/causal_variants.tsv", sep="\t")
    planted = planted[planted["trait"].isin(TRAITS)]
    own = planted.groupby("variant_id").agg({"gene": "first", "trait": list, "effect": list})
    genotypes = open_genotypes(run / "data/genotypes/genome.bed")
    rows = find_variants(genotypes, list(own.index))
    variables = variant_variables(genotypes, rows, own["gene"].tolist(), participants)
    with tempfile.TemporaryDirectory() as out:
        table = run_directions(
            Embedding.read(arm / "embedding.parquet"),
            participants,
            variables,
            {"variant": experiment.gwas.covariates},
            read_table(run / "data/cohort.tsv"),
            model,
            out,
            steps=[-2, -1, 0, 1, 2],
        )
        walks = [np.load(Path(out) / file)["walk"] for file in table["file"]]
    print("\nMoved by a standard deviation of the score, in people's SD of each trait as measured:")
    print(f"{'gene':9s} {'own trait':28s}" + "".join(f"{name[:9]:>10s}" for name in TRAITS))
    right, first, shares, own_moved, others_moved = [], [], [], [], []
    for (_, truth), walk, (_, found) in zip(own.iterrows(), walks, table.iterrows(), strict=True):
        beats = pd.DataFrame([measure(beat) for beat in walk])[TRAITS]
        slope = (beats.iloc[4] - beats.iloc[0]) / 4
        moved = slope / spread[TRAITS]
        print(
            f"{truth['gene']:9s} {', '.join(truth['trait']):28s}"
            + "".join(f"{value:10.2f}" for value in moved)
        )
        for trait, effect in zip(truth["trait"], truth["effect"], strict=True):
            right.append(np.sign(slope[trait]) == np.sign(effect))
            # The walk to where an allele takes people on average, chance included.
            per_allele = slope[trait] * found["effect"] / found["certainty"]
            shares.append((trait, per_allele / effect / scale[trait]))
        first.append(moved.abs().idxmax() in truth["trait"])
        own_moved += moved[truth["trait"]].abs().tolist()
        others_moved += moved.drop(truth["trait"]).abs().tolist()
    print(f"\nOwn trait in the right direction: {sum(right)} of {len(right)}")
    print(f"Own trait moves most of all: {sum(first)} of {len(first)}")
    own_median, others_median = np.median(own_moved), np.median(others_moved)
    print(f"Moved, own trait: median {own_median:.2f} SD; others: {others_median:.2f}")
    print("Decoded for an allele, as share of the planted effect, as measured (medians):")
    for trait, values in pd.DataFrame(shares, columns=["trait", "share"]).groupby("trait")["share"]:
        print(f"  {trait:14s} {values.median():.2f} ({len(values)} variants)")


if __name__ == "__main__":
    main()
