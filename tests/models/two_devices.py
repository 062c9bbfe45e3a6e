"""Train the toy on one device and on two that are simulated, and print the losses of both."""

import sys
from pathlib import Path

import keras
from autoencoder_toy import train_toy, write_store

import regreveal.models  # noqa: F401 - before Keras
from regreveal.errors import InputError
from regreveal.models import training

PLAN = {"steps": 6, "steps_per_epoch": 3, "averaging": 0.9}
if keras.backend.backend() == "jax":
    PLAN["accumulation"] = 2


def main(folder):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        (processor,) = tf.config.list_physical_devices("CPU")
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(processor, halves)
    store = write_store(folder / "store")
    for devices in (1, "all"):
        model = folder / f"model-{devices}"
        train_toy(store, model, devices=devices, **PLAN)
        history = training.read_model_json(model)
        print(history["loss"], history["validation_loss"])
    for refused in ({"batch_size": 7}, {"accumulation": 2}):
        try:
            train_toy(store, folder / "refused", devices=2, **{**PLAN, **refused})
        except InputError as error:
            print(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
