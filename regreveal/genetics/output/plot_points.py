"""What Manhattan and QQ plots need of a scan, in memory that does not grow with its variants.

Strong results are kept as they are; of the crowd below, only which cells of a grid finer than any
picture are taken, and a histogram. What is kept depends on the results alone, not on the blocks in
which they come or on their order, so that a run that was killed and resumed draws the same picture.
"""

import os
import struct
from pathlib import Path

import numpy as np
import pandas as pd

MOST_HITS = 200_000
MOST_CELLS = 2_000_000  # some 4,000 columns of a whole genome, more than a figure has dots
CELL_HEIGHT = 0.01  # −log10 p
_LIMIT_STEP = 0.5  # −log10 p
_FIRST_SHIFT = 10  # cells are 2^10 base pairs wide to begin with

_Y_BITS = 20
_Y_MASK = (1 << _Y_BITS) - 1

_WAITING = 2**20  # results that wait to be sorted in together

# Bins of the histogram are single-precision numbers without their last 8 bits, which are 3e-5
# apart, relative, wherever they are; from 2^-20 to 2^14.
_DROPPED_BITS = 8
_LOWEST = np.float32(2.0**-20)
_FIRST_BIN = int(_LOWEST.view(np.int32)) >> _DROPPED_BITS
_BINS = (int(np.float32(2.0**14).view(np.int32)) >> _DROPPED_BITS) - _FIRST_BIN


class PlotPoints:
    """Results of a scan for its pictures, collected block by block.

    As many as `MOST_HITS` of the strongest results, down to a round −log10 p, are exact, and all
    are where there are no more. The others are known to `CELL_HEIGHT` and their place to a column
    of the picture, and their ranks to 3e-5 of −log10 p.
    """

    def __init__(self):
        self._limit = 0.0
        self._count = 0
        self._shift = _FIRST_SHIFT
        self._ends: dict[str, int] = {}
        self._hits: dict[str, np.ndarray] = {}  # (hits, 2): position, −log10 p
        self._cells: dict[str, np.ndarray] = {}
        self._histogram = np.zeros(_BINS, np.int64)
        self._new: dict[str, list[np.ndarray]] = {}
        self._waiting = 0

    def add(self, chromosome: str, position: np.ndarray, neg_log10_p: np.ndarray) -> None:
        """Add variants of one chromosome.

        Parameters
        ----------
        chromosome : str
        position : ndarray of int, shape (variants,)
        neg_log10_p : ndarray, shape (variants,)
            NaN where not tested; such variants only show how far the chromosome reaches.
        """
        if not len(position):
            return
        block = np.column_stack([position, neg_log10_p]).astype(np.float64)
        self._new.setdefault(str(chromosome), []).append(block)
        self._waiting += len(block)
        if self._waiting >= _WAITING:
            self._sort_in()

    @property
    def count(self) -> int:
        """How many results there are, all finite numbers."""
        self._sort_in()
        return self._count

    def table(self) -> pd.DataFrame:
        """Points to draw, as a table of variants would give them.

        Returns
        -------
        DataFrame
            chromosome (category), position and neg_log10_p of the exact results, of the centres of
            the cells that others lie in, and of each chromosome's last variant (NaN).
        """
        self._sort_in()
        width = 1 << self._shift
        names, positions, heights = [], [], []
        for name, end in self._ends.items():
            cells = self._cells[name]
            centre = ((cells >> _Y_BITS) + 0.5) * width
            parts = (
                self._hits[name],
                np.column_stack([np.minimum(centre, end), ((cells & _Y_MASK) + 0.5) * CELL_HEIGHT]),
                [[end, np.nan]],
            )
            points = np.concatenate(parts)
            names.append(np.full(len(points), len(names)))
            positions.append(points[:, 0])
            heights.append(points[:, 1])
        codes = np.concatenate(names) if names else np.empty(0, int)
        return pd.DataFrame(
            {
                "chromosome": pd.Categorical.from_codes(codes, list(self._ends)),
                "position": np.concatenate(positions) if names else np.empty(0),
                "neg_log10_p": np.concatenate(heights) if names else np.empty(0),
            }
        )

    def strongest(self, ranks: np.ndarray) -> np.ndarray:
        """−log10 p by rank, 1 being the strongest and `count` the weakest.

        Parameters
        ----------
        ranks : ndarray of int

        Returns
        -------
        ndarray
            Exact for as many as are kept as they are; within 3e-5, relative, for the others.
        """
        self._sort_in()
        ranks = np.asarray(ranks)
        exact = np.sort(np.concatenate([np.empty(0), *(h[:, 1] for h in self._hits.values())]))[
            ::-1
        ]
        values = np.empty(ranks.shape)
        among = ranks <= len(exact)
        values[among] = exact[ranks[among] - 1]
        weaker = self._count - ranks[~among]  # how many are weaker still
        so_far = np.cumsum(self._histogram)
        place = np.searchsorted(so_far, weaker, side="right")
        inside = weaker - (so_far[place] - self._histogram[place]) + 0.5
        low, high = _edges(place)
        # A bin may reach above the limit, where the exact results are.
        between = low + inside / self._histogram[place] * (high - low)
        values[~among] = np.minimum(between, exact[-1] if len(exact) else np.inf)
        return values

    def median(self) -> float:
        """Median −log10 p, from which genomic inflation is; NaN without results."""
        count = self.count
        if not count:
            return np.nan
        return float(self.strongest(np.array([(count + 1) // 2, count // 2 + 1])).mean())

    def _sort_in(self) -> None:
        if not self._waiting:
            return
        for name, blocks in self._new.items():
            points = np.concatenate(blocks)
            end = int(points[:, 0].max())
            self._ends[name] = max(end, self._ends.get(name, end))
            points = points[np.isfinite(points[:, 1])]
            self._count += len(points)
            self._histogram += np.bincount(_bins(points[:, 1]), minlength=_BINS)
            before = self._hits.get(name, np.empty((0, 2)))
            self._hits[name] = np.concatenate([before, points])
            self._cells.setdefault(name, np.empty(0, np.int64))
        self._new, self._waiting = {}, 0
        self._raise_limit()
        self._coarsen()

    def _raise_limit(self) -> None:
        """Move the weaker hits into cells, those below a limit that leaves few enough."""
        values = np.concatenate([hits[:, 1] for hits in self._hits.values()])
        while (values >= self._limit).sum() > MOST_HITS:
            self._limit += _LIMIT_STEP
        for name, hits in self._hits.items():
            exact = hits[:, 1] >= self._limit
            if exact.all():
                continue
            self._hits[name] = hits[exact]
            position, height = np.maximum(hits[~exact], 0).T
            column = position.astype(np.int64) >> self._shift
            row = np.minimum(height / CELL_HEIGHT, _Y_MASK).astype(np.int64)
            cells = (column << _Y_BITS) | row
            self._cells[name] = _distinct(np.concatenate([self._cells[name], cells]))

    def _coarsen(self) -> None:
        while sum(map(len, self._cells.values())) > MOST_CELLS:
            self._shift += 1
            for name, cells in self._cells.items():
                column = cells >> (_Y_BITS + 1)
                self._cells[name] = _distinct((column << _Y_BITS) | (cells & _Y_MASK))


def _distinct(cells: np.ndarray) -> np.ndarray:
    # np.unique hashes first, which takes many times as long as sorting where most are distinct.
    cells = np.sort(cells)
    return cells[np.append(True, cells[1:] != cells[:-1])] if len(cells) else cells


def _bins(neg_log10_p: np.ndarray) -> np.ndarray:
    # Positive floating-point numbers are in the order of their bits.
    bits = np.maximum(neg_log10_p.astype(np.float32), _LOWEST).view(np.int32)
    return np.minimum((bits >> _DROPPED_BITS) - _FIRST_BIN, _BINS - 1)


def _edges(bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = (
        ((bins + _FIRST_BIN + step) << _DROPPED_BITS).astype(np.int32).view(np.float32)
        for step in (0, 1)
    )
    return low.astype(np.float64), high.astype(np.float64)


# A stretch of points in a file: bytes of the chromosome's name, and how many points.
_FRAME = struct.Struct("<HI")


def point_bytes(chromosome: str, position: np.ndarray, neg_log10_p: np.ndarray) -> bytes:
    """Pack variants of one chromosome for a file that `read_points` reads.

    Such parts can be joined end to end, so that units of work can leave theirs one after the other.

    Parameters
    ----------
    chromosome, position, neg_log10_p
        As of `PlotPoints.add`.

    Returns
    -------
    bytes
        12 a variant; −log10 p in single precision.
    """
    name = str(chromosome).encode()
    return b"".join(
        (
            _FRAME.pack(len(name), len(position)),
            name,
            np.asarray(position).astype("<i8").tobytes(),
            np.asarray(neg_log10_p).astype("<f4").tobytes(),
        )
    )


def read_points(path: str | os.PathLike) -> PlotPoints:
    """Collect the points of a file of `point_bytes` parts, a part at a time."""
    points = PlotPoints()
    with Path(path).open("rb") as file:
        while frame := file.read(_FRAME.size):
            name_bytes, count = _FRAME.unpack(frame)
            name = file.read(name_bytes).decode()
            position = np.frombuffer(file.read(8 * count), "<i8")
            points.add(name, position, np.frombuffer(file.read(4 * count), "<f4"))
    return points
