"""Which variants both modalities of a fusion see, and which only one of them does.

Encoders that were trained together put two recordings of a person into one latent space, so a
variant's direction can be looked for from either. The same people are looked at with both.
"""

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from scipy.stats import norm

from regreveal.errors import InputError
from regreveal.genetics.clusters.cosines import LEAST_RELIABILITY
from regreveal.genetics.clusters.variant_directions import carrier_contrasts
from regreveal.genetics.kernel.whitening import covariate_basis, residuals, whiten
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.transforms import transform_latents

SHARED, UNCLEAR = "shared", "unclear"
LEVEL = 0.05

# Of `group_by_modality`, after the modalities and the columns of the variants.
COLUMNS = [
    "group",
    "reason",
    "neg_log10_p_first",
    "adjusted_p_first",
    "distance_first",
    "neg_log10_p_second",
    "adjusted_p_second",
    "distance_second",
    "difference_p",
    "cosine",
    "denoised_cosine",
    "low",
    "high",
    "agreement_p",
]


class ModalityDirections:
    """Vectors of the same variants seen from two modalities of the same people in one space.

    Latents of either modality have covariates regressed out. How far a variant moves people is
    measured in either modality's own standard deviations, whitened by itself. Angles between the
    two need one scale: for them both are whitened by the mean of their covariances.

    Parameters
    ----------
    one, other : ndarray, shape (n, k)
        Latents of the same people in the same space.
    contrasts : ndarray, shape (v, n)
        Of `carrier_contrasts`.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional

    Attributes
    ----------
    squares : tuple of two ndarray, shape (v,)
        Squared distance between carriers and homozygotes in either modality, in its standard
        deviations, less what sampling errors add to it on average.
    difference_error : ndarray, shape (v,)
        Standard error of the first less the second.
    inner : ndarray, shape (v,)
        Inner product of the two vectors, less what their errors add: these are of the same people,
        so that their inner product is not zero on average.
    inner_error : ndarray, shape (v,)
    cosines, denoised_cosines, cosine_error : ndarray, shape (v,)
        As they are; without noise, NaN where either vector is nearly all noise; and the standard
        error of the latter.

    Raises
    ------
    InputError
        Latents of different shapes, or that `LatentSpace` would refuse.

    Notes
    -----
    With each participant's influence on the vectors, a z, variances are sums over people of, say,
    [a (z_one·d_other + z_other·d_one)]². The vectors d in them hold noise, whose part is counted
    twice by this; it is taken off once, as of errors that are alike in all dimensions.
    """

    def __init__(
        self,
        one: np.ndarray,
        other: np.ndarray,
        contrasts: np.ndarray,
        covariates: np.ndarray | pd.DataFrame | None = None,
    ):
        one, other = np.asarray(one), np.asarray(other)
        if one.shape != other.shape:
            raise InputError(
                f"latents: shapes {one.shape} and {other.shape} of two modalities; expected the "
                "same people in one latent space"
            )
        basis = covariate_basis(covariates, len(one))
        contrasts = contrasts - (contrasts @ basis) @ basis.T
        rests = [residuals(latents, basis, "latent")[0] for latents in (one, other)]
        self._compare_lengths(rests, contrasts)
        self._compare_angles(rests, contrasts)

    def _compare_lengths(self, rests: list[np.ndarray], contrasts: np.ndarray) -> None:
        names = [f"latent_{i}" for i in range(rests[0].shape[1])]
        z_one, z_other = (whiten(rest, names)[0] * np.sqrt(len(rest)) for rest in rests)
        one, other = _Seen(contrasts, z_one), _Seen(contrasts, z_other)
        self.squares = one.square, other.square
        in_common = contrasts**2 @ (z_one * z_other).sum(axis=1)
        twice = 2 * (one.noise**2 + other.noise**2 - 2 * in_common**2) / len(names)
        self.difference_error = _standard_error(one.influence - other.influence, twice)

    def _compare_angles(self, rests: list[np.ndarray], contrasts: np.ndarray) -> None:
        factor = np.linalg.cholesky(sum(rest.T @ rest for rest in rests) / 2)
        z_one, z_other = (solve_triangular(factor, rest.T, lower=True).T for rest in rests)
        one, other = _Seen(contrasts, z_one), _Seen(contrasts, z_other)
        together = (one.vectors * other.vectors).sum(axis=1)
        in_common = contrasts**2 @ (z_one * z_other).sum(axis=1)
        self.inner = together - in_common
        influence = contrasts * (other.vectors @ z_one.T + one.vectors @ z_other.T)
        twice = (one.noise * other.noise + in_common**2) / z_one.shape[1]
        self.inner_error = _standard_error(influence, twice)
        self.cosines = together / (one.length * other.length)
        squares = [
            np.where(seen.square > LEAST_RELIABILITY * seen.length**2, seen.square, np.nan)
            for seen in (one, other)
        ]
        product = np.sqrt(squares[0] * squares[1])
        self.denoised_cosines = self.inner / product
        shrink = one.influence / squares[0][:, None] + other.influence / squares[1][:, None]
        self.cosine_error = _standard_error(
            influence / product[:, None] - self.denoised_cosines[:, None] / 2 * shrink
        )


class _Seen:
    """Vectors (v, k), their lengths (v,), squared with and without noise, and who moves these."""

    def __init__(self, contrasts: np.ndarray, z: np.ndarray):
        self.vectors = contrasts @ z
        self.length = np.linalg.norm(self.vectors, axis=1)
        self.noise = contrasts**2 @ (z**2).sum(axis=1)
        self.square = self.length**2 - self.noise
        self.influence = 2 * contrasts * (self.vectors @ z.T)


def _standard_error(influence: np.ndarray, twice: np.ndarray | float = 0.0) -> np.ndarray:
    """Root of a sum over people, less what is counted twice: at most half of it."""
    variance = (influence**2).sum(axis=1)
    return np.sqrt(variance - np.minimum(twice, variance / 2))


def group_by_modality(
    latents: dict[str, np.ndarray],
    dosages: np.ndarray,
    variants: pd.DataFrame,
    covariates: np.ndarray | pd.DataFrame | None = None,
    *,
    coding: str = "genotype",
    transform: str = "radial",
    level: float = LEVEL,
) -> pd.DataFrame:
    """Tell which variants are seen from both of two modalities, and which from one only.

    Four families of hypotheses, one hypothesis a variant, each held to the family-wise error rate
    `level` by Holm's method:

    - it is seen from one modality: the latent GWAS's test with these latents; likewise the other;
    - the two directions agree: their inner product, less noise, is above zero, one-sided;
    - one effect is larger than the other: the difference of the squared distances, less noise.

    A variant is *shared* if it is seen from both and the directions agree. It is *only* one
    modality's if it is seen from that, is not seen from the other, and its effect is larger there:
    not to be seen is no proof of absence, and a variant that is just missed is not called so.
    Everything else is *unclear*, and `reason` says why.

    Parameters
    ----------
    latents : dict of str to ndarray, shape (n, k)
        Two modalities of the same people in the same space, by name.
    dosages : ndarray, shape (m, n)
    variants : DataFrame, m rows
        variant_id, gene, and whatever else is to be kept.
    covariates : ndarray or DataFrame, shape (n, c - 1), optional
    coding, transform : str
        Of the test, as of `run_gwas`.
    level : float

    Returns
    -------
    DataFrame
        first and second, the modalities; the rows of `variants` that have a direction, with group
        ("shared", "only NAME" or "unclear") and reason; for either modality, as NAME_first and
        NAME_second, neg_log10_p, adjusted_p, and distance between carriers and homozygotes in
        standard deviations, less noise; difference_p, adjusted; cosine, denoised_cosine, low and
        high (its 95 % limits); agreement_p, adjusted.

    Raises
    ------
    InputError
        Latents that don't belong together, or that `LatentSpace` would refuse.
    """
    first, second = latents
    contrasts, reasons = carrier_contrasts(dosages)
    usable = reasons == ""
    table = variants[usable].reset_index(drop=True)
    joint = ModalityDirections(*latents.values(), contrasts, covariates)
    seen = {}
    of_places = zip(("first", "second"), latents.items(), joint.squares, strict=True)
    for place, (name, values), square in of_places:
        space = LatentSpace(transform_latents(values, transform, covariates), covariates)
        tested = space.test(dosages[usable], coding)["neg_log10_p"].to_numpy()
        table[f"neg_log10_p_{place}"] = tested
        table[f"adjusted_p_{place}"] = holm(10.0**-tested)
        table[f"distance_{place}"] = np.sqrt(np.maximum(square, 0))
        seen[name] = (table[f"adjusted_p_{place}"] < level).to_numpy()
    larger = joint.squares[0] - joint.squares[1]
    table["difference_p"] = holm(2 * norm.sf(np.abs(larger) / joint.difference_error))
    half = norm.ppf(0.975) * joint.cosine_error
    table["cosine"] = joint.cosines
    table["denoised_cosine"] = np.clip(joint.denoised_cosines, -1, 1)
    table["low"] = np.clip(joint.denoised_cosines - half, -1, 1)
    table["high"] = np.clip(joint.denoised_cosines + half, -1, 1)
    table["agreement_p"] = holm(norm.sf(joint.inner / joint.inner_error))
    agree, differ = table["agreement_p"] < level, table["difference_p"] < level
    by_first, by_second = seen[first], seen[second]
    groups = {
        SHARED: by_first & by_second & agree,
        f"only {first}": by_first & ~by_second & differ & (larger > 0),
        f"only {second}": by_second & ~by_first & differ & (larger < 0),
    }
    table["group"] = np.select(list(groups.values()), list(groups), UNCLEAR)
    why = {
        "": table["group"] != UNCLEAR,
        "seen from neither": ~by_first & ~by_second,
        "seen from both, but their directions are not shown to agree": by_first & by_second,
        f"seen from {first}, and not shown to be weaker from {second}": by_first,
        f"seen from {second}, and not shown to be weaker from {first}": by_second,
    }
    table["reason"] = np.select(list(why.values()), list(why), "")
    table["first"], table["second"] = first, second
    return table[["first", "second", *variants.columns, *COLUMNS]]


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values; what could not be tested counts as 1.

    References
    ----------
    Holm (1979), Scand. J. Statist. 6:65.
    """
    p_values = np.where(np.isnan(p_values), 1.0, p_values)
    order = np.argsort(p_values)
    stepped = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted
