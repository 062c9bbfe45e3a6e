"""Where the heartbeats of a recording are, from all its leads at once."""

from functools import lru_cache

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from regreveal.errors import InputError

# The waves of a beat, without baseline wander and most muscle and mains noise.
BEAT_BAND_HZ = (1.0, 40.0)
# Of the waves only the QRS complex has much energy above this: T waves end below.
QRS_ABOVE_HZ = 10.0
# Times the usual lead's background; leads with tall T waves come near it.
NOISY_LEAD = 3.0
# About one QRS complex: the parts of a notched or wide complex merge to a single hump, as does a
# pacing spike with the complex it causes.
QRS_SECONDS = 0.1
# No ventricle beats twice in this time (240 beats a minute).
REFRACTORY_SECONDS = 0.25
# Every stretch this long holds a beat unless the heart beats fewer than 30 times a minute.
LEVEL_SECONDS = 2.0
THRESHOLD = 0.3
# Usual peak over background: a steady hum has no peaks to speak of.
MINIMUM_CONTRAST = 1.2


def detect_beats(ecg, sampling_rate):
    """R peaks of multi-lead recordings.

    The leads, filtered to the band of the QRS complex, are joined to one signal, their root mean
    square: no lead needs to be chosen, and a beat that is flat in some leads is still seen in
    others. Where that signal, averaged over the length of a QRS complex, rises by at least 0.3 of
    the way from the background (its median) to the recording's usual peak, there is a beat. The
    usual peak is the median of the maxima of 2 s stretches: neither a burst of noise nor a giant
    ectopic beat moves it, and noise between the beats raises the background.

    Parameters
    ----------
    ecg : ndarray, shape (n, samples, leads)
        Recordings; the units do not matter.
    sampling_rate : float
        Of `ecg`, in Hz; at least 100.

    Returns
    -------
    list of n ndarray of int
        Per recording the sample at which the root mean square over leads peaks in each QRS
        complex, in order; empty for a flat recording.

    Raises
    ------
    InputError
        If the shape is wrong, a value is not finite, or the rate is too low to see a QRS complex.
    """
    ecg = np.asarray(ecg)
    if ecg.ndim != 3:
        raise InputError(
            f"ecg: an array of shape {ecg.shape}; expected (recordings, samples, leads)"
        )
    check_sampling_rate(sampling_rate)
    finite = np.isfinite(ecg).all(axis=(1, 2))
    if not finite.all():
        first = int(np.argmin(finite))
        raise InputError(f"ecg: recording {first} has missing or infinite values; leave it out")
    return [r_peaks(recording, sampling_rate) for recording in ecg]


def check_sampling_rate(sampling_rate):
    """Raise InputError unless a QRS complex can be seen at this rate (Hz)."""
    if not (np.isfinite(sampling_rate) and sampling_rate >= 100):
        raise InputError(f"sampling_rate: {sampling_rate} Hz; expected at least 100")


def r_peaks(recording, sampling_rate):
    """R peaks of one recording, (samples, leads): see `detect_beats`."""
    waves = beat_waves(recording, sampling_rate)
    centres = qrs_centres(waves, sampling_rate)
    strength = np.square(waves).mean(axis=1)
    reach = round(0.6 * QRS_SECONDS * sampling_rate)
    around = np.clip(centres[:, None] + np.arange(-reach, reach + 1), 0, len(strength) - 1)
    best = np.argmax(strength[around], axis=1)
    return np.unique(around[np.arange(len(around)), best])


def beat_waves(recording, sampling_rate):
    """Filter a recording, (samples, leads), to the band of the beats' waves.

    A lead far noisier between the beats than most is turned down, or it would drown the others.
    """
    waves = _zero_phase(recording, "bandpass", BEAT_BAND_HZ, sampling_rate)
    background = np.median(np.abs(waves), axis=0)
    loudest = NOISY_LEAD * np.median(background)
    noisy = (background > loudest) & (loudest > 0)
    waves[:, noisy] *= loudest / background[noisy]
    return waves


def qrs_centres(waves, sampling_rate):
    """Find the samples about which QRS complexes lie, in what `beat_waves` gives.

    From beat to beat they wander less between the R and the S wave than the R peak does.
    """
    steep = _zero_phase(waves, "highpass", QRS_ABOVE_HZ, sampling_rate)
    strength = np.sqrt(np.square(steep).mean(axis=1))
    envelope = uniform_filter1d(strength, round(QRS_SECONDS * sampling_rate), mode="constant")
    stretch = min(round(LEVEL_SECONDS * sampling_rate), len(envelope))
    starts = range(0, len(envelope) - stretch + 1, stretch // 2)
    usual_peak = np.median([envelope[start : start + stretch].max() for start in starts])
    background = np.median(envelope)
    if usual_peak < MINIMUM_CONTRAST * background or usual_peak == 0:
        return np.empty(0, int)
    centres, _ = find_peaks(
        envelope,
        height=background + THRESHOLD * (usual_peak - background),
        distance=round(REFRACTORY_SECONDS * sampling_rate),
    )
    return centres


def _zero_phase(recording, kind, cutoff_hz, sampling_rate):
    """Butterworth filter run forwards and backwards, so that no wave moves in time."""
    padding = min(round(0.5 * sampling_rate), len(recording) - 1)
    sections = _butterworth(kind, cutoff_hz, sampling_rate)
    return sosfiltfilt(sections, recording, axis=0, padlen=padding)


@lru_cache
def _butterworth(kind, cutoff_hz, sampling_rate):
    return butter(2, cutoff_hz, kind, fs=sampling_rate, output="sos")
