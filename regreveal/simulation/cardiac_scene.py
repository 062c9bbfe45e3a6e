"""The picture of one person's chest over a heart cycle, before the scanner has its say.

Tissues are painted one over the other. Each is a smooth function of place, in mm, that is negative
inside and near its edge grows as the distance does, so that a pixel half covered gets half of the
tissue's signal: edges move smoothly although pixels are large.

Signals are those of a balanced steady-state (SSFP) cine, blood being 1: fat as bright as blood,
muscle dark, lung almost black.
"""

from dataclasses import dataclass

import numpy as np

from regreveal.simulation.cardiac_anatomy import (
    APEX_THINNING,
    LA_CUT,
    LV_CUT,
    RA_CUT,
    RV_DEPTH,
    rv_profile,
)

BACKGROUND, LV_BLOOD, LV_MYOCARDIUM, RV_BLOOD, LEFT_ATRIUM, RIGHT_ATRIUM, LUNG, CHEST_WALL = range(
    8
)
LABEL_NAMES = (
    "background",
    "LV blood",
    "LV myocardium",
    "RV blood",
    "left atrium",
    "right atrium",
    "lung",
    "chest wall",
)

FIELD_OF_VIEW_MM = 172.8  # 96 pixels of 1.8 mm, as UK Biobank's cines have
EDGE_MM = 1.9  # of the softest edge a scanner at that size shows

# The standard heart in the image: mitral valve's place from the middle, and where the apex points.
MITRAL_MM = np.array([-6.0, 24.0])
APEX_DIRECTION = np.array([0.72, -0.694])

BLOOD, LUNG_SIGNAL, AIR = 1.0, 0.07, 0.015
RV_WALL_MM, ATRIAL_WALL_MM, PERICARDIUM_MM, LEAFLET_MM = 3.0, 2.0, 1.4, 0.8
OVERLAP_MM, RV_BENEATH_MM = 4.0, 1.5
CHEST_CENTRE, CHEST_HALF_AXES = np.array([-30.0, 44.0]), np.array([138.0, 124.0])
CHEST_MUSCLE_MM = 13.0


@dataclass(frozen=True)
class Place:
    """Where in the chest each pixel lies, by the pose of the slice.

    Attributes
    ----------
    chest : ndarray, shape (rows, columns, 2)
        Right and down from the middle of the standard image, in the chest's own frame, mm.
    heart : ndarray, shape (rows, columns, 2)
        The same in the heart's own frame.
    depth : ndarray, shape (rows, columns, 1)
        Distance of the slice from the plane through the heart's long axis, mm.
    edge : float
        Width of an edge, mm.
    """

    chest: np.ndarray
    heart: np.ndarray
    depth: np.ndarray
    edge: float

    def along_and_across(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates s and u of the heart (`cardiac_anatomy`), shape (rows, columns, 1) each."""
        from_mitral = self.heart - MITRAL_MM.astype(np.float32)
        x, y = from_mitral[..., :1], from_mitral[..., 1:]
        right, down = APEX_DIRECTION.astype(np.float32)
        return right * x + down * y, right * y - down * x


class _Canvas:
    """Signal and labels, painted on."""

    def __init__(self, signal: np.ndarray, labels: np.ndarray, edge: float):
        self.signal, self.labels, self.edge = signal, labels, edge

    def paint(self, distance: np.ndarray, tissue, label: int | None = None, strength=None) -> None:
        """Cover what lies inside (distance < 0) with a tissue's signal."""
        cover = np.clip(0.5 - distance / np.float32(self.edge), 0, 1)
        if strength is not None:
            cover *= strength
        self.signal += cover * (tissue - self.signal)
        if label is not None:
            self.label(distance, label)

    def label(self, distance: np.ndarray, label: int) -> None:
        """Give what lies inside a label and leave its signal."""
        np.copyto(self.labels, np.uint8(label), where=distance < 0)


def draw_chest(place: Place, person, texture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw what does not move: chest wall, lungs, spine, aorta, and what lies between.

    Parameters
    ----------
    place : Place
    person : namedtuple
        A row of anatomy, body and tissue signals.
    texture : ndarray, shape (rows, columns, 1)
        Unevenness, about standard normal.

    Returns
    -------
    signal : ndarray of float32, shape (rows, columns, 1)
    labels : ndarray of uint8, shape (rows, columns, 1)
    """
    x, y = place.chest[..., :1], place.chest[..., 1:]
    signal = np.full(x.shape, AIR, np.float32)
    canvas = _Canvas(signal, np.zeros(x.shape, np.uint8), place.edge)
    half_axes = CHEST_HALF_AXES * person.chest_width
    inner = _ellipse(x - CHEST_CENTRE[0], y - CHEST_CENTRE[1], *half_axes)
    fat = person.chest_fat
    canvas.paint(inner - (CHEST_MUSCLE_MM + fat), person.fat + 0.04 * texture, CHEST_WALL)
    canvas.paint(np.abs(inner - (CHEST_MUSCLE_MM + fat) + 1) - 1, 0.45)
    angle = np.arctan2(y - CHEST_CENTRE[1], x - CHEST_CENTRE[0])
    ribs = np.cos(11 * angle + person.rib_phase)
    canvas.paint(inner - CHEST_MUSCLE_MM, person.muscle * 0.8 + 0.07 * ribs, CHEST_WALL)
    marrow = np.abs(inner - 6.0) - 3.0 - 2.0 * ribs
    canvas.paint(marrow + 2.0, 0.62, strength=np.clip(1.6 * ribs - 0.3, 0, 0.8))
    vessels = np.clip(texture - 1.1, 0, 1.5)
    canvas.paint(inner, LUNG_SIGNAL + 0.22 * vessels + 0.01 * texture, LUNG)

    # Between the lungs: from the left atrium back to the spine, and the fat behind the sternum.
    middle = _blend(
        _ellipse(x + 30.0, y - 92.0, 46.0, 34.0), _ellipse(x + 20, y - 52, 32, 30), 20.0
    )
    front_half_axes = 46.0 + person.body_fat, 26.0 + person.body_fat
    front = _blend(_ellipse(x + 46.0, y + 62.0, *front_half_axes), -inner, 24.0)
    canvas.paint(middle, 0.45 + 0.10 * texture, BACKGROUND)
    canvas.paint(np.maximum(front, inner), person.fat * 0.85 + 0.06 * texture, BACKGROUND)
    spine = _ellipse(x + 36.0, y - 96.0, 21.0, 17.0)
    canvas.paint(spine, 0.22)
    canvas.paint(spine + 2.2, 0.5 + 0.05 * texture)
    aorta = np.hypot(x + 4.0 + person.aorta_side, y - 80.0) - person.aorta_radius
    canvas.paint(aorta - 1.8, person.muscle)
    canvas.paint(aorta, BLOOD * 0.96)
    oesophagus = _ellipse(x + 20.0 + person.aorta_side, y - 72.0, 7.0, 4.5)
    canvas.paint(oesophagus, person.muscle * 1.1)
    return canvas.signal, canvas.labels


def draw_heart(
    place: Place,
    chest: tuple[np.ndarray, np.ndarray],
    person,
    shapes: dict[str, np.ndarray],
    texture: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the heart into a chest, at every phase.

    Parameters
    ----------
    place : Place
    chest : tuple of ndarray
        What `draw_chest` gives.
    person : namedtuple
        A row of anatomy, body and tissue signals.
    shapes : dict of str to ndarray, shape (frames,)
        One person's of `shapes_over_cycle`.
    texture : ndarray, shape (rows, columns, 1)
        Unevenness of blood and muscle, about standard normal.

    Returns
    -------
    signal : ndarray of float32, shape (rows, columns, frames)
    labels : ndarray of uint8, shape (rows, columns, frames)
    """
    shapes = {name: values.astype(np.float32) for name, values in shapes.items()}
    frames = len(shapes["mitral"])
    still, still_labels = chest
    canvas = _Canvas(
        np.repeat(still, frames, axis=2), np.repeat(still_labels, frames, axis=2), place.edge
    )
    s, u = place.along_and_across()
    u = u - np.float32(person.bend) * (s / 60) ** 2
    depth = place.depth

    lv, lv_wall, lv_outer = _left_ventricle(s, u, depth, shapes)
    rv, rv_outer = _right_ventricle(s, u, depth, person, shapes)
    la, ra = _atria(s, u, depth, person, shapes)
    above_mitral, above_tricuspid = s - shapes["mitral"], s - shapes["tricuspid"]
    la_cut, ra_cut = np.maximum(la, above_mitral), np.maximum(ra, above_tricuspid)
    atria = np.minimum(la_cut, ra_cut)
    outline = _blend(_blend(lv_outer, rv_outer, 6.0), atria - ATRIAL_WALL_MM, 14.0)

    # Fat lies over the right heart and in the groove between atria and ventricles.
    to_right = np.clip((-u - 5) / 35, 0, 1)
    fat_mm = np.float32(person.heart_fat) * (0.25 + 0.75 * to_right)
    canvas.paint(outline - fat_mm - PERICARDIUM_MM, 0.22, BACKGROUND)
    canvas.paint(outline - fat_mm, person.fat * 0.92, BACKGROUND)

    muscle = person.muscle + 0.02 * texture
    blood = BLOOD + 0.035 * texture
    canvas.paint(rv_outer, muscle)
    canvas.paint(atria - ATRIAL_WALL_MM, person.muscle * 1.15)
    for vein in _pulmonary_veins(s, u, shapes):
        canvas.paint(vein, 0.85 * blood)
    # An atrium's blood goes on beneath the ventricle's, or half-covered pixels would draw a line.
    canvas.paint(np.maximum(ra, above_tricuspid - OVERLAP_MM), 0.97 * blood)
    canvas.label(ra_cut, RIGHT_ATRIUM)
    canvas.paint(np.maximum(la, above_mitral - OVERLAP_MM), blood)
    canvas.label(la_cut, LEFT_ATRIUM)
    canvas.paint(rv, 0.98 * blood, RV_BLOOD)
    canvas.paint(lv_wall, muscle, LV_MYOCARDIUM)
    canvas.paint(lv, blood, LV_BLOOD)
    _paint_muscles(canvas, s, u, lv, rv, person, shapes)
    _paint_leaflets(canvas, s, u, person, shapes)
    return canvas.signal, canvas.labels


def draw_short_axis(
    place: Place, chest: tuple[np.ndarray, np.ndarray], person, shapes: dict[str, np.ndarray]
) -> np.ndarray:
    """Draw a short-axis view into a chest instead: what a mix-up of series looks like.

    Takes the same as `draw_heart`; returns the signal, shape (rows, columns, frames).
    """
    shapes = {name: values.astype(np.float32) for name, values in shapes.items()}
    still, still_labels = chest
    frames = len(shapes["mitral"])
    canvas = _Canvas(
        np.repeat(still, frames, axis=2), np.repeat(still_labels, frames, axis=2), place.edge
    )
    x, y = place.heart[..., :1], place.heart[..., 1:]
    from_centre = np.hypot(x - 10, y)
    outer = shapes["lv_width"] + shapes["lv_wall"]
    reach = shapes["rv_width"]
    right = np.maximum(
        _ellipse(x - 10 + outer, y + 6, reach + 6, 1.05 * outer + 4), outer + 1 - from_centre
    )
    canvas.paint(_blend(from_centre - outer, right - RV_WALL_MM, 6.0) - person.heart_fat, 0.9)
    canvas.paint(right - RV_WALL_MM, person.muscle)
    canvas.paint(right, BLOOD)
    canvas.paint(from_centre - outer, person.muscle)
    canvas.paint(from_centre - shapes["lv_width"], BLOOD)
    return canvas.signal


def _left_ventricle(s, u, depth, shapes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances from the cavity, from its wall, and from the outside of both."""
    along, across = s - shapes["lv_centre"], u**2 + depth**2
    length, width, wall = shapes["lv_length"], shapes["lv_width"], shapes["lv_wall"]
    valve = shapes["mitral"] - s
    inner = _spheroid(along, across, length, width)
    outer = _spheroid(along, across, length + APEX_THINNING * wall, width + wall)
    outer = np.maximum(outer, valve)
    return np.maximum(inner, valve), np.maximum(outer, -inner), outer


def _right_ventricle(s, u, depth, person, shapes) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the crescent along the septum and from the outside of its free wall."""
    septal, septal_slope = _septum(s, depth, shapes)
    valve, apex = shapes["tricuspid"], shapes["rv_apex"]
    reach = apex - valve
    along = np.clip((s - valve) / reach, 0, 0.999)
    profile = rv_profile(along, person.rv_taper, person.rv_bulge)
    in_plane = 1 - (2 * depth / (RV_DEPTH * shapes["rv_width"])) ** 2
    width = shapes["rv_width"] * profile * np.sqrt(np.maximum(in_plane, 0.05))
    steepness = -person.rv_taper / np.maximum(1 - along, 0.08) + person.rv_bulge / (
        1 + person.rv_bulge * along
    )
    slope = septal_slope + width * steepness / reach
    free = (-u - septal - width) / np.sqrt(1 + np.clip(slope, -1.5, 1.5) ** 2)
    # The left ventricle is painted over what reaches beneath it.
    septum = (u + septal - RV_BENEATH_MM) / np.sqrt(1 + septal_slope**2)
    ends = np.maximum(valve - s, s - apex)
    wall = np.maximum(np.maximum(free - RV_WALL_MM, ends), u)
    return np.maximum(np.maximum(free, ends), septum), wall


def _septum(s, depth, shapes) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the septum's right side from the long axis, and how it changes along it."""
    length = shapes["lv_length"] + APEX_THINNING * shapes["lv_wall"]
    width = shapes["lv_width"] + shapes["lv_wall"]
    along = np.clip((s - shapes["lv_centre"]) / length, -0.97, 0.97)
    radius = np.sqrt(np.maximum(width**2 * (1 - along**2) - depth**2, 1))
    return radius, -(width**2) * along / (radius * length)


def _atria(s, u, depth, person, shapes) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the left and the right atrium, not cut off at their valves.

    A septum keeps them apart.
    """
    below = s - shapes["mitral"]
    across = u - np.float32(person.la_lean) * below
    la = _spheroid(
        below + LA_CUT * shapes["la_length"],
        across**2 + depth**2,
        shapes["la_length"],
        shapes["la_width"],
    )
    below = s - shapes["tricuspid"]
    valve_middle = -_septum(shapes["tricuspid"], 0, shapes)[0] - 0.5 * shapes["rv_width"]
    across = u - valve_middle - np.float32(person.ra_lean) * below
    ra = _spheroid(
        below + RA_CUT * shapes["ra_length"],
        across**2 + depth**2,
        shapes["ra_length"],
        shapes["ra_width"],
    )
    apart = np.float32(person.atrial_septum) - la
    return la, np.maximum(ra, apart)


def _pulmonary_veins(s, u, shapes) -> list[np.ndarray]:
    """Distances from two veins that enter the left atrium from behind."""
    back = shapes["mitral"].max() - (1 + LA_CUT) * shapes["la_length"].max()
    width = shapes["la_width"].max()
    return [
        _capsule(s, u, (back + 16, 0.5 * side * width), (back, side * (width + 7)), 4.0)
        for side in (-0.9, 1.0)
    ]


def _paint_muscles(canvas, s, u, lv, rv, person, shapes) -> None:
    """Paint the lateral papillary muscle, the trabeculae and the moderator band into the blood."""
    length, width = shapes["lv_length"], shapes["lv_width"]
    where = shapes["mitral"] + person.papillary * (1 + LV_CUT) * length
    papillary = _ellipse(s - where - 4, u - 0.80 * width, 11.0, 3.6)
    canvas.paint(np.maximum(papillary, lv), person.muscle, strength=0.6)
    # Trabeculae make the blood's edge grey towards the apex.
    towards_apex = np.clip((s - shapes["lv_centre"]) / length, 0, 1) ** 2
    canvas.paint(np.abs(lv + 1.6) - 1.6, person.muscle + 0.1, strength=0.4 * towards_apex)
    reach = shapes["rv_apex"] - shapes["tricuspid"]
    septal = _septum(s, 0, shapes)[0]
    band = np.abs(s - shapes["tricuspid"] - 0.62 * reach + 0.35 * (-u - septal)) - 1.5
    canvas.paint(np.maximum(band, rv), person.muscle, strength=0.4)
    in_rv = np.clip((s - shapes["tricuspid"]) / reach, 0, 1) ** 2
    canvas.paint(np.abs(rv + 1.8) - 1.8, person.muscle + 0.1, strength=0.5 * in_rv)


def _paint_leaflets(canvas, s, u, person, shapes) -> None:
    """Paint the leaflets of both valves, which hang on their rings and swing to the apex."""
    swing = np.deg2rad(8 + 62 * shapes["valves_open"]).astype(np.float32)
    ring = shapes["lv_width"] * np.float32(np.sqrt(1 - LV_CUT**2))
    septal = _septum(shapes["tricuspid"], 0, shapes)[0]
    valves = (
        (shapes["mitral"], -ring, ring),
        (shapes["tricuspid"], -septal - shapes["rv_width"], -septal),
    )
    for level, low, high in valves:
        reach = 0.5 * (high - low)
        for hinge, inward in ((low, 1), (high, -1)):
            tip = (level + reach * np.sin(swing), hinge + inward * reach * np.cos(swing))
            leaflet = _capsule(s, u, (level, hinge), tip, LEAFLET_MM)
            canvas.paint(leaflet, person.muscle, strength=0.8)


def _spheroid(along, across_squared, length, width) -> np.ndarray:
    """Distance from a body of revolution with these half axes, exact at its edge.

    A function's value over the size of its gradient, f/|∇f|, with f the square root of the sum of
    squares, times that root: near the edge it is the distance, and far off of its order.
    """
    along_squared = along**2
    scaled = np.sqrt(along_squared / length**2 + across_squared / width**2)
    gradient = np.sqrt(along_squared / length**4 + across_squared / width**4)
    return scaled * (scaled - 1) / (gradient + np.float32(1e-6))


def _ellipse(x, y, half_width, half_height) -> np.ndarray:
    return _spheroid(x, y**2, half_width, half_height)


def _capsule(x, y, start, end, radius) -> np.ndarray:
    """Distance from a line with round ends."""
    run, rise = end[0] - start[0], end[1] - start[1]
    x, y = x - start[0], y - start[1]
    share = np.clip((x * run + y * rise) / (run**2 + rise**2), 0, 1)
    return np.sqrt((x - share * run) ** 2 + (y - share * rise) ** 2) - radius


def _blend(one: np.ndarray, other: np.ndarray, radius: float) -> np.ndarray:
    """Distance from the union of two shapes, the crease between them filled."""
    near = np.maximum(radius - np.abs(one - other), 0)
    return np.minimum(one, other) - near**2 / (4 * radius)
