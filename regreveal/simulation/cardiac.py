"""Four-chamber cines: a heart that beats, in a chest, as a scanner sees it.

`cardiac_anatomy` makes hearts from traits, `cardiac_cycle` moves them, `cardiac_scene` paints them
and `cardiac_scan` does to the picture what scanners and breath do.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.errors import InputError
from regreveal.simulation import cardiac_scan
from regreveal.simulation.cardiac_anatomy import draw_anatomy, shapes_over_cycle
from regreveal.simulation.cardiac_cycle import cycle_of
from regreveal.simulation.cardiac_scene import (
    BACKGROUND,
    EDGE_MM,
    FIELD_OF_VIEW_MM,
    Place,
    draw_chest,
    draw_heart,
    draw_short_axis,
)
from regreveal.simulation.recordings import Recordings

SHAPE = (48, 48, 16)
LEAST_SIZE = 16
MATRIX_COLUMNS = [f"matrix_{row}{column}" for row in range(3) for column in range(3)]


@dataclass(frozen=True)
class Cines:
    """Simulated cines with their truth.

    Attributes
    ----------
    tensors : ndarray of uint8, shape (n, rows, columns, frames)
        Grey values.
    labels : ndarray of uint8, shape (n, rows, columns, frames)
        Numbers in the order of `cardiac_scene.LABEL_NAMES`; all 0 where the scan failed.
    truth : DataFrame
        One row a person: what the scan did; see `simulate_cines`.
    phases : ndarray, shape (n, frames)
        True phase of each frame: time since the R peak over the heart period, in [0, 1).
    pixel_mm : float
        Size of a pixel.
    """

    tensors: np.ndarray
    labels: np.ndarray
    truth: pd.DataFrame
    phases: np.ndarray
    pixel_mm: float


def record(traits: pd.DataFrame, rng: np.random.Generator) -> Recordings:
    """Record everyone's four-chamber cine, as every modality does; see `simulate_cines`.

    Truth tables: "cardiac", one row a person, and "cardiac_phases", one row a frame with its true
    `phase`.
    """
    cines = simulate_cines(traits, rng)
    people, frames = cines.phases.shape
    phases = pd.DataFrame(
        {
            "row": np.repeat(np.arange(people), frames),
            "frame": np.tile(np.arange(frames), people),
            "phase": cines.phases.ravel(),
        }
    )
    return Recordings(
        {"lax_4ch_small": cines.tensors},
        {"units": "intensity", "voxel_size": (cines.pixel_mm, cines.pixel_mm)},
        labels={"lax_4ch_small": cines.labels},
        truth={"cardiac": cines.truth, "cardiac_phases": phases},
    )


def simulate_cines(
    traits: pd.DataFrame,
    rng: np.random.Generator,
    shape: tuple[int, int, int] = SHAPE,
    nuisance: bool = True,
) -> Cines:
    """Draw a four-chamber cine of each person over one heart period.

    The field of view is 172.8 mm high whatever the shape, and the same generator draws the same
    hearts in it at any size.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        `lv_volume`, `rv_volume` (ml, end-diastolic), `la_volume` (ml, at its largest),
        `wall_thickness` (mm, end-diastolic), `ejection_fraction` (percent), `heart_rate` (per
        minute) and `bmi` (kg/m²).
    rng : numpy.random.Generator
        Source of everything random.
    shape : tuple of int
        Rows, columns and frames.
    nuisance : bool
        Without it every heart lies in the standard place, frame 0 is the R peak, and the picture
        has neither noise nor unevenness; people still differ in what is not among the traits.

    Returns
    -------
    Cines
        Columns of `truth`: `failure` ("" where there is none, or "blank", "noise", "wrong view"),
        `phase_offset` (phase of frame 0, as a fraction that may be negative), `heart_period_ms`,
        `arrhythmia`, the slice's pose (`shift_right_mm`, `shift_down_mm`, `rotation_degrees`,
        clockwise as seen, `scale`), the heart's own in the chest (`heart_…`), obliqueness
        (`tilt_degrees`, `slice_offset_mm`), exposure (`gain`, grey value of blood, and `gamma`),
        coils, noise (of blood's signal), breathing blur, banding, and `matrix_00` … `matrix_22`,
        which takes a (column, row, 1) of the standard heart to that of this picture: the matrix
        with which to look up what to put where (OpenCV's WARP_INVERSE_MAP) to undo the pose.

    Raises
    ------
    InputError
        If the shape is not three sizes, rows and columns of at least 16.
    """
    if len(shape) != 3 or min(shape[:2]) < LEAST_SIZE or shape[2] < 1:
        raise InputError(
            f"cine of shape {shape}; expected rows and columns of at least {LEAST_SIZE}, and frames"
        )
    n, (rows, columns, frames) = len(traits), shape
    traits = traits.reset_index(drop=True)
    pixel_mm = FIELD_OF_VIEW_MM / rows
    anatomy = draw_anatomy(traits, rng)
    tissues = cardiac_scan.draw_tissues(traits, anatomy, rng)
    scans = cardiac_scan.draw_nuisance(traits, rng)
    if not nuisance:
        scans = cardiac_scan.no_nuisance(n)
    # A generator for each picture, so that nobody's depends on how many pixels others' noise took.
    pictures_rng = rng.spawn(n)

    heart_rate = traits["heart_rate"].to_numpy()
    phases = (np.arange(frames) / frames + scans[["phase_offset"]].to_numpy()) % 1.0
    kick_share = anatomy["kick_share"].to_numpy()
    shapes = shapes_over_cycle(anatomy, cycle_of(heart_rate, kick_share), phases)
    # The same moments after the R peak, in beats of another length.
    relative = scans["other_period"].to_numpy()
    other_cycle = cycle_of(heart_rate / relative, kick_share)
    others = shapes_over_cycle(anatomy, other_cycle, phases / relative[:, None])

    people = pd.concat([anatomy, tissues], axis=1)
    tensors = np.zeros((n, *shape), np.uint8)
    labels = np.zeros((n, *shape), np.uint8)
    matrices = np.empty((n, 3, 3))
    grid = cardiac_scan.pixel_places(pixel_mm, rows, columns)
    rows_of_tables = zip(people.itertuples(), scans.itertuples(), pictures_rng, strict=True)
    for index, (person, scan, picture_rng) in enumerate(rows_of_tables):
        matrices[index] = cardiac_scan.heart_matrix(scan, pixel_mm, rows, columns)
        if scan.failure == "blank":
            continue
        if scan.failure == "noise":
            nothing = np.zeros(shape, np.float32)
            noise = cardiac_scan.add_rician(nothing, 0.5, picture_rng)
            tensors[index] = cardiac_scan.to_grey(noise, scan)
            continue
        own, other = (
            {name: part[index] for name, part in both.items()} for both in (shapes, others)
        )
        signal, labels[index] = _draw_person(grid, person, scan, own, other, picture_rng)
        tensors[index] = cardiac_scan.scan_picture(signal, scan, pixel_mm, picture_rng)

    truth = scans.drop(columns="texture").assign(heart_period_ms=60_000 / heart_rate)
    truth[MATRIX_COLUMNS] = matrices.reshape(n, 9)
    return Cines(tensors, labels, truth, phases, pixel_mm)


def _draw_person(grid, person, scan, shapes, other_shapes, rng) -> tuple[np.ndarray, np.ndarray]:
    """Signal and labels of one person's cine."""
    place = _place(grid, scan)
    texture = cardiac_scan.draw_texture(grid.shape[:2], rng)
    texture *= np.float32(scan.texture)
    chest = draw_chest(place, person, texture)
    if scan.failure:
        signal = draw_short_axis(place, chest, person, shapes)
        return signal, np.full(signal.shape, BACKGROUND, np.uint8)
    signal, labels = draw_heart(place, chest, person, shapes, texture)
    if scan.arrhythmia:
        other, _ = draw_heart(place, chest, person, other_shapes, texture)
        signal = cardiac_scan.mix_beats(signal, other, rng)
    return signal, labels


def _place(grid: np.ndarray, scan) -> Place:
    """Say where in chest and heart a picture's pixels lie."""
    to_chest = np.linalg.inv(cardiac_scan.chest_matrix(scan))
    chest = _moved(grid, to_chest)
    to_heart = np.linalg.inv(cardiac_scan.heart_in_chest(scan))
    heart = _moved(chest, to_heart)
    spacing = float(grid[1, 0, 1] - grid[0, 0, 1])
    flat = Place(chest, heart, np.zeros_like(chest[..., :1]), max(EDGE_MM, spacing))
    along, _ = flat.along_and_across()
    tilt = np.deg2rad(scan.tilt_degrees)
    depth = (scan.slice_offset_mm + np.sin(tilt) * (along - 20)).astype(np.float32)
    return Place(chest, heart, depth, flat.edge)


def _moved(places: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    matrix = matrix.astype(np.float32)
    return places @ matrix[:2, :2].T + matrix[:2, 2]
