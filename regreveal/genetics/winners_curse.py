"""How likely a lead variant is to replicate: power at its effect, as found and as corrected.

An effect that is looked at because it passed a threshold is too large on average (the winner's
curse). What it would be without, the likelihood given that it passed tells, though too small on
average for effects just beyond the threshold. Power at the two is what the truth lies between.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

# F p-values beyond are taken for this one.
LARGEST = 300.0

# Of a noncentrality, whose own standard error is of the order of its square root.
TOLERANCE = 0.01


class Power(NamedTuple):
    """Probability of replicating, each an array of shape (leads,).

    Attributes
    ----------
    cautious : ndarray
        At the effect corrected for selection.
    hopeful : ndarray
        At the effect as it was found, less what noise adds on average.
    """

    cautious: np.ndarray
    hopeful: np.ndarray


def corrected_noncentrality(chi2: float, degrees: float, threshold: float) -> float:
    """Noncentrality that makes a chi-square statistic likeliest, given that it passed a threshold.

    Parameters
    ----------
    chi2 : float
        Beyond that of the threshold.
    degrees : float
    threshold : float
        p-value.

    Returns
    -------
    float
        Between 0 and `chi2`.

    References
    ----------
    Zhong and Prentice (2008), Biostatistics 9:621; Ghosh et al. (2008), Am. J. Hum. Genet. 82:1064
    (the conditional likelihood).
    """
    limit = special.chdtri(degrees, threshold)

    def negative(noncentrality: float) -> float:
        passed = stats.ncx2.logsf(limit, degrees, noncentrality)
        return passed - stats.ncx2.logpdf(chi2, degrees, noncentrality)

    found = optimize.minimize_scalar(
        negative, bounds=(1e-9, chi2), method="bounded", options={"xatol": TOLERANCE}
    )
    return float(found.x)


def replication_power(
    neg_log10_p: np.ndarray,
    degrees: np.ndarray,
    threshold: float,
    share: float,
    level: float,
    dimensions: int | None,
) -> tuple[Power, Power | None]:
    """Power of the joint test, and of that on one direction, of leads in other participants.

    The discovery's p-value is read as that of a chi-square statistic x. Noncentrality grows with
    the number of participants. Of x, dimensions − 1 are expected to be noise across the effect's
    direction, so the direction that was learned has (x − dimensions + 1) / x of the effect.

    Parameters
    ----------
    neg_log10_p, degrees : ndarray, shape (leads,)
        Of the joint test where the leads were found; degrees is the first of F.
    threshold : float
        p-value below which they were found.
    share : float
        Participants of the test over those of the discovery.
    level : float
        p-value below which a lead replicates.
    dimensions : int or None
        Of the latent space; None where the joint test is not of one regressor, and the power on
        one direction is not told.

    Returns
    -------
    joint : Power
    direction : Power or None
    """
    p = 10.0 ** -np.minimum(np.asarray(neg_log10_p, float), LARGEST)
    found = special.chdtri(degrees, p)
    cautious = np.array(
        [
            corrected_noncentrality(x, k, threshold)
            for x, k in zip(found, np.asarray(degrees, float), strict=True)
        ]
    )
    hopeful = np.maximum(found - degrees, 0)
    limit = special.chdtri(degrees, level)
    joint = Power(*(stats.ncx2.sf(limit, degrees, share * size) for size in (cautious, hopeful)))
    if dimensions is None:
        return joint, None
    kept = np.clip((found - dimensions + 1) / found, 0, 1)
    beyond = stats.norm.isf(level)
    direction = Power(
        *(stats.norm.sf(beyond - np.sqrt(share * size * kept)) for size in (cautious, hopeful))
    )
    return joint, direction
