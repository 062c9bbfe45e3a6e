"""DeepCycle beside PCA-atan2: phases of unseen people, where they differ, and what they tell.

    python benchmarks/registration/deepcycle.py seeds   # unseen people, ten seeds; one person alone
    python benchmarks/registration/deepcycle.py differ  # noise, exposure, breathing, other beats
    python benchmarks/registration/deepcycle.py probes  # R² of traits, beside the control's numbers
    python benchmarks/registration/deepcycle.py late --steps 3000  # a long training on few people

Phases are compared with two truths. By time, the simulator's phase of a frame is the share of the
heart period since the R peak. By state, it is the time at which the typical heart (of the median
heart rate) is at the same point between the events of its cycle: what a frame can show. The first
row of the table is what a perfect reader of states would reach by time.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import shift

from regreveal.phenome.probes.run import run_probes
from regreveal.registration import DeepCycle
from regreveal.registration.cycle_phase import (
    phase_locking,
    principal_phase,
    usable_cines,
    winding_number,
    wrapped,
)
from regreveal.simulation.cardiac import simulate_cines
from regreveal.simulation.cardiac_cycle import cycle_of

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.simulation.cines import draw_people

TURN = 2 * np.pi
PROBED = ["heart_rate", "ejection_fraction", "lv_volume", "la_volume", "wall_thickness"]
EVENTS = "ejection_start", "ejection_end", "filling_start", "filling_end", "kick_start", "kick_end"


class People:
    """Simulated people whose scan worked, their cines, and two true phases of every frame."""

    def __init__(self, n, seed, even_hearts=False):
        rng = np.random.default_rng(seed)
        traits = draw_people(n, rng)
        if even_hearts:
            traits["heart_rate"] = 65.0
        cines = simulate_cines(traits, rng, nuisance=not even_hearts)
        good = (cines.truth["failure"] == "").to_numpy()
        self.traits = traits[good].reset_index(drop=True)
        self.truth = cines.truth[good].reset_index(drop=True)
        self.cines = cines.tensors[good].astype(np.float32)
        self.time = TURN * cines.phases[good]
        self.state = TURN * states(cines.phases[good], self.traits["heart_rate"].to_numpy())


def states(phases, heart_rate):
    """Phases of the typical heart between whose events these lie as between their own."""

    def events(rate):
        cycle = cycle_of(rate, np.zeros(len(rate)))
        inner = np.stack([getattr(cycle, name) for name in EVENTS], axis=1)
        edge = np.zeros((len(rate), 1))
        # Of a fast heart two events may coincide.
        return np.maximum.accumulate(np.hstack([edge, inner, edge + 1]) + 1e-6 * np.arange(8), 1)

    typical = events(np.array([70.0]))[0]
    own = events(heart_rate)
    return np.stack([np.interp(p, known, typical) for p, known in zip(phases, own, strict=True)])


def figures(phases, truth):
    """R over all frames after one rotation, R of a person (median, least), error in degrees."""
    difference = np.exp(1j * (phases - truth))
    each = phase_locking(phases, truth)
    error = np.degrees(np.abs(np.angle(difference / difference.mean())))
    return abs(difference.mean()), np.median(each), each.min(), error.mean()


def line(name, people, phases):
    by_time, by_state = figures(phases, people.time), figures(phases, people.state)
    round_once = (winding_number(phases) == 1).mean()
    numbers = " ".join(f"{value:7.3f}" for value in (*by_time[:3], *by_state[:3]))
    print(f"{name:34s} {numbers} {by_state[3]:8.1f} {100 * round_once:8.1f}", flush=True)


def header():
    columns = ("R time", "person", "least", "R state", "person", "least")
    print(f"{'':34s} " + " ".join(f"{name:>7s}" for name in columns) + "  degrees  round %")


def found(registration, cines):
    """Phases whether or not the registration trusts them: a comparison must not choose."""
    networks = registration._fitted_networks()
    return np.concatenate(
        [
            networks.encoder.predict(usable_cines(cines[start : start + 64]), verbose=0)
            for start in range(0, len(cines), 64)
        ]
    )


def train(people, options, seed, **parameters):
    started = time.perf_counter()
    registration = DeepCycle(steps=options.steps, seed=seed, **parameters).fit(people.cines)
    print(f"  seed {seed}: trained in {time.perf_counter() - started:.0f} s", flush=True)
    return registration


def seeds(options):
    """Unseen people, and one person's own cine."""
    header()
    for even in (False, True):
        learned, unseen = People(options.people, 1, even), People(300, 2, even)
        kind = "same rate, no nuisance" if even else "as scanned"
        line(f"{kind}: perfect reader of states", unseen, unseen.state)
        line(f"{kind}: even time", unseen, unseen.time - unseen.time[:, :1])
        start = principal_phase(usable_cines(learned.cines))
        line(f"{kind}: PCA-atan2", unseen, start.phases(usable_cines(unseen.cines)))
        for seed in range(1, 2 if even else 1 + options.seeds):
            registration = train(learned, options, seed)
            line(f"{kind}: DeepCycle, seed {seed}", unseen, found(registration, unseen.cines))
    alone = DeepCycle(steps=100, seed=1).fit(unseen.cines[:1])
    phases = found(alone, unseen.cines[:1])
    own = principal_phase(usable_cines(unseen.cines[:1]))
    by_pca = own.phases(usable_cines(unseen.cines[:1]))
    for name, some in (("PCA-atan2", by_pca), ("DeepCycle", phases)):
        print(f"one person alone, {name}: R {figures(some, unseen.time[:1])[0]:.3f}")


def disturbed(cines, rng):
    """Cines by what was done to them."""
    frames = np.arange(cines.shape[-1]) / cines.shape[-1]
    size = cines.std(axis=(1, 2, 3), keepdims=True)
    drift = 1 + 0.3 * np.sin(TURN * (frames + rng.random((len(cines), 1))))
    breath = 2 * np.sin(TURN * (frames + rng.random((len(cines), 1))))
    moved = np.empty_like(cines)
    for cine, out, rows in zip(cines, moved, breath, strict=True):
        for frame, distance in enumerate(rows):
            out[..., frame] = shift(cine[..., frame], (distance, 0), order=1, mode="nearest")
    return {
        "as scanned": cines,
        "noise of half an SD": cines + 0.5 * size * rng.standard_normal(cines.shape),
        "exposure drifts by 30 %": cines * drift[:, None, None],
        "breathing moves by 2 pixels": moved,
    }


def differ(options):
    """Where the network beats PCA-atan2, and where it does not."""
    learned, unseen = People(options.people, 1), People(300, 2)
    registration = train(learned, options, 1)
    start = principal_phase(usable_cines(learned.cines))
    header()
    for name, cines in disturbed(unseen.cines, np.random.default_rng(3)).items():
        cines = cines.astype(np.float32)
        line(f"{name}: PCA-atan2", unseen, start.phases(usable_cines(cines)))
        line(f"{name}: DeepCycle", unseen, found(registration, cines))
    irregular = unseen.truth["arrhythmia"].to_numpy(bool)
    for name, rows in (("mixed beats", irregular), ("regular beats", ~irregular)):
        some = object.__new__(People)
        some.cines, some.time, some.state = (
            part[rows] for part in (unseen.cines, unseen.time, unseen.state)
        )
        line(f"{name}: PCA-atan2", some, start.phases(usable_cines(some.cines)))
        line(f"{name}: DeepCycle", some, found(registration, some.cines))
    # A beat that takes 40 % longer to its end, of which the frames show less.
    order = np.round(np.arange(16) * 0.7).astype(int)
    cut = object.__new__(People)
    cut.cines, cut.time, cut.state = (
        part[..., order] for part in (unseen.cines, unseen.time, unseen.state)
    )
    line("30 % of the cycle cut off: PCA", cut, start.phases(usable_cines(cut.cines)))
    line("30 % of the cycle cut off: DeepCycle", cut, found(registration, cut.cines))


def probes(options):
    """Say what phases tell of traits, beside the control's numbers."""
    learned, unseen = People(options.people, 1), People(1000, 4)
    arms = {}
    for name, circular in (("control", False), ("DeepCycle", True)):
        latents = found(train(learned, options, 1, circular=circular), unseen.cines)
        arms[name] = latents - latents.mean(axis=0)
    start = principal_phase(usable_cines(learned.cines)).phases(usable_cines(unseen.cines))
    steps = wrapped(np.diff(start, axis=1))
    arms["PCA-atan2"] = np.cumsum(np.hstack([start[:, :1], steps]), axis=1)
    targets = unseen.traits[PROBED].set_index(pd.Index([f"p{i}" for i in range(len(unseen.time))]))
    folds = pd.Series(np.random.default_rng(1).permutation(len(targets)) % 5, targets.index)
    tables = run_probes(arms, targets, folds, "control")
    print(tables.scores.pivot_table("score", "target", "arm").round(3))
    print(tables.means.round(3).to_string())


def late(options):
    """History of losses of a long training on few people: whether generalisation comes late."""
    learned = People(60, 1)
    registration = train(learned, options, 1, steps_per_epoch=max(1, options.steps // 15))
    print(registration.joint_history()[["steps", "loss", "validation_loss"]].round(4).to_string())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"seeds": seeds, "differ": differ, "probes": probes, "late": late}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--people", type=int, default=500, help="to learn from")
    parser.add_argument("--steps", type=int, default=300, help="of a training")
    parser.add_argument("--seeds", type=int, default=10, help="of `seeds`, how many")
    options = parser.parse_args()
    parts[options.part](options)


if __name__ == "__main__":
    main()
