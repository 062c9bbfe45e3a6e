"""Figures of clusters: labels that can be read, at any number of variants."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy.spatial.distance import squareform

from regreveal.genetics.clusters.tanglegram import untangle
from regreveal.genetics.clusters.trees import average_linkage, cut
from regreveal.report.figures import clusters as cluster_figures
from regreveal.report.figures import modalities as modality_figures
from regreveal.report.figures import tanglegram as tanglegram_figure
from regreveal.report.figures.clusters import (
    cluster_heat_map,
    clusters_by_height,
    paired_heat_map,
)
from regreveal.report.figures.modalities import modality_groups
from regreveal.report.figures.tanglegram import tanglegram
from regreveal.report.figures.trees import ALONE, cluster_colours, runs, unlike_labels

PLACES = ("first", "second")
MODULES = (cluster_figures, modality_figures, tanglegram_figure)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would be written."""
    figures = []
    for module in MODULES:
        monkeypatch.setattr(module, "write_figure", lambda figure, path: figures.append(figure))
    return figures


def tree(count, seed):
    rng = np.random.default_rng(seed)
    directions = (
        rng.standard_normal((count, 6))
        + 2 * rng.standard_normal((count // 3 + 1, 6))[rng.integers(0, count // 3 + 1, count)]
    )
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosines = directions @ directions.T
    distances = 1 - np.abs(cosines)
    np.fill_diagonal(distances, 0)
    linkage = average_linkage(squareform(squareform(distances, checks=False)))
    support = np.append(rng.random(count - 2), np.nan)
    return cosines, linkage, support, cut(linkage, 0.4)


def labels_of(count):
    genes = [f"SLC35F{i}-LONG" if i % 7 == 0 else f"GENE{i}" for i in range(count)]
    genes[0] = ""
    return unlike_labels(genes, [f"{i % 22 + 1}:{10**8 + i}:A:G" for i in range(count)])


def texts_of(figure):
    """Boxes of all texts that are seen, in pixels, and the figure's own."""
    figure.set_dpi(200)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    beyond = set()  # labels of ticks outside of the view, which are not drawn
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            beyond |= {label for tick in ticks for label in (tick.label1, tick.label2)}
    found = {
        (text.get_text(), text.get_window_extent(renderer).extents.tobytes())
        for text in figure.findobj(lambda part: hasattr(part, "get_text"))
        if text.get_visible() and text.get_text().strip() and text not in beyond
    }
    return [(name, np.frombuffer(box)) for name, box in sorted(found)], figure.bbox


def assert_all_readable(figure):
    found, page = texts_of(figure)
    boxes = np.array([box for _, box in found])
    names = [name for name, _ in found]
    inside = (boxes[:, :2] >= -1).all(axis=1)
    inside &= (boxes[:, 2] <= page.width + 1) & (boxes[:, 3] <= page.height + 1)
    assert inside.all(), [name for name, fits in zip(names, inside, strict=True) if not fits]
    # Italics lean over the box of the next letter, and lines' boxes hold room for accents.
    left, low, right, high = (boxes + np.array([1, 1, -1, -1]) * 1.0).T
    over = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    under = np.minimum.outer(high, high) - np.maximum.outer(low, low)
    shorter = np.minimum.outer(high - low, high - low)
    collide = np.triu((over > 0) & (under > 0.2 * shorter), 1)
    assert not collide.any(), [(names[a], names[b]) for a, b in np.argwhere(collide)[:5]]
    for text in figure.findobj(lambda part: hasattr(part, "get_fontsize")):
        assert text.get_fontsize() >= 4.5


@pytest.mark.parametrize("count", [2, 3, 8, 23, 150])
def test_labels_of_heat_maps_neither_collide_nor_leave_the_page(count, drawn):
    cosines, linkage, support, clusters = tree(count, count)
    cluster_heat_map(cosines, linkage, support, labels_of(count), clusters, 0.4, path="x.png")
    paired_heat_map(
        (cosines.T, cosines), linkage, support, labels_of(count), (clusters[::-1], clusters), 0.4,
        ("cardiac_native", "cardiac_voxelmorph"), path="x.png",
    )  # fmt: skip
    for figure in drawn:
        assert_all_readable(figure)


@pytest.mark.parametrize("count", [3, 8, 23, 150])
def test_labels_of_tanglegrams_neither_collide_nor_leave_the_page(count, drawn):
    one, other = tree(count, 1), tree(count, 2)
    tanglegram(
        (one[1], other[1]), (one[2], other[2]), untangle(one[1], other[1])[:2], (one[3], other[3]),
        (0.4, 0.4), labels_of(count), {"cardiac_native": "red", "cardiac_voxelmorph": "blue"},
        path="x.png",
    )  # fmt: skip
    assert_all_readable(drawn[0])


@pytest.mark.parametrize("count", [1, 2, 8, 23, 150])
def test_labels_of_modality_groups_neither_collide_nor_leave_the_page(count, drawn):
    rng = np.random.default_rng(count)
    names = np.array(["shared", "only ecg_fused", "only cardiac_fused", "unclear"])
    columns = [f"{what}_{which}" for what in ("neg_log10_p", "adjusted_p") for which in PLACES]
    groups = pd.DataFrame(rng.random((count, 4)) * [30, 30, 0.1, 0.1], columns=columns)
    groups["group"] = names[np.sort(rng.integers(0, 4, count))]
    groups["denoised_cosine"] = np.where(rng.random(count) < 0.3, np.nan, 0.2)
    groups = groups.assign(low=-0.3, high=0.7, agreement_p=0.5)
    colours = {"ecg_fused": "red", "cardiac_fused": "blue"}
    modality_groups(groups, labels_of(count), colours, 0.05, path="x.png")
    assert_all_readable(drawn[0])


def test_heights_of_several_spaces_are_drawn_in_their_colours(drawn):
    heights = pd.DataFrame({"height": [0.2, 0.4, 0.6], "chosen": [False, True, False]})
    heights = heights.assign(clusters=[5, 3, 1], stability=[0.5, 0.9, np.nan], silhouette=0.4)
    clusters_by_height({"one": heights, "other": heights}, {"one": "red", "other": "blue"}, "x.png")
    assert_all_readable(drawn[0])
    colours = {line.get_color() for line in drawn[0].axes[0].lines}
    assert {"red", "blue"} <= colours


def test_neighbouring_clusters_have_unlike_colours_and_single_variants_are_grey():
    colours = cluster_colours([1, 1, 2, 3, 3, 4, 4])
    assert colours[2] == ALONE
    assert len({colours[1], colours[3], colours[4], ALONE}) == 4


def test_variants_are_named_so_that_no_two_are_alike():
    labels = unlike_labels(["TTN", "", "TTN", "DSP"], ["rs1", "rs2", "rs3", "rs4"])
    assert labels == ["TTN (rs1)", "rs2", "TTN (rs3)", "DSP"]


def test_runs_are_of_one_cluster_each():
    assert runs(np.array([2, 2, 1, 3, 3])) == [(0, 2), (2, 3), (3, 5)]


def test_figures_are_written_as_png_and_pdf(tmp_path):
    cosines, linkage, support, clusters = tree(5, 0)
    path = tmp_path / "heat.png"
    cluster_heat_map(cosines, linkage, support, labels_of(5), clusters, 0.4, path)
    assert path.stat().st_size > 5000
    assert path.with_suffix(".pdf").is_file()
