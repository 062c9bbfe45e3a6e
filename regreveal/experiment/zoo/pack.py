"""From a run to a folder of the model zoo: files, hashes, figures, card."""

import dataclasses
import json
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import tomlkit

from regreveal.errors import InputError
from regreveal.experiment.arm_settings import Arm
from regreveal.experiment.experiment_file import load_experiment
from regreveal.experiment.settings import Experiment
from regreveal.experiment.zoo.card import write_card
from regreveal.experiment.zoo.evaluation import check_evaluation, evaluate
from regreveal.models.model_folder import read_model_json, sha256
from regreveal.registration.base import ARRAYS_FILE, DESCRIPTION_FILE
from regreveal.simulation.traits import read_table as read_simulation_table
from regreveal.store.atomic import atomic_folder
from regreveal.store.cohort import read_splits
from regreveal.tensormap import find_tensor_map

# Nobody learns from this biobank: it is simulated to see what models make of people new to them.
EVALUATION = {"participants": 500, "variants": 500, "seed": 90_210}
ANALYSES = ("comparisons", "probes", "gwas", "phewas", "clusters", "directions")
LARGEST_MODEL_BYTES = 5 * 10**6


def pack(
    run: Path,
    arm: str,
    folder: Path,
    *,
    shows: str,
    baseline: Path | None = None,
    full_size: str | None = None,
    scratch: Path | None = None,
) -> dict:
    """Make a folder of the model zoo from an arm of a finished run on simulated people.

    Parameters
    ----------
    run : Path
        The run folder.
    arm : str
    folder : Path
        Named as the model is to be. What is there is replaced when all is done.
    shows : str
        A sentence for the card: what the model is of.
    baseline : Path, optional
        Folder of the model that the card compares with, such as that of unregistered tensors.
    full_size : str, optional
        An experiment file that trains the model at full size on real data.
    scratch : Path, optional
        Where people are simulated to evaluate on, kept for other models; by default a temporary
        folder.

    Returns
    -------
    dict
        The content of the new `model.json`.

    Raises
    ------
    InputError
        If the run has no such trained arm, learned from data that were not simulated, the model is
        larger than 5 MB, or the baseline is no model of the zoo.
    """
    experiment = load_experiment(run / "experiment.toml")
    compared = None if baseline is None else read_model_json(baseline)
    if compared is not None and "figures" not in compared:
        raise InputError(f"{baseline}: has no figures; expected the folder of a model of the zoo")
    if arm not in experiment.arms:
        raise InputError(f"{run}: no arm '{arm}' (there are: {', '.join(experiment.arms)})")
    trained = run / "arms" / arm / "model"
    with atomic_folder(folder) as unfinished:
        unfinished.mkdir(parents=True)
        for name in ("encoder.keras", "decoder.keras"):
            if not (trained / name).is_file():
                raise InputError(f"{trained / name}: no such file; finish the run first")
            shutil.copyfile(trained / name, unfinished / name)
        recipe = only_arm((run / "experiment.toml").read_text(), arm)
        (unfinished / "recipe.toml").write_text(recipe)
        if full_size:
            (unfinished / "full_size.toml").write_text(full_size)
        facts = _facts(run, arm, experiment, folder.name, shows)
        facts["registrations"] = list(_copy_registrations(run, arm, experiment, unfinished))
        if compared is not None:
            facts["baseline"] = compared["name"]
        facts["sha256"] = _hashes(unfinished)
        check_evaluation(facts)
        _check_size(unfinished, folder)
        _write_json(facts, unfinished)
        with tempfile.TemporaryDirectory() as temporary:
            facts["figures"] = evaluate(unfinished, scratch or Path(temporary))
        _write_json(facts, unfinished)
        write_card(unfinished, facts, compared)
    return facts


def only_arm(text: str, arm: str) -> str:
    """Reduce an experiment file to one arm, and to what that arm is trained after or with.

    Arms of an experiment learn independently of each other, given the seed, unless a comparison
    makes them learn from the same people; so what is left trains the same model where the run's
    experiment had no comparisons.

    Parameters
    ----------
    text : str
        The experiment file.
    arm : str

    Returns
    -------
    str
        An experiment file without analyses.
    """
    content = tomllib.loads(text)
    arms = content["arms"]
    wanted, before = {arm}, set()
    while wanted != before:
        before = set(wanted)
        fusions = {arms[name]["fusion"] for name in wanted if "fusion" in arms[name]}
        wanted |= {name for name in arms if arms[name].get("fusion") in fusions}
        wanted |= {arms[name]["after"] for name in wanted if "after" in arms[name]}
        for fusion in fusions:
            wanted |= set(content["fusions"][fusion].get("warm_start", []))
    kept = {key: value for key, value in content.items() if key not in (*ANALYSES, "fusions")}
    kept["title"] = f"{arm}: {content['title']}"
    kept["arms"] = {name: arms[name] for name in arms if name in wanted}
    if fusions:
        kept["fusions"] = {name: content["fusions"][name] for name in sorted(fusions)}
    return tomlkit.dumps(kept)


def _facts(run: Path, arm: str, experiment: Experiment, name: str, shows: str) -> dict:
    """Say of a model all but hashes and figures, without anybody's id."""
    trained = read_model_json(run / "arms" / arm / "model")
    learned = experiment.training.simulate if experiment.training else experiment.data.simulate
    if learned is None:
        raise InputError(
            f"{run}: learned from data that are not simulated; the zoo takes no such model, since "
            "weights can tell of those they were learned from"
        )
    settings = experiment.arms[arm]
    tensor_map = find_tensor_map(settings.tensor_map, experiment.tensormaps)
    people = {role: len(trained.pop(role)) for role in ("trained_on", "validated_on")}
    facts = {
        "name": name,
        "shows": shows,
        "kind": _kind(settings),
        **trained,
        "tensor_map": dataclasses.asdict(tensor_map),
        "trained_on": [],
        "validated_on": [],
        "learned_from": {
            "biobank": "simulated",
            "participants": learned.participants,
            "variants": learned.variants,
            "seed": experiment.seed_of(learned),
            **people,
        },
        "evaluation": {
            "modality": tensor_map.modality,
            **EVALUATION,
            "targets": _targets(experiment, arm),
        },
    }
    _check_no_ids(facts, run)
    return facts


def _kind(arm: Arm) -> str:
    if arm.fusion:
        return "fusion"
    return arm.registration.method if arm.gives_latents else "autoencoder"


def _targets(experiment: Experiment, arm: str) -> list[str]:
    """Planted traits of the arm's modality and, of a fused one, of those it is fused with."""
    fusion = experiment.arms[arm].fusion
    arms = experiment.arms_of(fusion) if fusion else [arm]
    modalities = {
        find_tensor_map(experiment.arms[name].tensor_map, experiment.tensormaps).modality
        for name in arms
    }
    traits = read_simulation_table("traits.tsv")
    return traits.loc[traits["modality"].isin(modalities), "trait"].tolist()


def _copy_registrations(
    run: Path, arm: str, experiment: Experiment, folder: Path
) -> Iterator[dict]:
    """Copy the fitted registrations that an arm's tensors went through, the first one first."""
    settings = experiment.arms[arm]
    if settings.after:
        yield from _copy_registrations(run, settings.after, experiment, folder)
    if settings.registration is None or settings.gives_latents:
        return
    place = f"registration/{arm}"
    (folder / place).mkdir(parents=True)
    for file in (DESCRIPTION_FILE, ARRAYS_FILE):
        shutil.copyfile(run / "arms" / arm / "registration" / file, folder / place / file)
    maps = {"input": settings.input, "output": settings.tensor_map}
    yield {
        "folder": place,
        "method": settings.registration.method,
        **{
            side: dataclasses.asdict(find_tensor_map(name, experiment.tensormaps))
            for side, name in maps.items()
        },
    }


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def _check_size(unfinished: Path, folder: Path) -> None:
    size = sum(path.stat().st_size for path in unfinished.rglob("*") if path.is_file())
    if size > LARGEST_MODEL_BYTES:
        raise InputError(
            f"{folder}: {size / 1e6:.1f} MB; expected at most "
            f"{LARGEST_MODEL_BYTES / 1e6:.0f} MB: train a smaller model"
        )


def _check_no_ids(facts: dict, run: Path) -> None:
    """Raise ValueError if an id of a run's participants would go into the zoo: a defect."""
    splits = [pd.Index(read_splits(path).index) for path in run.glob("*splits.parquet")]
    words = set(json.dumps(facts).replace('"', " ").replace(",", " ").split())
    if any(len(ids.intersection(words)) for ids in splits):
        raise ValueError("model.json of the zoo would hold ids of participants")


def _write_json(facts: dict, folder: Path) -> None:
    (folder / "model.json").write_text(json.dumps(facts, indent=1) + "\n")
