"""What every reader of an ECG format returns, whatever the format.

A format is one module with a `NAME`, a cheap `recognises(path)` and a `read(path)`, which gives
the types of this module or raises what `files` has.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Facts:
    """What a file says about the person and the recording, besides the signal.

    Only what is needed later: names, dates, ids and device numbers have no place here.

    Attributes
    ----------
    age : float, optional
        In years.
    sex : str, optional
        "female" or "male".
    rhythm : str, optional
        "sinus" or "other"; None where the file does not say.
    heart_rate : float, optional
        Beats a minute.
    pr_interval, qrs_duration, qt_interval : float, optional
        In milliseconds.
    """

    age: float | None = None
    sex: str | None = None
    rhythm: str | None = None
    heart_rate: float | None = None
    pr_interval: float | None = None
    qrs_duration: float | None = None
    qt_interval: float | None = None


@dataclass(frozen=True)
class Recording:
    """One signal as its file has it, before leads, units and sampling rate are normalised.

    Attributes
    ----------
    signal : ndarray, shape (samples, leads)
        In `units`, the file's own gains applied; NaN where the file marks samples as missing.
    leads : tuple of str, length leads
        Names as the file has them.
    units : tuple of str, length leads
        Such as "mV" or "uV".
    sampling_rate : float
        In hertz.
    sample_id : str
        From the file's name, never from its contents.
    kind : "rest_10s" or "median"
        A rhythm strip, or the device's own median beat.
    facts : Facts
    flags : tuple of str
        What a user should know, each a fixed reason, optionally followed by ": " and details.
    """

    signal: np.ndarray
    leads: tuple[str, ...]
    units: tuple[str, ...]
    sampling_rate: float
    sample_id: str
    kind: Literal["rest_10s", "median"]
    facts: Facts = field(default_factory=Facts)
    flags: tuple[str, ...] = ()
