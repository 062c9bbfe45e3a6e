"""Per-dimension effects, standard errors and p-values beside those of `plink2 --glm`.

Eight latents of the 1000 Genomes Europeans: their phenotype, and mixtures of it, of covariates, of
variants and of noise. Both programs read the same .bed and the same covariates. A tenth of the
variants lose some genotypes, since there the two do different things: plink2 leaves participants
out of that variant's regression, the scan puts the mean in their place.

    python benchmarks/genetics/plink2.py --data EUR_FOLDER

A difference of up to half a unit of plink2's last printed digit, the sixth, is none. Where p-values
differ by a little more, both are held against mpmath.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd

from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.gwas import run_gwas
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.matching import match_participants
from regreveal.store.embedding import Embedding

COVARIATES = ["QCOV1", "QCOV2", "CAT_COV"]
DIMENSIONS = 8
CAUSAL = 6
PRINTED_DIGITS = 6
BED_MISSING = 0b01
WORST = 200

# How a variant is named in either program's table.
PLACE = ["chromosome", "position", "alt", "ref"]
MEASURES = ["beta", "standard_error", "p"]


@dataclass(frozen=True)
class Study:
    """Inputs that both programs read: genotypes, latents and covariates of the same people."""

    bed: Path
    embedding: Embedding
    covariates: pd.DataFrame


def make_study(source: Path, folder: Path, rows: np.ndarray | None = None, seed: int = 1) -> Study:
    """Write a .bed of some rows of the Europeans', blank genotypes, and draw latents."""
    generator = np.random.default_rng(seed)
    genotypes = open_genotypes(source / "EUR_subset.bed")
    rows = np.arange(len(genotypes.variants)) if rows is None else rows
    table = pd.read_csv(
        source / "EUR_subset.pheno.covars", sep=r"\s+", na_values="-9", dtype={"IID": str}
    ).set_index("IID")
    complete = table.dropna()[["PHENO", *COVARIATES]]
    bed = _blanked_copy(genotypes.path, folder / "europeans.bed", rows, generator)
    causal = open_genotypes(bed).dosages(
        generator.choice(len(rows), CAUSAL, replace=False), list(complete.index)
    )
    numbers = pd.get_dummies(complete, drop_first=True).to_numpy(float)
    sources = np.column_stack([numbers, np.maximum(causal, 0).T])
    sources = (sources - sources.mean(axis=0)) / sources.std(axis=0)
    noise = generator.standard_normal((len(complete), DIMENSIONS))
    latents = sources @ generator.normal(0, 0.6, (sources.shape[1], DIMENSIONS)) + noise
    latents[:, 0] = complete["PHENO"]
    # On scales as different as those of an encoder.
    latents[:, 1:] *= 10.0 ** generator.uniform(-2, 2, DIMENSIONS - 1)
    embedding = Embedding(list(complete.index), latents.astype(np.float32))
    return Study(bed, embedding, complete[COVARIATES])


def _blanked_copy(source: Path, bed: Path, rows: np.ndarray, generator) -> Path:
    """Copy rows of a .bed; every tenth of them without 0.5 to 5 % of its genotypes."""
    samples = source.with_suffix(".fam").read_text().splitlines()
    variants = source.with_suffix(".bim").read_text().splitlines(keepends=True)
    content = np.fromfile(source, np.uint8)
    magic, packed = content[:3], content[3:].reshape(len(variants), -1)[rows]
    share = np.zeros(len(rows))
    share[::10] = generator.uniform(0.005, 0.05, len(share[::10]))
    variant, sample = np.nonzero(generator.random((len(rows), len(samples))) < share[:, None])
    shift = (2 * (sample % 4)).astype(np.uint8)
    np.bitwise_and.at(packed, (variant, sample // 4), ~(np.uint8(3) << shift))
    np.bitwise_or.at(packed, (variant, sample // 4), np.uint8(BED_MISSING) << shift)
    bed.write_bytes(magic.tobytes() + packed.tobytes())
    bed.with_suffix(".bim").write_text("".join(variants[row] for row in rows))
    # No family, so that tables fit that name people by their own id only, and no phenotype.
    bed.with_suffix(".fam").write_text(
        "".join(f"0 {' '.join(line.split()[1:5])} -9\n" for line in samples)
    )
    return bed


def plink2_effects(study: Study, folder: Path) -> dict[str, pd.DataFrame]:
    """Effects by dimension as plink2 finds and prints them, with its error codes."""
    ids = pd.DataFrame({"#IID": study.embedding.sample_ids})
    names = [f"latent_{column}" for column in range(DIMENSIONS)]
    # All 17 digits: what both programs start from is the same to the last bit.
    latents = pd.DataFrame(study.embedding.latents.astype(float), columns=names)
    ids.join(latents).to_csv(folder / "latents.txt", sep="\t", index=False, float_format="%.17g")
    study.covariates.rename_axis("#IID").reset_index().to_csv(
        folder / "covariates.txt", sep="\t", index=False, float_format="%.17g"
    )
    command = [
        *("plink2", "--bfile", study.bed.with_suffix(""), "--threads", "2"),
        *("--pheno", folder / "latents.txt", "--covar", folder / "covariates.txt"),
        *("--glm", "omit-ref", "hide-covar", "cols=chrom,pos,ref,alt,nobs,beta,se,p,err"),
        *("--out", folder / "plink2"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"plink2 failed: {done.stderr.strip()}")
    columns = {
        **{"#CHROM": "chromosome", "POS": "position", "REF": "ref", "ALT": "alt"},
        **{"OBS_CT": "n", "BETA": "beta", "SE": "standard_error", "P": "p", "ERRCODE": "error"},
    }
    return {
        name: pd.read_csv(
            folder / f"plink2.{name}.glm.linear",
            sep="\t",
            dtype={"#CHROM": str},
            float_precision="round_trip",
        ).rename(columns=columns)
        for name in names
    }


def scan_effects(study: Study, folder: Path) -> dict[str, pd.DataFrame]:
    """Effects by dimension from the files that a GWAS leaves."""
    run_gwas(
        study.embedding,
        study.bed,
        study.covariates,
        folder / "gwas",
        transform="none",
        per_dimension=True,
        minimum_count=0,
    )
    columns = {
        "base_pair_location": "position",
        "effect_allele": "alt",
        "other_allele": "ref",
    }
    tables = {}
    for name in (f"latent_{column}" for column in range(DIMENSIONS)):
        table = pd.read_csv(
            folder / f"gwas/dimensions/{name}.tsv.gz",
            sep="\t",
            dtype={"chromosome": str},
            float_precision="round_trip",
        ).rename(columns=columns)
        tables[name] = table.assign(p=10.0 ** -table["neg_log_10_p_value"])
    return tables


def listwise_effects(study: Study, chosen: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Effects of some variants among those whose genotype is known, as plink2 has them."""
    genotypes = open_genotypes(study.bed)
    matched = match_participants(
        study.embedding.sample_ids, genotypes.samples, study.covariates, COVARIATES
    )
    space = LatentSpace(study.embedding.select(matched.sample_ids), matched.covariates)
    rows = pd.MultiIndex.from_frame(genotypes.variants[PLACE]).get_indexer(
        pd.MultiIndex.from_frame(chosen[PLACE])
    )
    beta, standard_error, neg_log10_p = space.effects_exact(
        genotypes.dosages(rows, matched.sample_ids)
    )
    place = chosen[PLACE].reset_index(drop=True)
    return {
        f"latent_{column}": place.assign(
            beta=beta[:, column],
            standard_error=standard_error[:, column],
            p=10.0 ** -neg_log10_p[:, column],
        )
        for column in range(DIMENSIONS)
    }


def joined(
    ours: dict[str, pd.DataFrame], theirs: dict[str, pd.DataFrame], kept: pd.DataFrame
) -> pd.DataFrame:
    """Both programs' rows of some variants, all dimensions below one another."""
    pairs = [
        kept[PLACE]
        .merge(ours[name], on=PLACE, validate="one_to_one")
        .merge(theirs[name], on=PLACE, suffixes=("", "_plink2"), validate="one_to_one")
        for name in theirs
    ]
    return pd.concat(pairs, ignore_index=True)


def units_apart(pairs: pd.DataFrame, measure: str) -> np.ndarray:
    """Differences in units of the last digit that plink2 prints."""
    printed = pairs[f"{measure}_plink2"].to_numpy()
    unit = 10.0 ** (np.floor(np.log10(np.abs(printed))) + 1 - PRINTED_DIGITS)
    return np.abs(pairs[measure].to_numpy() - printed) / unit


def compare(study: Study, folder: Path) -> dict[str, pd.DataFrame]:
    """Run both programs; give the pairs by what is compared."""
    theirs = plink2_effects(study, folder)
    ours = scan_effects(study, folder)
    counted = theirs["latent_0"]
    whole = counted["n"] == len(study.embedding.sample_ids)
    return {
        "complete": joined(ours, theirs, counted[whole]),
        "missing, mean in their place": joined(ours, theirs, counted[~whole]),
        "missing, left out": joined(
            listwise_effects(study, counted[~whole]), theirs, counted[~whole]
        ),
    }


def exact_p(pairs: pd.DataFrame, degrees: int) -> np.ndarray:
    """P-values of the t-tests with 30 digits: what either program's are measured against."""
    with mpmath.workdps(30):
        return np.array(
            [
                float(mpmath.betainc(degrees / 2, 0.5, 0, degrees / (degrees + t * t), True))
                for t in map(mpmath.mpf, pairs["beta"] / pairs["standard_error"])
            ]
        )


def report(results: dict[str, pd.DataFrame], study: Study) -> None:
    """Print the table."""
    participants = len(study.embedding.sample_ids)
    print(f"{participants} participants, {DIMENSIONS} dimensions, covariates {COVARIATES}")
    listwise = results["missing, left out"]
    refused = pd.concat([results["complete"], listwise]).query("beta_plink2.isna()")
    told = refused["error"].value_counts().to_dict() or "none"
    print(f"without a result of plink2: {told}; of these with one here: {refused['beta'].count()}")
    print("genotypes\tvariants\tpairs\tlargest difference in units of plink2's last digit:")
    print("\t\t\t" + "\t".join(MEASURES) + "\tp, of those more than half a unit apart")
    for name in ("complete", "missing, left out"):
        pairs = results[name].dropna(subset=["beta_plink2"])
        apart = {measure: units_apart(pairs, measure) for measure in MEASURES}
        told = "\t".join(f"{apart[measure].max():.3f}" for measure in MEASURES)
        beyond = (apart["p"] > 0.5).sum()
        print(f"{name}\t{len(pairs) // DIMENSIONS}\t{len(pairs)}\t{told}\t{beyond}")
    pairs = results["complete"].dropna(subset=["beta_plink2"])
    worst = pairs.iloc[np.argsort(-units_apart(pairs, "p"))[:WORST]]
    exact = exact_p(worst, participants - study.covariates.shape[1] - 2)
    right = [f"{p:.{PRINTED_DIGITS}g}" for p in exact]
    told = {
        name: sum(f"{p:.{PRINTED_DIGITS}g}" == e for p, e in zip(worst[column], right, strict=True))
        for name, column in (("here", "p"), ("plink2", "p_plink2"))
    }
    print(f"of the {WORST} p farthest apart, equal to the exact one's six digits: {told}")
    error = (worst["p"] / exact - 1).abs().max()
    print(f"largest relative error of these, here: {error:.1e}")
    pairs = results["missing, mean in their place"].dropna(subset=["beta_plink2"])
    moved = (pairs["beta"] - pairs["beta_plink2"]).abs() / pairs["standard_error_plink2"]
    errors = pairs["standard_error"] / pairs["standard_error_plink2"]
    p_moved = (np.log10(pairs["p"]) - np.log10(pairs["p_plink2"])).abs()
    print("mean in the place of missing genotypes, against leaving people out:")
    print("\tmedian\t99 %\tlargest")
    for name, values in (
        ("beta, in standard errors", moved),
        ("−log10 p", p_moved),
        ("standard error, relative", (errors - 1).abs()),
    ):
        print(f"{name}\t" + "\t".join(f"{value:.4f}" for value in values.quantile([0.5, 0.99, 1])))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of EUR_subset.bed")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if shutil.which("plink2") is None:
        sys.exit("plink2 is not installed (Debian: apt-get install plink2)")
    with tempfile.TemporaryDirectory() as scratch:
        study = make_study(arguments.data, Path(scratch), seed=arguments.seed)
        report(compare(study, Path(scratch)), study)


if __name__ == "__main__":
    main()
