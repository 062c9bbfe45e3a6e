"""Tables of the report, as finished text; counts that could point at a person are hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.report.comparison_figures import METRICS, spoken
from regreveal.report.run_folder import CYCLE

SMALLEST_COUNT = 5  # participants; fewer than this are not counted out
MOST_ROWS = 30


@dataclass(frozen=True)
class Column:
    """Head of a column: numbers stand to the right, genes in italics, long texts take lines."""

    title: str
    number: bool = False
    italic: bool = False
    wrap: bool = False

    @property
    def classes(self) -> str:
        """Its class attribute."""
        chosen = {"number": self.number, "italic": self.italic, "wrap": self.wrap}
        return " ".join(name for name, is_set in chosen.items() if is_set)


@dataclass(frozen=True)
class Cell:
    """One finished text of a table."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table of finished text.

    Parameters
    ----------
    title, caption : str
    columns : tuple of Column
    rows : list of list of Cell
    note : str
        What a reader must know of what is not in the table.
    """

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: list[list[Cell]]
    note: str = ""


def hide_small(count: int) -> str:
    """Write a number of participants; 1 to 4 as "<5".

    Nobody is pointed at by 0, which stays.

    Raises
    ------
    ValueError
        If it is negative.
    """
    if count < 0:
        raise ValueError(f"{count} participants: expected 0 or more")
    return f"<{SMALLEST_COUNT}" if 0 < count < SMALLEST_COUNT else f"{int(count):,}"


def number(value: float | None, decimals: int = 3) -> str:
    """Write a number with a true minus sign; a dash where there is none."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.{decimals}f}".replace("-", "−")


def with_interval(value: float, low: float, high: float, decimals: int = 3) -> str:
    """Write an estimate with its 95 % interval, such as "0.512 (0.480 to 0.544)"."""
    if not np.isfinite(value):
        return "–"
    low, high = number(low, decimals), number(high, decimals)
    return f"{number(value, decimals)} ({low} to {high})"


def differs(difference: pd.Series) -> bool:
    """Whether the interval of a paired difference leaves out zero."""
    return bool(difference["low"] > 0 or difference["high"] < 0)


def probe_table(
    scores: pd.DataFrame, differences: pd.DataFrame, baseline: str, against: str
) -> Table:
    """Make the table of the probes: a row a target, the arms side by side, their difference.

    Parameters
    ----------
    scores, differences : DataFrame
        As `regreveal.phenome.probes.run_probes` returns them.
    baseline, against : str
        The arms.

    Returns
    -------
    Table
        The better arm in bold where the interval of the difference leaves out zero, else neither.
    """
    by_arm = {arm: scores[scores["arm"] == arm].set_index("target") for arm in (baseline, against)}
    rows = []
    for _, row in differences.iterrows():
        better = None
        if differs(row):
            better = against if row["difference"] > 0 else baseline
        arms = [
            Cell(
                with_interval(*by_arm[arm].loc[row["target"], ["score", "low", "high"]]),
                arm == better,
            )
            for arm in (baseline, against)
        ]
        difference = with_interval(row["difference"], row["low"], row["high"])
        rows.append(
            [
                Cell(spoken(row["target"])),
                Cell(METRICS[row["metric"]]),
                Cell(hide_small(row["n"])),
                *arms,
                Cell(difference),
            ]
        )
    reasons = [
        f"{spoken(row['target'])}: {row['reason']}"
        for _, row in differences.iterrows()
        if row["reason"]
    ]
    return Table(
        title="Linear probes.",
        caption=f"Mean over five folds with 95 % interval; the difference is {against} less "
        f"{baseline} on the same participants, with the 95 % interval of the pairs. The better "
        "arm is in bold where that interval leaves out zero. n: participants with a value.",
        columns=(
            Column("Target"),
            Column("Score"),
            Column("n", number=True),
            Column(baseline, number=True),
            Column(against, number=True),
            Column("Difference", number=True),
        ),
        rows=rows,
        note="; ".join(reasons),
    )


def phewas_table(hits: Mapping[str, pd.DataFrame], told: Sequence[str]) -> Table:
    """Make the table of phecodes that at least one arm is associated with.

    Parameters
    ----------
    hits : mapping of str to DataFrame
        By arm, the same phecodes in each, indexed by phecode, in the order of the table;
        otherwise as `regreveal.phenome.phewas.phewas` returns them.
    told : sequence of str
        Phecodes to show.
    """
    rows = []
    first = next(iter(hits.values()))
    for phecode in told[:MOST_ROWS]:
        cells = [
            Cell(f"{first.loc[phecode, 'name']} ({phecode})"),
            Cell(first.loc[phecode, "category"]),
            Cell(hide_small(first.loc[phecode, "n_cases"])),
            Cell(hide_small(first.loc[phecode, "n_controls"])),
        ]
        for table in hits.values():
            row = table.loc[phecode]
            passes = bool(row["bonferroni"] < 0.05)
            cells.append(Cell(with_interval(row["odds_ratio"], row["low"], row["high"], 2), passes))
            cells.append(Cell(number(row["neg_log10_p"], 1), passes))
        rows.append(cells)
    return Table(
        title="Phecodes associated with a latent space.",
        caption="Those that pass Bonferroni's correction in at least one arm (in bold where they "
        "do). Odds ratio with 95 % interval for a standard deviation of the component.",
        columns=(
            Column("Phecode", wrap=True),
            Column("Category"),
            Column("Cases", number=True),
            Column("Controls", number=True),
            *(
                Column(f"{title}, {arm}", number=True)
                for arm in hits
                for title in ("Odds ratio", "−log₁₀ p")
            ),
        ),
        rows=rows,
        note=rest(len(told), "phecodes", "phewas.tsv"),
    )


def dropped_table(dropped: pd.DataFrame) -> Table:
    """Make the table of what was left out.

    Parameters
    ----------
    dropped : DataFrame
        `stage`, `arm`, `reason`, `count`.
    """
    return Table(
        title="What was left out.",
        caption="Participants by stage and reason. Counts of 1 to 4 are not told.",
        columns=(Column("Stage"), Column("Arm"), Column("Reason"), Column("Count", number=True)),
        rows=[
            [
                Cell(row["stage"]),
                Cell(row["arm"] or "all"),
                Cell(row["reason"]),
                Cell(hide_small(row["count"])),
            ]
            for _, row in dropped.iterrows()
        ],
    )


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


def version_table(versions: Mapping[str, str]) -> Table:
    """Make the table of package versions."""
    return Table(
        title="Versions.",
        caption="Of RegReveal and what it ran on.",
        columns=(Column("Package"), Column("Version", number=True)),
        rows=[[Cell(package), Cell(version)] for package, version in versions.items()],
    )


def rest(count: int, what: str, file: str) -> str:
    """Say how many rows a table leaves out, and where they are."""
    return f"{count - MOST_ROWS} more {what} are in {file}." if count > MOST_ROWS else ""


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
        for place, (figure, quantiles) in enumerate(description["quality"].items()):
            first = place == 0
            rows.append(
                [
                    Cell(arm if first else ""),
                    Cell(description["registration"] if first else ""),
                    Cell(hide_small(description["n_registered"]) if first else ""),
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
