"""What a model of the zoo is worth on simulated people whom no model has learned from."""

from pathlib import Path

import numpy as np

from regreveal.errors import InputError
from regreveal.models.embedding import embed, predict
from regreveal.models.model_folder import (
    check_hash,
    load_model,
    read_model_json,
    tensor_map_of,
    trained_tensor_map,
)
from regreveal.models.source import Source
from regreveal.phenome.probes.single import probe
from regreveal.registration.base import ARRAYS_FILE, DESCRIPTION_FILE
from regreveal.registration.methods import is_of_site
from regreveal.registration.stage import register_store
from regreveal.simulation.biobank import simulate_biobank
from regreveal.store.cohort import make_splits, read_table
from regreveal.store.tensors import TensorStore

# Latents are single precision, and differ in its last digits between machines and backends.
ROUNDING = 0.01


def evaluate(folder: Path, scratch: Path) -> dict:
    """Compute the figures of a model's card.

    Parameters
    ----------
    folder : Path
        Of a model of the zoo. Its `model.json` says under `evaluation` which biobank is simulated
        (modality, participants, variants, seed) and which of its true traits are probed.
    scratch : Path
        Folder for the simulated people and what registration makes of them. Several models can
        share it: what is there already is used.

    Returns
    -------
    dict
        `participants` and `not_registered`, how many; `explained_variance`, share of the variance
        about these people's mean tensor that the decoder gives back; and `probes`, for each
        trait `r2` with the `low` and `high` ends of its 95 % interval.

    Raises
    ------
    InputError
        If a file of the model is not the one its `model.json` lists, or the scratch folder holds
        other people.
    """
    facts = read_model_json(folder)
    asked = dict(facts["evaluation"])
    targets, modality = asked.pop("targets"), asked.pop("modality")
    biobank = scratch / modality
    simulate_biobank(biobank, **asked, modalities=[modality])
    unregistered = TensorStore(biobank / "tensors")
    # By content: models that share a registration share what it makes of people, others do not.
    files = [f"{step['folder']}/{DESCRIPTION_FILE}" for step in facts["registrations"]]
    key = "-".join(facts["sha256"][file][:12] for file in files)
    store = register(folder, unregistered, scratch / "registered" / key)
    tensor_map = trained_tensor_map(facts)
    sample_ids = sorted(store.sample_ids(tensor_map.path))
    latents = embed(folder, store, sample_ids).latents
    everyone = read_table(biobank / "truth" / "traits.tsv")
    shares = {"train": 0.0, "validation": 0.0, "analysis": 1.0}
    folds = make_splits(everyone.index, shares, asked["seed"]).set_index("sample_id")["fold"]
    probes = {}
    for target in targets:
        result = probe(latents, everyone.loc[sample_ids, target], folds, "continuous")
        probes[target] = {"r2": result.score, "low": result.low, "high": result.high}
    return {
        "participants": len(sample_ids),
        "not_registered": len(everyone) - len(sample_ids),
        "explained_variance": _explained_variance(folder, Source(store, tensor_map, sample_ids)),
        "probes": probes,
    }


def register(folder: Path, store: TensorStore, out: Path) -> TensorStore:
    """Register a store by the registrations saved with a model, one after another.

    Parameters
    ----------
    folder : Path
        Of a model of the zoo.
    store : TensorStore
        Of what the first registration takes; of a model without any it is what the model takes.
    out : Path
        Gets `registered/` and `qc.parquet` of the last registration, and a folder with the same of
        each before it. What is there already is used.

    Returns
    -------
    TensorStore
        What the model takes.

    Raises
    ------
    InputError
        If a saved registration is not the one `model.json` lists, or tensors are not as declared.
    """
    facts = read_model_json(folder)
    for step in facts["registrations"]:
        if is_of_site(step["method"]):  # a file that may come from anywhere does not name code
            raise InputError(
                f"{folder}: was trained after a registration of another site, '{step['method']}'; "
                "register by `regreveal register`, and embed what it leaves"
            )
        saved = folder / step["folder"]
        for file in (DESCRIPTION_FILE, ARRAYS_FILE):
            check_hash(folder, f"{step['folder']}/{file}", facts)
        target = out if step is facts["registrations"][-1] else out / saved.name
        if not (target / "registered").is_dir():
            maps = (tensor_map_of(step[side]) for side in ("input", "output"))
            register_store(step["method"], saved, store, *maps, target)
        store = TensorStore(target / "registered")
    return store


def differences(stated: dict, found: dict) -> list[dict]:
    """Compare the figures of a card with those computed anew.

    Returns
    -------
    list of dict
        A row a figure: `figure`, `card`, `found` and `same`, which is whether counts are equal and
        others within `ROUNDING`.
    """
    rows = []
    stated, found = _flat(stated), _flat(found)
    for name in [*stated, *(name for name in found if name not in stated)]:
        card, now = stated.get(name, np.nan), found.get(name, np.nan)
        allowed = 0 if isinstance(card, int) else ROUNDING
        rows.append(
            {"figure": name, "card": card, "found": now, "same": abs(card - now) <= allowed}
        )
    return rows


def check_evaluation(facts: dict) -> None:
    """Raise InputError if the people to evaluate on are those the model has learned from."""
    learned, evaluated = facts["learned_from"]["seed"], facts["evaluation"]["seed"]
    if learned == evaluated:
        raise InputError(
            f"the model has learned from the simulated people of seed {learned}; evaluate it on "
            "those of another"
        )


def _flat(figures: dict) -> dict[str, float]:
    plain = {name: value for name, value in figures.items() if name != "probes"}
    return plain | {f"R² of {target}": score["r2"] for target, score in figures["probes"].items()}


def _explained_variance(folder: Path, source: Source) -> float:
    _, variance = source.mean_and_variance()
    autoencoder = load_model(folder, "autoencoder")
    error = count = 0.0
    for rows in source.blocks("Reconstructing"):
        tensors = source.load(rows)
        error += float(np.square(predict(autoencoder, tensors) - tensors).sum(dtype=np.float64))
        count += tensors.size
    return 1 - error / count / variance
