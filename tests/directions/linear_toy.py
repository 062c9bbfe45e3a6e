"""A linear model that is known in closed form, and people whose tensors it explains exactly."""

import dataclasses
import json

import keras
import numpy as np
import pandas as pd

from regreveal.directions.run import Model
from regreveal.directions.variables import Variable
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import Standardize, TensorMap

N, K, SHAPE = 300, 3, (6, 2)
IDS = [f"p{number:03d}" for number in range(N)]
TENSOR_MAP = TensorMap(
    name="toy.line",
    path="toy/line",
    shape=SHAPE,
    units="mV",
    modality="toy",
    description="Tensors that are linear in three numbers a person.",
    normalize=Standardize(0.5, 2.0),
)


@dataclasses.dataclass(frozen=True)
class Toy:
    """Everything that directions are found in."""

    embedding: Embedding
    cohort: pd.DataFrame
    variables: list[Variable]
    model: Model
    tensors: np.ndarray  # in mV


def make_toy(folder):
    """Write the store and the model folder of the toy."""
    rng = np.random.default_rng(7)
    cohort = pd.DataFrame({"age": rng.normal(60, 8, N)}, index=IDS)
    dosages = rng.binomial(2, 0.4, N).astype(float)
    latents = rng.standard_normal((N, K)) @ rng.standard_normal((K, K))
    latents += 0.05 * (cohort[["age"]].to_numpy() - 60) + dosages[:, None] * [0.5, -0.5, 0.2] + 1
    dosages[:4] = np.nan
    latents = latents.astype(np.float32)
    mixing = rng.standard_normal((K, int(np.prod(SHAPE))))
    offset = rng.standard_normal(mixing.shape[1])
    tensors = TENSOR_MAP.normalize.inverse((latents @ mixing + offset).reshape(N, *SHAPE))
    store = TensorStore(folder / "tensors")
    store.write(TENSOR_MAP.path, tensors, IDS, units="mV")
    variables = [
        Variable("variant", "1:5:A:C", "GENE", "C allele", pd.Series(dosages, IDS)),
        Variable("phecode", "401", "Rare", "case", pd.Series((np.arange(N) < 7) * 1.0, IDS)),
    ]
    write_linear_model(folder / "model", mixing, offset)
    model = Model(folder / "model", store, TENSOR_MAP)
    return Toy(Embedding(IDS, latents), cohort, variables, model, tensors)


def write_linear_model(folder, mixing, offset):
    """Write an encoder and a decoder that are each other's inverse."""
    folder.mkdir()
    inverse = np.linalg.pinv(mixing)
    tensor, code = keras.Input(SHAPE), keras.Input((K,))
    encode = keras.layers.Dense(K)
    encoder = keras.Model(tensor, encode(keras.layers.Flatten()(tensor)))
    encode.set_weights([inverse, -offset @ inverse])
    decode = keras.layers.Dense(mixing.shape[1])
    decoder = keras.Model(code, keras.layers.Reshape(SHAPE)(decode(code)))
    decode.set_weights([mixing, offset])
    encoder.save(folder / "encoder.keras")
    decoder.save(folder / "decoder.keras")
    facts = {"tensor_map": dataclasses.asdict(TENSOR_MAP), "latent_size": K, "seed": 0}
    (folder / "model.json").write_text(json.dumps(facts))
