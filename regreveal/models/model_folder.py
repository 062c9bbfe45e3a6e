"""Model folders: what every trained model leaves, whatever its architecture."""

import hashlib
import importlib
import importlib.metadata
import json
import math
import platform
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import keras
import numpy as np
import pandas as pd

from regreveal.brain_atlas import Region
from regreveal.errors import InputError
from regreveal.models.autoencoder import Autoencoder, joined
from regreveal.models.state import TrainingState
from regreveal.store.atomic import atomic_path
from regreveal.tensormap import Standardize, StandardizeEach, TensorMap

# TensorFlow's own kernels for small convolutions beat those XLA makes for CPUs on long signals,
# and need no compiling; JAX has nothing else than XLA.
JIT_COMPILE = False if keras.backend.backend() == "tensorflow" else "auto"

_KERAS_ERRORS = (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError)
# Keras does not pack weights, and they would hardly get smaller.
SMALLEST_BOMB, HIGHEST_RATIO = 1 << 26, 10

# Keras finds own layers by their registration, which happens when their module is imported.
MODULES_OF_LAYERS = ("blocks", "cycle")


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
        If it is not there, not readable or not of a trained model.
    """
    path = Path(folder) / "model.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the folder of a trained autoencoder")
    try:
        facts = json.loads(path.read_text())
        if not isinstance(facts, dict):
            raise ValueError("no names and values")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); train the model again") from error
    missing = [key for key in ("tensor_map", "latent_size", "seed") if key not in facts]
    if missing:
        raise InputError(f"{path}: no '{missing[0]}' in it; expected that of a trained model")
    return facts


def trained_tensor_map(facts: dict) -> TensorMap:
    """Tensor map that a model was trained on, from its `model.json`.

    Raises
    ------
    InputError
        If what stands there is none.
    """
    try:
        return tensor_map_of(facts["tensor_map"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"model.json: its 'tensor_map' is not one ({error}); get the model again"
        ) from error


def tensor_map_of(fields: dict) -> TensorMap:
    """Tensor map whose fields JSON gave back, as `dataclasses.asdict` had given them."""
    fields = dict(fields)
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

    Where `model.json` gives a file's SHA-256, the file must have it. An autoencoder that is not
    stored is made of the encoder and the decoder.

    Raises
    ------
    InputError
        If the file is not there, not whole, not the one `model.json` is about, or holds code.
    """
    path = Path(model_folder) / f"{name}.keras"
    if name == "autoencoder" and not path.exists():
        parts = (load_model(model_folder, part) for part in ("encoder", "decoder"))
        model = joined(*parts).autoencoder
        model.jit_compile = JIT_COMPILE
        return model
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: missing or damaged; train the model again")
    check_hash(model_folder, path.name, read_model_json(model_folder))
    _check_archive(path)
    for module in MODULES_OF_LAYERS:
        importlib.import_module(f"regreveal.models.{module}")
    try:
        _check_promise(path)
        model = keras.saving.load_model(path, safe_mode=True)
    # What Keras raises for code it will not run, for layers it does not know, for files cut short.
    except (*_KERAS_ERRORS, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0].partition(". ")[0][:200]
        raise InputError(f"{path}: cannot be loaded safely ({reason})") from error
    model.jit_compile = JIT_COMPILE
    return model


def _check_archive(path: Path) -> None:
    """Refuse a Keras file with members for elsewhere, or that unpacks to what no weights do."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{path}: missing or damaged; train the model again") from error
    if any(PurePosixPath(entry.filename).is_absolute() for entry in entries) or any(
        ".." in PurePosixPath(entry.filename).parts for entry in entries
    ):
        raise InputError(f"{path}: cannot be loaded safely (a member that leads out of it)")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max(SMALLEST_BOMB, HIGHEST_RATIO * path.stat().st_size):
        raise InputError(f"{path}: cannot be loaded safely (unpacks to {unpacked / 2**20:,.0f} MB)")


def _check_promise(path: Path) -> None:
    """Raise ValueError if the layers of a Keras file want more weights than the file can hold."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        there = sum(entry.file_size for entry in archive.infolist())
    # Keras lists the weights it has yet to fill by thread, and would fill them later on.
    with ThreadPoolExecutor(1) as thread:
        promised = thread.submit(_bytes_of_weights, config).result()
    if promised > max(SMALLEST_BOMB, there):
        raise ValueError(
            f"its weights promise {promised / 2**20:,.0f} MB; {there / 2**20:,.1f} are there"
        )


def _bytes_of_weights(config: dict) -> int:
    """Build a model without any memory for its weights, and tell how much that would be."""
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        return sum(math.prod(one.shape) * np.dtype(one.dtype).itemsize for one in model.weights)


def check_hash(model_folder: str | Path, file: str, facts: dict) -> None:
    """Raise InputError if `model.json` lists hashes, and not that of a file of its folder.

    Parameters
    ----------
    model_folder : path-like
    file : str
        Path in the folder, with `/`.
    facts : dict
        The content of `model.json`.
    """
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise InputError(f"{model_folder}: model.json names '{file}', which is outside the folder")
    if "sha256" not in facts:
        return
    path = Path(model_folder) / file
    if not path.is_file():
        raise InputError(f"{path}: missing; get the model again")
    listed, found = facts["sha256"].get(file, "nothing"), sha256(path)
    if found != listed:
        raise InputError(
            f"{path}: SHA-256 is {found[:12]}…, model.json says {listed[:12]}…: damaged or "
            "changed; get the model again"
        )


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    backend = keras.backend.backend()
    # The distribution may be called tensorflow-cpu or the like; the module is not.
    versions = {backend: importlib.import_module(backend).__version__}
    versions |= {name: importlib.metadata.version(name) for name in ("regreveal", "keras", "numpy")}
    return {"python": platform.python_version(), "backend": backend, **versions}
