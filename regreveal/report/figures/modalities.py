"""Which lead variants of a fused latent space are seen from which modality."""

import os

import pandas as pd
from matplotlib.axes import Axes

from regreveal.report.figures.trees import Sheet, row_size, text_width, write_labels
from regreveal.report.style import GREY, INK, lighter, styled, write_figure

_EDGE, _HEAD, _FOOT, _P, _COSINE, _BETWEEN = 0.12, 0.3, 0.42, 3.0, 2.2, 0.3


@styled
def modality_groups(
    groups: pd.DataFrame,
    labels: list[str],
    colours: dict[str, str],
    level: float,
    path: str | os.PathLike,
) -> None:
    """Draw each variant's p-value from either modality, and the cosine between its directions.

    Parameters
    ----------
    groups : DataFrame
        In the order of the rows, variants of a group together: group, neg_log10_p_first,
        adjusted_p_first, the same of the second, denoised_cosine, low, high, agreement_p.
    labels : list of str
        Of the rows.
    colours : dict of str to str
        Of the two modalities, by name, the first first.
    level : float
        Adjusted p-values below it are filled dots.
    path : path-like
        PNG to write; a PDF is written beside it.
    """
    names = [_title(name, number) for name, number in _counts(groups["group"])]
    rows = len(groups) + len(names)
    size, pitch = row_size(rows)
    room = text_width(labels, size, "italic") + 0.1
    height = _HEAD + pitch * rows + _FOOT
    sheet = Sheet(_EDGE + room + _P + _BETWEEN + _COSINE + _EDGE, height)
    places, heads = _places(groups["group"])
    p_values = sheet.axes(_EDGE + room, _HEAD, _P, pitch * rows)
    _draw_p_values(p_values, groups, places, colours, level, size)
    cosines = sheet.axes(_EDGE + room + _P + _BETWEEN, _HEAD, _COSINE, pitch * rows)
    _draw_cosines(cosines, groups, places, level, size)
    for axes in (p_values, cosines):
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        for place in places[::2]:
            axes.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", linewidth=0, zorder=0)
    # Last, since headings reach into the panels, where their rows are empty.
    texts = sheet.rows(_EDGE, _HEAD, room, pitch, rows)
    in_rows = [""] * rows
    for place, label in zip(places, labels, strict=True):
        in_rows[place] = label
    write_labels(texts, in_rows, size)
    for head, name in zip(heads, names, strict=True):
        texts.text(0, head, name, fontsize=size, fontweight="bold", va="center_baseline")
    lines, told = p_values.get_legend_handles_labels()
    sheet.figure.legend(
        lines, told, loc="upper right", bbox_to_anchor=(1 - _EDGE / sheet.width, 1),
        ncols=2, handletextpad=0.1, columnspacing=1.2, borderpad=0.3,
    )  # fmt: skip
    write_figure(sheet.figure, path)


def _counts(groups: pd.Series) -> list[tuple[str, int]]:
    counts = groups.value_counts()
    return [(name, int(counts[name])) for name in pd.unique(groups)]


def _title(group: str, count: int) -> str:
    return f"{group[0].upper()}{group[1:]} ({count})"


def _places(groups: pd.Series) -> tuple[list[int], list[int]]:
    """Rows of the variants, and those of the groups' headings before them."""
    places, heads, row, before = [], [], 0, None
    for group in groups:
        if group != before:
            heads.append(row)
            row += 1
        places.append(row)
        row, before = row + 1, group
    return places, heads


def _draw_p_values(
    axes: Axes,
    groups: pd.DataFrame,
    places: list[int],
    colours: dict[str, str],
    level: float,
    size: float,
) -> None:
    ends = groups[["neg_log10_p_first", "neg_log10_p_second"]].to_numpy()
    axes.hlines(places, ends.min(axis=1), ends.max(axis=1), color=GREY, linewidth=0.6, zorder=1)
    for place, (name, colour) in zip(("first", "second"), colours.items(), strict=True):
        seen = groups[f"adjusted_p_{place}"].to_numpy() < level
        axes.scatter(
            groups[f"neg_log10_p_{place}"], places, s=(0.55 * size) ** 2, zorder=2, linewidths=0.8,
            facecolors=[colour if is_seen else "white" for is_seen in seen], edgecolors=colour,
        )  # fmt: skip
        axes.scatter([], [], s=14, color=colour, label=name)
    axes.set_xlim(-0.02 * ends.max(), None)
    axes.set_xlabel("−log₁₀ p")


def _draw_cosines(
    axes: Axes, groups: pd.DataFrame, places: list[int], level: float, size: float
) -> None:
    # Nothing is drawn where a direction is nearly all noise.
    axes.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    agree = groups["agreement_p"].to_numpy() < level
    rows = zip(places, groups.to_dict("records"), agree, strict=True)
    for place, row, certain in rows:
        colour = INK if certain else lighter(INK, 0.45)
        axes.hlines(place, row["low"], row["high"], color=colour, linewidth=1, zorder=2)
        axes.scatter(
            row["denoised_cosine"], place, s=(0.5 * size) ** 2, zorder=3, linewidths=0.8,
            facecolors=colour if certain else "white", edgecolors=colour,
        )  # fmt: skip
    axes.set_xlim(-1.05, 1.05)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_xlabel("Cosine without noise")
