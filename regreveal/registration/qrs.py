"""QRSAlignment: an ECG strip becomes its median beat, with the QRS complex at a fixed sample."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from regreveal.ecg_leads import LEADS
from regreveal.errors import InputError
from regreveal.ingest.normalisation import SAMPLING_RATE as OUTPUT_RATE
from regreveal.ingest.normalisation import resample
from regreveal.registration.base import Registered, Registration, quality_table
from regreveal.registration.beat_alignment import (
    LIKENESS,
    cut,
    dominant_beats,
    likeness_to,
    qrs_centre,
    refine_times,
    remove_wander,
    spline_coefficients,
)
from regreveal.registration.beats import (
    beat_waves,
    check_sampling_rate,
    detect_beats,
    qrs_centres,
)

__all__ = ["FIDUCIAL_SAMPLE", "QRSAlignment", "detect_beats"]

BEAT_SAMPLES = 600
# 480 ms before the centre of the QRS complex and 720 ms after: a long PR interval and a long QT
# interval fit. CardioSoft puts its median beats within a sample of the same place.
FIDUCIAL_SAMPLE = 240

QRS_REACH = 50  # 100 ms either side: the widest complexes, without the T wave
SLACK = 20  # how far, in samples, a detected centre may be from its place in the complex
MINIMUM_BEATS = 3
DEAD_SHARE = 0.02  # of the usual lead's SD; the flattest live leads of real ECGs have some 0.4
PLAUSIBLE_MV = 1000
# The PR segment is looked for this long before the QRS centre, in samples, as the flattest 20 ms.
LEVEL_FROM, LEVEL_TO, LEVEL_SAMPLES = 65, 20, 10


@dataclass
class BeatQuality:
    """Quality figures of one recording: the columns of `qc` after `ok`, in this order.

    Attributes
    ----------
    reason : str
        Why it could not be registered; empty where it could.
    n_beats : int
        Beats detected.
    n_ectopic : int
        Of them, those unlike the dominant beat: ectopic beats, and noise taken for beats.
    n_used : int
        Beats in the median: those like the dominant beat whose window lies within the strip.
    heart_rate : float
        Per minute, from the median RR interval of all beats.
    rr_sd_ms : float
        SD of RR intervals between neighbouring beats of the dominant kind, in ms.
    template_correlation : float
        Median correlation of the beats used with their mean, over QRS complex and all leads.
    noise_mv : float
        Robust SD of the beats used about the median beat, in the units of the recording.
    dead_leads : str
        Names of flat leads, separated by spaces.
    """

    reason: str = ""
    n_beats: int = 0
    n_ectopic: int = 0
    n_used: int = 0
    heart_rate: float = np.nan
    rr_sd_ms: float = np.nan
    template_correlation: float = np.nan
    noise_mv: float = np.nan
    dead_leads: str = ""


class QRSAlignment(Registration):
    """Median beat of each recording, all leads moved together, QRS complex at sample 240 of 600.

    The beats of a recording are aligned to a small fraction of a sample, ectopic beats are left
    out, baseline wander is removed without a filter, and the median of the rest is taken, sampled
    at 500 Hz. Between people, the mark is the centroid of the QRS complex's power over all leads,
    put at `FIDUCIAL_SAMPLE`; the PR segment is set to zero in every lead.

    A recording with a dead lead is not registered (`reason` names the lead): its median beat would
    show a flat line as if it were a finding. Its heart rate and the like are given all the same.

    Parameters
    ----------
    sampling_rate : float
        Of the recordings given to `transform`, in Hz, at least 100. Median beats are always at
        500 Hz.

    Notes
    -----
    `transforms` holds, per recording, the times of the beats in the median as ndarrays of float:
    samples of the recording as given, where its QRS centre was; empty where it was not registered.
    """

    output_sampling_rate = OUTPUT_RATE

    def __init__(self, sampling_rate: float = 500):
        self.sampling_rate = sampling_rate

    def fit(self, x):
        """Return this registration: there is nothing to learn."""
        return self

    def transform(self, x) -> Registered:
        """Median beats of recordings.

        Parameters
        ----------
        x : ndarray, shape (n, samples, leads)
            In mV, at `sampling_rate`.

        Returns
        -------
        Registered
            `tensors` of shape (n, 600, leads), float32; `qc` has `ok` and the columns of
            `BeatQuality`.

        Raises
        ------
        InputError
            If the shape or the sampling rate is wrong, or the recordings are too short for a beat.
        """
        x = np.asarray(x)
        check_sampling_rate(self.sampling_rate)
        if x.ndim != 3:
            raise InputError(f"ecg: an array of shape {x.shape}; expected (n, samples, leads)")
        if x.shape[1] < BEAT_SAMPLES * self.sampling_rate / OUTPUT_RATE:
            raise InputError(
                f"ecg: recordings of {x.shape[1]} samples at {self.sampling_rate:g} Hz; expected "
                f"at least {BEAT_SAMPLES / OUTPUT_RATE:g} s, the length of a median beat"
            )
        tensors = np.full((len(x), BEAT_SAMPLES, x.shape[2]), np.nan, np.float32)
        qualities, transforms = [], []
        to_input = self.sampling_rate / OUTPUT_RATE
        for recording, tensor in zip(x, tensors, strict=True):
            beat, times, quality = median_beat(
                resample(recording.astype(np.float32), self.sampling_rate)
            )
            tensor[:] = beat
            qualities.append(quality)
            transforms.append(times * to_input)
        return Registered(tensors, quality_table(qualities, BeatQuality), transforms)


def median_beat(recording):
    """Median beat of one recording at 500 Hz.

    Parameters
    ----------
    recording : ndarray of float32, shape (samples, leads)

    Returns
    -------
    beat : ndarray, shape (600, leads)
        NaN where the recording could not be registered.
    times : ndarray of float, shape (beats used,)
        QRS centres, in samples; empty where it could not.
    quality : BeatQuality
    """
    leads = recording.shape[1]
    nothing = np.full((BEAT_SAMPLES, leads), np.nan), np.empty(0)
    if not np.isfinite(recording).all():
        return *nothing, BeatQuality("missing or infinite values")
    if np.abs(recording).max() > PLAUSIBLE_MV:
        return *nothing, BeatQuality(f"values over {PLAUSIBLE_MV} mV")
    waves = beat_waves(recording, OUTPUT_RATE)
    dead = _dead_leads(recording, waves)
    quality = BeatQuality(dead_leads=" ".join(_lead_names(leads)[dead]))
    if dead.all():
        quality.reason = "all leads flat"
        return *nothing, quality

    too_few = f"fewer than {MINIMUM_BEATS} usable beats"
    centres = qrs_centres(waves, OUTPUT_RATE)
    quality.n_beats = len(centres)
    edge = QRS_REACH + SLACK
    centres = centres[(centres >= edge) & (centres < len(recording) - edge)]
    if len(centres) < MINIMUM_BEATS:
        quality.reason = too_few
        return *nothing, quality
    times, alike, quality.template_correlation = _align(waves, centres)
    if not alike.any():
        quality.reason = too_few
        return *nothing, quality
    intervals = np.diff(times)
    quality.n_ectopic = int(np.sum(~alike))
    quality.heart_rate = 60 * OUTPUT_RATE / np.median(intervals)
    normal = intervals[alike[1:] & alike[:-1]]
    if len(normal) > 1:
        quality.rr_sd_ms = normal.std(ddof=1) * 1000 / OUTPUT_RATE

    last = len(recording) - (BEAT_SAMPLES - FIDUCIAL_SAMPLE) - 1
    whole = alike & (times >= FIDUCIAL_SAMPLE) & (times <= last)
    quality.n_used = int(np.sum(whole))
    if quality.n_used < MINIMUM_BEATS:
        quality.reason = too_few
        return *nothing, quality
    steady = _without_wander(recording, times[alike], np.median(intervals))
    beats = cut(spline_coefficients(steady), times[whole], FIDUCIAL_SAMPLE, BEAT_SAMPLES)
    median = np.median(beats, axis=0)
    quality.noise_mv = _noise(beats, median)
    if dead.any():
        quality.reason = f"dead lead {quality.dead_leads}"
        return *nothing, quality
    return median - _isoelectric_level(median), times[whole], quality


def _lead_names(leads):
    return np.array(LEADS if leads == len(LEADS) else [str(lead) for lead in range(leads)])


def _dead_leads(recording, waves):
    """Whether each lead is constant, or shows next to nothing beside the others."""
    size = np.where(np.ptp(recording, axis=0) > 0, waves.std(axis=0), 0)
    live = size[size > 0]
    return size <= (DEAD_SHARE * np.median(live) if len(live) else 0)


def _align(waves, centres):
    """Align the dominant beats of a recording, and put the mark on the QRS centre.

    Returns times of all beats (exact for the dominant ones), which are dominant, and how well these
    correlate with their mean. None is dominant where fewer than three resemble each other.
    """
    coefficients = spline_coefficients(waves)
    centres, alike = dominant_beats(waves, centres, QRS_REACH, SLACK)
    times = centres.astype(float)
    for _ in range(2):
        if alike.sum() < MINIMUM_BEATS:
            return times, np.zeros_like(alike), np.nan
        times[alike] = refine_times(coefficients, times[alike], QRS_REACH)
        beats = cut(coefficients, times, QRS_REACH, 2 * QRS_REACH + 1)
        likeness = likeness_to(beats[alike].mean(axis=0), beats)
        refined, alike = alike, likeness >= LIKENESS
        if (alike == refined).all():
            break
    alike &= refined
    if alike.sum() < MINIMUM_BEATS:
        return times, np.zeros_like(alike), np.nan
    wide = cut(coefficients, times[alike], 2 * QRS_REACH, 4 * QRS_REACH + 1).mean(axis=0)
    times += qrs_centre(wide, QRS_REACH) - 2 * QRS_REACH
    return times, alike, float(np.median(likeness[alike]))


def _without_wander(recording, times, interval):
    """Remove the wander, from as much of each beat as keeps clear of its neighbours."""
    before, after = round(min(150, 0.4 * interval)), round(min(200, 0.5 * interval))
    inside = (times >= before + 1) & (times <= len(recording) - after - 1)
    return remove_wander(recording, times[inside], before, after)


def _isoelectric_level(median):
    """Mean of each lead over the flattest 20 ms before the QRS complex, the PR segment."""
    first, last = FIDUCIAL_SAMPLE - LEVEL_FROM, FIDUCIAL_SAMPLE - LEVEL_TO
    windows = sliding_window_view(median[first:last], LEVEL_SAMPLES, axis=0)
    flattest = np.argmin(windows.var(axis=-1).sum(axis=-1))
    return windows[flattest].mean(axis=-1)


def _noise(beats, median):
    """Robust SD of beats about their median, made good for the median's following them."""
    # Every fifth sample, of thousands, is plenty.
    spread = 1.4826 * np.median(np.abs(beats[:, ::5] - median[::5]))
    return float(spread * np.sqrt(len(beats) / (len(beats) - 1)))
