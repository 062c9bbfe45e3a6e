"""Model folders: what every trained model leaves, whatever its architecture."""

import importlib
import importlib.metadata
import json
import platform
import zipfile
from pathlib import Path

import keras
import pandas as pd

from regreveal.brain_atlas import Region
from regreveal.errors import InputError
from regreveal.models.autoencoder import Autoencoder
from regreveal.models.state import TrainingState
from regreveal.store.atomic import atomic_path
from regreveal.tensormap import Standardize, StandardizeEach, TensorMap

# TensorFlow's own kernels for small convolutions beat those XLA makes for CPUs on long signals,
# and need no compiling; JAX has nothing else than XLA.
JIT_COMPILE = False if keras.backend.backend() == "tensorflow" else "auto"


def write_model(models: Autoencoder, state: TrainingState, folder: Path, **facts) -> None:
    """Write models and what is to be known of them; `model.json` last, as the sign that all is.

    Parameters
    ----------
    models : Autoencoder
        With the weights of the best epoch.
    state : TrainingState
        At the end of the training; its parameters go into `model.json`, its history into
        `history.csv`.
    folder : Path
        Is left with `autoencoder.keras`, `encoder.keras`, `decoder.keras`, `history.csv` and
        `model.json`.
    **facts
        What else `model.json` is to say.
    """
    for name, model in models._asdict().items():
        with atomic_path(folder / f"{name}.keras") as temporary:
            model.save(temporary)
    with atomic_path(folder / "history.csv") as temporary:
        pd.DataFrame(state.history).to_csv(temporary, index=False)
    best = state.best
    content = {
        **state.parameters,
        "weights": models.autoencoder.count_params(),
        "best_epoch": best["epoch"],
        "loss": best["loss"],
        "validation_loss": best["validation_loss"],
        **facts,
        "versions": _versions(),
    }
    with atomic_path(folder / "model.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1))


def read_model_json(folder: str | Path) -> dict:
    """Read what `model.json` says of a trained model.

    Raises
    ------
    InputError
        If it is not there or not readable.
    """
    path = Path(folder) / "model.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the folder of a trained autoencoder")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); train the model again") from error


def trained_tensor_map(facts: dict) -> TensorMap:
    """Tensor map that a model was trained on, from its `model.json`."""
    fields = dict(facts["tensor_map"])
    fields["shape"] = tuple(fields["shape"])
    normalize = _with_tuples(fields.pop("normalize"))
    # One that has no parameters brings every tensor to mean 0 and standard deviation 1.
    normalize = Standardize(**normalize) if normalize else StandardizeEach()
    if fields.get("region"):
        fields["region"] = Region(**_with_tuples(fields["region"]))
    return TensorMap(**fields, normalize=normalize)


def _with_tuples(fields: dict) -> dict:
    """Make lists tuples again, which JSON does not know."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
    }


def load_model(model_folder: str | Path, name: str) -> keras.Model:
    """Load "autoencoder", "encoder" or "decoder" of a model folder, running no code from it.

    Raises
    ------
    InputError
        If the file is not there or not whole.
    """
    path = Path(model_folder) / f"{name}.keras"
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: missing or damaged; train the model again")
    model = keras.saving.load_model(path, safe_mode=True)
    model.compile(jit_compile=JIT_COMPILE)
    return model


def _versions() -> dict[str, str]:
    backend = keras.backend.backend()
    # The distribution may be called tensorflow-cpu or the like; the module is not.
    versions = {backend: importlib.import_module(backend).__version__}
    versions |= {name: importlib.metadata.version(name) for name in ("regreveal", "keras", "numpy")}
    return {"python": platform.python_version(), "backend": backend, **versions}
