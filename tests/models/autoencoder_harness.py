"""What every autoencoder must be able to do, whatever its architecture.

A test module of an architecture parametrizes over its builders and calls these checks.
"""

import json

import keras
import numpy as np


def check_shapes(models, shape, latent_size):
    """Encoder, decoder and autoencoder map between tensors and latents of the right sizes."""
    tensors = random_tensors(shape)
    latents = predict(models.encoder, tensors)
    assert latents.shape == (len(tensors), latent_size)
    assert predict(models.decoder, latents).shape == tensors.shape
    assert models.encoder.output.dtype == models.autoencoder.output.dtype == "float32"


def check_composition(models, shape):
    """The autoencoder is the decoder after the encoder, with the same latents."""
    tensors = random_tensors(shape)
    latents = predict(models.encoder, tensors)
    inner = models.autoencoder.get_layer("encoder")
    np.testing.assert_array_equal(predict(inner, tensors), latents)
    np.testing.assert_allclose(
        predict(models.autoencoder, tensors), predict(models.decoder, latents), rtol=1e-5, atol=1e-5
    )


def check_saving(models, shape, folder):
    """Each model comes back from its file, in safe mode, with the same config and outputs."""
    tensors = random_tensors(shape)
    latents = predict(models.encoder, tensors)
    for model, inputs in zip(models, (tensors, tensors, latents), strict=True):
        path = folder / f"{model.name}.keras"
        model.save(path)
        loaded = keras.saving.load_model(path, safe_mode=True)
        assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
        np.testing.assert_array_equal(predict(loaded, inputs), predict(model, inputs))


def check_seed(build):
    """The same seed gives the same weights and another seed others."""
    first, again, other = build(seed=1), build(seed=1), build(seed=2)
    for one, two in zip(first.autoencoder.weights, again.autoencoder.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    kernels = [
        (one.numpy(), two.numpy())
        for one, two in zip(first.autoencoder.weights, other.autoencoder.weights, strict=True)
        if one.name == "kernel"
    ]
    assert all(not np.array_equal(one, two) for one, two in kernels)


def check_mixed_precision(build, shape, folder):
    """Under half precision it trains, saves and keeps latents and reconstructions in float32."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        models = build(seed=1)
        tensors = random_tensors(shape)
        trainer = keras.Model(models.autoencoder.input, models.autoencoder.output)
        trainer.compile("adam", "mean_squared_error", run_eagerly=True)
        assert np.isfinite(trainer.train_on_batch(tensors, tensors))
    finally:
        keras.config.set_dtype_policy(policy)
    assert models.encoder.output.dtype == models.autoencoder.output.dtype == "float32"
    assert "float16" in {layer.compute_dtype for layer in models.encoder.layers}
    check_saving(models, shape, folder)


def random_tensors(shape, n=3):
    return np.random.default_rng(0).standard_normal((n, *shape)).astype(np.float32)


def predict(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))
