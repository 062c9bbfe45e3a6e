"""What a direction is compared with: mean tensors of the people at its two ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

SHARE = 0.05  # of the people, at either end
FEWEST = 20  # in a mean that is shown: nobody is to be seen in it
MOST = 250  # read at either end; more would add little but time


@dataclass(frozen=True)
class Ends:
    """People at the two ends of a score.

    Attributes
    ----------
    low, high : ndarray of int
        Their rows.
    low_score, high_score : float
        Their mean scores.
    """

    low: np.ndarray
    high: np.ndarray
    low_score: float
    high_score: float


def ends_of(scores: np.ndarray, rng: np.random.Generator) -> Ends:
    """Choose the people of the lowest and of the highest 5 % of a score.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Of at least twice `FEWEST` people.
    rng : numpy.random.Generator
        Draws `MOST` of more.

    Returns
    -------
    Ends
        At least `FEWEST` people each, whatever share that is.
    """
    order = np.argsort(scores, kind="stable")
    count = max(FEWEST, round(SHARE * len(scores)))
    low, high = (
        np.sort(rng.permutation(chosen)[:MOST]) for chosen in (order[:count], order[-count:])
    )
    return Ends(low, high, float(scores[low].mean()), float(scores[high].mean()))


def mean_tensor(store: TensorStore, tensor_map: TensorMap, sample_ids: Sequence[str]) -> np.ndarray:
    """Mean normalised tensor of some people, (*shape, channels), read by parts."""
    from regreveal.models.source import Source

    source = Source(store, tensor_map, sample_ids)
    total = np.zeros(tensor_map.channelled_shape)
    for rows in source.blocks(f"Averaging {tensor_map.name}"):
        total += source.load(rows).sum(axis=0, dtype=np.float64)
    return (total / len(source)).astype(np.float32)


def agreement(decoded: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """Compare two maps of differences: where they differ, and by how much.

    Parameters
    ----------
    decoded, people : ndarray, of one shape
        Change by a standard deviation of the score.

    Returns
    -------
    correlation : float
        Over all values of the tensor, about zero; 0 where either map is zero.
    size : float
        Root mean square of the decoded map as share of that of people's.
    """
    lengths = np.linalg.norm(decoded), np.linalg.norm(people)
    if not all(lengths):
        return 0.0, 0.0
    return float(np.vdot(decoded, people) / np.prod(lengths)), float(lengths[0] / lengths[1])
