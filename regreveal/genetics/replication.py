"""Do loci replicate? Found in one half of the participants, tested in the other; and in turn.

The leads of a latent GWAS of one half are tested among the others by the same joint test of all
dimensions, and by one number a participant: where the latents lie along the direction in which the
variant moved them in the first half (docs/loci.md, "Replication").
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.analyses import CORRECTED
from regreveal.genetics.examined_leads import LEADS_AT_ONCE
from regreveal.genetics.genotypes import Genotypes, open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.gwas import MINIMUM_COUNT, run_gwas
from regreveal.genetics.halves import HALVES, Half, split_in_halves
from regreveal.genetics.loci import GENOME_WIDE
from regreveal.genetics.matching import match_participants
from regreveal.genetics.merging import merge_loci
from regreveal.genetics.nullspace import project_out
from regreveal.genetics.relatedness import find_families, once_for_the_same
from regreveal.genetics.winners_curse import Power, replication_power
from regreveal.store.atomic import write_json
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding

# Of replication, over all leads of a discovery half.
LEVEL = 0.05

TABLES = {"leads": "leads.tsv", "summary": "summary.tsv"}
REPORT = "replication.json"

# Of a lead in the other half.
_TESTED = [
    *("n", "joint_neg_log10_p"),
    *("direction_beta", "direction_standard_error", "direction_neg_log10_p"),
]

LEAD_COLUMNS = [
    *("discovery", "place", "chromosome", "position", "variant_id", "ref", "alt", "nearest_gene"),
    *("alt_frequency", "discovery_neg_log10_p"),
    *_TESTED,
    *("level", "replicated_joint", "replicated_direction"),
    *("joint_power_cautious", "joint_power_hopeful"),
    *("direction_power_cautious", "direction_power_hopeful", "reason"),
]


@dataclass(frozen=True)
class Replication:
    """What replicated.

    Attributes
    ----------
    leads : DataFrame
        A row a lead and the half it was found in, as in leads.tsv.
    summary : DataFrame
        A row for either half's leads, and one for the places of the genome found in either, as in
        summary.tsv.
    report : dict
        Participants and relatives, as in replication.json.
    """

    leads: pd.DataFrame
    summary: pd.DataFrame
    report: dict


def replicate(
    embedding: Embedding | str | os.PathLike,
    genotypes: Genotypes | str | os.PathLike | Sequence[str | os.PathLike],
    covariates: pd.DataFrame | str | os.PathLike | None,
    folder: str | os.PathLike,
    *,
    fold: pd.Series,
    seed: int = 0,
    covariate_columns: list[str] | None = None,
    project_out_columns: Sequence[str] = (),
    variant_filter: VariantFilter | None = None,
    coding: str = "genotype",
    transform: str = "radial",
    minimum_count: int = MINIMUM_COUNT,
    threshold: float = GENOME_WIDE,
    genes: pd.DataFrame | None = None,
    threads: int | None = None,
) -> Replication:
    """Find loci in one half of the participants, test their leads in the other; then in turn.

    Writes leads.tsv, summary.tsv and replication.json into `folder`, and the GWAS of either half
    (what is significant only) into half_1 and half_2. Relatives are in one half. Latents are
    transformed, and covariates regressed out, within a half; of the other, a half knows its leads
    and their directions. Only confounders are projected out of everyone at once, since halves
    would be left with different dimensions.

    Parameters
    ----------
    embedding, genotypes, covariates, covariate_columns, project_out_columns, variant_filter
        As of `run_gwas`.
    coding, transform, minimum_count, threshold, genes, threads
        As of `run_gwas`.
    folder : path-like
    fold : Series of int
        Strata of the halves, indexed by sample id: the participants.
    seed : int
        Of the halves.

    Returns
    -------
    Replication

    Raises
    ------
    InputError
        As of `run_gwas`, or a half has too few participants for the latents.
    """
    folder = Path(folder)
    embedding = embedding if isinstance(embedding, Embedding) else Embedding.read(embedding)
    genotypes = genotypes if isinstance(genotypes, Genotypes) else open_genotypes(genotypes)
    variant_filter = variant_filter or VariantFilter()
    matched = match_participants(
        embedding.sample_ids,
        genotypes.samples,
        covariates,
        covariate_columns,
        fold.index,
        confounders=project_out_columns,
    )
    ids = np.array(matched.sample_ids, dtype=object)
    if project_out_columns:
        projected = project_out(embedding.select(matched.sample_ids), matched.confounders)
        embedding = Embedding(matched.sample_ids, projected.latents, embedding.metadata)
    families = once_for_the_same(
        find_families, genotypes, matched.sample_ids, variant_filter.autosomes
    )
    half = split_in_halves(families.family, fold.loc[matched.sample_ids].to_numpy(), seed)
    _check_size(half, embedding.select(matched.sample_ids[:1]).shape[1], matched.covariates)
    halves, loci = {}, {}
    for number in HALVES:
        common = {
            "covariates": covariates,
            "covariate_columns": covariate_columns,
            "participants": ids[half == number].tolist(),
            "transform": transform,
        }
        loci[number] = run_gwas(
            embedding,
            genotypes,
            folder=folder / f"half_{number}",
            **common,
            coding=coding,
            variant_filter=variant_filter,
            minimum_count=minimum_count,
            threshold=threshold,
            genes=genes,
            top=threshold,
            threads=threads,
            examine=False,
        ).loci
        halves[number] = Half(embedding, genotypes, common, coding, minimum_count, variant_filter)
    leads = _leads(halves, loci, coding, threshold, variant_filter.autosomes)
    report = {
        "participants": {str(number): halves[number].participants for number in HALVES},
        "relatives": {
            "degree": families.degree,
            "pairs_kept_together": families.pairs,
            "variants": families.variants,
        },
        "threshold": threshold,
        "seed": seed,
        "coding": coding,
        "transform": transform,
    }
    replication = Replication(leads, summarise(leads), report)
    write_table(leads, folder / TABLES["leads"])
    write_table(replication.summary, folder / TABLES["summary"])
    write_json(report, folder / REPORT)
    return replication


def _check_size(half: np.ndarray, dimensions: int, covariates: pd.DataFrame | None) -> None:
    smallest = min(int((half == number).sum()) for number in HALVES)
    columns = 0 if covariates is None else covariates.shape[1]
    needed = dimensions + columns + 3
    if smallest < needed:
        raise InputError(
            f"replication: {smallest} participants in a half are too few for {dimensions} "
            f"dimensions and {columns} covariates; expected at least {needed}"
        )


def _leads(
    halves: dict[int, Half],
    loci: dict[int, pd.DataFrame],
    coding: str,
    threshold: float,
    autosomes: int,
) -> pd.DataFrame:
    """Test the leads of either half in the other."""
    merged = merge_loci({str(number): loci[number] for number in HALVES}, autosomes=autosomes)
    tables = []
    for number, other in (HALVES, HALVES[::-1]):
        found = loci[number].assign(place=merged.place[str(number)] + 1)
        tested = _test_in(halves[number], halves[other], found)
        table = pd.concat([found.reset_index(drop=True), tested], axis=1)
        table = table.assign(discovery=number)
        powers = _powers(table, halves, number, other, coding, threshold)
        tables.append(table.rename(columns={CORRECTED: "discovery_neg_log10_p"}).assign(**powers))
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True)[LEAD_COLUMNS]


def _test_in(discovery: Half, other: Half, loci: pd.DataFrame) -> pd.DataFrame:
    rows, on_x = loci["row"].to_numpy(int), discovery.scanner.is_on_x(loci)
    parts = []
    for (chromosome, x), places in loci.groupby(["chromosome", on_x]).indices.items():
        for some in np.array_split(places, -(-len(places) // LEADS_AT_ONCE)):
            directions, degrees = discovery.learn(rows[some], chromosome, x)
            tested = other.test(rows[some], chromosome, x, directions)
            parts.append(tested.assign(degrees=degrees).set_index(some))
    if not parts:
        return pd.DataFrame(columns=["degrees", *_TESTED], dtype=float)
    return pd.concat(parts).sort_index()


def _powers(
    table: pd.DataFrame,
    halves: dict[int, Half],
    number: int,
    other: int,
    coding: str,
    threshold: float,
) -> dict[str, np.ndarray]:
    """Give the level, what replicated at it, why a lead was not tested, and power."""
    tested = table["joint_neg_log10_p"].notna().to_numpy()
    level = LEVEL / max(tested.sum(), 1)
    dimensions = halves[number].latents.shape[1]
    additive = coding == "additive"
    joint, direction = replication_power(
        table[CORRECTED].to_numpy(),
        table["degrees"].to_numpy(),
        threshold,
        halves[other].participants / halves[number].participants,
        level,
        dimensions if additive else None,
    )
    unknown = np.full(len(table), np.nan)
    direction = direction or Power(unknown, unknown)
    told = {
        f"{test}_power_{kind}": np.where(tested, values, np.nan)
        for test, power in (("joint", joint), ("direction", direction))
        for kind, values in power._asdict().items()
    }
    limit = -np.log10(level)
    return told | {
        "level": level,
        "replicated_joint": table["joint_neg_log10_p"].to_numpy() > limit,
        "replicated_direction": table["direction_neg_log10_p"].to_numpy() > limit,
        "reason": np.where(tested, "", "too few carriers in the other half"),
    }


def summarise(leads: pd.DataFrame) -> pd.DataFrame:
    """Count what replicated, by the half of the discovery, and by place of the genome.

    Parameters
    ----------
    leads : DataFrame
        As of `Replication`.

    Returns
    -------
    DataFrame
        For discovery 1, 2 and "either": leads (or places), tested, level; and for each test
        (joint, direction) replicated, with the Clopper-Pearson interval of its share, and the
        expected number at cautious and at hopeful power. A place that was found in both halves
        counts as replicated if either lead is, and nothing is expected of it.
    """
    rows = []
    for discovery, table in [
        (str(number), leads[leads["discovery"] == number]) for number in HALVES
    ]:
        tested = table[table["reason"] == ""]
        row = {"discovery": discovery, "leads": len(table), "tested": len(tested)}
        row["level"] = tested["level"].iloc[0] if len(tested) else np.nan
        for test in ("joint", "direction"):
            row |= _share(test, int(tested[f"replicated_{test}"].sum()), len(tested))
            for kind in Power._fields:
                power = tested[f"{test}_power_{kind}"]
                row[f"{test}_expected_{kind}"] = power.sum() if power.notna().all() else np.nan
        rows.append(row)
    places = leads[leads["reason"] == ""].groupby("place")
    row = {"discovery": "either", "leads": leads["place"].nunique(), "tested": places.ngroups}
    for test in ("joint", "direction"):
        row |= _share(test, int(places[f"replicated_{test}"].any().sum()), places.ngroups)
    return pd.DataFrame([*rows, row])


def _share(test: str, replicated: int, tested: int) -> dict:
    """Give a count, and its share with an exact interval."""
    names = [f"{test}_{what}" for what in ("replicated", "share", "low", "high")]
    if not tested:
        return dict(zip(names, (0, np.nan, np.nan, np.nan), strict=True))
    interval = stats.binomtest(replicated, tested).proportion_ci(method="exact")
    shares = replicated / tested, interval.low, interval.high
    return dict(zip(names, (replicated, *shares), strict=True))
