"""A run folder like those `regreveal run` leaves, of invented but plausible numbers."""

from .arms import sample_ids
from .experiment import EXPERIMENT, GENETICS
from .probes import TARGETS
from .run import make_run_folder

__all__ = ["EXPERIMENT", "GENETICS", "TARGETS", "make_run_folder", "sample_ids"]
