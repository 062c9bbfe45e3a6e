"""Figures of the PheWAS: by category, against expectation and along the phecodes."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from regreveal.errors import InputError
from regreveal.report.figures.genome import draw_qq
from regreveal.report.figures.genome_axis import spread
from regreveal.report.style import GREY, INK, WIDTH, lighter, styled, write_figure

_QQ_COLUMNS = 4
_MOST_PHECODES_NAMED = 20
_TALLEST_PANEL, _LOWEST_PANEL, _CATEGORY_BAND = 1.9, 0.8, 0.95  # inches, of the PheWAS
_NAME_INCHES = 0.05  # of a letter of a phecode's name


@styled
def phewas_qq(
    scans: Mapping[str, pd.DataFrame], colours: Mapping[str, str], path: str | os.PathLike
) -> None:
    """Draw a QQ plot of the PheWAS in each category of phecodes.

    Parameters
    ----------
    scans : mapping of str to DataFrame
        By arm: `category`, `neg_log10_p`; NaN where not testable.
    colours : mapping of str to str
        By arm.
    path : path-like
        PNG to write; a PDF is written beside it.

    Raises
    ------
    InputError
        If no phecode was testable.
    """
    tested = {arm: scan.dropna(subset="neg_log10_p") for arm, scan in scans.items()}
    categories = sorted(set().union(*(scan["category"] for scan in tested.values())))
    if not categories:
        raise InputError("PheWAS: no phecode has a p-value; nothing to draw")
    columns = min(_QQ_COLUMNS, len(categories))
    rows = -(-len(categories) // columns)
    height = 1.62 * rows + 0.62
    figure = Figure(figsize=(WIDTH * max(columns, 2) / _QQ_COLUMNS, height))
    grid = GridSpec(
        rows, columns, figure, left=0.3 / figure.get_figwidth() + 0.02, right=0.99,
        top=1 - 0.42 / height, bottom=0.42 / height, wspace=0.24, hspace=0.42,
    )  # fmt: skip
    for i, category in enumerate(categories):
        axes = figure.add_subplot(grid[i // columns, i % columns])
        of_category = {
            arm: scan["neg_log10_p"].to_numpy()[scan["category"] == category]
            for arm, scan in tested.items()
        }
        draw_qq(axes, of_category, colours, size=11)
        most = max(map(len, of_category.values()))
        axes.set_title(f"{category} ({most})", fontsize=7.5, loc="left", pad=3)
        if i == 0:
            figure.legend(
                *axes.get_legend_handles_labels(), loc="upper left", ncols=len(scans),
                handletextpad=0.2, borderpad=0.2, bbox_to_anchor=(0.03, 1.0),
            )  # fmt: skip
    figure.supxlabel("Expected −log$_{10}$ p", y=0.04 / height, va="bottom", fontsize=8)
    figure.supylabel("Observed −log$_{10}$ p", x=0.005, fontsize=8)
    write_figure(figure, path)


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
    axes.set_xticks(middle.mean(axis=1), middle.index, rotation=35, ha="right", fontsize=7)
    axes.tick_params(axis="x", length=2)
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
    per_inch = (high - low) / (axes.get_position().width * axes.get_figure().get_figwidth())
    last = high - 0.77 * _NAME_INCHES * hits["name"].str.len().max() * per_inch
    places = spread(hits["x"].to_numpy(float), 0.19 * per_inch, low, last)
    top = axes.get_ylim()[1]
    for (_, hit), text_place in zip(hits.iterrows(), places, strict=True):
        axes.plot(
            [hit["x"]] * 2, [hit["neg_log10_p"], top], color=GREY, linewidth=0.4, clip_on=False,
            zorder=1,
        )  # fmt: skip
        axes.annotate(
            hit["name"], (hit["x"], top), (text_place, 9), textcoords=("data", "offset points"),
            rotation=40, rotation_mode="anchor", ha="left", va="center", fontsize=6.5,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "shrinkA": 0,
                        "shrinkB": 0, "relpos": (0, 0)},
            annotation_clip=False,
        )  # fmt: skip


def _shortened(name: str) -> str:
    return name if len(name) <= 28 else name[:27].rstrip() + "…"
