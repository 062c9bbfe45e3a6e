"""Do loci replicate? Found in one half of the participants, tested in the other; and in turn.

The leads of a latent GWAS of one half are tested among the others by the same joint test of all
dimensions, and by one number a participant: where the latents lie along the direction in which the
variant moved them in the first half (docs/statistics.md, "Replication").
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.analyses import CORRECTED, LatentAnalysis
from regreveal.genetics.genotypes import Genotypes, open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.gwas import LEADS_AT_ONCE, MINIMUM_COUNT, run_gwas
from regreveal.genetics.loci import GENOME_WIDE
from regreveal.genetics.matching import match_participants
from regreveal.genetics.merging import merge_loci
from regreveal.genetics.nullspace import project_out
from regreveal.genetics.prepare import prepare_latents
from regreveal.genetics.relatedness import find_families, once_for_the_same
from regreveal.genetics.scan import Scanner
from regreveal.genetics.spaces import LatentSpaces
from regreveal.genetics.univariate import TraitSpace
from regreveal.genetics.winners_curse import Power, replication_power
from regreveal.store.atomic import atomic_path
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding

# Of replication, over all leads of a discovery half.
LEVEL = 0.05

HALVES = (1, 2)

TABLES = {"leads": "leads.tsv", "summary": "summary.tsv"}
REPORT = "replication.json"

LEAD_COLUMNS = [
    *("discovery", "place", "chromosome", "position", "variant_id", "ref", "alt", "nearest_gene"),
    *("alt_frequency", "discovery_neg_log10_p", "n", "joint_neg_log10_p"),
    *("direction_beta", "direction_standard_error", "direction_neg_log10_p"),
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


def split_in_halves(family: np.ndarray, fold: np.ndarray, seed: int) -> np.ndarray:
    """Halve participants within folds, each family in one half.

    Families go, the largest first and those of one size in random order, to the half that lacks
    people of their folds.

    Parameters
    ----------
    family : ndarray of int, shape (n,)
    fold : ndarray of int, shape (n,)
        Or other strata.
    seed : int

    Returns
    -------
    ndarray of int, shape (n,)
        1 or 2.
    """
    rng = np.random.default_rng(seed)
    _, family = np.unique(family, return_inverse=True)
    _, fold = np.unique(fold, return_inverse=True)
    members = np.zeros((family.max() + 1, fold.max() + 1), int)
    np.add.at(members, (family, fold), 1)
    shuffled = rng.permutation(len(members))
    order = shuffled[np.argsort(-members[shuffled].sum(axis=1), kind="stable")]
    toss = rng.integers(0, 2, len(members))
    half_of_family, surplus = np.empty(len(members), int), np.zeros(members.shape[1], int)
    for number in order:
        # People whom the first half has more of, in these folds; then in all.
        ahead = members[number] @ surplus or surplus.sum()
        first = ahead < 0 or (ahead == 0 and toss[number])
        half_of_family[number] = HALVES[0] if first else HALVES[1]
        surplus += members[number] if first else -members[number]
    return half_of_family[family]


class _Half:
    """One half, ready to be tested.

    Parameters
    ----------
    embedding : Embedding
    genotypes : Genotypes
    prepared_by : dict
        Arguments of `prepare_latents`.
    coding, minimum_count, variant_filter
        As of `run_gwas`.
    """

    def __init__(
        self,
        embedding: Embedding,
        genotypes: Genotypes,
        prepared_by: dict,
        coding: str,
        minimum_count: int,
        variant_filter: VariantFilter,
    ):
        prepared = prepare_latents(embedding, genotypes, **prepared_by)
        self.latents, self.covariates = prepared.transformed, prepared.matched.covariates
        self.participants = len(self.latents)
        self._men, self._coding, self._minimum_count = prepared.men, coding, minimum_count
        sample_ids = prepared.matched.sample_ids
        self.spaces = LatentSpaces(self.latents, self.covariates, sample_ids, prepared.men)
        self._analysis = LatentAnalysis(
            self.spaces,
            list(self.latents.columns),
            coding=coding,
            minimum_count=minimum_count,
            threshold=GENOME_WIDE,
            corrects=prepared_by["transform"] == "radial",
        )
        self.scanner = Scanner(genotypes, sample_ids, self._analysis, variant_filter, prepared.men)

    def directions(self, rows: np.ndarray, chromosome: str, on_x: bool) -> np.ndarray:
        """Directions that the variants move the latents in, (variants, k)."""
        space = self.spaces.of(chromosome, on_x)
        return space.directions(space.project(self.scanner.dosages(rows), "additive"))

    def test(
        self, rows: np.ndarray, chromosome: str, on_x: bool, directions: np.ndarray
    ) -> pd.DataFrame:
        """Test variants jointly, and each on its direction; missing where groups are too small."""
        dosages, space = self.scanner.dosages(rows), self.spaces.of(chromosome, on_x)
        projections = space.project(dosages, self._coding)
        joint = space.joint_test(projections, self._minimum_count)
        traits = self.latents.to_numpy() @ directions.T
        covariates = self.covariates
        if on_x and self.spaces.sex_counts:
            male = pd.DataFrame({"male": self._men.astype(float)})
            covariates = male if covariates is None else pd.concat([covariates, male], axis=1)
        trait_space = TraitSpace(traits / traits.std(axis=0), covariates)
        # Every lead on the direction of every lead: what is asked for is the diagonal.
        effects = trait_space.effects(trait_space.project(dosages))
        beta, error, two_sided = (np.diagonal(values) for values in effects)
        tested = joint["neg_log10_p"].notna().to_numpy()
        return pd.DataFrame(
            {
                "n": joint["n"],
                "joint_neg_log10_p": self._analysis.corrected(space, joint, projections),
                "direction_beta": np.where(tested, beta, np.nan),
                "direction_standard_error": np.where(tested, error, np.nan),
                "direction_neg_log10_p": np.where(tested, one_sided(beta, two_sided), np.nan),
            }
        )


def one_sided(beta: np.ndarray, neg_log10_p: np.ndarray) -> np.ndarray:
    """−log10 p for a positive effect, of a symmetric test's two-sided one."""
    with np.errstate(divide="ignore"):
        against = -np.log10(1 - 10.0**-neg_log10_p / 2)
    return np.where(beta > 0, neg_log10_p + np.log10(2), against)


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
        halves[number] = _Half(embedding, genotypes, common, coding, minimum_count, variant_filter)
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
    with atomic_path(folder / REPORT) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n")
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
    halves: dict[int, _Half],
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
        table = table.loc[:, ~table.columns.duplicated(keep="last")].assign(discovery=number)
        powers = _powers(table, halves, number, other, coding, threshold)
        tables.append(table.rename(columns={CORRECTED: "discovery_neg_log10_p"}).assign(**powers))
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True)[LEAD_COLUMNS]


def _test_in(discovery: _Half, other: _Half, loci: pd.DataFrame) -> pd.DataFrame:
    rows, on_x = loci["row"].to_numpy(int), discovery.scanner.is_on_x(loci)
    parts = [_NOTHING_TESTED]
    for (chromosome, x), places in loci.groupby(["chromosome", on_x]).indices.items():
        for some in np.array_split(places, -(-len(places) // LEADS_AT_ONCE)):
            directions = discovery.directions(rows[some], chromosome, x)
            tested = other.test(rows[some], chromosome, x, directions)
            parts.append(tested.set_index(some))
    return pd.concat([part for part in parts if len(part)] or parts).sort_index()


_NOTHING_TESTED = pd.DataFrame(
    {
        name: np.empty(0)
        for name in ("n", "joint_neg_log10_p", "direction_beta", "direction_standard_error")
    }
    | {"direction_neg_log10_p": np.empty(0)}
)


def _powers(
    table: pd.DataFrame,
    halves: dict[int, _Half],
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
        np.full(len(table), dimensions if additive else 2 * dimensions),
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
