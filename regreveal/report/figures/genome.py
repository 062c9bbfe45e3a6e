"""Genome-wide figures: Manhattan, Miami and QQ plots."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.output.plot_points import PlotPoints
from regreveal.report.figures.genome_axis import Genome, spread, thin
from regreveal.report.style import (
    ARM_COLOURS,
    GREY,
    INK,
    PALE,
    WIDTH,
    arm_colours,
    lighter,
    styled,
    write_figure,
)

GENOME_WIDE = -np.log10(5e-8)
MOST_LABELS = 45  # names that fit side by side over the width of a figure
_LABEL_BAND = 0.72  # inches beside a panel for the names
_LEFT, _RIGHT = 0.72, 0.08  # inches
_TALLEST_PANEL, _LOWEST_PANEL = 2.6, 0.9  # inches, of a Miami plot
_QQ_KEPT = 3000  # largest values, all drawn
_LAMBDA_CAVEAT = (
    "λ$_{GC}$ is of the median: sample size and true small effects raise it,\n"
    "and it says nothing about the tails."
)


@dataclass(frozen=True)
class GenomeScan:
    """One arm's variants, as a Miami plot shows them.

    Parameters
    ----------
    name : str
        The arm.
    colour : str
    variants : DataFrame or PlotPoints
        `chromosome`, `position`, `neg_log10_p`; NaN where not testable.
    loci : DataFrame
        `chromosome`, `position`, `neg_log10_p`, `gene` of each lead variant.
    planted : DataFrame, optional
        `chromosome`, `position` and bool `found` of each planted variant.
    """

    name: str
    colour: str
    variants: pd.DataFrame | PlotPoints
    loci: pd.DataFrame
    planted: pd.DataFrame | None = None


@styled
def manhattan(
    table: pd.DataFrame | PlotPoints,
    path: str | os.PathLike,
    loci: pd.DataFrame | None = None,
    colour: str = ARM_COLOURS[1],
) -> None:
    """Draw a Manhattan plot.

    Parameters
    ----------
    table : DataFrame or PlotPoints
        `chromosome`, `position`, `neg_log10_p`, a row a variant; NaN where not testable.
    path : path-like
        PNG to write; a PDF is written beside it.
    loci : DataFrame, optional
        `chromosome`, `position`, `neg_log10_p`, `gene` of the lead variants to name (the
        strongest 45); an empty gene leaves a locus without its name.
    colour : str
        Of the odd chromosomes; the even ones have a lighter shade.

    Raises
    ------
    InputError
        If no variant was testable.
    """
    table = _as_table(table)
    loci = table.iloc[:0].assign(gene="") if loci is None else loci
    band = _LABEL_BAND if len(loci) else 0.08
    height, bottom = 2.3, 0.5
    figure = Figure(figsize=(WIDTH, bottom + height + band))
    axes = _add_panel(figure, bottom, height)
    genome = Genome([table])
    _draw_variants(axes, genome, table, colour)
    _draw_labels(axes, genome, loci)
    axes.set_xticks(genome.centres, genome.chromosomes)
    _thin_out_small_chromosomes(axes)
    axes.set_xlabel("Chromosome")
    write_figure(figure, path)


@styled
def miami(below: GenomeScan, above: GenomeScan, path: str | os.PathLike) -> None:
    """Draw two scans of the same variants back to back, on one scale.

    Parameters
    ----------
    below, above : GenomeScan
        The baseline and the arm compared with it.
    path : path-like
        PNG to write; a PDF is written beside it.

    Raises
    ------
    InputError
        If no variant of an arm was testable.
    """
    strip, edge = 0.4, 0.08
    below, above = (replace(scan, variants=_as_table(scan.variants)) for scan in (below, above))
    genome = Genome([below.variants, above.variants])
    tops = {scan.name: _top(scan.variants) for scan in (above, below)}
    per_unit = _TALLEST_PANEL / max(tops.values())  # one scale: inches a unit of −log10 p
    heights = {name: max(_LOWEST_PANEL, per_unit * top) for name, top in tops.items()}
    bands = {scan.name: _LABEL_BAND if len(scan.loci) else 0.0 for scan in (above, below)}
    total = sum(heights.values()) + sum(bands.values()) + strip + 2 * edge
    figure = Figure(figsize=(WIDTH, total))
    lower = _add_panel(figure, edge + bands[below.name], heights[below.name])
    upper = _add_panel(
        figure, total - edge - bands[above.name] - heights[above.name], heights[above.name]
    )
    for axes, scan in ((upper, above), (lower, below)):
        _draw_variants(axes, genome, scan.variants, scan.colour)
        limit = heights[scan.name] / per_unit
        axes.set_ylim((0, limit) if axes is upper else (limit, 0))
        _draw_labels(axes, genome, scan.loci)
        _draw_planted(axes, genome, scan)
        axes.tick_params(axis="x", length=0, labelbottom=False)
        axes.annotate(
            scan.name, (0, 0.5), (-44, 0), xycoords="axes fraction", textcoords="offset points",
            ha="center", va="center", rotation=90, color=scan.colour, fontsize=9,
            fontweight="bold",
        )  # fmt: skip
    lower.spines["top"].set_visible(True)
    lower.spines["bottom"].set_visible(False)
    upper.set_xticks(genome.centres, genome.chromosomes)
    upper.tick_params(axis="x", labelbottom=True, pad=9)
    _thin_out_small_chromosomes(upper)
    write_figure(figure, path)


@styled
def qq_plot(
    neg_log10_p: np.ndarray | PlotPoints | Mapping[str, np.ndarray | PlotPoints],
    path: str | os.PathLike,
    colours: Mapping[str, str] | None = None,
) -> None:
    """Draw observed against expected −log10 p, with the 95 % band of the null hypothesis.

    The band is of the order statistics of independent uniform p-values, each on its own: linkage
    disequilibrium makes the truth wider.

    Parameters
    ----------
    neg_log10_p : ndarray or PlotPoints, or mapping of str to either
        −log10 p of one scan, or of several by name; NaN where not testable.
    path : path-like
        PNG to write; a PDF is written beside it.
    colours : mapping of str to str, optional
        Colour of each scan.

    Raises
    ------
    InputError
        If no variant was testable.
    """
    scans = neg_log10_p if isinstance(neg_log10_p, Mapping) else {"": neg_log10_p}
    colours = colours or arm_colours(list(scans))
    figure = Figure(figsize=(3.5, 3.6))
    axes = figure.add_axes((0.15, 0.178, 0.81, 0.794))
    draw_qq(axes, scans, colours, size=7)
    axes.set_xlabel("Expected −log$_{10}$ p", parse_math=True)
    axes.set_ylabel("Observed −log$_{10}$ p", parse_math=True)
    _, *drawn = axes.collections
    labels = [
        f"{name}  λ$_{{GC}}$ = {genomic_inflation(scan):.3f}".strip()
        for name, scan in scans.items()
    ]
    legend = axes.legend(drawn, labels, loc="upper left", handletextpad=0.2)
    for text in legend.get_texts():
        text.set_parse_math(True)
    figure.text(0.15, 0.012, _LAMBDA_CAVEAT, fontsize=6, color=GREY, va="bottom", parse_math=True)
    write_figure(figure, path)


def genomic_inflation(neg_log10_p: np.ndarray | PlotPoints) -> float:
    """Genomic inflation factor λGC: median χ² on one degree of freedom over the null's median.

    Parameters
    ----------
    neg_log10_p : ndarray or PlotPoints
        −log10 p; NaN where not testable.

    Returns
    -------
    float

    References
    ----------
    Devlin and Roeder (1999), Biometrics 55:997. Tests with other degrees of freedom enter by
    their p-values.
    """
    is_points = isinstance(neg_log10_p, PlotPoints)
    median = neg_log10_p.median() if is_points else np.nanmedian(neg_log10_p)
    return float(stats.chi2.isf(10**-median, 1) / stats.chi2.median(1))


def draw_qq(
    axes: Axes,
    scans: Mapping[str, np.ndarray | PlotPoints],
    colours: Mapping[str, str],
    size: float,
) -> None:
    """Draw the points of a QQ plot, its diagonal and the band of the largest scan."""
    tested = {name: _by_rank(scan) for name, scan in scans.items()}
    most = max(count for count, _ in tested.values())
    if not most:
        raise InputError("QQ plot: no test has a p-value; nothing to draw")
    rank = _ranks_drawn(most)
    low, high = (-np.log10(stats.beta.ppf(q, rank, most - rank + 1)) for q in (0.975, 0.025))
    expected = _expected(rank, most)
    axes.fill_between(expected, low, high, color=PALE, linewidth=0, zorder=0)
    axes.plot([0, expected[0]], [0, expected[0]], color=GREY, linewidth=0.8, zorder=1)
    for name, (count, strongest) in tested.items():
        rank = _ranks_drawn(count)
        axes.scatter(
            _expected(rank, count), strongest(rank), s=size, color=colours[name],
            linewidths=0, label=name, zorder=2, rasterized=len(rank) > 2000,
        )  # fmt: skip
    axes.set_xlim(0, 1.04 * expected[0])
    axes.set_ylim(bottom=0)


def _by_rank(
    scan: np.ndarray | PlotPoints,
) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    """How many results there are, and what gives −log10 p by rank, 1 being the strongest."""
    if isinstance(scan, PlotPoints):
        return scan.count, scan.strongest
    ordered = np.sort(scan[np.isfinite(scan)])[::-1]
    return len(ordered), lambda rank: ordered[rank - 1]


def _as_table(variants: pd.DataFrame | PlotPoints) -> pd.DataFrame:
    return variants.table() if isinstance(variants, PlotPoints) else variants


def _expected(rank: np.ndarray, n: int) -> np.ndarray:
    return -np.log10((rank - 0.5) / n)


def _ranks_drawn(n: int) -> np.ndarray:
    """Every rank of the largest values, then ever fewer: what a picture can show."""
    rest = np.geomspace(min(_QQ_KEPT, n), n, 2000).astype(int)
    return np.union1d(np.arange(1, min(_QQ_KEPT, n) + 1), rest)


def _add_panel(figure: Figure, bottom: float, height: float) -> Axes:
    """Add axes over the figure's width; `bottom` and `height` are in inches."""
    width, total = figure.get_size_inches()
    return figure.add_axes(
        (_LEFT / width, bottom / total, (width - _LEFT - _RIGHT) / width, height / total)
    )


def _top(table: pd.DataFrame) -> float:
    """Upper limit of the axis, above the strongest variant and the genome-wide line."""
    highest = table["neg_log10_p"].max()
    if np.isnan(highest):
        raise InputError("Manhattan plot: no variant has a p-value; nothing to draw")
    return 1.04 * max(highest, 1.2 * GENOME_WIDE)


def _draw_variants(axes: Axes, genome: Genome, table: pd.DataFrame, colour: str) -> None:
    axes.set_ylim(0, _top(table))  # first, as it tells of a table without results
    neg_log10_p = table["neg_log10_p"].to_numpy(np.float64)
    x = genome.x(table)
    kept = thin(x, neg_log10_p)
    odd = genome.codes(table.iloc[kept]) % 2 == 0
    for rows, shade in ((kept[odd], colour), (kept[~odd], lighter(colour, 0.45))):
        axes.scatter(
            x[rows], neg_log10_p[rows], s=4, color=[shade], linewidths=0, rasterized=True, zorder=2
        )
    axes.axhline(GENOME_WIDE, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    axes.set_xlim(-2 * genome.gap, genome.end + 2 * genome.gap)
    axes.set_ylabel("−log$_{10}$ p", parse_math=True)


def _draw_labels(axes: Axes, genome: Genome, loci: pd.DataFrame) -> None:
    """Name the strongest loci in a row beyond the panel, each tied to its lead variant."""
    loci = loci[loci["gene"] != ""].sort_values("neg_log10_p").tail(MOST_LABELS)
    if not len(loci):
        return
    loci = loci.assign(x=genome.x(loci)).sort_values("x")
    low, high = axes.get_xlim()
    far = max(axes.get_ylim())
    outward = -1 if axes.yaxis_inverted() else 1
    figure = axes.get_figure()
    inches = axes.get_position().width * figure.get_size_inches()[0]
    apart = (high - low) / inches * 0.135
    places = spread(loci["x"].to_numpy(), apart, low + apart / 2, high - apart / 2)
    axes.scatter(loci["x"], loci["neg_log10_p"], s=11, color=INK, linewidths=0, zorder=3)
    for (_, locus), place in zip(loci.iterrows(), places, strict=True):
        axes.plot(
            [locus["x"], locus["x"]], [locus["neg_log10_p"], far], color=GREY, linewidth=0.4,
            zorder=1, clip_on=False,
        )  # fmt: skip
        axes.annotate(
            locus["gene"], (locus["x"], far), (place, outward * 12),
            textcoords=("data", "offset points"), rotation=90, ha="center",
            va="bottom" if outward > 0 else "top", fontsize=7, fontstyle="italic",
            arrowprops={
                "arrowstyle": "-", "color": GREY, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 0,
                "relpos": (0.5, 0 if outward > 0 else 1),
            },
            annotation_clip=False,
        )  # fmt: skip


def _draw_planted(axes: Axes, genome: Genome, scan: GenomeScan) -> None:
    """Mark planted variants along the panel's zero line, filled where the arm found them."""
    if scan.planted is None:
        return
    upward = not axes.yaxis_inverted()
    # The genotypes may be of some chromosomes only.
    planted = scan.planted[scan.planted["chromosome"].astype(str).isin(genome.chromosomes)]
    found = planted["found"].to_numpy(bool)
    x = genome.x(planted)
    inches = axes.get_position().height * axes.get_figure().get_size_inches()[1]
    offset = -0.055 / inches if upward else 1 + 0.055 / inches
    for rows, face, edge in ((~found, "white", GREY), (found, scan.colour, scan.colour)):
        axes.scatter(
            x[rows], np.full(rows.sum(), offset), s=13, marker="^" if upward else "v",
            facecolor=face, edgecolor=edge, linewidths=0.6, clip_on=False, zorder=4,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def _thin_out_small_chromosomes(axes: Axes) -> None:
    """Leave out the names of small chromosomes that would run into their neighbours'."""
    low, high = axes.get_xlim()
    last = -np.inf
    labels = []
    for place, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
        room = (place - last) / (high - low) >= 0.0165
        labels.append(text.get_text() if room else "")
        last = place if room else last
    axes.set_xticks(axes.get_xticks(), labels)
