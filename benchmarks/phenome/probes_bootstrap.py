"""Standard errors and correlations of paired differences: by influence, by refitting, and in truth.

Of some cohorts, participants are drawn with replacement (those drawn twice stay in one fold), and
everything is fitted anew: folds as they are, penalties and models. Beside it the plain bootstrap of
the held-out predictions, which fits nothing anew, and what the influence functions say without
drawing anything. The truth is the spread over cohorts drawn anew.

    python benchmarks/phenome/probes_bootstrap.py --cohorts 10 --bootstraps 100 --truth 300
"""

import argparse

import numpy as np
import pandas as pd

from regreveal.phenome.probes import scores
from regreveal.phenome.probes.differences import compare_probes
from regreveal.phenome.probes.predictors import Predictors
from regreveal.phenome.probes.single import probe_targets
from regreveal.phenome.probes.targets import prepare_target

TARGETS = ("a", "b", "sum", "case")


def draw(n, dimensions, generator):
    traits = generator.normal(size=(n, 2))
    seen = np.eye(2, dimensions)
    arms = [
        strength * traits @ seen + generator.normal(size=(n, dimensions)) for strength in (0.5, 0.7)
    ]
    values = traits + 0.7 * generator.normal(size=(n, 2))
    table = pd.DataFrame(values, columns=["a", "b"])
    table["sum"] = table.sum(axis=1) + 0.5 * generator.normal(size=n)
    table["case"] = table["a"] > 0.4
    return arms, table


def probes(arms, table, folds):
    ids = pd.Index([f"p{i}" for i in range(len(table))])
    folds = pd.Series(folds, ids)
    targets = [prepare_target(table[name].set_axis(ids), folds) for name in TARGETS]
    return [probe_targets(Predictors(latents), targets) for latents in arms]


def differences(results):
    return np.array([b.score - a.score for a, b in zip(*results, strict=True)])


def by_influence(results):
    """Give standard errors, and correlations of what moves the differences."""
    pairs = list(zip(*results, strict=True))
    errors = [compare_probes(b, a).error for a, b in pairs]
    moved = np.stack([(b.influence - a.influence).sum(axis=1) for a, b in pairs], axis=1)
    return np.array(errors), np.corrcoef(moved.T)


def of_predictions(results, chosen):
    """Difference of scores of the held-out predictions of those drawn."""
    found = []
    for a, b in zip(*results, strict=True):
        pair = []
        for result in (a, b):
            target, values = result.target, []
            score = scores.r_squared if result.metric == "r2" else scores.auc
            for fold in range(5):
                rows = chosen[target.fold[chosen] == fold]
                values.append(score(target.outcomes[rows, 0], result.predictions[rows]))
            pair.append(np.mean(values))
        found.append(pair[1] - pair[0])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=10)
    parser.add_argument("--bootstraps", type=int, default=100)
    parser.add_argument("--truth", type=int, default=300)
    parser.add_argument("--participants", type=int, default=300)
    parser.add_argument("--dimensions", type=int, default=12)
    arguments = parser.parse_args()
    n, generator = arguments.participants, np.random.default_rng(1)
    folds = np.arange(n) % 5
    truth, told = [], {name: [] for name in ("influence", "refitted", "predictions")}
    correlations = {name: [] for name in told}
    for cohort in range(max(arguments.truth, arguments.cohorts)):
        arms, table = draw(n, arguments.dimensions, generator)
        results = probes(arms, table, folds)
        truth.append(differences(results))
        errors, correlation = by_influence(results)
        told["influence"].append(errors)
        correlations["influence"].append(correlation)
        if cohort >= arguments.cohorts:
            continue
        drawn = {"refitted": [], "predictions": []}
        for _ in range(arguments.bootstraps):
            chosen = generator.integers(n, size=n)
            drawn["predictions"].append(of_predictions(results, chosen))
            again = probes([x[chosen] for x in arms], table.iloc[chosen], folds[chosen])
            drawn["refitted"].append(differences(again))
        for name, rows in drawn.items():
            told[name].append(np.std(rows, axis=0, ddof=1))
            correlations[name].append(np.corrcoef(np.transpose(rows)))
    spread, between = np.std(truth, axis=0, ddof=1), np.corrcoef(np.transpose(truth))
    print("standard error over the true one\t" + "\t".join(TARGETS))
    for name, errors in told.items():
        print(name + "".join(f"\t{ratio:.2f}" for ratio in np.mean(errors, axis=0) / spread))
    upper = np.triu_indices(len(TARGETS), 1)
    pairs = [f"{TARGETS[i]}, {TARGETS[j]}" for i, j in zip(*upper, strict=True)]
    print("correlation of differences\t" + "\t".join(pairs))
    print("truth" + "".join(f"\t{value:.2f}" for value in between[upper]))
    for name, values in correlations.items():
        print(name + "".join(f"\t{value:.2f}" for value in np.mean(values, axis=0)[upper]))


if __name__ == "__main__":
    main()
