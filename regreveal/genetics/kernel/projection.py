"""From a block of dosages to its inner products with the phenotypes: where all the time goes.

Everything that is tested about a variant follows from three things: how many participants carry
each genotype, the product of its genotype design with the phenotypes, and that with the covariates.
One pass over a block gives them all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from regreveal.errors import InputError
from regreveal.genetics.kernel.dosages import as_block, hard_calls, summarise_dosages
from regreveal.genetics.kernel.products import (
    centred_designs,
    genotype_sets,
    indicator_designs,
    make_product,
)

CODINGS = ("genotype", "additive")

# Where the intercept and covariates leave less than this of a design, what is left is found person
# by person and in double precision. As a difference of sums it has an error of 1e-7 of the whole in
# single precision: above, that is some 1e-5 of −log10 p.
LITTLE = 0.01

# Variants for which that is done at a time.
FEW = 16


@dataclass(frozen=True)
class GenotypeCounts:
    """Participants by genotype, each an integer array of shape (variants,).

    Attributes
    ----------
    n_ref, n_het, n_hom : ndarray of int
        Fractional dosages count by the nearest whole number in the additive coding, and in the
        genotype coding as hard calls, where those that are none count as missing.
    mean_dosage : ndarray of float or None
        Of fractional dosages, all that are known.
    """

    n_ref: np.ndarray
    n_het: np.ndarray
    n_hom: np.ndarray
    mean_dosage: np.ndarray | None = None

    @property
    def n(self) -> np.ndarray:
        """Participants whose genotype is known."""
        return self.n_ref + self.n_het + self.n_hom

    @property
    def alt_frequency(self) -> np.ndarray:
        """Frequency of the alternate allele among known genotypes; NaN where there are none."""
        if self.mean_dosage is not None:
            return self.mean_dosage / 2
        with np.errstate(invalid="ignore"):
            return (self.n_het + 2 * self.n_hom) / (2 * self.n)

    @property
    def ref_is_rarer(self) -> np.ndarray:
        """Whether reference homozygotes are fewer than alternate ones."""
        return self.n_ref < self.n_hom

    def select(self, kept: np.ndarray) -> "GenotypeCounts":
        """Select variants, see `Projections.select`."""
        return _select(self, kept)


@dataclass(frozen=True)
class Projections:
    """Inner products of a block's genotype design with phenotypes and covariates.

    Attributes
    ----------
    coding : str
        "genotype": two indicators a variant, heterozygous and homozygous for the allele of which
        fewer homozygotes are seen. "additive": the dosage of the alternate allele.
    counts : GenotypeCounts
    phenotypes : ndarray, shape (variants, q, k)
        G'Z, q = 2 or 1.
    covariates : ndarray, shape (variants, q, c - 1)
        G'Q without the intercept.
    centred : ndarray, shape (variants, q, q)
        Gram matrix of the design with its mean taken out, G'(I − 11'/n)G. From integer counts, so
        that nothing cancels however rare or common the allele is; of fractional dosages the sum of
        squares about their mean.
    info : ndarray, shape (variants,)
        MaCH's r², the variance of fractional dosages over that of genotypes in Hardy-Weinberg
        equilibrium; NaN where it is 0 / 0. 1 for whole dosages.
    cubes : ndarray, shape (variants,), or None
        Sums of cubes of fractional dosages about their mean, in the additive coding.
    exact_gram : ndarray, shape (variants, q, q), or None
        G'(I − QQ')G of variants of which little is left, NaN of others; None where there are none.
    """

    coding: str
    counts: GenotypeCounts
    phenotypes: np.ndarray
    covariates: np.ndarray
    centred: np.ndarray
    info: np.ndarray
    cubes: np.ndarray | None = None
    exact_gram: np.ndarray | None = None

    def gram(self) -> np.ndarray:
        """G'(I − QQ')G, shape (variants, q, q)."""
        gram = self.centred - self.covariates @ self.covariates.transpose(0, 2, 1)
        if self.exact_gram is None:
            return gram
        return np.where(np.isnan(self.exact_gram), gram, self.exact_gram)

    def squares(self) -> np.ndarray:
        """Sum the squares of the design's columns, shape (variants, q).

        What is left of a column beside the intercept and covariates is small or not compared with
        these. Dosages are squared about the nearer homozygote, which is as much for one allele as
        for the other.
        """
        counts = self.counts
        if self.coding == "genotype":
            return np.column_stack([counts.n_het, np.minimum(counts.n_ref, counts.n_hom)])
        minor = 2 * np.minimum(counts.alt_frequency, 1 - counts.alt_frequency)
        return (self.centred[:, 0, 0] + counts.n * minor**2)[:, None]

    def additive(self) -> "Projections":
        """Derive the additive coding's projections, which those of the two indicators imply.

        Of fractional dosages these are those of the hard calls.
        """
        if self.coding == "additive":
            return self
        # Dosage is het + 2 hom, or 2 − het − 2 ref where the homozygotes counted are the others.
        sign = np.where(self.counts.ref_is_rarer, -1.0, 1.0)
        weights = sign[:, None, None] * np.array([1.0, 2.0])
        transposed = weights.transpose(0, 2, 1)
        exact = self.exact_gram
        return replace(
            self,
            coding="additive",
            phenotypes=weights @ self.phenotypes,
            covariates=weights @ self.covariates,
            centred=weights @ self.centred @ transposed,
            exact_gram=None if exact is None else weights @ exact @ transposed,
        )

    def select(self, kept: np.ndarray) -> "Projections":
        """Select variants.

        Parameters
        ----------
        kept : ndarray of bool, shape (variants,), or of row numbers
        """
        return _select(self, kept)


class BlockProjector:
    """Projects blocks of dosages on phenotypes and covariates.

    Parameters
    ----------
    phenotypes : ndarray, shape (n, k)
        Orthogonal to the intercept and to `covariate_basis`.
    covariate_basis : ndarray, shape (n, c - 1)
        Orthonormal, and orthogonal to the intercept.
    dtype : "float64" or "float32"
        Precision of the sums over participants; what follows them is always in double precision,
        and so are the sums of variants of which the covariates leave little. Both arrays are
        kept for those, not copied.
    backend : "numpy" or "keras"
        "numpy" sums over the participants of each genotype without a matrix product, and makes one
        of fractional dosages. "keras" makes matrix products in float32 on the default device of
        Keras's backend, TensorFlow or JAX: for accelerators.
    threads : int, optional
        Threads of the compiled loops; all cores without it. Those of matrix products follow
        `threadpoolctl.threadpool_limits` or the framework's own settings.

    Raises
    ------
    InputError
        Unknown precision or backend, or a precision that the backend does not have.
    """

    def __init__(
        self,
        phenotypes: np.ndarray,
        covariate_basis: np.ndarray,
        dtype: str = "float64",
        backend: str = "numpy",
        threads: int | None = None,
    ):
        self.participants, self._k = phenotypes.shape
        self._phenotypes, self._basis = phenotypes, covariate_basis
        columns = np.hstack([phenotypes, covariate_basis])
        self._product = make_product(columns, dtype, backend, threads)

    @property
    def threads(self) -> int:
        """Threads of the compiled loops."""
        return self._product.threads

    def __call__(self, dosages: np.ndarray, coding: str) -> Projections:
        """Project one block.

        Parameters
        ----------
        dosages : ndarray, shape (variants, n)
            Copies of the alternate allele: 0, 1, 2, and -1 where missing; or 0 to 2 in floating
            point, and NaN where missing.
        coding : "genotype" or "additive"

        Returns
        -------
        Projections

        Raises
        ------
        InputError
            Unknown coding, another number of participants, or values that are no dosages.
        """
        if coding not in CODINGS:
            raise InputError(f"coding '{coding}': expected {' or '.join(CODINGS)}")
        dosages = as_block(dosages)
        if dosages.shape[1] != self.participants:
            raise InputError(
                f"dosages: {dosages.shape[1]} participants, but the latents have "
                f"{self.participants}; expected an array of (variants, participants)"
            )
        if dosages.dtype == np.int8:
            return self._whole(dosages, coding, None, np.ones(len(dosages)))
        nearest, mean, info = summarise_dosages(dosages, self.threads)
        if coding == "genotype":
            return self._whole(hard_calls(dosages, self.threads), coding, mean, info)
        centre = np.nan_to_num(mean)
        products, squares, cubes = self._product.centred(dosages, centre)
        counts = GenotypeCounts(*nearest.T, mean)
        projections = self._projections(
            coding, counts, products[:, None], squares[:, None, None], info, cubes
        )

        def designs(rows):
            sums = np.empty((2, len(rows)))
            return centred_designs(dosages[rows], centre[rows], *sums, np.float64, self.threads)

        # The mean was taken out in double precision already.
        return self._made_exact(projections, squares[:, None], designs)

    def _whole(
        self, dosages: np.ndarray, coding: str, mean_dosage: np.ndarray | None, info: np.ndarray
    ) -> Projections:
        sets = genotype_sets(dosages, self.threads)
        counts = GenotypeCounts(*sets.counts.T, mean_dosage)
        products = self._product.indicators(sets)
        sizes, means = sets.sizes[:, :2].astype(float), sets.means
        # An indicator's sum of squares is its sum; of two that exclude each other, products are 0.
        centred = -sizes[:, :, None] * means[:, None, :]
        centred[:, [0, 1], [0, 1]] += sizes
        projections = self._projections("genotype", counts, products, centred, info)

        def designs(rows):
            return indicator_designs(sets.select(rows), np.float64, self.threads)

        projections = self._made_exact(projections, sizes, designs)
        return projections if coding == "genotype" else projections.additive()

    def _projections(self, coding, counts, products, centred, info, cubes=None) -> Projections:
        phenotypes, covariates = products[:, :, : self._k], products[:, :, self._k :]
        return Projections(coding, counts, phenotypes, covariates, centred, info, cubes)

    def _made_exact(
        self,
        projections: Projections,
        squares: np.ndarray,
        designs: Callable[[np.ndarray], Iterator[tuple[slice, np.ndarray]]],
    ) -> Projections:
        """Replace products of variants of which the intercept and covariates leave little.

        `designs` gives those of some rows, from which both are taken out person by person.
        """
        gram = projections.gram()
        little = np.flatnonzero(least_share(gram, squares) < LITTLE)
        if not len(little):
            return projections
        phenotypes, exact = projections.phenotypes, np.full(gram.shape, np.nan)
        for start in range(0, len(little), FEW):
            rows = little[start : start + FEW]
            for block, design in designs(rows):
                # Twice: one pass leaves rounding errors as large as what it took out.
                for _ in range(2):
                    design -= design.mean(axis=1, keepdims=True)
                    design -= (design @ self._basis) @ self._basis.T
                rest = design.reshape(-1, gram.shape[1], self.participants)
                exact[rows[block]] = rest @ rest.transpose(0, 2, 1)
                phenotypes[rows[block]] = (design @ self._phenotypes).reshape(
                    -1, gram.shape[1], self._k
                )
        return replace(projections, exact_gram=exact)


def least_share(gram: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Smallest share left of any combination of a design's columns.

    Parameters
    ----------
    gram : ndarray, shape (variants, q, q)
        What the intercept and covariates leave, G'(I − QQ')G; q is 1 or 2.
    squares : ndarray, shape (variants, q)
        Sums of squares of the columns. Those that are zero are not among the columns.

    Returns
    -------
    ndarray, shape (variants,)
        Smallest eigenvalue of `gram` scaled by the square roots of `squares`; 1 without columns.
    """
    absent = squares == 0
    scale = np.where(absent, 1, squares)
    shares = np.where(absent, 1, np.einsum("vqq->vq", gram) / scale)
    if shares.shape[1] == 1:
        return shares[:, 0]
    product = np.where(absent.any(axis=1), 0, gram[:, 0, 1]) / np.sqrt(scale.prod(axis=1))
    middle, half = shares.mean(axis=1), (shares[:, 0] - shares[:, 1]) / 2
    return middle - np.hypot(half, product)


def _select(values, kept: np.ndarray):
    """Select rows of every array of a dataclass."""
    chosen = {field.name: getattr(values, field.name) for field in fields(values)}
    return replace(
        values,
        **{
            name: value[kept] if isinstance(value, np.ndarray) else value.select(kept)
            for name, value in chosen.items()
            if value is not None and not isinstance(value, str)
        },
    )
