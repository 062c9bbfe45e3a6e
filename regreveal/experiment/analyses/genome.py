"""The latent GWAS of either arm, and what it finds of the truth where that is known."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.experiment.analyses.compared import Compared
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.gwas import run_gwas
from regreveal.genetics.loci import compare_with_truth, read_loci
from regreveal.genetics.matching import match_participants
from regreveal.genetics.trait_gwas import run_univariate_gwas
from regreveal.store.cohort import read_table, write_table

ORACLE = "oracle"


def run_stages(compared: Compared) -> None:
    """Make the GWAS of both arms, and of the true traits where they are known."""
    for arm in compared.arms:
        _gwas(compared, arm)
    known = compared.data.paths.true_traits and compared.data.paths.causal_variants
    # For a modality that a site added to simulated people, nothing was planted.
    if known and len(_planted(compared)):
        _oracle(compared)
        _compare_with_truth(compared)


def _gwas(compared: Compared, arm: str) -> None:
    settings = compared.experiment.gwas
    folder = compared.folder / arm / "gwas"
    compared.manifest.run(
        compared.stage(f"{arm}/gwas"),
        partial(_write_gwas, compared, arm, folder),
        outputs=[folder],
        settings=settings.model_dump(),
        files=compared.data.files("genotypes", "cohort", "genes"),
        after=compared.embedded(arm),
    )


def _write_gwas(compared: Compared, arm: str, folder: Path) -> None:
    run_gwas(
        compared.arms[arm].embedding,
        compared.data.paths.genotypes,
        folder=folder,
        participants=compared.participants.index,
        per_dimension=compared.experiment.gwas.per_dimension,
        **scan_options(compared),
    )


def scan_options(compared: Compared) -> dict:
    """Give what all latent scans of a comparison have in common, as arguments of `run_gwas`."""
    settings = compared.experiment.gwas
    return {
        "covariates": compared.covariates([*settings.covariates, *settings.project_out]),
        "covariate_columns": settings.covariates,
        "project_out_columns": settings.project_out,
        "coding": settings.coding,
        "transform": settings.transform,
        "variant_filter": VariantFilter(minimum_maf=settings.minimum_maf),
        "genes": compared.genes(),
    }


def matched_genotypes(compared: Compared) -> tuple[Callable, pd.DataFrame | None]:
    """Give what reads dosages of the scans' participants, and these people's covariates.

    For linkage disequilibrium between loci of several scans; men's single copies on X stay as the
    file has them.
    """
    settings = compared.experiment.gwas
    genotypes = open_genotypes(compared.data.paths.genotypes)
    matched = match_participants(
        compared.participants.index.tolist(),
        genotypes.samples,
        compared.covariates(settings.covariates),
        settings.covariates,
    )
    return partial(genotypes.dosages, samples=matched.sample_ids), matched.covariates


def _oracle(compared: Compared) -> None:
    """Run a GWAS on the true traits that these recordings show: what could be found at all."""
    settings = compared.experiment.gwas
    folder = compared.folder / ORACLE
    compared.manifest.run(
        compared.stage("oracle"),
        partial(_write_oracle, compared, folder),
        outputs=[folder],
        settings=[settings.covariates, sorted(_modalities(compared))],
        files=compared.data.files("genotypes", "cohort", "genes", "true_traits", "causal_variants"),
        after=[*compared.data.stages, compared.stage("participants")],
    )


def _write_oracle(compared: Compared, folder: Path) -> None:
    covariates = compared.experiment.gwas.covariates
    run_univariate_gwas(
        read_table(compared.data.paths.true_traits)[_planted(compared)["trait"].unique()],
        compared.data.paths.genotypes,
        compared.covariates(covariates),
        folder,
        covariate_columns=covariates,
        participants=compared.participants.index,
        genes=compared.genes(),
    )


def _compare_with_truth(compared: Compared) -> None:
    outputs = [compared.folder / "truth.tsv", compared.folder / "truth_summary.tsv"]
    compared.manifest.run(
        compared.stage("truth"),
        partial(_write_truth, compared, *outputs),
        outputs=outputs,
        settings=sorted(_modalities(compared)),
        files=compared.data.files("causal_variants"),
        after=[
            compared.stage("oracle"),
            *(compared.stage(f"{arm}/gwas") for arm in compared.arms),
        ],
    )


def _modalities(compared: Compared) -> set[str]:
    return {arm.first_map.modality for arm in compared.arms.values()}


def _planted(compared: Compared) -> pd.DataFrame:
    """Read the planted variants of the traits that the arms' modalities show."""
    planted = _read_causal_variants(compared.data.paths.causal_variants)
    return planted[planted["modality"].isin(_modalities(compared))]


def _write_truth(compared: Compared, truth_file: Path, summary_file: Path) -> None:
    """Compare with the truth: a locus that is near no planted variant of any trait is false."""
    causal = _one_row_a_variant(_planted(compared))
    everything = _one_row_a_variant(_read_causal_variants(compared.data.paths.causal_variants))
    rows, by_oracle = [], set()
    for name, folder in _gwas_folders(compared).items():
        loci = read_loci(folder / "loci.tsv")
        found = set(compare_with_truth(loci, causal).found["variant_id"])
        false = compare_with_truth(loci, everything).false
        causal[name] = causal["variant_id"].isin(found)
        places = pd.MultiIndex.from_frame(causal[["chromosome", "position"]])
        causal[f"neg_log10_p_{name}"] = _best_p(folder).reindex(places).to_numpy()
        by_oracle = found if name == ORACLE else by_oracle
        share = len(found & by_oracle) / len(by_oracle) if by_oracle else np.nan
        missed = len(causal) - len(found)
        rows.append((name, len(causal), len(found), missed, len(false), share))
    columns = ["arm", "planted", "found", "missed", "false", "share_of_oracle"]
    summary = pd.DataFrame(rows, columns=columns)
    write_table(causal, truth_file)
    write_table(summary, summary_file)


def _gwas_folders(compared: Compared) -> dict[str, Path]:
    """Give the oracle's GWAS and, after it, those of the arms."""
    of_arms = {arm: compared.folder / arm / "gwas" for arm in compared.arms}
    return {ORACLE: compared.folder / ORACLE, **of_arms}


def _read_causal_variants(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype={"chromosome": str})


def _one_row_a_variant(rows: pd.DataFrame) -> pd.DataFrame:
    """Planted variants; one that moves several traits names them all, the strongest first."""
    rows = rows.sort_values("variance_explained", ascending=False)
    traits = rows.groupby("variant_id")["trait"].agg(", ".join)
    causal = rows.drop_duplicates("variant_id").sort_index()
    return causal.assign(trait=causal["variant_id"].map(traits))


def _best_p(folder: Path) -> pd.Series:
    """Each place's largest −log10 p over the tables of a GWAS, by chromosome and position.

    Not by id: GWAS-SSF has its own.
    """
    names = {
        "base_pair_location": "position",
        "neg_log10_p_corrected": "neg_log10_p",
        "neg_log_10_p_value": "neg_log10_p",
    }
    wanted = {"chromosome", "position", *names}
    tables = [
        pd.read_csv(path, sep="\t", usecols=lambda name: name in wanted, dtype={"chromosome": str})
        for path in sorted(folder.glob("*.tsv.gz"))
    ]
    together = pd.concat([table.rename(columns=names) for table in tables])
    return together.groupby(["chromosome", "position"])["neg_log10_p"].max()
