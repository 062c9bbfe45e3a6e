"""Autoencoders and their training."""

import contextlib
import logging
import os
from collections.abc import Iterator

# Read by TensorFlow when it is imported: take GPU memory as it is needed rather than all of it,
# and do not call a machine without a GPU an error; training says which devices it runs on.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Its Python half warns of what users can do nothing about, as of functions that are traced again.
logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def _without_native_remarks() -> Iterator[None]:
    """Keep what C++ code prints about the processor while it loads off the user's terminal.

    No logging level reaches it; Python's own errors come after the block and are seen.
    """
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


with _without_native_remarks():
    # Other packages take it from here, so that it is loaded quietly whoever comes first.
    import keras  # noqa: F401


def load(model: str | os.PathLike):
    """Load a model of the zoo, such as "zoo:ecg_median", or of a folder: see `zoo.load`."""
    from regreveal.models import zoo

    return zoo.load(model)
