"""What happens between a body and its DXA image: pose, table, scan window, exposure, failures."""

import numpy as np
import pandas as pd

# Farthest from none. Four in five people are within a normal spread of a quarter of it, one in
# five within one of half of it.
SHIFT, ROTATION, MAGNIFICATION, PERSPECTIVE = 0.09, 10.0, 0.10, 0.06
TAIL_SHARE = 0.2

WHITE = 1.0  # attenuation shown as white at gain 1
GAMMA = 0.7
FAILURE_SHARE = 0.005
FAILURES = ("blank", "noise", "wrong_part")
CUT_SHARE = 0.08  # scan windows that end within the image, on one side
TABLE_MM = 660.0
TABLE_ATTENUATION, RAIL_ATTENUATION = 0.010, 0.035
# Natural logarithm of what a beam of attenuation 1 is weakened by: sets how noise grows.
BEAM = 2.0
# The noise of two energies adds up in their difference, more so than what they show.
SUBTRACTION_NOISE = 2.0


def draw_poses(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw how people lie as a whole.

    Returns
    -------
    DataFrame, shape (n, 6)
        `shift_x`, `shift_y` (shares of the image's height), `rotation` (degrees, clockwise),
        `scale`, and `perspective_x`, `perspective_y` (change of scale over one image height).
    """

    def tailed(limit):
        spread = np.where(rng.random(n) < TAIL_SHARE, limit / 2, limit / 4)
        return (spread * rng.standard_normal(n)).clip(-limit, limit)

    return pd.DataFrame(
        {
            "shift_x": tailed(SHIFT),
            "shift_y": tailed(SHIFT),
            "rotation": tailed(ROTATION),
            "scale": 1 + tailed(MAGNIFICATION),
            "perspective_x": tailed(PERSPECTIVE),
            "perspective_y": tailed(PERSPECTIVE),
        }
    )


def pose_homographies(poses: pd.DataFrame, shape: tuple[int, int]) -> np.ndarray:
    """Give poses as matrices from pixels (x, y) of the canonical frame to pixels of the image.

    Parameters
    ----------
    poses : DataFrame, shape (n, 6)
        From `draw_poses`; the same poses at another shape move the body as far in shares of it.
    shape : tuple of int
        Rows and columns of both frames.

    Returns
    -------
    ndarray, shape (n, 3, 3)
        Their last element is 1.
    """
    n, (rows, columns) = len(poses), shape
    to_unit = np.array(
        [[1, 0, -(columns - 1) / 2], [0, 1, -(rows - 1) / 2], [0, 0, rows]], dtype=float
    )
    angle, scale = np.deg2rad(poses["rotation"].to_numpy()), poses["scale"].to_numpy()
    moves = np.zeros((n, 3, 3))
    moves[:, 0, 0] = moves[:, 1, 1] = scale * np.cos(angle)
    moves[:, 1, 0] = scale * np.sin(angle)
    moves[:, 0, 1] = -moves[:, 1, 0]
    moves[:, :2, 2] = poses[["shift_x", "shift_y"]]
    moves[:, 2, 2] = 1
    tilts = np.tile(np.eye(3), (n, 1, 1))
    tilts[:, 2, :2] = poses[["perspective_x", "perspective_y"]]
    homographies = np.linalg.inv(to_unit) @ moves @ tilts @ to_unit
    return homographies / homographies[:, 2:, 2:]


def draw_exposures(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw how each image is exposed, where its scan window ends, and whether it failed.

    Returns
    -------
    DataFrame, shape (n, 10)
        `gain`, `gamma`, `offset` (grey values), `vignetting` (share lost in the corners), `noise`
        (SD of attenuation in air), `table` (attenuation), `table_shift` (share of the height),
        `cut_side` (top, bottom, left, right or empty), `cut` (share of that axis) and `failure`
        (one of `FAILURES` or empty).
    """
    cut = rng.random(n) < CUT_SHARE
    failed = rng.random(n) < FAILURE_SHARE
    return pd.DataFrame(
        {
            "gain": np.exp(rng.normal(0, 0.06, n).clip(-0.18, 0.18)),
            "gamma": GAMMA + rng.normal(0, 0.02, n).clip(-0.06, 0.06),
            "offset": np.abs(rng.normal(0, 4.0, n)).clip(0, 12),
            "vignetting": np.abs(rng.normal(0, 0.06, n)).clip(0, 0.18),
            "noise": 0.004 * np.exp(rng.normal(0, 0.3, n).clip(-0.9, 0.9)),
            "table": TABLE_ATTENUATION * np.exp(rng.normal(0, 0.3, n).clip(-0.9, 0.9)),
            "table_shift": rng.normal(0, 0.006, n),
            "cut_side": np.where(cut, rng.choice(["top", "bottom", "left", "right"], n), ""),
            "cut": np.where(cut, rng.uniform(0.02, 0.08, n), 0.0),
            "failure": np.where(failed, rng.choice(FAILURES, n), ""),
        }
    )


def draw_subtractions(exposures: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw how the bone images made of the same scans look, by subtraction of two energies.

    Parameters
    ----------
    exposures : DataFrame, shape (n, 10)
        From `draw_exposures`: of the scans.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame, shape (n, 10)
        Scan window and failure are the scan's, the table is subtracted, the noise is greater, and
        the grey scale is one of their own.
    """
    own = draw_exposures(len(exposures), rng)
    scan = ["cut_side", "cut", "failure", "table_shift"]
    return own.assign(**exposures[scan], noise=SUBTRACTION_NOISE * exposures["noise"], table=0.0)


def expose(
    attenuation: np.ndarray, exposures: pd.DataFrame, pixel_mm: float, rng: np.random.Generator
) -> np.ndarray:
    """Make grey images of what is held back of the beam.

    Parameters
    ----------
    attenuation : ndarray of float32, shape (n, rows, columns)
    exposures : DataFrame, shape (n, 10)
        From `draw_exposures`. Images that failed as blank or noise become so.
    pixel_mm : float
        Size of a pixel, to know where the table ends.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    ndarray of uint8, shape (n, rows, columns)
    """
    rows, columns = attenuation.shape[1:]
    each = {
        name: values.to_numpy(np.float32)[:, None, None]
        for name, values in exposures.drop(columns=["cut_side", "failure"]).items()
    }
    noise = rng.standard_normal(attenuation.shape, dtype=np.float32)
    held_back = attenuation + _table(each, rows, columns, pixel_mm)
    # Photons that arrive fall with attenuation, and their number's share of noise grows.
    held_back += each["noise"] * np.exp(BEAM / 2 * held_back) * noise
    across = np.linspace(-1, 1, columns, dtype=np.float32)
    down = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    shade = 1 - each["vignetting"] * (across**2 + down**2) / 2
    grey = (held_back.clip(0) / np.float32(WHITE)) ** each["gamma"]
    images = np.clip(255 * each["gain"] * shade * grey + each["offset"], 0, 255)
    images = np.rint(images).astype(np.uint8)
    _cut(images, exposures)
    _fail(images, exposures["failure"].to_numpy(), rng)
    return images


def unexposed(attenuation: np.ndarray) -> np.ndarray:
    """Give grey values, as float32, at gain 1 and the usual gamma, with nothing added."""
    return np.clip(255 * (attenuation / np.float32(WHITE)) ** np.float32(GAMMA), 0, 255)


def _table(each: dict, rows: int, columns: int, pixel_mm: float) -> np.ndarray:
    """Attenuation by the table and its rails, which stay where they are whatever people do."""
    x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * pixel_mm
    x = x - each["table_shift"] * rows * pixel_mm
    beyond = np.abs(x) - TABLE_MM / 2
    rail = RAIL_ATTENUATION * np.exp(-0.5 * (beyond / (0.6 * pixel_mm)) ** 2)
    return np.where(beyond < 0, each["table"], 0) + rail


def _cut(images: np.ndarray, exposures: pd.DataFrame) -> None:
    """Blacken what is outside the scan window, in place."""
    for side in ("top", "bottom", "left", "right"):
        for number in np.flatnonzero(exposures["cut_side"] == side):
            lines = images[number] if side in ("top", "bottom") else images[number].T
            lost = round(exposures["cut"].iloc[number] * len(lines))
            if side in ("bottom", "right"):
                lines = lines[::-1]
            lines[:lost] = 0


def _fail(images: np.ndarray, failures: np.ndarray, rng: np.random.Generator) -> None:
    for number in np.flatnonzero(failures == "blank"):
        images[number] = rng.integers(0, 256)
    for number in np.flatnonzero(failures == "noise"):
        level = rng.uniform(40, 200)
        noise = rng.normal(level, rng.uniform(10, 50), images.shape[1:])
        images[number] = noise.clip(0, 255).astype(np.uint8)
