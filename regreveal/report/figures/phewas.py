"""Figures of the PheWAS: by category, against expectation and along the phecodes."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from regreveal.errors import InputError
from regreveal.report.figures.genome import draw_qq
from regreveal.report.figures.genome_axis import spread
from regreveal.report.style import GREY, INK, WIDTH, lighter, styled, write_figure

_QQ_COLUMNS = 3
_QQ_ROW, _QQ_FOOT = 1.62, 0.42  # inches
_QQ_NAMES = 0.44  # of a panel's width, for the names at its right
_QQ_LINE = 0.12  # inches between names
_MOST_NAMED_IN_A_PANEL = 6
_MOST_PHECODES_NAMED = 20
_TALLEST_PANEL, _LOWEST_PANEL, _CATEGORY_BAND = 1.9, 0.8, 0.95  # inches, of the PheWAS
_NAME_INCHES = 0.05  # of a letter of a phecode's name
_SLANT = 0.125  # inches that the lines to slanted names reach off a panel
_CLEAR = 0.03  # inches from there to the name
_BETWEEN_CATEGORIES = 0.17  # inches between the names of two categories


@styled
def phewas_qq(
    scans: Mapping[str, pd.DataFrame],
    threshold: float,
    colours: Mapping[str, str],
    nulls: Mapping[str, pd.DataFrame],
    path: str | os.PathLike,
) -> None:
    """Draw a QQ plot of the PheWAS in each category of phecodes, hits named at its right.

    Parameters
    ----------
    scans : mapping of str to DataFrame
        By arm: `phecode`, `name`, `category`, `neg_log10_p`; NaN where not testable.
    threshold : float
        −log10 of the p-value that counts after Bonferroni's correction.
    colours : mapping of str to str
        By arm.
    nulls : mapping of str to DataFrame
        By arm, what was found where there is nothing: `phecode`, `neg_log10_p`. May be empty.
    path : path-like
        PNG to write; a PDF is written beside it.

    Raises
    ------
    InputError
        If no phecode was testable.
    """
    tested = {arm: scan.dropna(subset="neg_log10_p") for arm, scan in scans.items()}
    everything = pd.concat(tested.values()).drop_duplicates("phecode").set_index("phecode")
    categories = sorted(everything["category"].unique())
    if not categories:
        raise InputError("PheWAS: no phecode has a p-value; nothing to draw")
    null = pd.concat(nulls.values()) if nulls else pd.DataFrame(columns=["phecode", "neg_log10_p"])
    null_category = null["phecode"].map(everything["category"])
    rows = -(-len(categories) // _QQ_COLUMNS)
    height = _QQ_ROW * rows + _QQ_FOOT
    figure = Figure(figsize=(WIDTH, height))
    across = (WIDTH - 0.3) / _QQ_COLUMNS
    for i, category in enumerate(categories):
        row, column = divmod(i, _QQ_COLUMNS)
        place = (0.42 + column * across, _QQ_FOOT + (rows - 1 - row) * _QQ_ROW)
        size = (across * (1 - _QQ_NAMES) - 0.15, _QQ_ROW - 0.5)
        axes = figure.add_axes(
            (place[0] / WIDTH, place[1] / height, size[0] / WIDTH, size[1] / height)
        )
        of_category = {arm: scan[scan["category"] == category] for arm, scan in tested.items()}
        values = {arm: scan["neg_log10_p"].to_numpy() for arm, scan in of_category.items()}
        draw_qq(axes, values, colours, size=9)
        by_chance = null["neg_log10_p"].to_numpy(float)[(null_category == category).to_numpy()]
        most = max(map(len, values.values()))
        if len(by_chance):
            share = (np.arange(1, most + 1) - 0.5) / most
            axes.plot(
                -np.log10(share), np.quantile(by_chance, 1 - share), color=INK, linewidth=0.8,
                linestyle=(0, (1, 1.2)), zorder=3, label="by chance",
            )  # fmt: skip
        axes.set_title(f"{category} ({most})", fontsize=7.5, loc="left", pad=3)
        _name_ranks(axes, of_category, threshold, colours)
        if i == 0:
            figure.legend(
                *axes.get_legend_handles_labels(), loc="upper left", ncols=len(scans) + 1,
                handletextpad=0.4, borderpad=0.2, bbox_to_anchor=(0.03, 1.0),
            )  # fmt: skip
    figure.supxlabel(
        "Expected −log$_{10}$ p", y=0.04 / height, va="bottom", fontsize=8, parse_math=True
    )
    figure.supylabel("Observed −log$_{10}$ p", x=0.005, fontsize=8, parse_math=True)
    write_figure(figure, path)


def _name_ranks(axes: Axes, scans: Mapping[str, pd.DataFrame], threshold: float, colours) -> None:
    """Name the strongest hits at the right of a QQ plot, each tied to its point."""
    named = []
    for arm, scan in scans.items():
        ordered = scan.sort_values("neg_log10_p", ascending=False)
        expected = -np.log10((np.arange(len(ordered)) + 0.5) / max(len(ordered), 1))
        hits = ordered.assign(x=expected, colour=colours[arm])
        named.append(hits[hits["neg_log10_p"] >= threshold])
    hits = pd.concat(named).nlargest(_MOST_NAMED_IN_A_PANEL, "neg_log10_p")
    hits = hits.sort_values("neg_log10_p")
    if not len(hits):
        return
    low, high = axes.get_ylim()
    per_inch = (high - low) / (axes.get_position().height * axes.get_figure().get_figheight())
    places = spread(
        hits["neg_log10_p"].to_numpy(float), _QQ_LINE * per_inch, low, high - 0.03 * per_inch
    )
    right = axes.get_xlim()[1]
    for (_, hit), text_place in zip(hits.iterrows(), places, strict=True):
        axes.annotate(
            _shortened(hit["name"], 22), (hit["x"], hit["neg_log10_p"]), (right, text_place),
            fontsize=5.8, color=hit["colour"], va="center", ha="left", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "shrinkA": 0,
                        "shrinkB": 1.5, "relpos": (0, 0.5)},
        )  # fmt: skip


@styled
def phewas_manhattan(
    scans: Mapping[str, pd.DataFrame],
    threshold: float,
    colours: Mapping[str, str],
    path: str | os.PathLike,
) -> None:
    """Draw the PheWAS by category of phecodes, an arm a panel, hits named.

    Parameters
    ----------
    scans : mapping of str to DataFrame
        By arm, the baseline first: `phecode`, `name`, `category`, `neg_log10_p`.
    threshold : float
        −log10 of the p-value that counts after Bonferroni's correction.
    colours : mapping of str to str
        By arm.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    scans = {
        arm: scan.dropna(subset="neg_log10_p").assign(name=scan["name"].map(_shortened))
        for arm, scan in scans.items()
    }
    everything = pd.concat(scans.values()).drop_duplicates("phecode")
    if not len(everything):
        raise InputError("PheWAS: no phecode has a p-value; nothing to draw")
    line_up = everything.sort_values(["category", "phecode"]).reset_index(drop=True)
    place = pd.Series(np.arange(len(line_up)), index=line_up["phecode"])
    tops = {arm: 1.06 * max(s["neg_log10_p"].max(), 1.2 * threshold) for arm, s in scans.items()}
    per_unit = _TALLEST_PANEL / max(tops.values())  # one scale: inches a unit of −log10 p
    heights = {arm: max(_LOWEST_PANEL, per_unit * top) for arm, top in tops.items()}
    hits = {
        arm: scan[scan["neg_log10_p"] >= threshold].nlargest(_MOST_PHECODES_NAMED, "neg_log10_p")
        for arm, scan in scans.items()
    }
    bands = {arm: _band(rows["name"]) for arm, rows in hits.items()}
    height = sum(heights.values()) + sum(bands.values()) + _CATEGORY_BAND
    figure = Figure(figsize=(WIDTH, height))
    middle = line_up.reset_index().groupby("category")["index"].agg(["min", "max"])
    ceiling = height
    for arm, scan in reversed(scans.items()):
        ceiling -= bands[arm] + heights[arm]
        axes = figure.add_axes((0.085, ceiling / height, 0.905, heights[arm] / height))
        shade = scan["category"].map({c: i % 2 for i, c in enumerate(middle.index)})
        axes.scatter(
            scan["phecode"].map(place), scan["neg_log10_p"], s=11, linewidths=0, zorder=2,
            color=[colours[arm] if s == 0 else lighter(colours[arm], 0.45) for s in shade],
        )  # fmt: skip
        axes.axhline(threshold, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
        axes.set_xlim(-1, len(line_up))
        axes.set_ylim(0, heights[arm] / per_unit)
        axes.set_xticks([])
        axes.set_ylabel(f"{arm}\n−log$_{{10}}$ p", color=colours[arm])
        _name_phecodes(axes, hits[arm], place)
    _name_categories(axes, middle.mean(axis=1))
    write_figure(figure, path)


def _band(names: pd.Series) -> float:
    """Inches over a panel that its slanted names take."""
    return 0.15 if not len(names) else 0.25 + 0.64 * _NAME_INCHES * names.str.len().max()


def _name_phecodes(axes: Axes, hits: pd.DataFrame, place: pd.Series) -> None:
    """Name hits in a slanted row over the panel, each tied to its point."""
    hits = hits.assign(x=hits["phecode"].map(place)).sort_values("x")
    if not len(hits):
        return
    low, high = axes.get_xlim()
    longest = 0.77 * _NAME_INCHES * hits["name"].str.len().max() * _per_inch(axes)
    places = spread(hits["x"].to_numpy(float), 0.19 * _per_inch(axes), low, high - longest)
    top = axes.get_ylim()[1]
    for (_, hit), text_place in zip(hits.iterrows(), places, strict=True):
        axes.plot(
            [hit["x"]] * 2, [hit["neg_log10_p"], top], color=GREY, linewidth=0.4, clip_on=False,
            zorder=1,
        )  # fmt: skip
        _tie(axes, hit["x"], text_place, hit["name"], above=True)


def _name_categories(axes: Axes, middle: pd.Series) -> None:
    """Name the categories in a slanted row below the panel, each tied to its middle."""
    apart = _BETWEEN_CATEGORIES * _per_inch(axes)
    places = spread(middle.to_numpy(float), apart, *axes.get_xlim())
    for (name, x), text_place in zip(middle.items(), places, strict=True):
        _tie(axes, x, text_place, name, above=False)


def _per_inch(axes: Axes) -> float:
    """Units along the x-axis that an inch holds."""
    low, high = axes.get_xlim()
    return (high - low) / (axes.get_position().width * axes.get_figure().get_figwidth())


def _tie(axes: Axes, x: float, text_x: float, text: str, above: bool) -> None:
    """Write a slanted name off the panel's edge, and draw a line from there to x on the edge."""
    edge, outward = (1.0, 1) if above else (0.0, -1)
    inches = axes.get_position().height * axes.get_figure().get_figheight()
    far = edge + outward * _SLANT / inches
    across = axes.get_xaxis_transform()
    axes.plot(
        [x, text_x], [edge, far], transform=across, color=GREY, linewidth=0.4, clip_on=False
    )  # fmt: skip
    axes.text(
        text_x, far + outward * _CLEAR / inches, text, transform=across, rotation=40,
        rotation_mode="anchor", ha="left" if above else "right", va="center" if above else "top",
        fontsize=6.5 if above else 7,
    )  # fmt: skip


def _shortened(name: str, most: int = 28) -> str:
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"
