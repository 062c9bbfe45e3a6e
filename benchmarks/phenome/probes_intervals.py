"""How often the 95 % intervals of probes hold the truth, and how wide they are.

Cohorts are drawn anew; two arms see the same trait, as strongly or not. With tails, everybody's
latents are stretched by one random factor, which makes them elliptical t. With --embedding, cohorts
are drawn from the participants of two embeddings instead, a second one being compared with the
first. The truth is what the same procedure scores on average over cohorts, and zero for the
difference of equal arms. With --means, targets are five numbers and three categories that go
together, one arm knows them and the other knows nothing, and it is the intervals of their mean that
are looked at. A ratio is of the intervals' width to that of the middle 95 % of the score
or difference over cohorts.

    python benchmarks/phenome/probes_intervals.py --cohorts 400
    python benchmarks/phenome/probes_intervals.py --embedding RUN/arms/native/embedding.parquet \
        --embedding RUN/arms/registered/embedding.parquet --phenotypes RUN/data/phenotypes.tsv
    python benchmarks/phenome/probes_intervals.py --means --cohorts 200
"""

import argparse
from functools import partial

import numpy as np
import pandas as pd

from regreveal.phenome.probes.differences import compare_probes
from regreveal.phenome.probes.run import run_probes
from regreveal.phenome.probes.single import probe
from regreveal.store.cohort import read_table
from regreveal.store.embedding import Embedding

# Degrees of freedom of the tails, participants, dimensions, and how strongly a trait moves two of
# the dimensions of either arm.
SETTINGS = [
    (np.inf, 60, 16, (0.0, 0.0)),
    (np.inf, 126, 16, (0.0, 0.0)),
    (np.inf, 126, 16, (0.5, 0.5)),
    (np.inf, 126, 32, (0.5, 0.8)),
    (np.inf, 600, 32, (0.5, 0.6)),
    (np.inf, 3000, 32, (0.5, 0.5)),
    (3, 60, 16, (0.0, 0.0)),
    (3, 126, 16, (0.0, 0.0)),
    (3, 126, 32, (0.5, 0.8)),
    (5, 126, 32, (0.5, 0.8)),
    (3, 600, 32, (0.5, 0.6)),
]
CASES = {"continuous": None, "binary, 30 %": 0.7, "binary, 10 %": 0.9}
COHORT_SIZES = (60, 126)  # of those drawn from embeddings
MEAN_SIZES = (300, 120)  # of those whose mean over targets is looked at
MEAN_DIMENSIONS, NUMBERS, CATEGORIES = 12, 5, 3


def simulate(tails, n, dimensions, strengths, generator):
    """Draw a trait, and the latents that carry it in either arm."""
    trait = generator.normal(size=n)
    carriers = np.arange(dimensions) < 2
    stretch = 1.0
    if np.isfinite(tails):
        stretch = np.sqrt(tails / generator.chisquare(tails, size=(n, 1)))
    arms = [
        (trait[:, None] * strength * carriers + generator.normal(size=(n, dimensions))) * stretch
        for strength in strengths
    ]
    return arms, trait + 0.7 * generator.normal(size=n)


def resample(embeddings, values, n, generator):
    """Draw some of the participants."""
    chosen = generator.choice(len(values), n, replace=False)
    return [latents[chosen] for latents in embeddings], values[chosen]


def measure(draw, quantile, cohorts, seed, equal_arms):
    """Coverage and relative width: of the first arm's score, the second's, and the difference."""
    generator = np.random.default_rng(seed)
    told = []
    for _ in range(cohorts):
        arms, values = draw(generator)
        ids = [f"person-{row}" for row in range(len(values))]
        if quantile is not None:
            values = values > np.quantile(values, quantile)
        target = pd.Series(values, index=ids, name="target")
        folds = pd.Series(generator.permutation(len(ids)) % 5, index=ids)
        one, other = (probe(latents, target, folds) for latents in arms)
        difference = compare_probes(other, one)
        told.append(
            [(each.score, each.low, each.high) for each in (one, other)]
            + [(difference.difference, difference.low, difference.high)]
        )
    figures = []
    for which, rows in enumerate(np.swapaxes(told, 0, 1)):
        value, low, high = rows.T
        truth = 0.0 if which == 2 and equal_arms else value.mean()
        spread = np.ptp(np.quantile(value, [0.025, 0.975]))
        figures += [np.mean((low <= truth) & (truth <= high)), np.median(high - low) / spread]
    return figures


def measure_means(n, cohorts, seed):
    """Mean, coverage and relative width of the mean score, by metric and arm; and the difference's.

    Targets are of two traits, each in a share of its own, and noise.
    """
    generator = np.random.default_rng(seed)
    shares = np.linspace(0, 1, NUMBERS + CATEGORIES)
    told = {}
    for _ in range(cohorts):
        traits = generator.normal(size=(n, 2))
        noise = generator.normal(size=(2, n, MEAN_DIMENSIONS))
        knows = noise[0].copy()
        knows[:, :2] += traits
        values = traits[:, :1] * shares + traits[:, 1:] * (1 - shares)
        values = values + 0.5 * generator.normal(size=values.shape)
        ids = pd.Index([f"person-{row}" for row in range(n)])
        targets = pd.DataFrame(values, ids, [f"target {i}" for i in range(len(shares))])
        for name in targets.columns[1 : 2 * CATEGORIES : 2]:
            targets[name] = (targets[name] > targets[name].quantile(0.7)).astype(str)
        folds = pd.Series(generator.permutation(n) % 5, index=ids)
        means = run_probes({"nothing": noise[1], "knows": knows}, targets, folds).means
        for row in means.to_dict("records"):
            for which in ("score", "baseline"):
                value = row["score" if which == "score" else "baseline_score"]
                told.setdefault((row["metric"], which), []).append(
                    (value, row[f"{which}_low"], row[f"{which}_high"])
                )
            told.setdefault((row["metric"], "difference"), []).append(
                (row["difference"], row["low"], row["high"])
            )
    for (metric, which), rows in told.items():
        value, low, high = np.transpose(rows)
        truth = value.mean()
        spread = np.ptp(np.quantile(value, [0.025, 0.975]))
        covered = np.mean((low <= truth) & (truth <= high))
        yield metric, which, truth, covered, np.median(high - low) / spread


def print_means(cohorts, seed):
    names = {"score": "arm that knows", "baseline": "arm that knows nothing"}
    print("n\tmetric\tof\tmean\tcovered\twidth")
    for n in MEAN_SIZES:
        for metric, which, *figures in measure_means(n, cohorts, seed):
            label = f"{n}\t{metric}\t{names.get(which, which)}"
            print(label + "".join(f"\t{figure:.3f}" for figure in figures), flush=True)


def simulated_rows(cohorts):
    for name, quantile in CASES.items():
        for tails, n, dimensions, strengths in SETTINGS:
            if quantile == 0.9 and n < 126:
                continue  # fewer cases than a class needs
            draw = partial(simulate, tails, n, dimensions, strengths)
            equal_arms = strengths[0] == strengths[1]
            label = f"{name}\t{'normal' if np.isinf(tails) else f't{tails}'}\t{n}\t{dimensions}"
            times = cohorts if n < 3000 else cohorts // 4
            yield f"{label}\t{strengths}", draw, quantile, times, equal_arms


def embedded_rows(paths, phenotypes, targets, cohorts):
    embeddings = [Embedding.read(path) for path in paths]
    shared = set.intersection(*(set(each.unseen_ids()) for each in embeddings))
    table = read_table(phenotypes)
    ids = [sample_id for sample_id in embeddings[0].sample_ids if sample_id in shared]
    table = table.loc[table.index.intersection(ids, sort=False)]
    for name, quantile in list(CASES.items())[:2]:
        for target in targets:
            values = table[target].dropna()
            latents = [each.select(values.index) for each in embeddings]
            for n in COHORT_SIZES:
                draw = partial(resample, latents, values.to_numpy(), n)
                label = f"{name}\t{target}\t{n}\t{latents[0].shape[1]}\t-"
                yield label, draw, quantile, cohorts, False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--embedding", action="append", help="twice, to draw cohorts from them")
    parser.add_argument("--phenotypes", help="table of the embedded participants' numbers")
    parser.add_argument("--targets", default="t_amplitude,qrs_duration,frontal_axis,bmi")
    parser.add_argument("--means", action="store_true", help="of the mean over several targets")
    parser.add_argument("--kind", choices=CASES, help="these rows only")
    arguments = parser.parse_args()
    if arguments.means:
        print_means(arguments.cohorts, arguments.seed)
        return
    if arguments.embedding:
        if len(arguments.embedding) != 2 or not arguments.phenotypes:
            parser.error("expected --embedding twice, and --phenotypes")
        targets = arguments.targets.split(",")
        rows = embedded_rows(arguments.embedding, arguments.phenotypes, targets, arguments.cohorts)
    else:
        rows = simulated_rows(arguments.cohorts)
    print("target\tlatents\tn\tdimensions\tstrengths", end="")
    print("".join(f"\t{of} covered\twidth" for of in ("first", "second", "difference")))
    for label, draw, quantile, cohorts, equal_arms in rows:
        if arguments.kind and not label.startswith(f"{arguments.kind}\t"):
            continue
        figures = measure(draw, quantile, cohorts, arguments.seed, equal_arms)
        print(label + "".join(f"\t{figure:.3f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
