"""How alike two latent spaces of the same people are, whatever their axes."""

import numpy as np


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Linear centred kernel alignment of two latent spaces.

    ‖X'Y‖² / (‖X'X‖ ‖Y'Y‖), X and Y centred, in Frobenius norms. Rotations and a common scale of
    either do not matter; directions count by their variance.

    Parameters
    ----------
    first, second : ndarray, shapes (n, k) and (n, l)
        Latents of the same people, in the same order.

    Returns
    -------
    float
        Between 0 and 1; NaN where either does not vary.

    References
    ----------
    Kornblith et al. (2019), ICML, "Similarity of neural network representations revisited".
    """
    x, y = (_centred(latents) for latents in (first, second))
    sizes = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(x.T @ y) ** 2 / sizes) if sizes > 0 else float("nan")


def canonical_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlate the directions of two latent spaces that have most in common.

    No invertible linear map of either matters, as none does for the latent GWAS: where all are 1,
    both spaces find the same loci.

    Parameters
    ----------
    first, second : ndarray, shapes (n, k) and (n, l)
        Latents of the same people, in the same order.

    Returns
    -------
    ndarray, shape (min(k, l),)
        Descending; directions that do not vary are left out.

    References
    ----------
    Hotelling (1936), Biometrika 28:321. Björck and Golub (1973), Math. Comput. 27:579.
    """
    bases = []
    for latents in (first, second):
        left, sizes, _ = np.linalg.svd(_centred(latents), full_matrices=False)
        bases.append(left[:, sizes > sizes.max(initial=0) * 1e-6])
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return np.minimum(correlations, 1.0)


def _centred(latents: np.ndarray) -> np.ndarray:
    values = np.asarray(latents, dtype=np.float64)
    return values - values.mean(axis=0)
