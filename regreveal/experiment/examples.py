"""What is kept of an arm for the report: a few tensors without ids, and quantiles of quality."""

from math import prod
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.store.atomic import atomic_path
from regreveal.store.embedding import Embedding
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

OVERLAY_PARTICIPANTS, OVERLAY_VALUES = 60, 2**24
RECONSTRUCTED_PARTICIPANTS = 8
PHASE_PARTICIPANTS = 200
QUALITY_QUANTILES = (0.05, 0.5, 0.95)
LEAST_FOR_QUANTILES = 100


def write_examples(
    path: Path, model: Path, tensor_map: TensorMap, store: TensorStore, sample_ids: list[str]
) -> None:
    """Keep a few participants' tensors and what the model makes of them, in the tensor's units.

    Parameters
    ----------
    path : Path
        The .npz file: `inputs` and `reconstructions`, of the first few of these.
    model : Path
        The model folder.
    tensor_map, store
        Where the tensors are.
    sample_ids : list of str
        The first of them are shown.
    """
    from regreveal.models.embedding import reconstruct

    shown = max(3, min(OVERLAY_PARTICIPANTS, OVERLAY_VALUES // prod(tensor_map.shape)))
    inputs = tensor_map.load(store, sample_ids[:shown])
    reconstructions = reconstruct(model, inputs[:RECONSTRUCTED_PARTICIPANTS])
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            inputs=tensor_map.normalize.inverse(inputs),
            reconstructions=tensor_map.normalize.inverse(reconstructions),
        )


def write_cycle(path: Path, model: Path, embedding: Embedding) -> None:
    """Keep some participants' phases, and the frames that the decoder gives around the circle.

    Parameters
    ----------
    path : Path
        The .npz file: `phases` (n, frames), and `loop` (frames, rows, columns), decoded at phases
        evenly around the circle from 0.
    model : Path
        The model folder.
    embedding : Embedding
        Of phases, in radians.
    """
    from regreveal.models.embedding import predict
    from regreveal.models.model_folder import load_model

    frames = embedding.latents.shape[1]
    around = np.arange(frames, dtype=np.float32)[None] * 2 * np.pi / frames
    loop = predict(load_model(model, "decoder"), around)[0]
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary, phases=embedding.latents[:PHASE_PARTICIPANTS], loop=np.moveaxis(loop, -1, 0)
        )


def quality_quantiles(quality: pd.DataFrame) -> dict[str, list[float]]:
    """Give the quantiles of a registration's figures over those registered, if they are many.

    Of a few people, a quantile would be one person's value.
    """
    registered = quality[quality["ok"]]
    if len(registered) < LEAST_FOR_QUANTILES:
        return {}
    figures = registered.select_dtypes("number").drop(columns="ok", errors="ignore")
    return {
        name: [float(value) for value in figures[name].quantile(QUALITY_QUANTILES)]
        for name in figures
        if figures[name].notna().all()
    }
