"""The chapter on autoencoders: how they learned, and what they make of an image."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from regreveal.report.chapters.groups import (
    file_name,
    group_name,
    image_examples,
    image_width,
    shows_signals,
    signal_examples,
    told_channels,
)
from regreveal.report.figures import images as image_figures
from regreveal.report.figures import signals as signal_figures
from regreveal.report.figures.signals import LossCurve
from regreveal.report.folder.run import CYCLE, ArmRun, Run
from regreveal.report.parts import Figure, Section
from regreveal.report.tables import Cell, Column, Table, hide_small, number
from regreveal.report.words import listed

EARLY = 0.7  # of the training: a best epoch before this is worth a sentence


def autoencoders_section(run: Run, groups: list[list[str]], colours: dict[str, str]) -> Section:
    """Show the networks of every arm, their losses and their reconstructions."""
    arms = [run.arms[name] for name in colours]
    parts = [
        model_table(
            {arm.name: arm.model for arm in arms},
            {arm.name: arm.description for arm in arms},
            {arm.name: run.made_by(arm.name) for arm in arms},
        ),
        *_losses(run, groups, colours),
    ]
    for group in groups:
        name = file_name("reconstructions", groups, group)
        # Phases say nothing of the person: what they decode to is not a reconstruction.
        shown = [arm for arm in group if not run.arms[arm].by_deepcycle]
        if shown:
            parts.append(_reconstructions(run, shown, colours, name))
    return Section("autoencoders", "Autoencoders", parts)


def findings(run: Run) -> list[str]:
    """Say what the networks explain, and which learned their participants by heart."""
    told = [
        f"{arm.name} {number(100 * arm.model['explained_variance'], 0)} %"
        for arm in run.arms.values()
        if not arm.by_deepcycle
    ]
    sentences = told and [
        "Of the variance of its arm's tensors, in participants it did not learn from, each "
        f"encoder with its decoder explains: {listed(told)}."
    ]
    for arm in run.arms.values():
        if not arm.has_autoencoder:
            continue
        kept = arm.model["best_epoch"] * arm.model["steps_per_epoch"]
        if kept <= EARLY * arm.model["steps"]:
            sentences.append(
                f"The {arm.name} autoencoder was at its best after {kept:,} of "
                f"{arm.model['steps']:,} steps and then learned its training participants by "
                "heart; the network of its best epoch is used."
            )
    return sentences


def _losses(run: Run, groups: list[list[str]], colours: dict[str, str]) -> list[Figure]:
    """Draw how the autoencoders learned; what else gives latents has a chapter of its own."""
    names = [group_name(run, group) if len(groups) > 1 else "" for group in groups]
    with_one = [[arm for arm in group if run.arms[arm].has_autoencoder] for group in groups]
    trained = {name: arms for name, arms in zip(names, with_one, strict=True) if arms}
    if not trained:
        return []
    curves = [
        [_loss_curve(run.arms[arm], colours[arm]) for arm in arms] for arms in trained.values()
    ]
    learners = _learners([run.arms[arm] for arms in trained.values() for arm in arms])
    return [
        Figure(
            "loss",
            "Loss during training.",
            "Mean squared error as share of that of predicting the mean of the training "
            f"participants, for {learners}. Training loss is the mean over an "
            "epoch, so it is of slightly earlier weights than validation loss. The arms' losses "
            "are of different tensors and do not rank them.",
            partial(signal_figures.loss_curves, curves, list(trained)),
            width=32 if len(trained) == 1 else 52,
        )
    ]


def _reconstructions(run: Run, group: list[str], colours: dict[str, str], name: str) -> Figure:
    unseen = "A few analysis participants, whom no autoencoder has seen"
    if shows_signals(run, group):
        signals = [signal_examples(run.arms[arm], colours) for arm in group]
        return Figure(
            name,
            "Recordings and their reconstructions.",
            f"{unseen}: {told_channels(signals[0])}.",
            partial(signal_figures.reconstructions, signals),
        )
    images = [image_examples(run.arms[arm], colours) for arm in group]
    return Figure(
        name,
        f"Images and their reconstructions, {group_name(run, group)}.",
        f"{unseen}, in pairs: the image, and what its latents make of it on the same scale of "
        "brightness.",
        partial(image_figures.reconstructions, images),
        width=image_width(images),
    )


def _loss_curve(arm: ArmRun, colour: str) -> LossCurve:
    return LossCurve(
        arm.name,
        colour,
        arm.history["steps"].to_numpy(),
        arm.history["loss"].to_numpy() / arm.model["baseline_loss"],
        arm.history["validation_loss"].to_numpy() / arm.model["validation_baseline_loss"],
    )


def _learners(arms: list[ArmRun]) -> str:
    """Say how many each arm learned from, together for those with the same numbers."""
    by_number: dict[str, list[str]] = {}
    for arm in arms:
        told = (
            f"{hide_small(len(arm.model['trained_on']))} training and "
            f"{hide_small(len(arm.model['validated_on']))} validation participants"
        )
        by_number.setdefault(told, []).append(arm.name)
    return listed([f"{listed(names)} {told}" for told, names in by_number.items()])


def model_table(
    models: Mapping[str, Mapping], descriptions: Mapping[str, Mapping], made_by: Mapping[str, str]
) -> Table:
    """Make the table of the autoencoders.

    Parameters
    ----------
    models, descriptions : mapping of str to mapping
        What `model.json` and `arm.json` say, by arm.
    made_by : mapping of str to str
        By which registrations each arm's tensors were made.
    """
    rows = []
    for arm, model in models.items():
        described = descriptions[arm]
        rows.append(
            [
                Cell(arm),
                Cell(f"{described['tensor_map']}, {' × '.join(map(str, described['shape']))}"),
                Cell(made_by[arm]),
                Cell(str(model["latent_size"])),
                Cell(f"{model['weights']:,}"),
                Cell(f"{model['steps']:,} × {model['batch_size']}"),
                Cell(f"{model['best_epoch'] * model['steps_per_epoch']:,}"),
                Cell(hide_small(len(model["trained_on"]))),
                Cell(_explained(model, described)),
            ]
        )
    return Table(
        title="Autoencoders.",
        caption="The checkpoint with the least validation loss is kept. Variance explained is of "
        "validation participants: one less squared error over that of predicting the mean.",
        columns=(
            Column("Arm"),
            Column("Tensor map", wrap=True),
            Column("Registration", wrap=True),
            Column("Latent size", number=True),
            Column("Weights", number=True),
            Column("Steps × batch", number=True),
            Column("Kept at step", number=True),
            Column("Trained on", number=True),
            Column("Variance explained (%)", number=True),
        ),
        rows=rows,
    )


def _explained(model: Mapping, described: Mapping) -> str:
    """Write the variance explained, in percent; phases explain none of one person's tensors."""
    explained = model["explained_variance"] if described["latents_by"] != CYCLE else np.nan
    return number(100 * explained, 1)
