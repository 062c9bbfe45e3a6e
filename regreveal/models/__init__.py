"""Autoencoders and their training."""

import contextlib
import os
from collections.abc import Iterator

# Read by TensorFlow when it is imported: take GPU memory as it is needed rather than all of it,
# and do not call a machine without a GPU an error; training says which devices it runs on.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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
    import keras  # noqa: F401 - for the modules of this package, which find it loaded


def load(model: str | os.PathLike):
    """Load a model of the zoo, such as "zoo:ecg_median", or of a folder: see `zoo.load`."""
    from regreveal.models import zoo

    return zoo.load(model)
