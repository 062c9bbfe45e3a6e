"""What nullspace projection leaves of confounders, what it costs, and what a GWAS makes of it.

python benchmarks/genetics/nullspace.py leftover # held-out R², beside two mistakes of public code
python benchmarks/genetics/nullspace.py strength # by how strong a confounder is
python benchmarks/genetics/nullspace.py gwas     # true, false positives: raw, adjusted, projected
python benchmarks/genetics/nullspace.py speed    # 38,000 people, 256 dimensions, 15 confounders
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.model_selection import cross_val_score

from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.nullspace import project_out

PENALTIES = np.logspace(-2, 6, 17)


def planted(rng, n, k):
    """Draw correlated latents of unequal scale that carry age, body mass index and sex linearly."""
    confounders = pd.DataFrame(
        {
            "age": rng.normal(60, 8, n),
            "bmi": rng.normal(27, 4, n),
            "sex": rng.choice(["female", "male"], n),
        }
    )
    own = rng.standard_normal((n, k)) * np.geomspace(0.05, 5, k)
    latents = own + numbers_of(confounders) @ rng.normal(0, 1, (3, k))
    return latents @ np.linalg.qr(rng.standard_normal((k, k)))[0], confounders


def numbers_of(confounders):
    male = (confounders["sex"] == "male").to_numpy(float)
    return np.column_stack([confounders["age"] / 8, confounders["bmi"] / 4, male])


def one_public_pass(latents, confounders, keep):
    """Fit a probe a confounder on everyone, unwhitened, and project by what `keep` makes of V'."""
    numbers = numbers_of(confounders)
    probes = [RidgeCV(PENALTIES).fit(latents, numbers[:, column]).coef_ for column in (0, 1)]
    probes.append(LogisticRegression(max_iter=2000).fit(latents, numbers[:, 2]).coef_[0])
    directions = np.array(probes)
    return keep(np.linalg.svd(directions)[2], len(directions))


def held_out_r2(latents, numbers):
    """R² of each confounder on the second half of people that no projection was learned from."""
    half = len(latents) // 2
    return [
        RidgeCV(PENALTIES).fit(latents[:half], column[:half]).score(latents[half:], column[half:])
        for column in numbers.T
    ]


def leftover(options):
    """Print what is left on a third set of people, in the sample, and how much was given up."""
    n, k = options.participants, options.dimensions
    found = {}
    for seed in range(options.seeds):
        rng = np.random.default_rng(seed)
        latents, confounders = planted(rng, 3 * n, k)
        numbers = numbers_of(confounders)
        learned, third = latents[:n], latents[n:]
        result = project_out(learned, confounders.iloc[:n], seed=seed)
        wrong = one_public_pass(learned, confounders.iloc[:n], lambda vt, r: vt[:, r:])
        unwhitened, passes = np.eye(k), 0
        while passes < 10 and unwhitened.shape[1] > 3:
            now = learned @ unwhitened
            if passes and np.max(held_out_r2(now, numbers[:n])) < 0.01:
                break
            basis = one_public_pass(now, confounders.iloc[:n], lambda vt, r: vt[r:].T)
            unwhitened, passes = unwhitened @ basis, passes + 1
            if passes == 1:
                once = unwhitened
        for name, projected, in_sample, made in (
            ("raw", third, learned, 0),
            ("ours", result.project(third), result.latents, result.passes),
            ("vt[:, r:]", third @ wrong, learned @ wrong, 1),
            ("unwhitened, one pass", third @ once, learned @ once, 1),
            ("unwhitened, repeated", third @ unwhitened, learned @ unwhitened, passes),
        ):
            crossed = [
                cross_val_score(RidgeCV(PENALTIES), in_sample, column[:n], cv=5).mean()
                for column in numbers.T
            ]
            row = [*held_out_r2(projected, numbers[n:]), *crossed, projected.shape[1], made]
            found.setdefault(name, []).append(row)
    print(
        f"{options.seeds} seeds, {n} people, {k} dimensions: R² on a third set of people, mean "
        "(largest); mean R² cross-validated in the sample; dimensions kept; passes\n"
        "method\tage\tbmi\tsex\tage cv\tbmi cv\tsex cv\tkept (least)\tpasses (most)"
    )
    for name, rows in found.items():
        rows = np.array(rows)
        third = (f"{column.mean():.4f} ({column.max():.4f})" for column in rows[:, :3].T)
        crossed = (f"{column.mean():.4f}" for column in rows[:, 3:6].T)
        kept, passes = rows[:, 6].min(), rows[:, 7].max()
        print(name, *third, *crossed, f"{kept:.0f}", f"{passes:.0f}", sep="\t", flush=True)


def strength(options):
    """Print what is left of one confounder for new people, against (k − 1)/n."""
    n, k = options.participants, options.dimensions
    print(f"{n} people, {k} dimensions\nplanted R²\tleft\texpected\treport, after\tremoved in")
    for share in (0.01, 0.02, 0.05, 0.2, 0.5, 0.9):
        rows = []
        for seed in range(options.seeds):
            rng = np.random.default_rng(seed)
            age = rng.standard_normal(n + 100_000)
            latents = rng.standard_normal((len(age), k))
            latents[:, 0] += np.sqrt(share / (1 - share)) * age
            result = project_out(latents[:n], pd.DataFrame({"age": age[:n]}), seed=seed)
            new = result.project(latents[n:])
            # So many that this is what an infinite sample would find, less k per 100,000.
            left = LinearRegression().fit(new, age[n:]).score(new, age[n:])
            degrees = len(new) - new.shape[1] - 1
            left = 1 - (1 - left) * (len(new) - 1) / degrees
            rows.append((left, result.report["after"][0], result.removed > 0))
        left, after, removed = np.mean(rows, axis=0)
        expected = (k - 1) / n
        print(f"{share}\t{left:.4f}\t{expected:.4f}\t{after:.4f}\t{removed:.0%}", flush=True)


def gwas(options):
    """Print inflation of null variants whose frequency follows the confounder, and power."""
    n, k, nulls, causal = options.participants, 32, 4000, 20
    found = {}
    for seed in range(options.seeds):
        rng = np.random.default_rng(seed)
        ancestry = rng.standard_normal(n)
        slope = np.append(rng.normal(0, 0.3, nulls), np.zeros(2 * causal))
        level = stats.norm.ppf(rng.uniform(0.1, 0.5, len(slope)))
        frequency = stats.norm.cdf(level[:, None] + slope[:, None] * ancestry)
        dosages = rng.binomial(2, frequency).astype(np.int8)
        latents = rng.standard_normal((n, k))
        direction = rng.standard_normal(k)
        direction /= np.linalg.norm(direction)
        # The first causal variants move people anywhere, the second along the confounder's line.
        effects = rng.standard_normal((2 * causal, k))
        effects /= np.linalg.norm(effects, axis=1, keepdims=True)
        effects[causal:] = direction
        true = dosages[nulls:].T.astype(float)
        true = (true - true.mean(axis=0)) / true.std(axis=0)
        latents += true @ (effects * np.sqrt(0.016))
        latents += options.shift * np.outer(ancestry, direction)
        confounder = pd.DataFrame({"ancestry": ancestry})
        projected = project_out(latents, confounder, seed=seed)
        for name, tested, covariates in (
            ("raw", latents, None),
            ("covariate", latents, confounder),
            ("projected", projected.latents, None),
            ("projected, and covariate", projected.latents, confounder),
        ):
            p = LatentSpace(tested, covariates).test(dosages, "additive")["neg_log10_p"].to_numpy()
            median = stats.chi2.isf(10.0 ** -np.median(p[:nulls]), 1) / stats.chi2.median(1)
            false = [np.mean(p[:nulls] > -np.log10(level)) / level for level in (1e-2, 1e-3)]
            power = [np.mean(p[nulls:][half] > 7.3) for half in np.split(np.arange(2 * causal), 2)]
            found.setdefault(name, []).append([median, *false, *power])
    print(
        f"{options.seeds} seeds, {n} people, {k} dimensions, {nulls} null variants whose frequency "
        "follows ancestry, as one latent direction does\n"
        "latents\tlambda\tobserved / 1e-2\tobserved / 1e-3\tpower\tpower along the confounder"
    )
    for name, rows in found.items():
        print(name + "\t" + "\t".join(f"{cell:.3g}" for cell in np.mean(rows, axis=0)), flush=True)


def speed(options):
    """Print seconds for 38,000 people, 256 dimensions, 13 numbers, sex and a category of 22."""
    n, k = 38_000, 256
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((n, k))
    confounders = pd.DataFrame(rng.standard_normal((n, 13))).add_prefix("number_")
    latents[:, :13] += confounders.to_numpy()
    confounders["sex"] = rng.choice(["female", "male"], n)
    latents[:, 13] += confounders["sex"] == "male"
    centre = rng.integers(0, 22, n)
    confounders["centre"] = centre.astype(str)
    latents[:, 14:35] += 0.5 * np.eye(22)[centre][:, 1:]
    for columns in (["number_0"], ["sex"], ["centre"], list(confounders)):
        started, busy = time.perf_counter(), time.process_time()
        result = project_out(latents, confounders[columns])
        print(
            f"{columns[0] if len(columns) == 1 else 'all 15'}\t{result.removed} removed\t"
            f"{time.perf_counter() - started:.1f} s\t{time.process_time() - busy:.1f} s of CPU",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"leftover": leftover, "strength": strength, "gwas": gwas, "speed": speed}
    parser.add_argument("part", choices=parts)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--participants", type=int, default=5000)
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--shift", type=float, default=0.5, help="of ancestry, in SDs of a latent")
    options = parser.parse_args()
    parts[options.part](options)


if __name__ == "__main__":
    main()
