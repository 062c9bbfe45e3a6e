"""Which lead variants of fused arms both modalities see, and which only one."""

from functools import partial
from itertools import combinations
from pathlib import Path

import pandas as pd

from regreveal.experiment.arms import ArmStages, fusion_stage
from regreveal.experiment.data import Dataset
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import Experiment
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.loci import read_loci
from regreveal.genetics.matching import match_participants
from regreveal.store.atomic import write_json
from regreveal.store.cohort import read_table, write_table
from regreveal.store.embedding import Embedding

VARIANT_COLUMNS = ["variant_id", "gene", "chromosome", "position", "found_in"]


def run_stage(
    fusion: str,
    experiment: Experiment,
    arms: dict[str, ArmStages],
    data: Dataset,
    manifest: Manifest,
) -> None:
    """Look for the lead variants of a fusion's arms from each of its modalities.

    Leads are those of every comparison with an arm of the fusion; where there is none, nothing is
    done.

    Parameters
    ----------
    fusion : str
    experiment : Experiment
    arms : dict of str to ArmStages
        Every arm of the experiment, embedded.
    data : Dataset
    manifest : Manifest
    """
    fused = {name: arms[name] for name in experiment.arms_of(fusion)}
    scans = {
        f"comparisons/{name}/{arm}/gwas": arm
        for name, comparison in experiment.comparisons.items()
        for arm in comparison.arms
        if arm in fused
    }
    if not scans:
        return
    table = manifest.folder / "fusions" / fusion / "modality_groups.tsv"
    manifest.run(
        fusion_stage(fusion, "modality_groups"),
        partial(_write_groups, experiment, fused, scans, data, manifest.folder, table),
        outputs=[table, table.with_suffix(".json")],
        settings=[experiment.gwas.model_dump(), list(fused)],
        files=data.files("genotypes", "cohort"),
        after=[*data.stages, *scans, *(arm.stage("embed") for arm in fused.values())],
    )


def _write_groups(
    experiment: Experiment,
    fused: dict[str, ArmStages],
    scans: dict[str, str],
    data: Dataset,
    folder: Path,
    file: Path,
) -> None:
    from regreveal.genetics.clusters.locus_union import unite_leads
    from regreveal.genetics.clusters.modality_groups import COLUMNS, LEVEL, group_by_modality

    settings = experiment.gwas
    cohort = read_table(data.paths.cohort) if settings.covariates else None
    genotypes = open_genotypes(data.paths.genotypes)
    embeddings = {name: Embedding.read(arm.embedding) for name, arm in fused.items()}
    loci: dict[str, list] = {arm: [] for arm in dict.fromkeys(scans.values())}
    for stage, arm in scans.items():
        loci[arm].append(read_loci(folder / stage / "loci.tsv"))
    tables, told = [], []
    for first, second in combinations(fused, 2):
        both = set(embeddings[second].sample_ids) & set(data.ids_of_split("analysis"))
        if not both & set(embeddings[first].sample_ids):
            continue
        matched = match_participants(
            embeddings[first].sample_ids, genotypes.samples, cohort, settings.covariates, both
        )
        read_dosages = partial(genotypes.dosages, samples=matched.sample_ids)
        leads = unite_leads(
            {arm: pd.concat(found, ignore_index=True) for arm, found in loci.items()},
            read_dosages,
            matched.covariates,
        )
        variants = leads.rename(columns={"nearest_gene": "gene"})
        groups = group_by_modality(
            {name: embeddings[name].select(matched.sample_ids) for name in (first, second)},
            read_dosages(leads["row"].to_numpy(int)),
            variants[VARIANT_COLUMNS],
            matched.covariates,
            coding=settings.coding,
            transform=settings.transform,
        )
        tables.append(groups)
        told.append(
            {
                "first": first,
                "second": second,
                "participants": len(matched.sample_ids),
                "lead_variants": len(leads),
                "without_direction": len(leads) - len(groups),
                "groups": groups["group"].value_counts().to_dict(),
            }
        )
    groups = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    write_table(groups.reindex(columns=["first", "second", *VARIANT_COLUMNS, *COLUMNS]), file)
    content = {"level": LEVEL, "coding": settings.coding, "pairs": told}
    write_json(content, file.with_suffix(".json"))
