"""The latent GWAS: whether the latent vectors differ between the genotypes of a variant.

Multivariate analysis of variance with Pillai's trace, for thousands of variants at a time. The
formulas are in docs/statistics.md, "Per variant".
"""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from regreveal.errors import InputError
from regreveal.genetics.criteria import CRITERIA, criterion_columns, squared_correlations
from regreveal.genetics.kernel.dosages import whole_dosages
from regreveal.genetics.kernel.fdistribution import neg_log10_f
from regreveal.genetics.kernel.projection import BlockProjector, GenotypeCounts, Projections
from regreveal.genetics.kernel.whitening import (
    covariate_basis,
    orthonormal_columns,
    residuals,
    whiten,
)
from regreveal.genetics.pillai import genotype_trace, pillai_f, single_trace
from regreveal.genetics.skewness import SkewnessCorrection
from regreveal.genetics.univariate import Effects, dosage_effects
from regreveal.progress import track

RESULT_COLUMNS = [
    "n",
    "n_ref",
    "n_het",
    "n_hom",
    "alt_frequency",
    "pillai",
    "f",
    "df1",
    "df2",
    "neg_log10_p",
]


class LatentSpace:
    """Latent vectors made ready for testing: covariates regressed out, then whitened, once.

    Parameters
    ----------
    latents : ndarray or DataFrame, shape (n, k)
        One row a participant.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
        An intercept is always added.
    dtype : "float64" or "float32"
        Precision of the matrix products with the genotypes; everything before and after them is
        in double precision, and they, too, for variants that covariates nearly explain.
    backend, threads
        Where and on how many cores products are made, see `BlockProjector`.

    Raises
    ------
    InputError
        Latents or covariates that are not finite, constant or collinear, or fewer participants
        than dimensions and covariates need.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> space = LatentSpace(rng.standard_normal((200, 4)))
    >>> space.test(rng.integers(0, 3, (2, 200)), coding="additive")["df2"].tolist()
    [195.0, 195.0]
    """

    def __init__(
        self,
        latents: np.ndarray | pd.DataFrame,
        covariates: np.ndarray | pd.DataFrame | None = None,
        dtype: str = "float64",
        backend: str = "numpy",
        threads: int | None = None,
    ):
        participants = len(latents)
        self._basis = covariate_basis(covariates, participants)
        rest, self.names = residuals(latents, self._basis, "latent")
        self._check_size(participants, len(self.names))
        # The trace does not depend on which orthonormal basis Z of the latents is taken.
        self._whitened, self._triangle = whiten(rest, self.names)
        del rest  # as large as the latents, and the projector makes a copy of its own
        self._projector = BlockProjector(self._whitened, self._basis, dtype, backend, threads)
        self._skewness: SkewnessCorrection | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        """Without the lock: each process has its own."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()

    @property
    def participants(self) -> int:
        """Number of participants, n."""
        return len(self._whitened)

    @property
    def dimensions(self) -> int:
        """Number of latent dimensions, k."""
        return self._whitened.shape[1]

    @property
    def whitened(self) -> np.ndarray:
        """Latents with covariates regressed out and identity Gram matrix, shape (n, k)."""
        return self._whitened

    @property
    def skewness(self) -> SkewnessCorrection:
        """Skewness of the latents, and the p-values corrected for it; made on first use."""
        with self._lock:
            if self._skewness is None:
                self._skewness = SkewnessCorrection(self._whitened)
            return self._skewness

    @property
    def correlation(self) -> np.ndarray:
        """Correlation between latent dimensions with covariates regressed out, shape (k, k)."""
        columns = self._triangle / np.linalg.norm(self._triangle, axis=0)
        return columns.T @ columns

    def test(
        self,
        dosages: np.ndarray,
        coding: str = "genotype",
        minimum_count: int = 0,
        criteria: Sequence[str] = (),
    ) -> pd.DataFrame:
        """Test each variant's genotype against all dimensions together.

        Missing genotypes take the variant's mean: of the dosage, or of each indicator.

        Parameters
        ----------
        dosages : ndarray, shape (variants, n)
            Copies of the alternate allele: 0, 1, 2, and -1 where missing; or 0 to 2 in floating
            point, and NaN where missing. The genotype coding takes the hard calls of these.
        coding : "genotype" or "additive"
            Three groups, or a trend with the number of alternate alleles.
        minimum_count : int
            Fewest participants in a tested group, see `joint_test`.
        criteria : sequence of "wilks", "hotelling-lawley" and "roy"
            Beside Pillai's trace, see `joint_test`.

        Returns
        -------
        DataFrame
            One row a variant: n (known genotypes), n_ref, n_het, n_hom, alt_frequency, pillai, f,
            df1, df2, neg_log10_p, and columns of the other criteria. All from pillai on are missing
            where nothing can be tested.

        Raises
        ------
        InputError
            Dosages of another shape or range, or an unknown coding or criterion.
        """
        return self.joint_test(self.project(dosages, coding), minimum_count, criteria)

    def project(self, dosages: np.ndarray, coding: str) -> Projections:
        """Make the one matrix product that `joint_test` and `effects` both start from."""
        return self._projector(dosages, coding)

    def joint_test(
        self, projections: Projections, minimum_count: int = 0, criteria: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Test all dimensions together, given a block's projections.

        With the genotype coding, where heterozygotes or the rarer homozygotes are fewer than
        `minimum_count` (or none), both are tested as one group of carriers, and where carriers or
        the others are fewer, nothing is. With the additive coding nothing is tested where carriers
        of the rarer allele are fewer.

        `criteria` adds, for each that is named, its statistic and −log10 p: wilks and
        wilks_neg_log10_p, hotelling_lawley and hotelling_lawley_neg_log10_p, roy and
        roy_neg_log10_p. Roy's is an upper bound of −log10 p (a lower bound of p), and not a test by
        which to report variants; see `regreveal.genetics.criteria.roy_bound`.
        """
        for criterion in criteria:
            if criterion not in CRITERIA:
                raise InputError(f"criterion '{criterion}': expected one of {', '.join(CRITERIA)}")
        counts = projections.counts
        gram = projections.gram()
        others = np.maximum(counts.n_ref, counts.n_hom)
        few = np.minimum(counts.n - others, others) < minimum_count
        rank = np.full(len(gram), 1)
        if projections.coding == "additive":
            trace = single_trace(
                projections.phenotypes[:, 0], gram[:, 0, 0], projections.squares()[:, 0]
            )
        else:
            rank, trace = genotype_trace(projections, gram, minimum_count)
        trace[few] = np.nan
        table = self._table(counts, trace, rank)
        if criteria:
            correlations = np.column_stack([trace, np.where(np.isnan(trace), np.nan, 0)])
            both = (rank == 2) & ~np.isnan(trace)
            correlations[both] = squared_correlations(projections.phenotypes[both], gram[both])
            covariates = self._basis.shape[1] + 1
            for criterion in criteria:
                result = CRITERIA[criterion](
                    correlations, rank, self.participants, self.dimensions, covariates
                )
                columns = result.statistic, result.neg_log10_p
                table[criterion_columns(criterion)] = np.column_stack(columns)
        return table

    def effects(self, projections: Projections) -> Effects:
        """Additive effect of each variant on each dimension, given a block's projections.

        Effects are in the units of the latents the space was made from, per alternate allele.

        Returns
        -------
        Effects
            beta, standard_error and neg_log10_p, each of shape (variants, k).
        """
        additive = projections.additive()
        return dosage_effects(
            additive.phenotypes[:, 0] @ self._triangle,
            additive.gram()[:, 0, 0],
            additive.squares()[:, 0],
            (self._triangle**2).sum(axis=0),
            self.participants - self._basis.shape[1] - 2,
        )

    def directions(self, projections: Projections) -> np.ndarray:
        """Give the combination of latents that each variant's dosage moves most, from projections.

        Latents times it is the score that correlates most with the dosage among these
        participants, covariates held fixed (Fisher's discriminant); it grows with the number of
        alternate alleles. In the units of the latents the space was made from, of no fixed length.

        Returns
        -------
        ndarray, shape (variants, k)
        """
        products = projections.additive().phenotypes[:, 0]
        return solve_triangular(self._triangle, products.T).T

    def test_exact(
        self,
        dosages: np.ndarray,
        coding: str = "genotype",
        minimum_count: int = 0,
        criteria: Sequence[str] = (),
    ) -> pd.DataFrame:
        """Test like `test`, but leave out, variant by variant, those without a genotype.

        This whitens anew for every variant with missing genotypes: for reported hits, not for a
        genome. Covariates that become redundant among the participants left are dropped. Nothing is
        tested where the participants left are too few for the dimensions and covariates.

        Parameters
        ----------
        dosages, coding, minimum_count, criteria
            As of `test`.

        Returns
        -------
        DataFrame
            As of `test`.

        Raises
        ------
        InputError
            As of `test`.
        """
        imputed = self.test(dosages, coding, minimum_count, criteria)
        rows = []
        known_genotypes = _known_genotypes(dosages, coding)
        for row, (variant, known) in enumerate(
            track(known_genotypes, "Testing without missing genotypes", len(imputed))
        ):
            tested = imputed.iloc[[row]]
            if not known.all():
                space = self._among(known)
                if space is None:
                    statistics = list(imputed.columns[imputed.columns.get_loc("pillai") :])
                    tested = tested.assign(**dict.fromkeys(statistics, np.nan))
                else:
                    tested = space.test(variant[None, known], coding, minimum_count, criteria)
            rows.append(tested)
        return pd.concat(rows, ignore_index=True) if rows else imputed

    def effects_exact(self, dosages: np.ndarray) -> Effects:
        """Additive effects like `effects`, but without those whose genotype is missing.

        They are those of ordinary least squares on the participants left, as by `plink2 --glm`.

        Parameters
        ----------
        dosages : ndarray, shape (variants, n)

        Returns
        -------
        Effects
            NaN, too, where the participants left are too few for the dimensions and covariates.

        Raises
        ------
        InputError
            Dosages of another shape or range.
        """
        exact = Effects(*map(np.copy, self.effects(self.project(dosages, "additive"))))
        known_genotypes = _known_genotypes(dosages, "additive")
        for row, (variant, known) in enumerate(
            track(known_genotypes, "Estimating without missing genotypes", len(exact.beta))
        ):
            if not known.all():
                space = self._among(known)
                of_known = [np.nan] * len(exact)
                if space is not None:
                    of_known = space.effects(space.project(variant[None, known], "additive"))
                for values, value in zip(exact, of_known, strict=True):
                    values[row] = value
        return exact

    def _among(self, known: np.ndarray) -> "LatentSpace | None":
        """Restrict to some participants; None where they are too few or all alike in some way."""
        basis, _ = orthonormal_columns(self._basis[known])
        try:
            space = LatentSpace(
                self._whitened[known], basis, "float64", threads=self._projector.threads
            )
        except InputError:
            return None
        space._triangle = space._triangle @ self._triangle
        space.names = self.names
        return space

    def _table(self, counts: GenotypeCounts, trace: np.ndarray, rank: np.ndarray) -> pd.DataFrame:
        covariates = self._basis.shape[1] + 1
        f, df1, df2 = pillai_f(trace, rank, self.participants, self.dimensions, covariates)
        neg_log10_p = neg_log10_f(f, df1, df2)
        df1, df2 = (np.where(np.isnan(trace), np.nan, degrees) for degrees in (df1, df2))
        return pd.DataFrame(
            {
                "n": counts.n,
                "n_ref": counts.n_ref,
                "n_het": counts.n_het,
                "n_hom": counts.n_hom,
                "alt_frequency": counts.alt_frequency,
                "pillai": trace,
                "f": f,
                "df1": df1,
                "df2": df2,
                "neg_log10_p": neg_log10_p,
            },
            columns=RESULT_COLUMNS,
        )

    def _check_size(self, participants: int, dimensions: int) -> None:
        needed = dimensions + self._basis.shape[1] + 3
        if participants < needed:
            raise InputError(
                f"latents: {participants} participants are too few for {dimensions} dimensions "
                f"and {self._basis.shape[1]} covariates; expected at least {needed}"
            )


def _known_genotypes(dosages: np.ndarray, coding: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each variant's dosages, and who has one: in the genotype coding a called genotype."""
    dosages = whole_dosages(dosages) if coding == "genotype" else np.asarray(dosages)
    for variant in dosages:
        yield variant, variant >= 0
