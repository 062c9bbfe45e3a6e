"""Chapters on latents that no autoencoder of one modality makes: phases, and fusions."""

from functools import partial

import numpy as np

from regreveal.report.chapters.modalities import modality_parts
from regreveal.report.figures import cycle as cycle_figures
from regreveal.report.figures.losses import loss_panels
from regreveal.report.folder.run import ArmRun, FusionRun, Run
from regreveal.report.parts import Figure, Section, Text
from regreveal.report.tables import (
    SMALLEST_COUNT,
    Cell,
    Column,
    Table,
    hide_small,
    number,
)
from regreveal.report.words import listed

LOOP_FRAMES = 12


def cycle_section(run: Run) -> Section:
    """Draw what DeepCycle's arms have learned of the cycle, and how.

    Parameters
    ----------
    run : Run
        With such arms.
    """
    arms = [arm for arm in run.arms.values() if arm.by_deepcycle]
    parts = [
        Text(
            f"Each frame of a cine is one latent of {listed([arm.name for arm in arms])}: an angle "
            "or, where circular is false, a plain number from the same network. What is not the "
            "moment, such as size and position of the heart, is told to the decoder by the mean "
            "frame and is not among the latents. How evenly phases advance is told under “Before "
            "and after registration”."
        )
    ]
    for arm in arms:
        parts += _cycle_figures(arm) if arm.cycle else []
    histories = {arm.name: arm.history for arm in arms}
    parts.append(
        Figure(
            "cycle-loss",
            "Loss of the joint training, after the warm-up.",
            "Of training and validation participants. A validation loss that falls long after the "
            "training loss has levelled off would be late generalisation. With the angle the loss "
            "has the penalties of time besides, so the arms' losses do not rank them.",
            partial(loss_panels, histories),
            width=_width(histories),
        )
    )
    return Section("cycle", "The phases of the cycle", parts)


def _width(histories: dict) -> float:
    return 32 if len(histories) == 1 else 52


def _cycle_figures(arm: ArmRun) -> list[Figure]:
    loop, phases = arm.cycle["loop"], arm.cycle["phases"]
    count = min(LOOP_FRAMES, len(loop))
    around = np.round(np.arange(count) * len(loop) / count).astype(int)
    return [
        Figure(
            f"loop-{arm.name}",
            f"The loop that {arm.name} has learned.",
            "What is decoded for the typical heart at phases evenly around the circle.",
            partial(cycle_figures.loop, loop[around]),
            width=32,
        ),
        Figure(
            f"phases-{arm.name}",
            f"Phases against time, {arm.name}.",
            f"The latents of {hide_small(len(phases))} analysis participants, frame by frame. "
            "Left, the phase; right, less what it were if it advanced evenly.",
            partial(cycle_figures.phases_against_time, phases),
        ),
    ]


def fusion_section(run: Run) -> Section:
    """Draw how the fused encoders of a run learned, and tabulate how far they agree.

    Parameters
    ----------
    run : Run
        With fusions.
    """
    histories = {
        f"{fusion.name}: {listed(fusion.arms)}": run.arms[fusion.arms[0]].history
        for fusion in run.fusions
    }
    parts = [Text(_told(run, fusion), lead=f"{fusion.name}.") for fusion in run.fusions]
    if any(len(fusion.retrieval) for fusion in run.fusions):
        parts.append(retrieval_table(run.fusions))
    parts.append(
        Figure(
            "fusion-loss",
            "Loss of the fused training.",
            "Reconstruction from the fused latents, the mean over modalities and 1 for predicting "
            "the mean, plus the weighted contrast between modalities. While training, every "
            "coordinate of everybody is taken from one modality at random; validation takes the "
            "mean over modalities, which is easier.",
            partial(loss_panels, histories),
            width=_width(histories),
        )
    )
    for fusion in run.fusions:
        parts += modality_parts(fusion)
    return Section("fusions", "Modalities fused", parts)


def _told(run: Run, fusion: FusionRun) -> str:
    arms = [run.arms[arm] for arm in fusion.arms]
    model = arms[0].model
    maps = listed([f"{arm.description['tensor_map']} ({arm.name})" for arm in arms])
    explained = listed(
        [f"{number(100 * a.model['explained_variance'], 0)} % in {a.name}" for a in arms]
    )
    warm = run.experiment["fusions"][fusion.name].get("warm_start", [])
    start = ""
    if warm:
        start = f", starting from the networks of {listed(warm)}, whose own steps come on top"
    return (
        f"Encoders of {maps} learned one latent space of {model['latent_size']} dimensions "
        f"together in {model['steps']:,} steps of {model['batch_size']} participants{start}. They "
        f"learned from {hide_small(len(model['trained_on']))} who have at least one of the "
        "modalities. Each encoder is then used alone, and with its decoder explains of its own "
        f"tensors' variance, in validation participants: {explained}."
    )


def retrieval_table(fusions: list[FusionRun]) -> Table:
    """Make the table of how often a participant is found from another modality.

    Parameters
    ----------
    fusions : list of FusionRun
    """
    rows = []
    for fusion in fusions:
        for row in fusion.retrieval.itertuples(index=False):
            one, other, pairs, *shares = row
            told = ["–"] * len(shares)  # of few pairs a share is a count
            if pairs >= SMALLEST_COUNT:
                chance = [min(nearest / pairs, 1) for nearest in (1, 10)]
                told = [
                    f"{number(100 * share, 1)} ({number(100 * by_chance, 1)})"
                    for share, by_chance in zip(shares, chance, strict=True)
                ]
            rows.append(
                [
                    Cell(fusion.name),
                    Cell(f"{one} → {other}"),
                    Cell(hide_small(pairs)),
                    *map(Cell, told),
                ]
            )
    return Table(
        title="Retrieval of one modality by another.",
        caption="Analysis participants who have both: for each, the share (%) whose own latents "
        "in the second arm are the nearest to theirs in the first, or among the ten nearest, by "
        "cosine; in parentheses what chance gives. Nobody here was learned from.",
        columns=(
            Column("Fusion"),
            Column("From → to", wrap=True),
            Column("Pairs", number=True),
            Column("Nearest (%)", number=True),
            Column("Among ten (%)", number=True),
        ),
        rows=rows,
    )
