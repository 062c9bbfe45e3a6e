"""The PheWAS of one arm against that of the other."""

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from regreveal.report.figures.genome_axis import spread
from regreveal.report.style import GREY, INK, PALE, styled, write_figure

_SIDE, _MARGIN = 3.6, 0.55  # inches
_MOST_NAMED = 20
_LINE = 0.125  # inches between names
_LONGEST_NAME = 34  # letters


@styled
def phewas_arms(
    differences: pd.DataFrame,
    threshold: float,
    colours: Mapping[str, str],
    path: str | os.PathLike,
) -> None:
    """Draw each phecode's −log10 p in the arm against that in the baseline.

    Parameters
    ----------
    differences : DataFrame
        `phecode`, `name`, `baseline_neg_log10_p`, `neg_log10_p`, `significant_in` and `q_value` of
        the difference; NaN where not compared.
    threshold : float
        −log10 of the p-value that counts after Bonferroni's correction.
    colours : mapping of str to str
        By arm, the baseline first.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    baseline, arm = colours
    points = differences.dropna(subset=["neg_log10_p", "baseline_neg_log10_p"])
    points = points.rename(columns={"baseline_neg_log10_p": "x", "neg_log10_p": "y"})
    top = 1.06 * max(points[["x", "y"]].max(axis=None), 1.2 * threshold)
    width, height = 2 * _SIDE, _SIDE + _MARGIN + 0.1
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((_MARGIN / width, _MARGIN / height, _SIDE / width, _SIDE / height))
    axes.plot([0, top], [0, top], color=PALE, linewidth=0.8, zorder=0)
    dashed = {"color": INK, "linewidth": 0.7, "linestyle": (0, (4, 3)), "zorder": 1}
    axes.axhline(threshold, **dashed)
    axes.axvline(threshold, **dashed)
    kinds = {"": GREY, "both": INK, "lost": colours[baseline], "gained": colours[arm]}
    labels = {"both": "in both", "lost": f"in {baseline} only", "gained": f"in {arm} only"}
    for kind, colour in kinds.items():
        chosen = points[points["significant_in"] == kind]
        label = f"{labels.get(kind, 'in neither')} ({len(chosen)})"
        differs = chosen["q_value"] < 0.05
        for of_kind, face in ((chosen[differs], colour), (chosen[~differs], "white")):
            axes.scatter(
                of_kind["x"], of_kind["y"], s=13, facecolors=face, edgecolors=colour,
                linewidths=0.7, zorder=3 if kind else 2, clip_on=False,
            )  # fmt: skip
        axes.scatter([], [], s=13, color=colour, label=label)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_xlabel(f"{baseline}, −log$_{{10}}$ p", color=colours[baseline], parse_math=True)
    axes.set_ylabel(f"{arm}, −log$_{{10}}$ p", color=colours[arm], parse_math=True)
    right = (_MARGIN + _SIDE + 0.1) / width
    figure.legend(
        *axes.get_legend_handles_labels(), loc="lower left", title="Significant phecodes",
        alignment="left", title_fontsize=7.5, bbox_to_anchor=(right, 0.01), handletextpad=0.2,
    )  # fmt: skip
    _name_phecodes(axes, points[points["significant_in"] != ""], kinds, top)
    write_figure(figure, path)


def _name_phecodes(axes: Axes, hits: pd.DataFrame, colours: dict[str, str], top: float) -> None:
    """Name the strongest at the panel's right, one above the other, each tied to its point."""
    hits = hits.loc[hits[["x", "y"]].max(axis=1).nlargest(_MOST_NAMED).index]
    # Those near the foot would all be at one height: the farther to the right, the lower.
    low = hits["significant_in"] == "lost"
    hits = hits.iloc[np.lexsort((hits["y"].where(~low, -hits["x"]), ~low))]
    per_inch = top / _SIDE
    wanted = np.maximum.accumulate(hits["y"].where(~low, 0).to_numpy(float))
    places = spread(wanted, _LINE * per_inch, 0.95 * per_inch, top)
    for (_, hit), place in zip(hits.iterrows(), places, strict=True):
        colour = colours[hit["significant_in"]]
        name = hit["name"]
        if len(name) > _LONGEST_NAME:
            name = name[: _LONGEST_NAME - 1].rstrip() + "…"
        text = f"{name} ({hit['phecode']})"
        axes.plot(
            [hit["x"], 1.04 * top], [hit["y"], place], color=colour, linewidth=0.3, alpha=0.6,
            clip_on=False, zorder=1,
        )  # fmt: skip
        axes.text(1.05 * top, place, text, fontsize=6.5, color=colour, va="center", ha="left")
