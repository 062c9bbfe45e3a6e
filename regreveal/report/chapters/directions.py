"""The chapter on directions: what loci and diseases look like, decoded."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.report.figures.directions import Decoded, decoded_images, decoded_signals
from regreveal.report.folder.comparison import Comparison
from regreveal.report.folder.directions import ArmDirections, read_arrays
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import Cell, Column, Table, hide_small, number
from regreveal.report.words import listed, plural

_CHECKS = ("cycle_slope", "cycle_correlation", "purity", "agreement", "size")
SIGNAL_DIMENSIONS = 2  # samples and channels
TITLE, ANCHOR, ANALYSIS = "What loci and diseases look like", "directions", "directions"


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show what is decoded along the directions of either arm."""
    shown = [
        Text(
            "From the mean latents the decoder is led along the pattern in which the latents of "
            "people differ whose scores differ. A score is the best linear guess of a genotype or "
            "a disease from the latents, covariates taken out. Its unit is a standard deviation of "
            "people: 3 is beyond all but about one of 700, and far more than an allele makes."
        )
    ]
    for arm in reversed(comparison.arms):
        found = comparison.directions[arm]
        if found.table.empty:
            shown.append(Text(f"The {arm} arm has no locus and no associated phecode to decode."))
            continue
        if len(found.decoded):
            shown.append(_figure(comparison, arm, found))
        for _, row in found.table[found.table["reason"] != ""].iterrows():
            shown.append(Text(f"{_name(row)} of the {arm} arm is not decoded: {row['reason']}."))
    arms = [arm for arm in reversed(comparison.arms) if len(comparison.directions[arm].decoded)]
    if arms:
        files = tuple(comparison.file(f"{arm}/directions/directions.tsv") for arm in arms)
        tables = (
            size_table(comparison.directions, arms, comparison.participants),
            belief_table(comparison.directions, arms),
        )
        shown += [replace(table, files=files) for table in tables]
    return shown


def _figure(comparison: Comparison, arm: str, found: ArmDirections) -> Figure:
    files = [found.folder / name for name in found.decoded["file"]]
    titles = [title_of(row) for _, row in found.decoded.iterrows()]
    traces = len(found.shape) == SIGNAL_DIMENSIONS
    people = hide_small(min(found.decoded["n_low"].min(), found.decoded["n_high"].min()))
    change = (
        "Below, the change by a standard deviation of the score: decoded (black), and between the "
        "means"
        if traces
        else "Right, the change by a standard deviation of the score: decoded, and between the "
        "means"
    )
    return Figure(
        f"{comparison.name}-{arm}-directions",
        f"What is decoded along directions of the {arm} arm.",
        f"Scores in standard deviations. {change} of the people of the lowest and of the highest "
        f"5 % of the score (at least {people} each, whom the decoder has not seen).",
        partial(draw_directions, files, titles, found.units, found.sampling_rate),
        files=tuple(
            comparison.file(f"{arm}/directions/{name}")
            for name in ("directions.tsv", *found.decoded["file"])
        ),
    )


def draw_directions(
    files: Sequence[Path],
    titles: Sequence[str],
    units: str,
    sampling_rate: float | None,
    path: Path,
    whole: bool = False,
) -> None:
    """Draw what was decoded along directions: signals of one axis as traces, others as images.

    Parameters
    ----------
    files : sequence of Path
        As `regreveal.directions.run` left them.
    titles : sequence of str
    units : str
    sampling_rate : float or None
        In Hz.
    path : Path
        PNG to write; a PDF is written beside it.
    whole : bool
        Draw every channel of signals rather than a few.
    """
    directions = [
        Decoded(title=title, **read_arrays(file)) for file, title in zip(files, titles, strict=True)
    ]
    if directions[0].decoded.ndim == SIGNAL_DIMENSIONS:
        decoded_signals(directions, units, sampling_rate, path, whole)
    else:
        decoded_images(directions, units, path)


def size_table(found: Mapping[str, ArmDirections], arms: Sequence[str], participants: int) -> Table:
    """Make the table of how far people are along the directions.

    Parameters
    ----------
    found : mapping of str to ArmDirections
        By arm.
    arms : sequence of str
        In the order of the table.
    participants : int
        Analysed; who of them has no value is not to be counted out.
    """
    return Table(
        title="How far alleles and diseases take people along the decoded directions.",
        caption="Effect: standard deviations of the score that an allele makes, or being a case, "
        "less what chance makes. Certainty: the expected cosine with the direction in endless "
        "people. Scores: their means in people of 0, 1 and 2 alleles, or without and with the "
        "disease. Beyond: people whose scores are farther out than what is decoded.",
        columns=(
            Column("Arm"),
            Column("Direction", wrap=True),
            Column("Participants", number=True),
            Column("Effect, SD"),
            Column("Certainty", number=True),
            Column("Scores"),
            Column("Beyond", number=True),
        ),
        rows=[
            [
                Cell(arm),
                Cell(_name(row)),
                Cell(hide_small(row["n"], of=participants)),
                Cell(f"{number(row['effect'], 2)} per {row['unit']}"),
                Cell(number(row["certainty"], 2)),
                Cell(_scores(found[arm].groups, row["file"])),
                Cell(hide_small(row["n_beyond"])),
            ]
            for arm in arms
            for _, row in found[arm].decoded.iterrows()
        ],
    )


def belief_table(found: Mapping[str, ArmDirections], arms: Sequence[str]) -> Table:
    """Make the table of how far what is decoded can be believed; parameters as of `size_table`."""
    return Table(
        title="How far the decoded directions can be believed.",
        caption="Distance: Mahalanobis distance of the farthest latents decoded from the mean "
        "latents (median of people). Slope, R: regression of the scores that the encoder gives "
        "what was decoded on those asked for, 1 and 1 at best. Purity: cosine of the way that the "
        "encoder sees with the direction, 1 where nothing else changes. Likeness, size: "
        "correlation of the decoded change with that between people at either end, and its root "
        "mean square as share of theirs. Where slope or likeness is low, the picture is not what "
        "the latents say.",
        columns=(
            Column("Arm"),
            Column("Direction", wrap=True),
            Column("Distance", number=True),
            Column("Slope", number=True),
            Column("R", number=True),
            Column("Purity", number=True),
            Column("Likeness", number=True),
            Column("Size", number=True),
        ),
        rows=[
            [
                Cell(arm),
                Cell(_name(row)),
                Cell(f"{number(row['distance'], 1)} ({number(row['people_distance'], 1)})"),
                *(Cell(number(row[column], 2)) for column in _CHECKS),
            ]
            for arm in arms
            for _, row in found[arm].decoded.iterrows()
        ],
    )


def _scores(groups: pd.DataFrame, file: str) -> str:
    """Write the mean scores of a direction's groups, from 0 alleles or without the disease on."""
    return " / ".join(number(score, 2) for score in groups["score"][groups["file"] == file])


def _name(row: pd.Series) -> str:
    return f"{row['label']} ({row['name']})" if row["label"] else row["name"]


def title_of(row: pd.Series) -> str:
    """Name a direction and say how far it is: a row of the table of `read_directions`."""
    return f"{_name(row)}: {number(row['effect'], 2)} SD per {row['unit']}"


def findings(comparison: Comparison) -> list[str]:
    """Say how far what is decoded agrees with people, for the summary."""
    told = []
    for arm in reversed(comparison.arms):
        likeness = comparison.directions[arm].decoded["agreement"].to_numpy()
        if len(likeness):
            low, high = (number(value, 2) for value in (np.min(likeness), np.max(likeness)))
            span = low if low == high else f"{low} to {high}"
            told.append(f"{span} for {plural(len(likeness), 'direction')} of {arm}")
    if not told:
        return []
    return [
        "What is decoded along loci and diseases changes as people at either end of the score "
        f"differ, with a correlation of {listed(told)}."
    ]
