"""p-values for small groups: what the skewness of latents adds to the test's null distribution.

The mean of a few people's latent vectors is not quite Gaussian where people who are far out crowd
in some directions. The first term of the Edgeworth series says how much more often it is far out;
it fades with the size of the group. docs/statistics.md, "Small groups".
"""

from collections.abc import Mapping

import numpy as np
from scipy import special

from regreveal.errors import InputError
from regreveal.genetics.kernel.projection import Projections

# Multiplications that skewness may cost, some 10 s on a core. They do for everyone up to 143,000
# people with 128 dimensions, 28,000 with 256 and 19,800 with 512. Of more, so many are drawn:
# 28,000 of 40,000 gave the mean over pairs to 1 %, and so p-values of 20 carriers at 5e-8 to 0.7 %.
MOST_WORK = 1e11

# People whose products are made at a time.
ROWS = 256

# Further out, p-values are multiplied by what they are multiplied by here.
LARGEST = 300.0


class SkewnessCorrection:
    """Multivariate skewness of latents, and the p-values of Pillai's trace corrected for it.

    A latent space is made for one set of people, and so is its correction. Latents that are as
    little skewed as a Gaussian sample get none; p-values only ever become larger.

    Parameters
    ----------
    whitened : ndarray, shape (n, k)
        Latents with covariates regressed out and identity Gram matrix.

    Attributes
    ----------
    pairs : float
        Squared norm of the third-moment tensor E[z ⊗ z ⊗ z], z with identity covariance, which is
        Mardia's skewness: E[(z·z')³] over pairs of people; over what a Gaussian sample has.
    centre : float
        Squared norm of E[z ‖z‖²], over what a Gaussian sample has.

    References
    ----------
    Mardia (1970), Biometrika 57:519. Barndorff-Nielsen and Cox (1989), Asymptotic Techniques for
    Use in Statistics, 6.3 (multivariate Edgeworth series).
    """

    def __init__(self, whitened: np.ndarray):
        n, self._dimensions = whitened.shape
        k = self._dimensions
        norms = n * np.einsum("ij,ij->i", whitened, whitened)
        centre = np.sqrt(n) * (norms @ whitened) / n
        # Whitening makes pairs of people a little opposed: their products' cubes are not 0 on
        # average but −3k(k + 2)/n, to first order in 1/n.
        self.centre = float(centre @ centre - 2 * k * (k + 2) / n)
        self.pairs = float(_mean_cube(whitened) + 3 * k * (k + 2) / n)

    def neg_log10_p(
        self,
        table: Mapping[str, np.ndarray],
        coding: str,
        projections: Projections | None = None,
    ) -> np.ndarray:
        """Corrected −log10 p of a joint test.

        Parameters
        ----------
        table : DataFrame or mapping of str to ndarray, shape (variants,)
            n, n_ref, n_het, n_hom, df1 and neg_log10_p of `LatentSpace.joint_test`.
        coding : "genotype" or "additive"
            Of that test.
        projections : Projections, optional
            Of the same variants. Fractional dosages in the additive coding need it: without, they
            count as the nearest whole numbers, whose skewness may be several times theirs.

        Returns
        -------
        ndarray, shape (variants,)
            At most those of the table, and NaN where these are; the same as those where the
            counts leave no design to be skewed.

        Raises
        ------
        InputError
            Unknown coding.
        """
        uncorrected = np.array(table["neg_log10_p"], dtype=float)
        df1 = np.asarray(table["df1"], dtype=float)
        counts = np.stack([np.asarray(table[name], float) for name in ("n_ref", "n_het", "n_hom")])
        if projections is not None and projections.cubes is not None:
            squares = projections.centred[:, 0, 0]
            with np.errstate(divide="ignore", invalid="ignore"):
                pairs = centre = projections.cubes**2 / squares**3
        else:
            pairs, centre = _design_skewness(counts, df1 > self._dimensions, coding)
        with np.errstate(invalid="ignore"):
            weight = np.maximum(2 * pairs * self.pairs + 3 * centre * self.centre, 0) / 24
            # Infinite or undefined where nobody counts as a carrier, or everybody.
            weight = np.where(np.isfinite(weight), weight, 0)
            factor = 1 + weight * _relative_term(np.minimum(uncorrected, LARGEST), df1)
            return np.maximum(uncorrected - np.log10(factor), 0)


def _mean_cube(whitened: np.ndarray) -> float:
    """Mean of (z·z')³ over pairs of different people, of some of them where they are many."""
    n, k = whitened.shape
    by_dimensions, by_pairs = k**3 / 3, np.sqrt(MOST_WORK * k / 2)
    most = int(MOST_WORK / min(by_dimensions, by_pairs))
    if n > most:
        whitened = whitened[np.random.default_rng(0).choice(n, most, replace=False)]
    people = len(whitened)
    if people * k / 2 < by_dimensions:
        total = _cubes_of_pairs(whitened)
    else:
        norms = np.einsum("ij,ij->i", whitened, whitened)
        total = _third_moments(whitened) - (norms**3).sum()
    return n**3 * total / (people * (people - 1))


def _cubes_of_pairs(whitened: np.ndarray) -> float:
    """Sum (z·z')³ over ordered pairs of different people."""
    total = 0.0
    for start in range(0, len(whitened), ROWS):
        products = whitened[start : start + ROWS] @ whitened[start:].T
        np.fill_diagonal(products, 0)
        cubes = products * products * products
        size = len(cubes)
        total += cubes[:, :size].sum() + 2 * cubes[:, size:].sum()
    return total


def _third_moments(whitened: np.ndarray) -> float:
    """Squared norm of the sum of z ⊗ z ⊗ z: the sum of (z·z')³ over all ordered pairs.

    The tensor is symmetric, so its entries are made for the smallest index first, and counted three
    times where that occurs once or twice.
    """
    total = 0.0
    for smallest in range(whitened.shape[1]):
        moments = 0.0
        for start in range(0, len(whitened), ROWS):
            z = whitened[start : start + ROWS, smallest:]
            moments = moments + (z * z[:, :1]).T @ z
        squares = moments**2
        total += squares[0, 0] + 3 * squares[0, 1:].sum() + 3 * squares[1:, 1:].sum()
    return total


def _design_skewness(
    counts: np.ndarray, two_columns: np.ndarray, coding: str
) -> tuple[np.ndarray, np.ndarray]:
    """Squared norms of the third moments of whitened genotype designs, and of their contraction.

    With A the design, centred and whitened, H = AA' has the entries 1/n_g − 1/n within and −1/n
    between genotype groups; the norms are the sums over pairs of people of H_ij³ and of
    H_ii H_ij H_jj.

    Parameters
    ----------
    counts : ndarray, shape (3, variants)
        Of people with 0, 1 and 2 alternate alleles.
    two_columns : ndarray of bool, shape (variants,)
        Whether both indicators were tested; otherwise carriers as one group, or the dosage.
    coding : "genotype" or "additive"
    """
    n = counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if coding == "additive":
            dosages = np.arange(3)[:, None] - (counts[1] + 2 * counts[2]) / n
            cubed = (counts * dosages**3).sum(axis=0) ** 2 / (counts * dosages**2).sum(axis=0) ** 3
            return cubed, cubed
        if coding == "genotype":
            others = np.maximum(counts[0], counts[2])
            carriers = 1 / (n - others) + 1 / others - 4 / n
            groups = (1 / counts).sum(axis=0)
            return (
                np.where(two_columns, groups - 7 / n, carriers),
                np.where(two_columns, groups - 9 / n, carriers),
            )
    raise InputError(f"coding '{coding}': expected genotype or additive")


def _relative_term(neg_log10_p: np.ndarray, df1: np.ndarray) -> np.ndarray:
    """Term of the Edgeworth series that skewness weighs, relative to the p-value it is added to.

    With Q_j the survival function of chi-square with j degrees of freedom it is
    (Q_{d+6} − 3 Q_{d+4} + 3 Q_{d+2} − Q_d) / Q_d, where Q_d is the p-value, and is 0 on the
    inner side of the mean, where p-values need no care.
    """
    p = 10.0**-neg_log10_p
    a, h = df1 / 2, special.chdtri(df1, p) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.exp(a * np.log(h) - h - special.gammaln(a + 1))
        term = density * (1 - 2 * h / (a + 1) + h**2 / ((a + 1) * (a + 2)))
        return np.where(h > a, np.maximum(term / p, 0), 0 * h)
