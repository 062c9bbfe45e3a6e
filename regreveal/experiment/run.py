"""Run an experiment: its stages in order, each once."""

import importlib.resources
import os
from pathlib import Path

import tomlkit

from regreveal.errors import InputError
from regreveal.experiment.arms import ArmStages
from regreveal.experiment.comparisons import ComparisonStages
from regreveal.experiment.data import Dataset, prepare_data
from regreveal.experiment.dropped import count_dropped
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.settings import (
    Experiment,
    parse_experiment,
    read_experiment_text,
)
from regreveal.registration.stage import registration_class
from regreveal.store.atomic import atomic_path
from regreveal.store.cohort import write_table
from regreveal.tensormap import find_tensor_map


def run_experiment(
    experiment_file: str | os.PathLike, out: str | os.PathLike, seed: int | None = None
) -> Path:
    """Run every stage of an experiment that is not done yet.

    Parameters
    ----------
    experiment_file : path-like
        TOML, see `Experiment`.
    out : path-like
        The run folder, new or of an earlier run: finished stages whose inputs are unchanged are
        kept, an unfinished one goes on where it can.
    seed : int, optional
        Instead of the experiment's own.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        If the experiment or its data cannot be used.
    """
    text = read_experiment_text(experiment_file)
    if seed is not None:
        document = tomlkit.parse(text)
        document["seed"] = seed
        text = tomlkit.dumps(document)
    experiment, folder = parse_experiment(text, experiment_file), Path(out)
    _refuse_unknown_names(experiment)
    with atomic_path(folder / "experiment.toml") as temporary:
        temporary.write_text(text)
    return _run_stages(experiment, folder)


def run_demo(out: str | os.PathLike, seed: int | None = None) -> Path:
    """Run the experiment that comes with RegReveal, as `run_experiment` does."""
    demo = importlib.resources.files("regreveal.experiment") / "demo.toml"
    with importlib.resources.as_file(demo) as path:
        return run_experiment(path, out, seed)


def _run_stages(experiment: Experiment, folder: Path) -> Path:
    from regreveal.report.html import build_report

    manifest = Manifest(folder, experiment.seed)
    data, training = prepare_data(experiment, folder, manifest)
    arms = {name: ArmStages(name, experiment, data, training, manifest) for name in experiment.arms}
    for arm in arms.values():
        arm.register()
    for arm in arms.values():
        partners = _compared_with(experiment, arm, arms)
        arm.train(
            _in_all(training.ids_of_split("train"), partners, training),
            _in_all(training.ids_of_split("validation"), partners, training),
        )
        arm.embed(_in_all(data.ids_of_split("analysis"), partners, data))
    for name in experiment.comparisons:
        ComparisonStages(name, experiment, arms, data, manifest).run()
    write_table(count_dropped(folder, data, arms, experiment), folder / "dropped.tsv")
    report = folder / "report.html"
    manifest.run(
        "report",
        lambda: build_report(folder),
        outputs=[report, folder / "figures"],
        settings=experiment.title,
        after=list(manifest.used),
    )
    manifest.forget_unused()
    return report


def _refuse_unknown_names(experiment: Experiment) -> None:
    """Raise before any work if a tensor map or a registration does not exist."""
    for name, arm in experiment.arms.items():
        try:
            find_tensor_map(arm.tensor_map, experiment.tensormaps)
            find_tensor_map(arm.input, experiment.tensormaps)
            if arm.registration:
                registration_class(arm.registration.method)
        except InputError as error:
            raise InputError(f"arms.{name}: {error}") from error


def _compared_with(
    experiment: Experiment, arm: ArmStages, arms: dict[str, ArmStages]
) -> list[ArmStages]:
    """Give the arm itself and all that it is compared with."""
    names = {arm.name}
    for comparison in experiment.comparisons.values():
        if arm.name in comparison.arms:
            names.update(comparison.arms)
    return [arms[name] for name in sorted(names)]


def _in_all(sample_ids: list[str], arms: list[ArmStages], dataset: Dataset) -> list[str]:
    """Keep those whom every arm can take: no arm learns from more participants than another."""
    usable = set.intersection(*(set(arm.usable_ids(dataset)) for arm in arms))
    return [sample_id for sample_id in sample_ids if sample_id in usable]
