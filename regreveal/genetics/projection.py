"""From a block of dosages to its inner products with the phenotypes: where all the time goes.

Everything that is tested about a variant follows from three things: how many participants carry
each genotype, the product of its genotype design with the phenotypes, and that with the covariates.
One matrix product a block gives the last two.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from regreveal.errors import InputError

CODINGS = ("genotype", "additive")


@dataclass(frozen=True)
class GenotypeCounts:
    """Participants by genotype, each an integer array of shape (variants,)."""

    n_ref: np.ndarray
    n_het: np.ndarray
    n_hom: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """Participants whose genotype is known."""
        return self.n_ref + self.n_het + self.n_hom

    @property
    def alt_frequency(self) -> np.ndarray:
        """Frequency of the alternate allele among known genotypes; NaN where there are none."""
        with np.errstate(invalid="ignore"):
            return (self.n_het + 2 * self.n_hom) / (2 * self.n)

    @property
    def ref_is_rarer(self) -> np.ndarray:
        """Whether reference homozygotes are fewer than alternate ones."""
        return self.n_ref < self.n_hom


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
    """

    coding: str
    counts: GenotypeCounts
    phenotypes: np.ndarray
    covariates: np.ndarray

    def gram(self) -> np.ndarray:
        """G'(I − QQ')G, shape (variants, q, q).

        The intercept's part comes from integer counts, so nothing cancels however rare or common
        the allele is.
        """
        counts = self.counts
        n = np.maximum(counts.n, 1).astype(float)
        if self.coding == "additive":
            alleles = counts.n_het + 2.0 * counts.n_hom
            centred = (counts.n_het + 4.0 * counts.n_hom - alleles**2 / n)[:, None, None]
        else:
            het = counts.n_het.astype(float)
            hom = np.minimum(counts.n_ref, counts.n_hom).astype(float)
            centred = np.empty((len(n), 2, 2))
            centred[:, 0, 0] = het - het**2 / n
            centred[:, 1, 1] = hom - hom**2 / n
            centred[:, 0, 1] = centred[:, 1, 0] = -het * hom / n
        return centred - self.covariates @ self.covariates.transpose(0, 2, 1)

    def additive(self) -> "Projections":
        """Derive the additive coding's projections, which those of the two indicators imply."""
        if self.coding == "additive":
            return self
        # Dosage is het + 2 hom, or 2 − het − 2 ref where the homozygotes counted are the others.
        sign = np.where(self.counts.ref_is_rarer, -1.0, 1.0)[:, None, None]
        weights = np.array([1.0, 2.0])[None, :, None]
        phenotypes = sign * (weights * self.phenotypes).sum(axis=1, keepdims=True)
        covariates = sign * (weights * self.covariates).sum(axis=1, keepdims=True)
        return Projections("additive", self.counts, phenotypes, covariates)


class BlockProjector:
    """Projects blocks of dosages on phenotypes and covariates with one matrix product each.

    Parameters
    ----------
    phenotypes : ndarray, shape (n, k)
        Orthogonal to the intercept and to `covariate_basis`.
    covariate_basis : ndarray, shape (n, c - 1)
        Orthonormal, and orthogonal to the intercept.
    dtype : "float64" or "float32"
        Precision of the product; what follows it is always in double precision.
    backend : "numpy" or "keras"
    threads : int, optional
    """

    def __init__(
        self,
        phenotypes: np.ndarray,
        covariate_basis: np.ndarray,
        dtype: str,
        backend: str = "numpy",
        threads: int | None = None,
    ):
        if str(dtype) not in ("float64", "float32"):
            raise InputError(f"dtype '{dtype}': expected float64 or float32")
        self.participants, self._k = phenotypes.shape
        self._columns = np.hstack([phenotypes, covariate_basis]).astype(dtype)

    def __call__(self, dosages: np.ndarray, coding: str) -> Projections:
        """Project one block.

        Parameters
        ----------
        dosages : ndarray, shape (variants, n)
            Copies of the alternate allele: 0, 1, 2, and -1 or NaN where missing.
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
        dosages = whole_dosages(dosages)
        if dosages.shape[1] != self.participants:
            raise InputError(
                f"dosages: {dosages.shape[1]} participants, but the latents have "
                f"{self.participants}; expected an array of (variants, participants)"
            )
        count, encode_genotype, encode_additive = _compiled_kernels()
        counts = GenotypeCounts(*count(dosages).T)
        if coding == "additive":
            design = np.empty(dosages.shape, self._columns.dtype)
            encode_additive(dosages, 2 * _or_zero(counts.alt_frequency), design)
            q = 1
        else:
            n = np.maximum(counts.n, 1)
            rarer = np.where(counts.ref_is_rarer, 0, 2).astype(np.int8)
            hom = np.minimum(counts.n_ref, counts.n_hom)
            design = np.empty((2 * len(dosages), self.participants), self._columns.dtype)
            encode_genotype(dosages, rarer, counts.n_het / n, hom / n, design)
            q = 2
        products = (design @ self._columns).astype(np.float64)
        products = products.reshape(q, len(dosages), -1).transpose(1, 0, 2)
        return Projections(coding, counts, products[:, :, : self._k], products[:, :, self._k :])


def whole_dosages(dosages: np.ndarray) -> np.ndarray:
    """Dosages as int8 with -1 for missing; InputError if they are anything but 0, 1, 2, missing."""
    dosages = np.asarray(dosages)
    if dosages.ndim != 2:
        raise InputError(f"dosages: shape {dosages.shape}; expected (variants, participants)")
    if dosages.dtype == np.int8:
        whole = np.ascontiguousarray(dosages)
    else:
        values = np.where(np.isnan(dosages), -1, dosages)
        whole = values.astype(np.int8)
        if not np.array_equal(whole, values):
            raise InputError("dosages: fractions or values above 2; expected 0, 1, 2, or missing")
    if whole.size and (whole.max() > 2 or whole.min() < -1):
        raise InputError(
            f"dosages: values from {whole.min()} to {whole.max()}; expected 0, 1, 2, "
            "and -1 where missing"
        )
    return whole


def _or_zero(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values, nan=0.0)


@cache
def _compiled_kernels():
    """Compile the loops over single genotypes; numba is imported only where they run."""
    import numba

    @numba.njit(nogil=True)
    def count(dosages):
        counts = np.zeros((dosages.shape[0], 3), dtype=np.int64)
        for variant in range(dosages.shape[0]):
            ref = het = hom = 0
            for sample in range(dosages.shape[1]):
                dosage = dosages[variant, sample]
                ref += dosage == 0
                het += dosage == 1
                hom += dosage == 2
            counts[variant, 0] = ref
            counts[variant, 1] = het
            counts[variant, 2] = hom
        return counts

    @numba.njit(nogil=True)
    def encode_genotype(dosages, rarer, het_frequency, hom_frequency, out):
        variants = dosages.shape[0]
        for variant in range(variants):
            for sample in range(dosages.shape[1]):
                dosage = dosages[variant, sample]
                if dosage < 0:
                    out[variant, sample] = het_frequency[variant]
                    out[variants + variant, sample] = hom_frequency[variant]
                else:
                    out[variant, sample] = dosage == 1
                    out[variants + variant, sample] = dosage == rarer[variant]

    @numba.njit(nogil=True)
    def encode_additive(dosages, mean, out):
        for variant in range(dosages.shape[0]):
            for sample in range(dosages.shape[1]):
                dosage = dosages[variant, sample]
                out[variant, sample] = mean[variant] if dosage < 0 else dosage

    return count, encode_genotype, encode_additive
