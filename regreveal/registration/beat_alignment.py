"""Bringing the beats of one recording onto each other: pure functions on arrays.

Recordings are (samples, leads), beats (beats, samples, leads), times are in samples and need not
be whole. Every function moves all leads of a beat together.
"""

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import spline_filter1d

# Beats belong together when their QRS complexes correlate at least so well, over all leads.
LIKENESS = 0.8


def spline_coefficients(recording):
    """Cubic B-spline coefficients of each lead, from which `cut` interpolates."""
    return spline_filter1d(recording, order=3, axis=0, mode="mirror", output=recording.dtype)


def cut(coefficients, times, before, length):
    """Cut windows that begin `before` samples before each time, interpolating between samples.

    Parameters
    ----------
    coefficients : ndarray, shape (samples, leads)
        From `spline_coefficients`.
    times : ndarray, shape (beats,)
        In samples.
    before, length : int
        In samples. Beyond its ends the recording is taken to stay as it is.

    Returns
    -------
    ndarray, shape (beats, length, leads)
    """
    starts = times - before
    whole = np.floor(starts)
    index = whole.astype(int)[:, None] + np.arange(-1, length + 2)
    points = coefficients[np.clip(index, 0, len(coefficients) - 1)]
    t = (starts - whole).astype(coefficients.dtype)[:, None, None]
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t + t**2 - t**3) + 1, t**3)
    return sum(weight / 6 * points[:, k : k + length] for k, weight in enumerate(weights))


def dominant_beats(recording, centres, reach, slack):
    """Find the largest family of like beats, and bring the others to them in whole samples.

    The beat with the most beats like it stands for the family (the first of several): with as many
    ectopic beats as others an average would resemble neither.

    Parameters
    ----------
    recording : ndarray, shape (samples, leads)
    centres : ndarray of int, shape (beats,)
        At least `reach + slack` samples from either end.
    reach, slack : int
        Samples compared on either side of a centre, and how far centres may be out; both even.

    Returns
    -------
    centres : ndarray of int, shape (beats,)
        Moved to where each beat correlates best with the family's.
    alike : ndarray of bool, shape (beats,)
        Whether the beat is of the family.
    """
    # Every second sample will do: the choice is of a family and of whole samples only.
    windows = recording[centres[:, None] + np.arange(-reach - slack, reach + slack + 1, 2)]
    size = reach + 1

    def unit(shift):
        flat = windows[:, shift : shift + size].reshape(len(centres), -1)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)

    middle = slack // 2
    likeness = np.stack([unit(middle) @ unit(shift).T for shift in range(slack + 1)])
    best_shift = 2 * (np.argmax(likeness, axis=0) - middle)
    best = likeness.max(axis=0)
    chosen = np.argmax((best >= LIKENESS).sum(axis=1))
    return centres + best_shift[chosen], best[chosen] >= LIKENESS


def refine_times(coefficients, times, reach, tolerance=0.005, rounds=12):
    """Align like beats to a fraction of a sample.

    Each beat is compared with the mean beat at shifts of -1, 0 and 1 sample; the vertex of the
    parabola through the three squared differences gives the step, and so on until nothing moves.
    (Squared differences are the cross-correlation with the beat's own power taken into account: by
    correlation alone a beat drifts to where an elevated ST segment enters the window.)

    Leads are whitened by their noise covariance, estimated from the beats' deviations from their
    mean: this is the maximum likelihood estimate for noise that is white in time, and it neither
    listens to a noisy lead nor counts the noise of leads I and II again in the four leads derived
    from them.

    Parameters
    ----------
    coefficients : ndarray, shape (samples, leads)
    times : ndarray, shape (beats,)
        Right to a few samples; at least two beats.
    reach : int
        Samples used on either side.
    tolerance : float
        Largest step, in samples, at which to stop.
    rounds : int
        Most steps made.

    Returns
    -------
    ndarray, shape (beats,)
        Times whose mean is that of `times`.
    """
    size = 2 * reach + 1
    for _ in range(rounds):
        windows = cut(coefficients, times, reach + 1, size + 2)
        windows = windows @ _whitening(windows[:, 1:-1])
        mean_beat = windows[:, 1:-1].mean(axis=0)
        before, now, after = (
            np.square(windows[:, k : k + size] - mean_beat).sum(axis=(1, 2), dtype=float)
            for k in range(3)
        )
        curvature = before - 2 * now + after
        curved = curvature > 0
        step = 0.5 * (before - after) / np.where(curved, curvature, 1)
        step = np.where(curved, np.clip(step, -1, 1), np.sign(before - after))
        step -= step.mean()
        times = times + step
        if np.abs(step).max() < tolerance:
            break
    return times


def _whitening(beats):
    """Matrix, (leads, leads), that makes the noise of the leads independent and equally large."""
    deviation = (beats - beats.mean(axis=0)).reshape(-1, beats.shape[-1])
    covariance = deviation.T @ deviation / len(deviation)
    # Derived leads make it singular, beats without noise make it nothing.
    floor = 1e-3 * np.trace(covariance) + 1e-6 * np.square(beats).mean()
    return np.linalg.inv(np.linalg.cholesky(covariance + floor * np.eye(len(covariance)))).T


def likeness_to(template, beats):
    """Correlation of each beat with a template over all leads together, (beats,)."""
    product = np.einsum("sl,bsl->b", template, beats)
    power = np.einsum("bsl,bsl->b", beats, beats) * np.square(template).sum()
    return product / np.sqrt(np.maximum(power, 1e-30))


def qrs_centre(template, reach):
    """Centre of a QRS complex: the centroid of its power over all leads.

    The window, a raised cosine, is moved to the centroid until the two agree, so the result does
    not depend on where one began. The R peak itself is a poor mark between people: where R and S
    are alike, a small difference in shape moves it from one to the other.

    Parameters
    ----------
    template : ndarray, shape (samples, leads)
        A beat with its complex near the middle, at least 2 `reach` on either side of it.
    reach : int
        Half the width of the window, in samples.

    Returns
    -------
    float
        In samples from the start.
    """
    power = np.square(template).sum(axis=1)
    samples = np.arange(len(power))
    centre = (len(power) - 1) / 2
    for _ in range(100):
        distance = np.clip((samples - centre) / reach, -1, 1)
        weight = (1 + np.cos(np.pi * distance)) * power
        moved = (weight * samples).sum() / weight.sum()
        converged = abs(moved - centre) < 1e-4
        centre = moved
        if converged:
            break
    return centre


def remove_wander(recording, times, before, after):
    """Take baseline wander away without touching the shape of the beat.

    Like beats have like means, so what their means vary by is the baseline: a cubic spline through
    one knot per beat. A high-pass filter that removed as much would bend the ST segment of a slow
    heart; this cannot, whatever the rate.

    Parameters
    ----------
    recording : ndarray, shape (samples, leads)
    times : ndarray, shape (beats,)
        In order; at least two, with windows that lie within the recording.
    before, after : int
        Window about each time, in samples: as much of the beat as repeats exactly.

    Returns
    -------
    ndarray, shape (samples, leads)
        In the type of `recording`; its level is that of the mean beat.
    """
    index = np.round(times).astype(int)[:, None] + np.arange(-before, after)
    knots = recording[index].mean(axis=1, dtype=float)
    knot_times = index.mean(axis=1)
    baseline = CubicSpline(knot_times, knots, bc_type="natural")
    # Beyond the outermost beats a polynomial would run away.
    samples = np.clip(np.arange(len(recording)), knot_times[0], knot_times[-1])
    return recording - baseline(samples).astype(recording.dtype)
