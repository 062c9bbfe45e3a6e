"""What a dry run says, against closed forms for a network small enough to count by hand."""

import re

import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.experiment.dry_run import plan_run
from regreveal.experiment.estimates import Network, measure_network
from regreveal.experiment.settings import parse_experiment

EXPERIMENT = """
title = "Dry"
[data]
folder = "nowhere"
[autoencoder]
latent_size = 8
steps = 100
batch_size = 4
[arms.native]
tensor_map = "ecg.rest_10s"
[arms.registered]
tensor_map = "ecg.median"
registration = { method = "QRSAlignment", input = "ecg.rest_10s" }
[comparisons.alignment]
baseline = "native"
against = "registered"
[gwas]
"""


def test_operations_weights_and_values_are_counted_layer_by_layer():
    import keras
    from keras import layers

    image = keras.Input((8, 6, 3))
    inner_input = keras.Input((4, 3, 5))
    inner = keras.Model(inner_input, layers.Conv2DTranspose(2, 2, strides=2)(inner_input))
    x = layers.Conv2D(5, 3, strides=2, padding="same")(image)
    model = keras.Model(image, layers.Dense(7)(layers.Flatten()(inner(x))))
    measured = measure_network(model)
    convolution = 2 * (4 * 3) * (3 * 3 * 3 * 5)
    transposed = 2 * (4 * 3) * (2 * 2 * 2 * 5)
    dense = 2 * (8 * 6 * 2) * 7
    assert measured.operations == convolution + transposed + dense
    assert measured.weights == measured.trained == 140 + 42 + 679
    values = {"images": 144 + 60, "made": 60 + 96 + 96 + 7}
    assert measured.activations == sum(values.values())


def test_memory_of_a_step_grows_with_the_batch_and_holds_the_optimizer():
    network = Network(weights=1000, trained=900, operations=1e6, activations=50_000)
    assert network.training_bytes(1) == 4 * (2 * 50_000 + 1000 + 3 * 900)
    assert network.training_bytes(3) - network.training_bytes(2) == 4 * 2 * 50_000
    assert network.training_operations(batch_size=4, steps=10) == 3 * 1e6 * 40


@pytest.fixture
def constant_rate(monkeypatch):
    monkeypatch.setattr("regreveal.experiment.dry_run.measured_rate", lambda rank: 1e10)


def test_every_stage_is_listed_with_what_it_takes_and_costs(constant_rate):
    plan = plan_run(parse_experiment(EXPERIMENT, "dry.toml"), participants=1000, variants=50_000)
    assert plan["stage"].tolist() == [
        "registered: QRSAlignment",
        "native: train",
        "native: embed",
        "registered: train",
        "registered: embed",
        "alignment: latent GWAS of native",
        "alignment: latent GWAS of registered",
    ]
    by_stage = plan.set_index("stage")
    assert by_stage.loc["registered: QRSAlignment", "output"] == "ecg.median 600 × 12"
    assert by_stage.loc["native: train", "participants"] == 250
    assert by_stage.loc["native: embed", "participants"] == 750
    assert (by_stage["gigabytes"] > 0).all()
    assert (by_stage["seconds"] > 0).all()
    trained = by_stage.loc["native: train"]
    from regreveal.models.autoencoder import build_autoencoder

    network = build_autoencoder((5000, 12), 8).autoencoder
    assert trained["weights"] == network.count_params()
    assert trained["seconds"] == 3 * measure_network(network).operations * 400 / 1e10


def test_participants_and_variants_are_counted_where_the_data_are(constant_rate, tmp_path):
    (tmp_path / "tensors").mkdir()
    ids = [f"p{i}" for i in range(40)]
    (tmp_path / "cohort.tsv").write_text("sample_id\n" + "\n".join(ids) + "\n")
    text = EXPERIMENT.replace('"nowhere"', f'"{tmp_path}"')
    plan = plan_run(parse_experiment(text, "dry.toml"), participants=1000, variants=50_000)
    assert np.isclose(plan["participants"].iloc[0], 40)
    assert "50,000 variants" in plan["input"].iloc[-1]
    simulated = EXPERIMENT.replace('[data]\nfolder = "nowhere"', "[data.simulate]\nvariants = 600")
    plan = plan_run(parse_experiment(simulated, "dry.toml"), participants=1, variants=1)
    assert plan["participants"].iloc[0] == 4000
    assert "600 variants" in plan["input"].iloc[-1]


def test_a_name_that_does_not_exist_is_said_at_once(constant_rate):
    text = EXPERIMENT.replace("ecg.median", "ecg.mean")
    with pytest.raises(InputError, match=re.escape("no tensor map 'ecg.mean'")):
        plan_run(parse_experiment(text, "dry.toml"), participants=1, variants=1)
