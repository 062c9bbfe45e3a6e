"""Solids that a body is made of, for many people at once, and the names of its parts."""

from dataclasses import dataclass, replace

import numpy as np

CAPSULE, ELLIPSOID, BLOCK = 0, 1, 2

LABELS = {
    "soft_tissue": 1,
    "ribs": 2,
    "shoulder_girdle": 3,
    "spine": 4,
    "skull": 5,
    "pelvis": 6,
    "right_femur": 7,
    "left_femur": 8,
    "right_lower_leg": 9,
    "left_lower_leg": 10,
    "right_foot": 11,
    "left_foot": 12,
    "right_humerus": 13,
    "left_humerus": 14,
    "right_forearm": 15,
    "left_forearm": 16,
    "right_hand": 17,
    "left_hand": 18,
}
UNNAMED = 0


@dataclass(frozen=True)
class Solids:
    """Solids of n people, each person with the same ones in other sizes and places.

    Attributes
    ----------
    values : ndarray, shape (n, solids, 10)
        In mm, x to the image's right and y down. Capsule: x and y of both ends, radius at both
        ends, (unused). Ellipsoid and block (an ellipsoid of fourth powers): x, y, half axes
        across and down before turning, cosine and sine of the turn, depth along the beam. Then,
        for all: size of the hollow (share of the radius), density of the wall, of the hollow.
    kinds, groups, labels : ndarray of int, shape (solids,)
        Capsule, ellipsoid or block; neighbours of the same group are one piece, with one wall
        around all of it; the part of the body, 0 for none.
    is_tissue : ndarray of bool, shape (solids,)
        Soft tissue, not bone.
    """

    values: np.ndarray
    kinds: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    is_tissue: np.ndarray

    def of(self, person: int) -> "Solids":
        """Give those of one person."""
        return replace(self, values=self.values[[person]])


class SolidsBuilder:
    """Collects solids; each number may be one for all people or an array of one a person.

    Parameters
    ----------
    n : int
        People.
    spongy : float or ndarray, shape (n,)
        Factor of the density of all bone's inside.
    """

    def __init__(self, n: int, spongy=1.0):
        self._n = n
        self._spongy = spongy
        self._values, self._kinds, self._groups, self._labels, self._tissue = [], [], [], [], []
        self._group = 0
        self._look = (UNNAMED, False, 0.0, 0.0, 0.0)

    def piece(self, label=UNNAMED, wall=1.0, marrow=0.0, hollow=0.0, tissue=False) -> None:
        """Begin a piece: the solids added from here on merge into one."""
        self._group += 1
        self._look = (label, tissue, hollow, wall, marrow)

    def material(self, wall=1.0, marrow=0.0, hollow=0.0) -> None:
        """Go on with the same piece in another density."""
        label, tissue = self._look[:2]
        self._look = (label, tissue, hollow, wall, marrow)

    def capsule(self, start, end, start_radius, end_radius) -> None:
        """Add a rounded cone between two points (x, y)."""
        self._add(CAPSULE, (*start, *end, start_radius, end_radius, 0.0))

    def chain(self, points, radii) -> None:
        """Add capsules through points."""
        for number in range(len(points) - 1):
            self.capsule(points[number], points[number + 1], radii[number], radii[number + 1])

    def ellipsoid(self, centre, across, down, depth, turn=0.0) -> None:
        """Add an ellipsoid; `turn` in radians, clockwise as seen."""
        self._add(ELLIPSOID, (*centre, across, down, np.cos(turn), np.sin(turn), depth))

    def block(self, centre, across, down, depth, turn=0.0) -> None:
        """Add an ellipsoid of fourth powers, a box with round edges."""
        self._add(BLOCK, (*centre, across, down, np.cos(turn), np.sin(turn), depth))

    def _add(self, kind: int, shape: tuple) -> None:
        label, tissue, hollow, wall, marrow = self._look
        if not tissue:
            marrow = marrow * self._spongy
        row = np.empty((self._n, 10))
        for column, value in enumerate((*shape, hollow, wall, marrow)):
            row[:, column] = value
        self._values.append(row)
        self._kinds.append(kind)
        self._groups.append(self._group)
        self._labels.append(label)
        self._tissue.append(tissue)

    def solids(self) -> Solids:
        """Give what was collected."""
        return Solids(
            np.stack(self._values, axis=1),
            np.array(self._kinds),
            np.array(self._groups),
            np.array(self._labels, dtype=np.uint8),
            np.array(self._tissue),
        )
