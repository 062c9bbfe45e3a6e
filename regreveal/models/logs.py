"""What a training leaves to look at while it goes on."""

from collections.abc import Callable
from pathlib import Path

import keras
import pandas as pd

from regreveal.errors import InputError
from regreveal.store.atomic import atomic_path

Log = Callable[[list[dict]], None]  # is given the history after each epoch


def history_csv(folder: Path) -> Log:
    """Write the history as a table, whole, after each epoch."""

    def write(history: list[dict]) -> None:
        with atomic_path(folder / "history.csv") as temporary:
            pd.DataFrame(history).to_csv(temporary, index=False)

    return write


def tensorboard_events(folder: Path) -> Log:
    """Write losses, learning rate and seconds of each epoch as TensorBoard's event files.

    Raises
    ------
    InputError
        If Keras does not run on TensorFlow, which has the writer of these files.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"training: tensorboard needs TensorFlow as Keras' backend (it is "
            f"{keras.backend.backend()}); history.csv has the same figures"
        )
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
    # `tf.summary.scalar` would do, but it is in the package tensorboard, which only those need who
    # look at the files.
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
        data_class="DATA_CLASS_SCALAR",
    )

    def write(history: list[dict]) -> None:
        row = history[-1]
        with writer.as_default(step=row["steps"]):
            for name in ("loss", "validation_loss", "learning_rate", "seconds"):
                tf.summary.write(name, tf.constant(row[name], tf.float32), metadata=metadata)
        writer.flush()

    return write
