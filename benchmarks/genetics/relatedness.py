"""What handling relatedness does, on real and related mice.

The two traits of 1,197 heterogeneous stock mice are tested jointly, with principal components only
and with leave-one-chromosome-out (LOCO) predictions of genotype ridge regression, written as
REGENIE writes its own and read through `regreveal.genetics.loco`.

    python benchmarks/genetics/relatedness.py FOLDER traits   # inflation and the MHC
    python benchmarks/genetics/relatedness.py FOLDER nulls    # false positives of polygenic traits

FOLDER holds mouse_hs1940.bed.gz, .bim.gz, .fam.gz and .pheno.txt.gz (GEMMA's example data).
"""

import argparse
import gzip
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import linalg, optimize, stats

from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.loco import read_loco_list, subtract
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.relatedness import related_pairs

AUTOSOMES = 19
COMPONENTS = 20
FOLDS = 5


def read_mice(folder, temporary):
    """Genotypes of the mice that have both traits, and the traits."""
    for suffix in ("bed", "bim", "fam"):
        packed = (folder / f"mouse_hs1940.{suffix}.gz").read_bytes()
        (temporary / f"mouse.{suffix}").write_bytes(gzip.decompress(packed))
    genotypes = open_genotypes(temporary / "mouse.bed")
    traits = pd.read_csv(folder / "mouse_hs1940.pheno.txt.gz", sep=r"\s+", header=None)[[0, 5]]
    complete = traits.notna().all(axis=1).to_numpy()
    mice = [name for name, there in zip(genotypes.samples, complete, strict=True) if there]
    pairs = related_pairs(genotypes, mice, autosomes=AUTOSOMES)
    total = len(mice) * (len(mice) - 1) // 2
    print(f"{len(mice)} mice, {total} pairs: {pairs}")
    dosages = genotypes.dosages(np.arange(genotypes.variant_count), mice)
    varies = dosages.min(axis=1) < dosages.max(axis=1)
    return mice, dosages[varies], genotypes.variants[varies], traits[complete].to_numpy()


def standardise(dosages):
    centred = dosages - dosages.mean(axis=1, keepdims=True, dtype=np.float64)
    return centred / centred.std(axis=1, keepdims=True)


class Kinship:
    """Ridge regression on the genotypes of all other chromosomes: BLUP, its variance by REML.

    As in REGENIE, covariates are regressed out of the genotypes, and people are predicted by models
    of the others, in five folds.

    Parameters
    ----------
    standardised : ndarray, shape (variants, n)
    chromosomes : ndarray, shape (variants,)
    covariates : ndarray, shape (n, c - 1)
    """

    def __init__(self, standardised, chromosomes, covariates):
        n = standardised.shape[1]
        design = np.column_stack([np.ones(n), covariates])
        self._free = np.linalg.qr(design, mode="complete")[0][:, design.shape[1] :]
        self.names = list(dict.fromkeys(chromosomes))
        parts = {name: standardised[chromosomes == name] for name in self.names}
        self.products = {name: part.T @ part for name, part in parts.items()}
        total = sum(self.products.values())
        self._decomposed, self._others = {}, {}
        for name, part in parts.items():
            others = (total - self.products[name]) / (len(standardised) - len(part))
            others = self._free.T @ others @ self._free
            self._decomposed[name] = np.linalg.eigh(others)
            self._others[name] = (self._free @ others @ self._free.T).astype(np.float32)
        self._folds = np.array_split(np.random.default_rng(0).permutation(n), FOLDS)

    def _fit(self, name, values):
        """REML heritability without a chromosome, and what it makes of the free coordinates."""
        sizes, vectors = self._decomposed[name]
        rotated = vectors.T @ (self._free.T @ values)

        def criterion(share):
            variances = share * sizes + 1 - share
            return len(rotated) * np.log((rotated**2 / variances).sum()) + np.log(variances).sum()

        best = optimize.minimize_scalar(criterion, bounds=(0, 0.99), method="bounded").x
        return best, vectors @ (rotated / (best * sizes + 1 - best))

    def predictions(self, values, names, in_sample=False):
        """Predictions of one trait without each chromosome, (chromosomes, n); mean heritability."""
        rows, shares = np.empty((len(names), len(values))), []
        for row, name in zip(rows, names, strict=True):
            share, solved = self._fit(name, values)
            shares.append(share)
            others = self._others[name]
            if in_sample:
                row[:] = share * (others @ (self._free @ solved))
                continue
            for fold in self._folds:
                rest = np.setdiff1d(np.arange(len(values)), fold)
                covariance = share * others[np.ix_(rest, rest)]
                covariance[np.diag_indices(len(rest))] += 1 - share
                weights = linalg.solve(covariance, values[rest], assume_a="pos")
                row[fold] = share * (others[np.ix_(fold, rest)] @ weights)
        return rows, float(np.mean(shares))

    def mixed_model(self, values, standardised, chromosomes):
        """Chi-square of every variant in a mixed model with the kinship of other chromosomes."""
        statistics = np.empty(len(standardised))
        for name in dict.fromkeys(chromosomes):
            sizes, vectors = self._decomposed[name]
            share, solved = self._fit(name, values)
            own = chromosomes == name
            rotated = (standardised[own] @ self._free) @ vectors
            variances = share * sizes + 1 - share
            weighted = vectors.T @ solved
            scale = (weighted**2 * variances).sum() / len(sizes)
            statistics[own] = (rotated @ weighted) ** 2 / (rotated**2 @ (1 / variances)) / scale
        return statistics


def write_loco(folder, mice, names, predictions):
    """Write predictions (dimensions, chromosomes, n) as REGENIE does; gives the list's path."""
    header = "FID_IID " + " ".join(f"{name}_{name}" for name in mice)
    listed = []
    for number, of_dimension in enumerate(predictions):
        rows = [
            f"{name} " + " ".join(f"{v:g}" for v in row)
            for name, row in zip(names, of_dimension, strict=True)
        ]
        path = folder / f"fit_{number + 1}.loco"
        path.write_text("".join(f"{line} \n" for line in [header, *rows]))
        listed.append(f"latent_{number} {path}\n")
    (folder / "fit_pred.list").write_text("".join(listed))
    return folder / "fit_pred.list"


def scan(traits, covariates, dosages, chromosomes, loco=None, mice=None):
    """−log10 p of every variant, the space made anew for each chromosome where there is LOCO."""
    if loco is None:
        return LatentSpace(traits, covariates).test(dosages, "additive")["neg_log10_p"].to_numpy()
    found = np.empty(len(dosages))
    names = [f"latent_{column}" for column in range(traits.shape[1])]
    for chromosome in dict.fromkeys(chromosomes):
        own = chromosomes == chromosome
        rest = subtract(traits, covariates, loco.predictions(chromosome, mice, names))
        space = LatentSpace(rest, covariates)
        found[own] = space.test(dosages[own], "additive")["neg_log10_p"]
    return found


def lambda_gc(neg_log10_p):
    return stats.chi2.isf(10.0 ** -np.median(neg_log10_p), 1) / stats.chi2.median(1)


def components_of(standardised):
    _, vectors = np.linalg.eigh(standardised.T @ standardised)
    return vectors[:, ::-1][:, :COMPONENTS]


def predict(kinship, traits, covariates, names, in_sample=False):
    """Predict standardised residuals, as step 1 of REGENIE does; gives heritabilities, too."""
    design = np.column_stack([np.ones(len(traits)), covariates])
    rest = traits - design @ np.linalg.lstsq(design, traits, rcond=None)[0]
    rest /= np.sqrt((rest**2).sum(axis=0) / (len(rest) - design.shape[1]))
    fits = [kinship.predictions(column, names, in_sample) for column in rest.T]
    return [rows for rows, _ in fits], [share for _, share in fits]


def loco_scan(traits, covariates, dosages, chromosomes, mice, names, predictions, folder):
    """Scan with predictions that have been through REGENIE's files."""
    loco = read_loco_list(write_loco(folder, mice, names, predictions), AUTOSOMES)
    return scan(traits, covariates, dosages, chromosomes, loco, mice)


def traits_scan(mice, dosages, variants, traits, folder):
    """Print inflation, the leading variant and quantiles, with and without LOCO predictions."""
    chromosomes = variants["chromosome"].to_numpy()
    standardised = standardise(dosages)
    components = components_of(standardised)
    nothing = np.empty((len(mice), 0))
    print("method\tlambda\tlead\tplace\t-log10 p\tmedian\t90 %\t99 %\t99.9 %\tp < 5e-8")
    print("expected\t1\t\t\t\t0.301\t1.000\t2.000\t3.000\t0")
    for told, covariates in (("no components", nothing), ("20 components", components)):
        kinship = Kinship(standardised, chromosomes, covariates)
        names, genome = kinship.names, (dosages, chromosomes, mice, kinship.names)
        predicted, shares = predict(kinship, traits, covariates, names)
        results = {
            "alone": scan(traits, covariates, dosages, chromosomes),
            "LOCO": loco_scan(traits, covariates, *genome, predicted, folder),
        }
        for column, name in enumerate(("CD8+", "MCH")):
            one = traits[:, [column]]
            chi = kinship.mixed_model(one[:, 0], standardised, chromosomes)
            results[f"mixed model of {name}"] = -stats.chi2.logsf(chi, 1) / np.log(10)
            results[f"LOCO of {name}"] = loco_scan(
                one, covariates, *genome, predicted[column : column + 1], folder
            )
            results[f"{name} alone"] = scan(one, covariates, dosages, chromosomes)
        for method, found in results.items():
            # Some variants have a chromosome but no position; they belong to no locus.
            lead = int(np.argmax(np.where(variants["position"] > 0, found, 0)))
            place = f"{chromosomes[lead]}:{variants['position'].iloc[lead] / 1e6:.2f} Mb"
            quantiles = "\t".join(f"{q:.2f}" for q in np.quantile(found, [0.5, 0.9, 0.99, 0.999]))
            print(
                f"{told}, {method}\t{lambda_gc(found):.2f}\t{variants['variant_id'].iloc[lead]}\t"
                f"{place}\t{found[lead]:.2f}\t{quantiles}\t{(found > 7.301).sum()}",
                flush=True,
            )
        print(
            f"{told}: heritability by REML, mean over chromosomes left out: {np.round(shares, 2)}"
        )


def null_scan(mice, dosages, variants, options, folder):
    """Print how often variants without effect are significant, for polygenic traits.

    Each draw plants effects of all variants but those of two chromosomes, which are tested.
    """
    chromosomes = variants["chromosome"].to_numpy()
    standardised = standardise(dosages)
    components = components_of(standardised)
    generator = np.random.default_rng(options.seed)
    nothing = np.empty((len(mice), 0))
    kinships = {
        "no components": (nothing, Kinship(standardised, chromosomes, nothing)),
        "20 components": (components, Kinship(standardised, chromosomes, components)),
    }
    names = kinships["20 components"][1].names
    print("heritability\tmethod\tlambda\tobserved / 1e-2\t/ 1e-3\t/ 1e-4\ttests")
    for share in options.heritability:
        found = {}
        for _ in range(options.draws):
            left_out = generator.permutation(names)[:2]
            tested = np.isin(chromosomes, left_out)
            effects = generator.standard_normal(((~tested).sum(), 2))
            genetic = standardised[~tested].T @ effects
            genetic /= genetic.std(axis=0)
            traits = np.sqrt(share) * genetic
            traits += np.sqrt(1 - share) * generator.standard_normal(genetic.shape)
            own = dosages[tested], chromosomes[tested]
            for told, (covariates, kinship) in kinships.items():
                predicted, _ = predict(kinship, traits, covariates, left_out)
                fitted, _ = predict(kinship, traits, covariates, left_out, in_sample=True)
                genome, one = (*own, mice, left_out), traits[:, [0]]
                chi = kinship.mixed_model(one[:, 0], standardised[tested], own[1])
                results = {
                    "alone": scan(traits, covariates, *own),
                    "LOCO": loco_scan(traits, covariates, *genome, predicted, folder),
                    "LOCO, in sample": loco_scan(traits, covariates, *genome, fitted, folder),
                    "one trait, alone": scan(one, covariates, *own),
                    "one trait, LOCO": loco_scan(one, covariates, *genome, predicted[:1], folder),
                    "one trait, mixed model": -stats.chi2.logsf(chi, 1) / np.log(10),
                }
                for method, p in results.items():
                    found.setdefault(f"{told}, {method}", []).append(p)
        for method, p in found.items():
            p = np.concatenate(p)
            ratios = "\t".join(
                f"{np.mean(p > -np.log10(level)) / level:.2f}" for level in (1e-2, 1e-3, 1e-4)
            )
            print(f"{share}\t{method}\t{lambda_gc(p):.2f}\t{ratios}\t{len(p)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("part", choices=["traits", "nulls"])
    parser.add_argument("--draws", type=int, default=100, help="polygenic null traits")
    parser.add_argument("--heritability", type=float, nargs="*", default=[0.2, 0.5, 0.8])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        mice, dosages, variants, traits = read_mice(options.folder, folder)
        if options.part == "traits":
            traits_scan(mice, dosages, variants, traits, folder)
        else:
            null_scan(mice, dosages, variants, options, folder)


if __name__ == "__main__":
    main()
