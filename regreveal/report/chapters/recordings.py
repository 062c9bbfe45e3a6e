"""The chapter on recordings and images before and after registration."""

from collections.abc import Mapping
from functools import partial

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
from regreveal.report.folder.run import Run
from regreveal.report.parts import Figure, Section, Text
from regreveal.report.tables import Cell, Column, Table, hide_small
from regreveal.report.words import listed, spoken


def recordings_section(run: Run, groups: list[list[str]], colours: dict[str, str]) -> Section:
    """Show what every arm's network is given, and how well registration went."""
    parts = []
    for group in groups:
        if len(groups) > 1:
            parts.append(Text(group_name(run, group), "heading"))
        for name in group:
            arm = run.arms[name]
            made_by = run.made_by(name).replace("none", "as recorded")
            parts.append(Text(arm.description["description"], lead=f"{name} ({made_by})."))
        # Arms whose latents are made otherwise see tensors of another arm, or as recorded.
        shown = [name for name in group if run.arms[name].has_autoencoder] or group[:1]
        parts.append(_overlay(run, shown, colours, file_name("overlay", groups, group)))
    registered = [arm for arm in run.arms.values() if arm.description["registration"]]
    if registered:
        parts.append(Text(_failures(run)))
        quality = quality_table({arm.name: arm.description for arm in registered})
        parts += [quality] if quality else []
    return Section("recordings", "Before and after registration", parts)


def _overlay(run: Run, group: list[str], colours: dict[str, str], name: str) -> Figure:
    if shows_signals(run, group):
        signals = [signal_examples(run.arms[arm], colours) for arm in group]
        shown = min(signal_figures.OVERLAID_PARTICIPANTS, *(len(each.inputs) for each in signals))
        return Figure(
            name,
            "Recordings of many participants over one another.",
            f"{hide_small(shown)} analysis participants in each panel, on one scale of time and, "
            f"for each channel, one of values: {told_channels(signals[0])}. Black: their mean. "
            "What is not aligned cancels in the mean.",
            partial(signal_figures.overlay, signals),
        )
    images = [image_examples(run.arms[arm], colours) for arm in group]
    return Figure(
        name,
        f"{group_name(run, group)}: three participants over one another in red, green and blue.",
        "The same analysis participants in every row, three to a picture. Grey: all three agree; "
        "coloured: they do not. Every image has its own scale of brightness.",
        partial(image_figures.overlay, images),
        width=image_width(images),
    )


def _failures(run: Run) -> str:
    """Say of every registration how many it could not register."""
    told = [
        f"{_in_words(arm.description['n_failed'])} by {arm.description['registration']} "
        f"({arm.name})"
        for arm in run.arms.values()
        if arm.description["registration"]
    ]
    return (
        "Participants who could not be registered, and are left out of every arm compared with "
        f"that one: {listed(told)}."
    )


def _in_words(count: int) -> str:
    return hide_small(count).replace("<", "fewer than ") if count else "none"


def quality_table(descriptions: Mapping[str, dict]) -> Table | None:
    """Make the table of the registrations' own figures of quality.

    Parameters
    ----------
    descriptions : mapping of str to dict
        `arm.json` by registered arm.

    Returns
    -------
    Table or None
        None where no registration gives figures of enough people.
    """
    rows = []
    for arm, description in descriptions.items():
        for figure, quantiles in description["quality"].items():
            rows.append(
                [
                    Cell(arm),
                    Cell(description["registration"]),
                    Cell(hide_small(description["n_registered"])),
                    Cell(spoken(figure)),
                    *(Cell(_significant(value)) for value in quantiles),
                ]
            )
    if not rows:
        return None
    numbers = ("5 %", "median", "95 %")
    return Table(
        title="How well each registration fits, by its own figures.",
        caption="Over everyone registered. Who could not be registered is left out and counted "
        "under “What was left out”.",
        columns=(
            Column("Arm"),
            Column("Method"),
            Column("Registered", number=True),
            Column("Figure", wrap=True),
            *(Column(name, number=True) for name in numbers),
        ),
        rows=rows,
    )


def _significant(value: float) -> str:
    """Write a number with three significant digits and a true minus sign."""
    return f"{value:.3g}".replace("-", "−")
