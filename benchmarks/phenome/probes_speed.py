"""How long probes of hundreds of phenotypes take, against scikit-learn one phenotype at a time.

Latents have a spectrum that falls, as those of networks do; every phenotype is moved by a few of
their directions and by noise. Continuous phenotypes are known of everybody, or miss 5 %, each of
other people; binary ones have 2-50 % of cases. scikit-learn does the same on the same folds for a
few phenotypes of each kind: RidgeCV with its exact leave-one-out over the same penalties; and
LogisticRegression over the same penalties in five inner folds, since it has no leaving one out (its
time is told from that of four of the 475 fits); its scores are at the penalties that ours chooses.
Ours includes intervals, shuffled labels and the calibration; scikit-learn's gives the score alone.
Seconds are of processor time, of all threads together, so that other work on the machine does not
count; with one thread to the linear algebra none is spent on waiting, and both use it alike.

    OMP_NUM_THREADS=1 python benchmarks/phenome/probes_speed.py
    OMP_NUM_THREADS=1 python benchmarks/phenome/probes_speed.py --kind binary --phenotypes 20
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score

from regreveal.phenome.probes.predictors import Predictors, standardise
from regreveal.phenome.probes.ridge import LOGISTIC_PENALTIES, RIDGE_PENALTIES, fit_ridge_logistic
from regreveal.phenome.probes.single import probe_targets
from regreveal.phenome.probes.targets import prepare_target
from regreveal.store.cohort import make_splits

# How many of each kind there are among 200 phenotypes.
KINDS = {"continuous": 50, "continuous, 5 % missing": 50, "binary": 100}


def simulate(n, dimensions, kind, count, generator):
    """Draw latents, and phenotypes of one kind."""
    latents = generator.normal(size=(n, dimensions)) * np.geomspace(1, 0.05, dimensions)
    latents = latents @ np.linalg.qr(generator.normal(size=(dimensions, dimensions)))[0]
    moving = generator.random((dimensions, count)) < max(0.05, 2 / dimensions)
    signal = latents @ (moving * generator.normal(size=(dimensions, count)))
    signal *= generator.uniform(0.1, 1, count) / np.maximum(signal.std(axis=0), 1e-12)
    values = signal + generator.normal(size=(n, count))
    if kind == "binary":
        shares = np.geomspace(0.02, 0.5, count)
        values = values > [np.quantile(v, 1 - s) for v, s in zip(values.T, shares, strict=True)]
    elif kind != "continuous":
        values[generator.random(values.shape) < 0.05] = np.nan
    ids = pd.Index([f"p{i:06d}" for i in range(n)], name="sample_id")
    return latents, pd.DataFrame(values, index=ids, columns=[f"{i}" for i in range(count)])


def ours(latents, phenotypes, folds):
    started = time.process_time()
    targets = [prepare_target(phenotypes[name], folds) for name in phenotypes]
    results = probe_targets(Predictors(latents), targets, phenotypes.index)
    return results, time.process_time() - started


def ridge_by_sklearn(latents, target):
    """Score by scikit-learn alone, and the seconds of processor time it took."""
    started = time.process_time()
    design, scores = standardise(latents), []
    for held in range(5):
        fitted, tested = (target.fold >= 0) & (target.fold != held), target.fold == held
        outcome = target.outcomes[:, 0]
        model = RidgeCV(alphas=fitted.sum() * RIDGE_PENALTIES).fit(design[fitted], outcome[fitted])
        scores.append(r2_score(outcome[tested], model.predict(design[tested])))
    return np.mean(scores), time.process_time() - started


def seconds_of_logistic_by_sklearn(latents, target):
    """Processor time of scikit-learn: 19 penalties in 5 inner folds of 5 outer ones, from a few."""
    started = time.process_time()
    fitted = np.flatnonzero((target.fold != 0) & (target.fold != 1))  # as many as an inner fold
    fitted = np.append(fitted, np.flatnonzero(target.fold == 1)[: len(fitted) // 15])
    design = standardise(latents)[fitted]
    for penalty in len(fitted) * LOGISTIC_PENALTIES[::6]:
        LogisticRegression(C=1 / penalty, max_iter=1000).fit(design, target.outcomes[fitted, 0])
    fits = len(LOGISTIC_PENALTIES[::6])
    return (time.process_time() - started) * len(LOGISTIC_PENALTIES) * 25 / fits


def same_penalty_by_sklearn(latents, target):
    """Score by scikit-learn's logistic regression at the penalties that ours chooses."""
    predictors, scores, start = Predictors(latents), [], None
    design, outcome = predictors.design[:, 1:], target.outcomes[:, 0]
    for held in range(5):
        fitted = target.fold != held
        start = fit_ridge_logistic(predictors, outcome, fitted, start)
        model = LogisticRegression(C=1 / start.penalties[0], solver="newton-cholesky", tol=1e-10)
        model.fit(design[fitted], outcome[fitted])
        scores.append(roc_auc_score(outcome[~fitted], model.decision_function(design[~fitted])))
    return np.mean(scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--participants", type=int, default=38_000)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--phenotypes", type=int, help="of each kind; as among 200 by default")
    parser.add_argument("--of-sklearn", type=int, default=1, help="phenotypes of each kind")
    parser.add_argument("--kind", choices=KINDS, action="append", help="these only")
    arguments = parser.parse_args()
    print("kind\tphenotypes\tours, s\teach, s\tsklearn each, s\tratio\tlargest difference\tmemory")
    for kind in arguments.kind or KINDS:
        count = arguments.phenotypes or KINDS[kind]
        generator = np.random.default_rng(1)
        latents, phenotypes = simulate(
            arguments.participants, arguments.dimensions, kind, count, generator
        )
        shares = {"train": 0.0, "validation": 0.0, "analysis": 1.0}
        folds = make_splits(phenotypes.index, shares, 1).set_index("sample_id")["fold"]
        results, seconds = ours(latents, phenotypes, folds)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        theirs, differences = [], []
        for result in results[count // 2 : count // 2 + arguments.of_sklearn]:
            if result.metric == "r2":
                score, took = ridge_by_sklearn(latents, result.target)
            else:
                score = same_penalty_by_sklearn(latents, result.target)
                took = seconds_of_logistic_by_sklearn(latents, result.target)
            theirs.append(took)
            differences.append(abs(score - result.score))
        row = f"{kind}\t{count}\t{seconds:.1f}\t{seconds / count:.2f}\t"
        if theirs:
            ratio = np.mean(theirs) * count / seconds
            row += f"{np.mean(theirs):.1f}\t{ratio:.0f}\t{max(differences):.1e}\t"
        print(row + f"{memory:.1f} GB", flush=True)


if __name__ == "__main__":
    main()
