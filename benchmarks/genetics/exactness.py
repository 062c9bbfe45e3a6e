"""How exact the latent test is: against statsmodels, single against double precision, and p-values.

Prints three tables. Of V and the other criteria, the largest relative difference from statsmodels
over a grid of codings, covariates, dimensions and missing genotypes (tested listwise); of single
precision, the largest difference in −log10 p from double precision; of p-values, the largest
relative error of −log10 p against closed forms in 40 digits, and how long one takes.

    python benchmarks/genetics/exactness.py
    python benchmarks/genetics/exactness.py --dimensions 1 2 7 32 --participants 20000
"""

import argparse
import time

import mpmath
import numpy as np
import statsmodels.api as sm
from statsmodels.multivariate.manova import MANOVA

from regreveal.genetics.criteria import CRITERIA
from regreveal.genetics.kernel.fdistribution import neg_log10_f
from regreveal.genetics.kernel.projection import CODINGS
from regreveal.genetics.manova import LatentSpace

STATSMODELS_NAMES = {
    "pillai": "Pillai's trace",
    "wilks": "Wilks' lambda",
    "hotelling_lawley": "Hotelling-Lawley trace",
    "roy": "Roy's greatest root",
}


def simulate(generator, n, k, c, frequencies, missing=0.0):
    """Mixed latents of which one dimension carries an effect, covariates, and dosages."""
    dosages = np.stack([generator.binomial(2, f, n) for f in frequencies]).astype(np.int8)
    dosages[:, :6] = [0, 0, 1, 1, 2, 2]
    covariates = generator.standard_normal((n, c)) if c else None
    rotation = np.linalg.qr(generator.standard_normal((k, k)))[0]
    latents = generator.standard_normal((n, k)) * np.geomspace(1, 0.1, k) @ rotation
    latents[:, 0] += 0.1 * dosages[0]
    if c:
        latents += covariates[:, :1]
    dosages[generator.random(dosages.shape) < missing] = -1
    return latents, covariates, dosages


def statsmodels_statistics(latents, dosage, covariates, coding):
    """All four statistics by statsmodels; with one dimension from its ordinary F test."""
    columns = [dosage == 1, dosage == 2] if coding == "genotype" else [dosage]
    design = np.column_stack(columns).astype(float)
    nuisance = np.ones((len(latents), 1))
    if covariates is not None:
        nuisance = np.hstack([nuisance, covariates])
    if latents.shape[1] == 1:
        full = sm.OLS(latents[:, 0], np.hstack([nuisance, design])).fit()
        f, _, df1 = full.compare_f_test(sm.OLS(latents[:, 0], nuisance).fit())
        ratio = f * df1 / full.df_resid
        return dict(
            zip(
                STATSMODELS_NAMES, (ratio / (1 + ratio), 1 / (1 + ratio), ratio, ratio), strict=True
            )
        )
    exog = np.hstack([design, nuisance])
    contrast = np.eye(design.shape[1], exog.shape[1])
    table = MANOVA(latents, exog).mv_test([("genotype", contrast)]).results["genotype"]["stat"]
    return {name: float(table.loc[row, "Value"]) for name, row in STATSMODELS_NAMES.items()}


def compare_with_statsmodels(arguments):
    print("coding\tmissing\tcovariates\tdimensions\tV\tWilks\tHotelling-Lawley\tRoy", flush=True)
    generator = np.random.default_rng(arguments.seed)
    for coding in CODINGS:
        for missing in (0.0, 0.05):
            for c in arguments.covariates:
                for k in arguments.dimensions:
                    n = arguments.participants or 600 + 3 * k
                    latents, covariates, dosages = simulate(
                        generator, n, k, c, arguments.frequencies, missing
                    )
                    space = LatentSpace(latents, covariates)
                    table = space.test_exact(dosages, coding, criteria=tuple(CRITERIA))
                    worst = dict.fromkeys(STATSMODELS_NAMES, 0.0)
                    for row, dosage in enumerate(dosages):
                        known = dosage >= 0
                        of_known = None if covariates is None else covariates[known]
                        expected = statsmodels_statistics(
                            latents[known], dosage[known], of_known, coding
                        )
                        for name, value in expected.items():
                            error = abs(table.loc[row, name] / value - 1)
                            worst[name] = max(worst[name], error)
                    told = "\t".join(f"{error:.0e}" for error in worst.values())
                    print(f"{coding}\t{missing:.0%}\t{c}\t{k}\t{told}", flush=True)


def compare_precisions(arguments):
    print(
        "\ncoding\tcovariates\tlatents\tnull, largest |Δ|\tsignals, from, to, largest |Δ|/−log10 p"
    )
    generator = np.random.default_rng(arguments.seed)
    n, k = 20_000, 32
    frequencies = np.r_[0.0002, 0.001, 0.005, 0.05, 0.3, 0.5, 0.95, 0.99, 0.999, 0.9998]
    dosages = np.stack([generator.binomial(2, f, n) for f in np.tile(frequencies, 20)])
    dosages = dosages.astype(np.int8)
    for c in (0, 13):
        covariates = generator.standard_normal((n, c)) if c else None
        for kind, condition in (("uncorrelated", 1), ("condition number 1,000", 1000)):
            rotation = np.linalg.qr(generator.standard_normal((k, k)))[0]
            mixing = np.geomspace(1, 1 / condition, k)[:, None] * rotation
            noise = generator.standard_normal((n, k))
            for coding in CODINGS:
                null = [
                    LatentSpace(noise @ mixing, covariates, dtype).test(dosages, coding)
                    for dtype in ("float64", "float32")
                ]
                double, single = (table["neg_log10_p"] for table in null)
                signals = []
                for row in range(3, 8):
                    # One causal variant at a time, from hardly visible to most of a dimension.
                    for share in (0.005, 0.05, 0.3, 0.7, 0.9):
                        latents = noise.copy()
                        standard = (dosages[row] - dosages[row].mean()) / dosages[row].std()
                        latents[:, 1] *= np.sqrt(1 - share)
                        latents[:, 1] += np.sqrt(share) * standard
                        signals.append(
                            [
                                LatentSpace(latents @ mixing, covariates, dtype)
                                .test(dosages[[row]], coding)["neg_log10_p"]
                                .item()
                                for dtype in ("float64", "float32")
                            ]
                        )
                exact, rounded = np.array(signals).T
                of_null, of_signals = np.abs(single - double), np.abs(rounded / exact - 1)
                print(
                    f"{coding}\t{c}\t{kind}\t{of_null.max():.1e}\t"
                    f"{exact.min():.1f}\t{exact.max():.0f}\t{of_signals.max():.1e}",
                    flush=True,
                )


def neg_log10_f_in_40_digits(f, df1, df2):
    """By the finite sum for even df1, by quadrature of the density for df1 = 1."""
    with mpmath.workdps(40):
        a, b = mpmath.mpf(df2) / 2, mpmath.mpf(df1) / 2
        x = a / (a + b * mpmath.mpf(f))
        if df1 == 1:
            integral = mpmath.quad(
                lambda v: mpmath.exp(-v) / mpmath.sqrt(1 - x * mpmath.exp(-v / a)),
                [0, 1e-6, 1e-4, 1e-2, 0.1, 1, 3, 10, 30, 100],
            )
            log_p = a * mpmath.log(x) + mpmath.log(integral / a / mpmath.beta(a, b))
        else:
            term = total = mpmath.mpf(1)
            for j in range(df1 // 2 - 1):
                term *= (a + j) / (j + 1) * (1 - x)
                total += term
            log_p = a * mpmath.log(x) + mpmath.log(total)
        return float(-log_p / mpmath.log(10))


def f_with_neg_log10_p(wanted, df1, df2):
    low, high = -30.0, 300.0
    for _ in range(100):
        middle = (low + high) / 2
        above = neg_log10_f(np.exp(middle), df1, df2) > wanted
        low, high = (low, middle) if above else (middle, high)
    return np.exp(low)


def compare_p_values(arguments):
    levels = (0.001, 0.3, 3, 10, 100, 300, 5000)
    print("\ndf1\tdf2\t" + "\t".join(f"{level:g}" for level in levels) + "\tµs a value, of nulls")
    generator = np.random.default_rng(arguments.seed)
    for df1 in (1, 2, 64, 256, 512):
        for df2 in (100, 3_000, 76_000, 800_000):
            errors = []
            for level in levels:
                f = f_with_neg_log10_p(level, df1, df2)
                errors.append(
                    abs(neg_log10_f(f, df1, df2) / neg_log10_f_in_40_digits(f, df1, df2) - 1)
                )
            values = generator.f(df1, df2, 100_000)
            times = []
            for _ in range(5):
                started = time.perf_counter()
                neg_log10_f(values, df1, df2)
                times.append(time.perf_counter() - started)
            told = "\t".join(f"{error:.0e}" for error in errors)
            print(f"{df1}\t{df2}\t{told}\t{min(times) / len(values) * 1e6:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="*", default=[1, 2, 7, 32, 128, 256])
    parser.add_argument("--covariates", type=int, nargs="*", default=[0, 5, 13, 40])
    parser.add_argument("--frequencies", type=float, nargs="*", default=[0.1, 0.4, 0.85])
    parser.add_argument("--participants", type=int, help="600 + 3 × dimensions without it")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    compare_with_statsmodels(arguments)
    compare_precisions(arguments)
    compare_p_values(arguments)


if __name__ == "__main__":
    main()
