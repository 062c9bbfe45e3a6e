"""From a block of dosages to its inner products with the phenotypes: where all the time goes.

Everything that is tested about a variant follows from three things: how many participants carry
each genotype, the product of its genotype design with the phenotypes, and that with the covariates.
One pass over a block gives them all.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from regreveal.errors import InputError
from regreveal.genetics.kernel.dosages import as_block, hard_calls, summarise_dosages
from regreveal.genetics.kernel.products import genotype_sets, make_product

CODINGS = ("genotype", "additive")


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
    """

    coding: str
    counts: GenotypeCounts
    phenotypes: np.ndarray
    covariates: np.ndarray
    centred: np.ndarray
    info: np.ndarray

    def gram(self) -> np.ndarray:
        """G'(I − QQ')G, shape (variants, q, q)."""
        return self.centred - self.covariates @ self.covariates.transpose(0, 2, 1)

    def additive(self) -> "Projections":
        """Derive the additive coding's projections, which those of the two indicators imply.

        Of fractional dosages these are those of the hard calls.
        """
        if self.coding == "additive":
            return self
        # Dosage is het + 2 hom, or 2 − het − 2 ref where the homozygotes counted are the others.
        sign = np.where(self.counts.ref_is_rarer, -1.0, 1.0)
        weights = sign[:, None, None] * np.array([1.0, 2.0])
        return replace(
            self,
            coding="additive",
            phenotypes=weights @ self.phenotypes,
            covariates=weights @ self.covariates,
            centred=weights @ self.centred @ weights.transpose(0, 2, 1),
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
        Precision of the sums over participants; what follows them is always in double precision.
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
        columns = np.hstack([phenotypes, covariate_basis])
        self._product = make_product(columns, dtype, backend, threads)

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
        nearest, mean, info = summarise_dosages(dosages, self._product.threads)
        if coding == "genotype":
            return self._whole(hard_calls(dosages, self._product.threads), coding, mean, info)
        products, squares = self._product.centred(dosages, np.nan_to_num(mean))
        counts = GenotypeCounts(*nearest.T, mean)
        return self._projections(coding, counts, products[:, None], squares[:, None, None], info)

    def _whole(
        self, dosages: np.ndarray, coding: str, mean_dosage: np.ndarray | None, info: np.ndarray
    ) -> Projections:
        sets = genotype_sets(dosages, self._product.threads)
        counts = GenotypeCounts(*sets.counts.T, mean_dosage)
        products = self._product.indicators(sets)
        sizes, means = sets.sizes[:, :2].astype(float), sets.means
        # An indicator's sum of squares is its sum; of two that exclude each other, products are 0.
        centred = -sizes[:, :, None] * means[:, None, :]
        centred[:, [0, 1], [0, 1]] += sizes
        projections = self._projections("genotype", counts, products, centred, info)
        return projections if coding == "genotype" else projections.additive()

    def _projections(self, coding, counts, products, centred, info) -> Projections:
        phenotypes, covariates = products[:, :, : self._k], products[:, :, self._k :]
        return Projections(coding, counts, phenotypes, covariates, centred, info)


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
