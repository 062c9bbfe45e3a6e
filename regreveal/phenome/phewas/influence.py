"""What each person does to the log odds ratios of a split-half PheWAS.

A person is tested in one half, and the direction that the other half is tested on is learnt from
them too. Both are derivatives at the estimates; docs/phewas.md, "Two arms".
"""

from dataclasses import dataclass

import numpy as np

from regreveal.phenome.phewas.logistic import FittedComponents, LogisticRegressions
from regreveal.phenome.phewas.scan import needs_firth
from regreveal.phenome.phewas.split_half import Block, SplitSpace


@dataclass(frozen=True)
class Influences:
    """People's influence on the combined log odds ratios of b phecodes.

    Parameters
    ----------
    beta : ndarray, shape (b,)
        NaN where a regression has no finite estimate.
    tested : ndarray, shape (b, n)
        Through the regression of the half they are in.
    learnt : ndarray, shape (b, n)
        Through the direction that the other half is tested on.

    Both are counted about the mean of the person's class in their half, of m people, and times
    √(m/(m − 1)): how many people are of a class is given.
    """

    beta: np.ndarray
    tested: np.ndarray
    learnt: np.ndarray


def influences(space: SplitSpace, block: Block) -> Influences:
    """Find what people do to the log odds ratios of a block's phecodes.

    Parameters
    ----------
    space : SplitSpace
    block : Block
        Of that space.

    Returns
    -------
    Influences
    """
    fitted = _fit(block.regressions(space.shared))
    b, n = block.components.shape[1:]
    weights = fitted.standard_error.reshape(2, b) ** -2.0
    weights /= weights.sum(axis=0)
    slopes = _slopes(space, block, fitted)
    # A person moves the centroid of their class by what they differ from it, and the coefficient of
    # the other half by that along its slope.
    learnt = slopes[::-1] @ space.whitened.T * block.contrast
    tested = fitted.influence.reshape(2, b, n)
    # They also change the standard deviation that the coefficient is of.
    beta = fitted.coefficient.reshape(2, b)
    included = block.cases | block.controls
    count = included.sum(axis=2, keepdims=True)
    tested += included * (block.components**2 - 1) * (beta[:, :, None] / (2 * count))
    parts = []
    for part, halves in ((tested, weights), (learnt, weights[::-1])):
        centred = np.zeros((2, b, n))
        for people in (block.cases, block.controls):
            count = people.sum(axis=2, keepdims=True)
            mean = np.sum(part * people, axis=2, keepdims=True) / count
            centred += people * (part - mean) * np.sqrt(count / np.maximum(count - 1, 1))
        parts.append(np.einsum("hb,hbn->bn", halves, centred))
    return Influences(np.sum(weights * beta, axis=0), *parts)


def _fit(regressions: LogisticRegressions) -> FittedComponents:
    """Fit both halves as the test does: by Firth's method where it does."""
    few = np.tile(needs_firth(regressions), 2)
    fitted = regressions.fit(firth=False)
    lacking = few | np.tile(np.isnan(fitted.coefficient).reshape(2, -1).any(axis=0), 2)
    if lacking.any():
        fitted[lacking] = regressions.subset(lacking).fit(firth=True)
    return fitted


def _slopes(space: SplitSpace, block: Block, fitted: FittedComponents) -> np.ndarray:
    """Differentiate each half's coefficient by the direction it is tested on: (2, b, k).

    With x the standardised projection Zd/s, v the coefficient's variance, r the residuals, W the
    weights, a = XI⁻¹e the reach and β the coefficient, the coefficient of a standard deviation has
    the derivative Zᵀ(vr − βWa + βx/n)/s.
    """
    b, n = block.components.shape[1:]
    components = block.components.reshape(2 * b, n)
    beta = fitted.coefficient[:, None]
    count = np.sum(block.cases | block.controls, axis=2).reshape(2 * b, 1)
    weights = fitted.standard_error[:, None] ** 2 * fitted.residuals
    weights -= beta * fitted.weights * fitted.reach
    weights += beta * components / count
    weights /= block.deviations.reshape(2 * b, 1)
    return (weights @ space.whitened).reshape(2, b, -1)
