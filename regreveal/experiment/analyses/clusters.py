"""Clusters of the lead variants of either arm, of both together, and against the planted truth."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.experiment.analyses.compared import Compared
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.loci import TRUTH_WINDOW, read_loci
from regreveal.genetics.matching import Matched, match_participants
from regreveal.store.atomic import write_json
from regreveal.store.cohort import write_table

# Fewer can't be grouped in more than two ways.
FEWEST_COMPARED = 3
AGREEMENT = "cluster_agreement"

TRUTH_COLUMNS = [
    "arm",
    "lead_variants_of",
    "variants",
    "without_planted",
    "traits",
    "clusters",
    "rand_index",
    "low",
    "high",
    "p_value",
    "stability",
    "reliability",
]


def run_stages(compared: Compared) -> None:
    """Cluster each arm's own lead variants, then those of both in either arm's space."""
    for arm in compared.arms:
        _cluster(compared, arm)
    _compare(compared)
    if compared.data.paths.causal_variants:
        _compare_with_truth(compared)


def _loci(compared: Compared, arm: str) -> pd.DataFrame:
    return read_loci(compared.folder / arm / "gwas" / "loci.tsv")


def _cluster(compared: Compared, arm: str) -> None:
    """Cluster an arm's lead variants."""
    folder = compared.folder / arm / "clusters"
    compared.manifest.run(
        compared.stage(f"{arm}/clusters"),
        partial(_write_clusters, compared, arm, folder),
        outputs=[folder],
        settings=_settings(compared),
        after=[compared.stage(f"{arm}/gwas")],
    )


def _settings(compared: Compared) -> list:
    return [compared.experiment.clusters.model_dump(), compared.experiment.seed]


def _write_clusters(compared: Compared, arm: str, folder: Path) -> None:
    """Write an arm's clusters; with fewer than two lead variants, the folder is left empty."""
    loci = _loci(compared, arm)
    folder.mkdir(parents=True, exist_ok=True)
    if len(loci) > 1:
        _clusters_of(compared, arm, loci, _matched(compared, arm)).write(folder)


def _matched(compared: Compared, arm: str) -> Matched:
    """Find whom the GWAS has analysed, with their covariates; both arms have the same."""
    covariates = compared.experiment.gwas.covariates
    return match_participants(
        compared.embedding(arm).sample_ids,
        open_genotypes(compared.data.paths.genotypes).samples,
        compared.covariates(covariates),
        covariates,
        compared.participants.index,
    )


def _clusters_of(compared: Compared, arm: str, leads: pd.DataFrame, matched: Matched):
    """Cluster variants in an arm's space."""
    from regreveal.genetics.clusters.clustering import cluster_variants

    settings = compared.experiment.clusters
    genotypes = open_genotypes(compared.data.paths.genotypes)
    # Unsigned: which allele a file calls the alternate one is arbitrary.
    return cluster_variants(
        compared.embedding(arm).select(matched.sample_ids),
        genotypes.dosages(leads["row"].to_numpy(int), matched.sample_ids),
        leads["variant_id"],
        leads["nearest_gene"],
        matched.covariates,
        signed=False,
        height=settings.height,
        bootstraps=settings.bootstraps,
        seed=compared.experiment.seed,
    )


def _compare(compared: Compared) -> None:
    """Cluster the lead variants of both arms in either space."""
    table = compared.folder / f"{AGREEMENT}.tsv"
    compared.manifest.run(
        compared.stage(AGREEMENT),
        partial(_write_agreement, compared, table),
        outputs=[table, table.with_suffix(".json"), compared.folder / AGREEMENT],
        settings=_settings(compared),
        after=[compared.stage(f"{arm}/gwas") for arm in compared.arms],
    )


def _write_agreement(compared: Compared, file: Path) -> None:
    """Write how far the two spaces' clusters of the same variants agree.

    The table has a row where the two spaces can be compared, and none where the arms have too few
    loci together; with too few to start with, the folder is left empty.
    """
    from regreveal.genetics.clusters.agreement import compare_clusters
    from regreveal.genetics.clusters.locus_union import unite_leads

    settings, seed = compared.experiment.clusters, compared.experiment.seed
    folder = compared.folder / AGREEMENT
    folder.mkdir(parents=True, exist_ok=True)
    names = {"baseline": compared.comparison.baseline, "against": compared.comparison.against}
    loci = {arm: _loci(compared, arm) for arm in compared.arms}
    leads, spaces, rows = [], {}, []
    if sum(map(len, loci.values())) >= FEWEST_COMPARED:
        matched = _matched(compared, names["baseline"])
        genotypes = open_genotypes(compared.data.paths.genotypes)
        leads = unite_leads(
            loci, lambda rows: genotypes.dosages(rows, matched.sample_ids), matched.covariates
        )
        write_table(leads, folder / "lead_variants.tsv")
        spaces = {arm: _clusters_of(compared, arm, leads, matched) for arm in compared.arms}
        for arm, clusters in spaces.items():
            clusters.write(folder / arm)
    if spaces and len(spaces[names["baseline"]].variant_ids) >= FEWEST_COMPARED:
        agreement = compare_clusters(*spaces.values(), settings.permutations, seed)
        rows.append({**names, **agreement.as_row()})
    columns = [*names, *_agreement_columns()]
    write_table(pd.DataFrame(rows, columns=columns), file)
    told = {
        **names,
        "lead_variants": len(leads),
        "permutations": settings.permutations,
        "seed": seed,
        "agreement": rows[0] if rows else None,
        "spaces": {arm: clusters.summary() for arm, clusters in spaces.items()},
    }
    write_json(told, file.with_suffix(".json"))


def _agreement_columns() -> list[str]:
    from dataclasses import fields

    from regreveal.genetics.clusters.agreement import Agreement

    return [field.name for field in fields(Agreement)]


def _compare_with_truth(compared: Compared) -> None:
    """Compare with the planted traits' grouping, each set of variants in each space."""
    output = compared.folder / "cluster_truth.tsv"
    compared.manifest.run(
        compared.stage("cluster_truth"),
        partial(_write_truth, compared, output),
        outputs=[output],
        settings=_settings(compared),
        files=compared.data.files("causal_variants"),
        after=[
            compared.stage(AGREEMENT),
            *(compared.stage(f"{arm}/clusters") for arm in compared.arms),
            *(compared.stage(f"{arm}/gwas") for arm in compared.arms),
        ],
    )


def _write_truth(compared: Compared, file: Path) -> None:
    """Write a row for each set of lead variants and space, with what they were planted for."""
    from regreveal.genetics.clusters.agreement import compare_with_groups

    sets = [
        (arm, "own", compared.folder / arm / "clusters", _loci(compared, arm))
        for arm in compared.arms
        if (compared.folder / arm / "clusters" / "clusters.tsv").is_file()
    ]
    together = compared.folder / AGREEMENT
    if (together / "lead_variants.tsv").is_file():
        leads = pd.read_csv(together / "lead_variants.tsv", sep="\t", dtype={"chromosome": str})
        sets += [(arm, "both", together / arm, leads) for arm in compared.arms]
    planted = _strongest_traits(compared)
    rows = []
    for arm, of, folder, leads in sets:
        clusters = pd.read_csv(folder / "clusters.tsv", sep="\t", dtype={"variant_id": str})
        resampled = pd.read_csv(folder / "bootstrap_clusters.tsv", sep="\t").to_numpy()
        traits = clusters["variant_id"].map(planted_traits(leads, planted))
        known = traits.notna().to_numpy()
        index, low, high, p_value = (np.nan,) * 4
        if known.sum() >= 2:
            index, low, high, p_value = compare_with_groups(
                clusters["cluster"].to_numpy()[known],
                resampled[:, known],
                traits[known].to_numpy(str),
                compared.experiment.clusters.permutations,
                compared.experiment.seed,
            )
        rows.append(
            {
                "arm": arm,
                "lead_variants_of": of,
                "variants": int(known.sum()),
                "without_planted": int((~known).sum()),
                "traits": traits.nunique(),
                "clusters": clusters["cluster"][known].nunique(),
                "rand_index": index,
                "low": low,
                "high": high,
                "p_value": p_value,
                "stability": clusters["stability"].mean(),
                "reliability": clusters["reliability"].mean(),
            }
        )
    write_table(pd.DataFrame(rows, columns=TRUTH_COLUMNS), file)


def _strongest_traits(compared: Compared) -> pd.DataFrame:
    """Planted variants, each with the trait of which it explains most.

    Traits that the arms' modalities show come before all others, such as the heart rate of cines.
    """
    planted = pd.read_csv(compared.data.paths.causal_variants, sep="\t", dtype={"chromosome": str})
    modalities = {arm.first_map.modality for arm in compared.arms.values()}
    planted["shown"] = planted["modality"].isin(modalities)
    in_order = planted.sort_values(["shown", "variance_explained"], ascending=False, kind="stable")
    return in_order.drop_duplicates("variant_id")


def planted_traits(leads: pd.DataFrame, planted: pd.DataFrame) -> pd.Series:
    """Trait of the planted variant that is nearest to each lead, if one is near.

    Parameters
    ----------
    leads, planted : DataFrame
        variant_id, chromosome, position; `planted` has one row a variant, with its trait.

    Returns
    -------
    Series
        By variant id of the leads; those without are left out.
    """
    traits = {}
    for lead in leads.itertuples():
        away = (planted["position"] - lead.position).abs()
        away = away[planted["chromosome"] == str(lead.chromosome)]
        if len(away) and away.min() <= TRUTH_WINDOW:
            traits[lead.variant_id] = planted.loc[away.idxmin(), "trait"]
    return pd.Series(traits, dtype=object)
