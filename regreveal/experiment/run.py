"""Run an experiment: its stages in order, each once."""

import importlib.resources
import os
from functools import partial
from pathlib import Path

import tomlkit

from regreveal.errors import InputError
from regreveal.experiment import table2
from regreveal.experiment.analyses import directions, modalities
from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.arms import ArmStages
from regreveal.experiment.comparisons import analyse, choose_participants
from regreveal.experiment.data import DIAGNOSES, Dataset, prepare_data
from regreveal.experiment.dropped import count_dropped
from regreveal.experiment.experiment_file import parse_experiment, read_experiment_text
from regreveal.experiment.fusions import FusionStages
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.preflight import check_data, check_names
from regreveal.experiment.settings import Experiment
from regreveal.store.atomic import atomic_path
from regreveal.store.cohort import write_table


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
    experiment, folder = parse_experiment(text, experiment_file), Path(out)
    if seed is not None:
        document = tomlkit.parse(text)
        document["seed"] = seed
        text = tomlkit.dumps(document)
        experiment = parse_experiment(text, experiment_file)
    check_names(experiment)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; expected a folder for the run")
    with Manifest(folder, experiment.seed) as manifest:
        return _run_stages(experiment, text, manifest)


def run_demo(out: str | os.PathLike, seed: int | None = None) -> Path:
    """Run the experiment that comes with RegReveal, as `run_experiment` does."""
    demo = importlib.resources.files("regreveal.experiment") / "demo.toml"
    with importlib.resources.as_file(demo) as path:
        return run_experiment(path, out, seed)


def _run_stages(experiment: Experiment, text: str, manifest: Manifest) -> Path:
    from regreveal.report.html import build_report

    folder = manifest.folder
    settings = experiment.model_dump_json(indent=2) + "\n"
    data, training = prepare_data(experiment, folder, manifest)
    experiment = _with_last_day(experiment, data, manifest)
    check_data(experiment, data, training)
    with atomic_path(folder / "experiment.toml") as temporary:
        temporary.write_text(text)
    # What the file leaves to defaults, too: a report of another version must not guess them.
    with atomic_path(folder / "settings.json") as temporary:
        temporary.write_text(settings)
    arms = {name: ArmStages(name, experiment, data, training, manifest) for name in experiment.arms}
    _make_latents(experiment, arms, data, training, manifest)
    _compare(experiment, arms, data, manifest)
    table2.run_stage(manifest, text)
    write_table(count_dropped(folder, data, arms, experiment), folder / "dropped.tsv")
    manifest.forget_unused(keep=["report"])
    report = folder / "report.html"
    manifest.run(
        "report",
        lambda: build_report(folder),
        outputs=[report, folder / "figures", folder / "tables"],
        settings=text,
        after=list(manifest.used),
    )
    return report


def _with_last_day(experiment: Experiment, data: Dataset, manifest: Manifest) -> Experiment:
    """Set the day after which a date is impossible, where it is left to be today's."""
    phewas = experiment.phewas
    if phewas is None or phewas.until:
        return experiment
    day = manifest.first_seen(data.files(*DIAGNOSES)).isoformat()
    return experiment.model_copy(update={"phewas": phewas.model_copy(update={"until": day})})


def _make_latents(
    experiment: Experiment,
    arms: dict[str, ArmStages],
    data: Dataset,
    training: Dataset,
    manifest: Manifest,
) -> None:
    """Register, train and embed every arm; what does not build on each other goes side by side."""
    # Several devices share one training: another beside it would be in its way.
    plans = [arm.arm.autoencoder for arm in arms.values() if arm.arm.autoencoder]
    together = partial(
        manifest.together, accelerated=True, alone=any(plan.devices != 1 for plan in plans)
    )
    with together():
        for arm in arms.values():
            if arm.arm.after is None:
                arm.fit_registration()
    for arm in arms.values():
        if arm.arm.after is not None:  # it learns from what another arm has registered
            arm.fit_registration()
        arm.register()
    partners = {name: [arms[other] for other in compared_with(experiment, name)] for name in arms}
    trained = {name: arm for name, arm in arms.items() if arm.arm.fusion is None}
    fusions = [
        FusionStages(name, experiment, arms, training, manifest) for name in experiment.fusions
    ]
    with together():
        for name, arm in trained.items():
            arm.train(
                _in_all(training.ids_of_split("train"), partners[name], training),
                _in_all(training.ids_of_split("validation"), partners[name], training),
            )
        for fusion in fusions:
            fusion.train()
        for name, arm in arms.items():
            arm.embed(_in_all(data.ids_of_split("analysis"), partners[name], data))
    for fusion in fusions:
        fusion.retrieve()


def _compare(
    experiment: Experiment, arms: dict[str, ArmStages], data: Dataset, manifest: Manifest
) -> None:
    """Make the analyses of every comparison."""
    compared = [Compared(name, experiment, arms, data, manifest) for name in experiment.comparisons]
    for comparison in compared:
        choose_participants(comparison)
    with manifest.together():
        for comparison in compared:
            analyse(comparison)
        if experiment.clusters:
            for name in experiment.fusions:
                modalities.run_stage(name, experiment, arms, data, manifest)
    if experiment.directions:
        with manifest.together(accelerated=True):
            for comparison in compared:
                directions.run_stages(comparison)


def compared_with(experiment: Experiment, arm: str) -> list[str]:
    """Name the arm and all it is compared with, directly or by way of others."""
    group, before = {arm}, set()
    while group != before:
        before = set(group)
        for comparison in experiment.comparisons.values():
            if group & set(comparison.arms):
                group.update(comparison.arms)
    return sorted(group)


def _in_all(sample_ids: list[str], arms: list[ArmStages], dataset: Dataset) -> list[str]:
    """Keep those whom every arm can take: no autoencoder learns from more than another."""
    usable = set.intersection(*(set(arm.usable_ids(dataset)) for arm in arms))
    return [sample_id for sample_id in sample_ids if sample_id in usable]
