"""Genome-wide figures: what is in them, how fast they are, and what they refuse."""

import dataclasses
import time
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from scipy import stats

from regreveal.errors import InputError
from regreveal.genetics.output import plot_points
from regreveal.genetics.output.plot_points import PlotPoints
from regreveal.report.figures import genome as figures
from regreveal.report.figures.genome import GenomeScan, genomic_inflation, manhattan, miami, qq_plot


def _table(count: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    chromosome = np.sort(rng.integers(1, 23, count)).astype(str)
    table = pd.DataFrame({"position": rng.integers(1, 200_000_000, count)})
    table["chromosome"] = pd.Categorical(chromosome)
    return table.assign(neg_log10_p=-np.log10(rng.uniform(size=count)))


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """Figures as they are written, to look into; nothing is written."""
    kept = []
    monkeypatch.setattr(figures, "write_figure", lambda figure, path: kept.append(figure))
    return kept


def test_two_million_variants_take_seconds(tmp_path):
    table = _table(2_000_000)
    started = time.monotonic()
    manhattan(table, tmp_path / "manhattan.png")
    # A scatter of all two million takes ten times as long; this leaves room for a busy machine.
    assert time.monotonic() - started < 15


def test_every_hit_is_drawn(drawn):
    table = _table(50_000)
    hits = np.linspace(0, 49_999, 100).astype(int)
    table.loc[hits, "neg_log10_p"] = np.linspace(7.4, 300, len(hits))
    manhattan(table, "unused.png")
    heights = np.concatenate(
        [points.get_offsets()[:, 1].data for points in drawn[0].axes[0].collections]
    )
    assert set(np.round(table.loc[hits, "neg_log10_p"], 9)) <= set(np.round(heights, 9))
    assert drawn[0].axes[0].get_ylim()[1] > 300


def test_a_miami_plot_has_one_scale_and_the_baseline_below(drawn):
    above, below = _table(5000, 1), _table(5000, 2)
    above.loc[77, "neg_log10_p"] = 60.0
    loci = above.loc[[77]].assign(gene="SCN5A")
    none = loci.iloc[:0]
    miami(
        GenomeScan("native", "red", below, none),
        GenomeScan("aligned", "blue", above, loci),
        "x.png",
    )
    lower, upper = sorted(drawn[0].axes, key=lambda axes: axes.get_position().y0)
    assert "native" in [text.get_text() for text in lower.texts]
    assert lower.yaxis_inverted()
    per_inch = [abs(np.subtract(*a.get_ylim())) / a.get_position().height for a in (upper, lower)]
    assert per_inch[0] == pytest.approx(per_inch[1])
    assert [text.get_text() for text in upper.texts] == ["SCN5A", "aligned"]


def test_names_of_crowded_loci_do_not_overlap_and_none_is_cut_off(drawn):
    table = _table(5000)
    crowd = table.index[table["chromosome"] == "3"][:30]
    table.loc[crowd, "neg_log10_p"] = np.linspace(10, 40, 30)
    loci = table.loc[crowd].assign(gene=[f"GENE{i}L" for i in range(30)])
    manhattan(table, "unused.png", loci)
    figure = drawn[0]
    figure.draw_without_rendering()
    texts = [text for text in figure.axes[0].texts if text.get_text().startswith("GENE")]
    # An annotation's own extent holds its leader line, too.
    boxes = sorted((Text.get_window_extent(text) for text in texts), key=lambda box: box.x0)
    assert len(boxes) == 30
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(box.y1 <= figure.bbox.y1 for box in boxes)


def test_a_scan_without_loci_has_no_names(drawn, tmp_path):
    (tmp_path / "loci.tsv").write_text("chromosome\tposition\tneg_log10_p\tgene\n")
    loci = pd.read_csv(tmp_path / "loci.tsv", sep="\t")
    scan = GenomeScan("native", "red", _table(1000), loci, loci.assign(found=True))
    miami(scan, dataclasses.replace(scan, name="aligned"), "unused.png")
    manhattan(_table(1000), "unused.png", loci)
    assert {text.get_text() for text in drawn[0].axes[0].texts} <= {"native", "aligned"}
    assert not drawn[1].axes[0].texts


def test_what_was_planted_on_a_chromosome_without_genotypes_is_not_drawn(drawn):
    table = _table(1000)
    table = table[table["chromosome"] == "7"].assign(chromosome="7")
    planted = pd.DataFrame({"chromosome": [7, 9], "position": [5, 6], "found": [False, True]})
    scan = GenomeScan("native", "red", table, table.iloc[:0].assign(gene=""), planted)
    miami(scan, dataclasses.replace(scan, name="aligned"), "unused.png")
    triangles = [marks for marks in drawn[0].axes[0].collections if len(marks.get_offsets()) == 1]
    assert [marks.get_offsets()[0][0] for marks in triangles] == [5]


def test_a_locus_without_a_gene_has_no_name(drawn):
    table = _table(1000)
    manhattan(table, "unused.png", table.iloc[[3]].assign(gene=""))
    assert not drawn[0].axes[0].texts


@pytest.mark.parametrize("degrees", [1, 3, 16])
def test_lambda_gc_is_the_ratio_of_medians(degrees):
    statistics = 1.3 * stats.chi2.rvs(degrees, size=20_001, random_state=1)
    p = stats.chi2.sf(statistics, degrees)
    expected = np.median(stats.chi2.isf(p, 1)) / stats.chi2.ppf(0.5, 1)
    values = np.append(-np.log10(p), np.nan)
    assert genomic_inflation(values) == pytest.approx(expected, rel=1e-9)


def test_null_p_values_lie_in_the_band_about_as_often_as_it_says(drawn):
    inside = []
    for seed in range(40):
        p = np.random.default_rng(seed).uniform(size=2000)
        qq_plot(-np.log10(p), "unused.png")
        band, points = drawn[-1].axes[0].collections
        vertices = band.get_paths()[0].vertices
        x, y = points.get_offsets().data.T
        at_first_rank = np.isclose(vertices[:, 0], x[0])
        low, high = vertices[at_first_rank, 1].min(), vertices[at_first_rank, 1].max()
        inside.append(low <= y[0] <= high)
    # 40 draws at 0.95: fewer than 33 has a probability below 1 in 1000.
    assert sum(inside) >= 33


def test_the_strongest_tests_are_all_in_a_qq_plot(drawn):
    values = np.append(np.random.default_rng(1).exponential(0.43, 100_000), np.linspace(20, 90, 50))
    qq_plot(values, "unused.png")
    heights = drawn[0].axes[0].collections[1].get_offsets()[:, 1].data
    assert set(np.linspace(20, 90, 50)) <= set(heights)


def _points(table: pd.DataFrame) -> PlotPoints:
    points = PlotPoints()
    for chromosome, part in table.groupby("chromosome", observed=True):
        points.add(chromosome, part["position"].to_numpy(), part["neg_log10_p"].to_numpy())
    return points


def test_points_draw_the_same_picture_as_the_whole_table(tmp_path, monkeypatch):
    monkeypatch.setattr(plot_points, "MOST_HITS", 5000)
    table = _table(100_000)
    table.loc[np.arange(0, 100_000, 5000), "neg_log10_p"] = np.linspace(6, 20, 20)
    points = _points(table)
    assert not points.table()["neg_log10_p"].dropna().isin(table["neg_log10_p"]).all()
    manhattan(table, tmp_path / "table.png")
    manhattan(points, tmp_path / "points.png")
    qq_plot(table["neg_log10_p"].to_numpy(), tmp_path / "qq_table.png")
    qq_plot(points, tmp_path / "qq_points.png")
    for of_table, of_points in (("table", "points"), ("qq_table", "qq_points")):
        first, second = (imread(tmp_path / f"{name}.png") for name in (of_table, of_points))
        assert first.shape == second.shape
        assert (np.abs(first - second).max(axis=2) > 0.5).mean() < 0.001
        assert (first < 0.5).any()


def test_a_miami_plot_takes_points(drawn):
    table = _table(5000)
    none = table.iloc[:0].assign(gene="")
    miami(
        GenomeScan("native", "red", table, none),
        GenomeScan("aligned", "blue", _points(table), none),
        "unused.png",
    )
    upper, lower = (
        np.sort(np.concatenate([p.get_offsets()[:, 1].data for p in axes.collections]))
        for axes in drawn[0].axes
    )
    np.testing.assert_allclose(upper, lower)


def test_a_qq_plot_says_lambda_and_what_it_is_not(drawn):
    values = np.random.default_rng(1).exponential(0.43, 1000)
    qq_plot(values, "unused.png")
    (text,) = drawn[0].axes[0].get_legend().get_texts()
    assert f"{genomic_inflation(values):.3f}" in text.get_text()
    assert "nothing about the tails" in drawn[0].texts[0].get_text()


def test_no_p_value_at_all_is_an_error():
    table = _table(10).assign(neg_log10_p=np.nan)
    with pytest.raises(InputError, match="no variant has a p-value"):
        manhattan(table, "unused.png")
    with pytest.raises(InputError, match="no test has a p-value"):
        qq_plot(np.full(3, np.nan), "unused.png")
    with pytest.raises(InputError, match="no variant has a p-value"):
        manhattan(_points(table), "unused.png")
    with pytest.raises(InputError, match="no test has a p-value"):
        qq_plot(_points(table), "unused.png")


def test_the_same_data_give_the_same_bytes_whatever_the_settings_of_the_caller(tmp_path):
    table = _table(2000)
    manhattan(table, tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black"}):
        manhattan(table, tmp_path / "b.png")
        assert matplotlib.rcParams["font.size"] == 20
    for suffix in (".png", ".pdf"):
        first = (tmp_path / "a").with_suffix(suffix).read_bytes()
        assert first == (tmp_path / "b").with_suffix(suffix).read_bytes()
        assert b"Date" not in first
