"""Clusters of the lead variants of either arm."""

from pathlib import Path

import pandas as pd

from regreveal.experiment.analyses.compared import Compared
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.loci import read_loci


def run_stages(compared: Compared) -> None:
    """Cluster the lead variants of both arms."""
    for arm in compared.arms:
        _cluster(compared, arm)


def _cluster(compared: Compared, arm: str) -> None:
    """Cluster an arm's lead variants, where it has at least two."""
    loci = read_loci(compared.folder / arm / "gwas" / "loci.tsv")
    if len(loci) < 2:
        return
    folder = compared.folder / arm / "clusters"
    compared.manifest.run(
        compared.stage(f"{arm}/clusters"),
        lambda: _write_clusters(compared, arm, loci, folder),
        outputs=[folder],
        settings=[compared.experiment.clusters.model_dump(), compared.experiment.seed],
        after=[compared.stage(f"{arm}/gwas")],
    )


def _write_clusters(compared: Compared, arm: str, loci: pd.DataFrame, folder: Path) -> None:
    from regreveal.genetics.clusters import cluster_variants
    from regreveal.genetics.matching import match_participants

    genotypes = open_genotypes(compared.data.paths.genotypes)
    embedding = compared.embedding(arm)
    covariates = compared.experiment.gwas.covariates
    matched = match_participants(
        embedding.sample_ids,
        genotypes.samples,
        compared.covariates(covariates),
        covariates,
        compared.participants.index,
    )
    # Unsigned: which allele a file calls the alternate one is arbitrary.
    cluster_variants(
        embedding.select(matched.sample_ids),
        genotypes.dosages(loci["row"].to_numpy(int), matched.sample_ids),
        loci["variant_id"],
        loci["nearest_gene"],
        matched.covariates,
        signed=False,
        bootstraps=compared.experiment.clusters.bootstraps,
        seed=compared.experiment.seed,
    ).write(folder)
