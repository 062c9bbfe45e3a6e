"""What lies between a heart and its picture: pose, trigger, coils, breath, noise, and failures."""

import numpy as np
import pandas as pd

from regreveal.simulation.cardiac_scene import FIELD_OF_VIEW_MM

FAILURE_SHARE = 0.005
FAILURES = ("blank", "noise", "wrong view")
ARRHYTHMIA_SHARE = 0.04
BANDING_SHARE = 0.05
FARTHEST_MM = 10.0
FARTHEST_DEGREES = 20.0
LARGEST_OFFSET = 0.08  # of the cycle, between the trigger and the R peak
USUAL_BMI = 27.0
USUAL_GAIN = 165.0  # grey values that blood has
TEXTURE_POINTS = (8, 40)  # points along the field of view: coarse and fine unevenness


def draw_tissues(traits: pd.DataFrame, anatomy: pd.DataFrame, rng) -> pd.DataFrame:
    """Draw fat and tissue signals of each person.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        Its `bmi` is used.
    anatomy : DataFrame, shape (n, ...)
        With `fat_extra` and `chest_extra`.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame, shape (n, ...)
        Thickness of fat in mm (`chest_fat`, `heart_fat`, `body_fat`), signals of `muscle` and
        `fat` with blood as 1, and small parts of the chest.
    """
    n = len(traits)
    weight = (traits["bmi"].to_numpy() - USUAL_BMI).clip(-10, 18)
    return pd.DataFrame(
        {
            "chest_fat": (16 + 1.0 * weight + anatomy["chest_extra"].to_numpy()).clip(4, 50),
            "heart_fat": (3.2 + 0.2 * weight + anatomy["fat_extra"].to_numpy()).clip(0.8, 11),
            "body_fat": (0.4 * weight).clip(-4, 7),
            "muscle": (0.36 + 0.035 * rng.standard_normal(n)).clip(0.26, 0.48),
            "fat": (0.92 + 0.08 * rng.standard_normal(n)).clip(0.7, 1.15),
            "rib_phase": rng.uniform(0, 2 * np.pi, n),
            "aorta_side": rng.normal(0, 4, n).clip(-9, 9),
        }
    )


def draw_nuisance(traits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw what each scan does to its picture.

    Parameters
    ----------
    traits : DataFrame, shape (n, ...)
        Its `bmi` lays the heart flatter.
    rng : numpy.random.Generator
        Source of everything random.

    Returns
    -------
    DataFrame, shape (n, ...)
        As columns of the truth table "cardiac"; see `simulate_cines`.
    """
    n = len(traits)
    weight = (traits["bmi"].to_numpy() - USUAL_BMI).clip(-10, 18)
    failed = rng.random(n) < FAILURE_SHARE
    kind = rng.choice(FAILURES, n)
    coil_angle, coil_slope = rng.uniform(-1.6, -0.8, n), rng.normal(0.4, 0.08, n)
    banding = rng.random(n) < BANDING_SHARE
    return pd.DataFrame(
        {
            "failure": np.where(failed, kind, ""),
            "phase_offset": rng.uniform(-LARGEST_OFFSET, LARGEST_OFFSET, n),
            "arrhythmia": rng.random(n) < ARRHYTHMIA_SHARE,
            "other_period": rng.uniform(0.7, 0.85, n),  # of the irregular beats, relative
            "shift_right_mm": rng.uniform(-FARTHEST_MM, FARTHEST_MM, n),
            "shift_down_mm": rng.uniform(-FARTHEST_MM, FARTHEST_MM, n),
            "rotation_degrees": rng.uniform(-FARTHEST_DEGREES, FARTHEST_DEGREES, n),
            "scale": np.exp(rng.normal(0, 0.045, n).clip(-0.1, 0.1)),
            "heart_rotation_degrees": 0.3 * weight + rng.normal(0, 3, n).clip(-8, 8),
            "heart_right_mm": rng.normal(0, 2, n).clip(-5, 5),
            "heart_down_mm": -0.1 * weight + rng.normal(0, 2, n).clip(-5, 5),
            "tilt_degrees": rng.normal(0, 5, n).clip(-12, 12),
            "slice_offset_mm": rng.normal(0, 2.5, n).clip(-6, 6),
            "gain": USUAL_GAIN * np.exp(rng.normal(0, 0.15, n).clip(-0.4, 0.4)),
            "gamma": np.exp(rng.normal(0, 0.06, n)),
            "coil_right": coil_slope * np.cos(coil_angle),
            "coil_down": coil_slope * np.sin(coil_angle),
            "coil_bend": rng.normal(0.0, 0.06, n),
            "texture": np.exp(rng.normal(0, 0.3, n)),
            "noise": np.exp(rng.normal(np.log(0.045), 0.3, n)),
            "breathing_mm": np.abs(rng.normal(0, 1.3, n)),
            "banding": np.where(banding, rng.uniform(0.3, 0.7, n), 0.0),
            "banding_at": rng.uniform(-0.7, 0.7, n),
            "banding_angle": rng.uniform(0, np.pi, n),
        }
    )


def no_nuisance(n: int) -> pd.DataFrame:
    """Say of n scans that they were perfect, in the columns of `draw_nuisance`."""
    columns = draw_nuisance(pd.DataFrame({"bmi": [USUAL_BMI]}), np.random.default_rng(0)).columns
    perfect = pd.DataFrame(0.0, index=range(n), columns=columns)
    return perfect.assign(
        failure="", arrhythmia=False, other_period=1.0, scale=1.0, gain=USUAL_GAIN, gamma=1.0
    )


def heart_matrix(scan, pixel_mm: float, rows: int, columns: int) -> np.ndarray:
    """Where the standard heart's pixels lie in a picture: 3×3, for (column, row, 1).

    Parameters
    ----------
    scan : namedtuple
        A row of `draw_nuisance`.
    pixel_mm : float
        Size of a pixel.
    rows, columns : int
        Of the picture.

    Returns
    -------
    ndarray, shape (3, 3)
        Times a pixel's (column, row, 1) in the standard picture gives its place in this one, so
        `cv2.warpAffine(picture, matrix[:2], size, flags=WARP_INVERSE_MAP)` puts the heart right.
    """
    in_mm = chest_matrix(scan) @ heart_in_chest(scan)
    to_mm = _to_mm(pixel_mm, rows, columns)
    return np.linalg.inv(to_mm) @ in_mm @ to_mm


def chest_matrix(scan) -> np.ndarray:
    """Where the standard chest lies in a picture: 3×3, for (right, down, 1) from its middle, mm."""
    return _similarity(scan.rotation_degrees, scan.scale, scan.shift_right_mm, scan.shift_down_mm)


def heart_in_chest(scan) -> np.ndarray:
    """Where the standard heart lies in the standard chest: 3×3, as in `chest_matrix`."""
    return _similarity(scan.heart_rotation_degrees, 1.0, scan.heart_right_mm, scan.heart_down_mm)


def _similarity(degrees: float, scale: float, right: float, down: float) -> np.ndarray:
    """Turn clockwise as seen, enlarge, then shift."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array(
        [[scale * cosine, -scale * sine, right], [scale * sine, scale * cosine, down], [0, 0, 1]]
    )


def _to_mm(pixel_mm: float, rows: int, columns: int) -> np.ndarray:
    right, down = (-(size - 1) / 2 * pixel_mm for size in (columns, rows))
    return np.array([[pixel_mm, 0, right], [0, pixel_mm, down], [0, 0, 1]])


def pixel_places(pixel_mm: float, rows: int, columns: int) -> np.ndarray:
    """Right and down of each pixel from the picture's middle, mm: (rows, columns, 2), float32."""
    right, down = np.meshgrid(np.arange(columns), np.arange(rows))
    places = np.stack([right - (columns - 1) / 2, down - (rows - 1) / 2], axis=-1)
    return (pixel_mm * places).astype(np.float32)


def draw_texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth unevenness, about standard normal, the same whatever the number of pixels.

    Returns
    -------
    ndarray of float32, shape (rows, columns, 1)
    """
    from scipy.ndimage import zoom

    parts = []
    for points in TEXTURE_POINTS:
        grid = rng.standard_normal((points, points)).astype(np.float32)
        parts.append(
            zoom(grid, [size / points for size in shape], order=1, grid_mode=True, mode="nearest")
        )
    return sum(parts)[..., None]


def mix_beats(regular: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take some lines of k-space from beats of another length, as a segmented scan does.

    Parameters
    ----------
    regular, other : ndarray, shape (rows, columns, frames)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (rows, columns, frames)
    """
    lines = rng.random(len(regular)) < 0.35
    spectrum = np.fft.fft(regular, axis=0)
    spectrum[lines] = np.fft.fft(other, axis=0)[lines]
    return np.abs(np.fft.ifft(spectrum, axis=0)).astype(np.float32)


def scan_picture(signal: np.ndarray, scan, pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Turn signal into grey values: breath, coils, banding, noise and exposure.

    Parameters
    ----------
    signal : ndarray of float32, shape (rows, columns, frames)
        Blood is 1.
    scan : namedtuple
        A row of `draw_nuisance`.
    pixel_mm : float
        Size of a pixel.
    rng : numpy.random.Generator
        For the noise.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, frames)
    """
    rows, columns, _ = signal.shape
    if scan.breathing_mm > 0:
        from scipy.ndimage import gaussian_filter1d

        signal = gaussian_filter1d(signal, scan.breathing_mm / pixel_mm, axis=0, mode="nearest")
    place = pixel_places(pixel_mm, rows, columns) / np.float32(FIELD_OF_VIEW_MM / 2)
    x, y = place[..., :1], place[..., 1:]
    coil = np.exp(scan.coil_right * x + scan.coil_down * y + scan.coil_bend * (x**2 + y**2))
    across = np.cos(scan.banding_angle) * x + np.sin(scan.banding_angle) * y
    band = np.exp(-(((across + 0.25 * y**2 - scan.banding_at) / 0.07) ** 2))
    picture = signal * (coil * (1 - scan.banding * band)).astype(np.float32)
    if scan.noise > 0:
        picture = add_rician(picture, scan.noise, rng)
    return to_grey(picture, scan)


def add_rician(picture: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise to the real and imaginary part and take the magnitude, as scanners do."""
    real = rng.standard_normal(picture.shape, np.float32)
    imaginary = rng.standard_normal(picture.shape, np.float32)
    real *= np.float32(noise)
    real += picture
    return np.sqrt(real**2 + (np.float32(noise) * imaginary) ** 2)


def to_grey(picture: np.ndarray, scan) -> np.ndarray:
    """Expose: blood becomes `gain`, and `gamma` bends what lies between."""
    return np.clip(scan.gain * picture ** np.float32(scan.gamma) + 0.5, 0, 255).astype(np.uint8)
