"""Halves of the participants: who is in which, what one learns, and what it tests."""

import numpy as np
import pandas as pd

from regreveal.genetics.analyses import LatentAnalysis
from regreveal.genetics.genotypes import Genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.loci import GENOME_WIDE
from regreveal.genetics.prepare import prepare_latents
from regreveal.genetics.scan import Scanner
from regreveal.genetics.spaces import LatentSpaces
from regreveal.genetics.univariate import TraitSpace
from regreveal.store.embedding import Embedding

HALVES = (1, 2)


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


class Half:
    """One half, ready to be learned from and tested.

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

    def learn(self, rows: np.ndarray, chromosome: str, on_x: bool) -> tuple[np.ndarray, np.ndarray]:
        """Directions that the variants move the latents in, (variants, k), and df1 of their F."""
        space = self.spaces.of(chromosome, on_x)
        projections = space.project(self.scanner.dosages(rows), self._coding)
        joint = space.joint_test(projections, self._minimum_count)
        return space.directions(projections), joint["df1"].to_numpy()

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
