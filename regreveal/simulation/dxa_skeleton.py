"""A whole body of solids from anatomy and posture, and the frames it is looked at in."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd

from regreveal.simulation.dxa_limbs import add_arms, add_legs, limb_points
from regreveal.simulation.dxa_shapes import UNNAMED, Solids, SolidsBuilder
from regreveal.simulation.dxa_tissue import add_tissue
from regreveal.simulation.dxa_trunk import add_trunk, hip_joint, spine_frame


@dataclass(frozen=True)
class View:
    """What a kind of image shows.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the usual image.
    pixel_mm : float
        Size of its pixels on the body, where nothing magnifies.
    """

    shape: tuple[int, int]
    pixel_mm: float

    def pixel_size(self, shape: tuple[int, int]) -> float:
        """Give the size in mm of the pixels of an image of as many rows over the same height."""
        return self.pixel_mm * self.shape[0] / shape[0]


VIEWS = {
    "body": View((232, 88), 9.0),
    "hip": View((96, 96), 2.0),
    "spine": View((96, 96), 2.4),
}


def build_bodies(
    anatomy: pd.DataFrame, posture: pd.DataFrame, implants: np.ndarray | None = None
) -> tuple[Solids, dict]:
    """Build everyone's body.

    Parameters
    ----------
    anatomy, posture : DataFrame, shape (n, ...)
        From `dxa_anatomy`.
    implants : ndarray of str, shape (n,), optional
        From `draw_implants`; by default nobody has one.

    Returns
    -------
    solids : Solids
    origins : dict of str to ndarray, shape (n, 2)
        For each view, the place (x, y) in mm that is in the middle of its canonical frame: for the
        body 20 mm below the middle between the hip joints, for the others the left hip joint and
        the middle of the lumbar spine, each moved by a fixed length.
    """
    columns = {name: table[name].to_numpy() for table in (anatomy, posture) for name in table}
    body = SimpleNamespace(**columns)
    spine = spine_frame(body)
    points = limb_points(body, spine)
    # Spongy bone is the first to go: it falls with the square of what all bone falls with.
    builder = SolidsBuilder(len(anatomy), spongy=body.density)
    add_tissue(builder, body, spine, points)
    add_trunk(builder, body, spine)
    add_legs(builder, body, points)
    add_arms(builder, body, points)
    if implants is not None:
        _add_implants(builder, body, spine, points, implants)

    n = len(anatomy)
    hip = np.column_stack(np.broadcast_arrays(*hip_joint(body, 1.0)))
    lumbar = -spine.sacrum_height - 0.5 * spine.lumbar * spine.length + 5.0
    origins = {
        "body": np.tile([0.0, 20.0], (n, 1)),
        "hip": hip + np.array([8.0, 40.0]),
        "spine": np.column_stack([np.zeros(n), lumbar]),
    }
    return builder.solids(), origins


def _add_implants(builder, body, spine, points, implants) -> None:
    """Add metal, of no size in those who have none."""
    metal = 1.6
    for side in ("right", "left"):
        has = np.where(implants == f"{side}_hip", 1.0, 1e-3)
        hip, neck, knee = (points[f"{side}_{name}"] for name in ("hip", "neck", "knee"))
        tip = tuple(neck[axis] + 0.33 * (knee[axis] - neck[axis]) for axis in (0, 1))
        builder.piece(UNNAMED, wall=metal)
        builder.chain([hip, neck, tip], [8 * has, 9 * has, 5 * has])
        builder.ellipsoid(hip, 25 * has, 25 * has, 30 * has)
        has = np.where(implants == f"{side}_knee", 1.0, 1e-3)
        builder.piece(UNNAMED, wall=metal)
        builder.block((knee[0], knee[1] - 12), 36 * has, 14 * has, 25 * has)
        builder.block((knee[0], knee[1] + 14), 36 * has, 6 * has, 25 * has)
        builder.capsule((knee[0], knee[1] + 14), (knee[0], knee[1] + 55), 7 * has, 6 * has)
    has = np.where(implants == "spine", 1.0, 1e-3)
    for sign in (-1, 1):
        points = [spine.place(share) for share in (0.06, 0.14, 0.22)]
        points = [(x + sign * 15, y) for x, y in points]
        builder.piece(UNNAMED, wall=metal)
        builder.chain(points, [3.5 * has] * 3)
        for x, y in points:
            builder.capsule((x, y), (x - sign * 6, y - 2), 5 * has, 3 * has)
