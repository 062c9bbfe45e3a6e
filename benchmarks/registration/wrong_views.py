"""How many short-axis cines among four-chamber ones VoxelMorph flags, and how many right ones.

    python benchmarks/registration/wrong_views.py --seed 1

Fitted as the demo does, on 800 simulated people, failures among them; tried on others: right views,
wrong ones and noise, all drawn anew.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from regreveal.registration import VoxelMorph
from regreveal.simulation import cardiac_scan
from regreveal.simulation.cardiac import simulate_cines

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.simulation.cines import draw_people

SETTINGS = {"features": (8, 16, 16), "steps": 150, "batch_size": 16, "learning_rate": 0.002}


def cines(people: int, rng: np.random.Generator, share: float, failures: tuple[str, ...]):
    """Simulate cines of which a share are failures of these kinds; give their traits too."""
    cardiac_scan.FAILURE_SHARE, cardiac_scan.FAILURES = share, failures
    traits = draw_people(people, rng)
    return simulate_cines(traits, rng).tensors.astype(np.float32), traits


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=600, help="right views to try")
    parser.add_argument("--wrong", type=int, default=60)
    options = parser.parse_args()
    usual = cardiac_scan.FAILURE_SHARE, cardiac_scan.FAILURES
    rngs = np.random.default_rng(options.seed).spawn(4)
    learned, traits = cines(800, rngs[0], *usual)
    exemplar = (traits["bmi"] - traits["bmi"].median()).abs().argmin()
    registration = VoxelMorph(learned[exemplar], **SETTINGS).fit(learned)
    for kind, people, rng, failures in (
        ("right", options.people, rngs[1], ()),
        ("wrong view", options.wrong, rngs[2], ("wrong view",)),
        ("noise", options.wrong, rngs[3], ("noise",)),
    ):
        tried, _ = cines(people, rng, float(bool(failures)), failures or usual[1])
        qc = registration.transform(tried).qc
        reasons = qc.loc[~qc["ok"], "reason"].value_counts().to_dict()
        print(f"\n{kind}: {(~qc['ok']).sum()} of {len(qc)} flagged {reasons or ''}")
        print(qc[["similarity_after", "unexplained"]].quantile([0, 0.5, 1]).to_string())
    print(f"bound on the unexplained share: {float(registration.most_unexplained_):.3f}")


if __name__ == "__main__":
    main()
