"""A store that an autoencoder can learn, and autoencoders trained on it."""

import autoencoder_toy
import pytest


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return autoencoder_toy.write_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, store):
    return autoencoder_toy.train_toy(store, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def other_model_folder(tmp_path_factory, store):
    """Hold a model of another seed, hardly trained."""
    return autoencoder_toy.train_toy(store, tmp_path_factory.mktemp("other"), seed=4, steps=1)
