"""What every simulated modality gives: recordings, anatomy labels, and what was done to them."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Recordings:
    """Recordings of some people, with the truth about each.

    Attributes
    ----------
    tensors : dict of str to ndarray, shape (n, *shape)
        By the name they have in the store, after the modality.
    attributes : dict
        Of the tensors in the store: `units`, and `sampling_rate` or `voxel_size`.
    labels : dict of str to ndarray of uint8, shape (n, *shape)
        Anatomy of each recording, by the name of the recording.
    truth : dict of str to DataFrame
        Tables by file name; one row a person in their order, or `row` says whose a row is.
    voxel_sizes : dict of str to tuple of float
        In mm, by the name of the recording, where it is not the same for all.
    """

    tensors: dict[str, np.ndarray]
    attributes: dict
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    truth: dict[str, pd.DataFrame] = field(default_factory=dict)
    voxel_sizes: dict[str, tuple[float, ...]] = field(default_factory=dict)
