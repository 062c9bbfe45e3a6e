"""Figures of a PheWAS of 1,800 phecodes in 18 categories, and of few."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from regreveal.errors import InputError
from regreveal.report.figures import phewas as figures
from regreveal.report.figures import phewas_arms as arms_figure
from regreveal.report.figures.phewas import phewas_manhattan, phewas_qq
from regreveal.report.figures.phewas_arms import phewas_arms

COLOURS = {"native": "#D55E00", "registered": "#0072B2"}


def _scan(seed, hits, phecodes=1800, categories=18):
    """Results by chance, but for hits, most of them in one category."""
    generator = np.random.default_rng(seed)
    sizes = np.random.default_rng(1).dirichlet(np.full(categories, 2))
    category = np.sort(np.random.default_rng(2).choice(categories, phecodes, p=sizes))
    scan = pd.DataFrame(
        {
            "phecode": [f"{100 + i / 10:.1f}" for i in range(phecodes)],
            "name": [f"Disease of a rather long name {i}" for i in range(phecodes)],
            "category": [f"Category number {c}" for c in category],
            "neg_log10_p": generator.exponential(1 / np.log(10), phecodes),
        }
    )
    crowded = np.flatnonzero(category == np.bincount(category).argmax())
    chosen = generator.choice(crowded, hits, replace=False)
    chosen = np.append(chosen, generator.choice(phecodes, hits // 2))
    scan.loc[chosen, "neg_log10_p"] = 6 + generator.gamma(2, 8, len(chosen))
    scan.loc[::17, "neg_log10_p"] = np.nan
    return scan


@pytest.fixture(params=[1800, 49])
def scans(request):
    few = request.param == 49
    size = {"phecodes": request.param, "categories": 6 if few else 18}
    return {
        "native": _scan(3, 2 if few else 12, **size),
        "registered": _scan(4, 5 if few else 45, **size),
    }


def _differences(scans):
    before, after = scans.values()
    table = after.assign(baseline_neg_log10_p=before["neg_log10_p"], q_value=0.5)
    low, high = before["neg_log10_p"] > 5, after["neg_log10_p"] > 5
    table["significant_in"] = np.select([low & high, high, low], ["both", "gained", "lost"], "")
    return table


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw into memory: the boxes of all texts, by their text, and the figure."""

    def draw(module, function, *arguments):
        kept = []
        monkeypatch.setattr(module, "write_figure", lambda figure, path: kept.append(figure))
        function(*arguments, path=tmp_path / "figure.png")
        (figure,) = kept
        figure.draw_without_rendering()
        texts = [one for one in figure.findobj(Text) if one.get_text() and one.get_visible()]
        return figure, texts

    return draw


def _overlapping(texts):
    boxes = [Text.get_window_extent(text) for text in texts]  # without the arrow of an annotation
    return [
        (a.get_text(), b.get_text())
        for i, a in enumerate(texts)
        for j, b in enumerate(texts[:i])
        if boxes[i].overlaps(boxes[j])
    ]


def _beside(texts):
    return [text for text in texts if text.get_text().startswith("Disease")]


def test_names_of_a_qq_plot_do_not_collide(scans, drawn):
    nulls = {arm: scan[["phecode", "neg_log10_p"]].dropna() for arm, scan in scans.items()}
    figure, texts = drawn(figures, phewas_qq, scans, 4.0, COLOURS, nulls)
    titles = [text for text in texts if text.get_text().startswith("Category")]
    assert len(titles) == len(figure.axes) == scans["native"]["category"].nunique()
    assert len(_beside(texts)) >= 4
    assert not _overlapping(_beside(texts) + titles)
    page = figure.bbox
    assert all(page.x0 <= text.get_window_extent().x0 for text in texts)
    assert all(text.get_window_extent().x1 <= page.x1 for text in _beside(texts))


def test_names_of_a_manhattan_plot_stand_apart(scans, drawn):
    figure, texts = drawn(figures, phewas_manhattan, scans, 4.0, COLOURS)
    categories = [text for text in texts if text.get_text().startswith("Category")]
    assert len(categories) == scans["native"]["category"].nunique()
    for row in (categories, *(_beside(axes.findobj(Text)) for axes in figure.axes)):
        starts = np.sort([text.get_transform().transform(text.get_position())[0] for text in row])
        # Slanted by 40 degrees, lines of 7 points do not touch from 0.15 inches on.
        assert (np.diff(starts) / figure.dpi > 0.15).all()
    for text in categories + _beside(texts):
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


def test_names_of_two_arms_do_not_collide(scans, drawn):
    figure, texts = drawn(arms_figure, phewas_arms, _differences(scans), 4.0, COLOURS)
    named = _beside(texts)
    assert 4 <= len(named) <= 20
    legend = [text for text in texts if text.get_text().startswith(("in ", "Significant"))]
    assert not _overlapping(named + legend)
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in named)
    counts = _differences(scans).dropna(subset=["neg_log10_p", "baseline_neg_log10_p"])
    gained = (counts["significant_in"] == "gained").sum()
    assert f"in registered only ({gained})" in [text.get_text() for text in legend]


def test_figures_are_written_twice(tmp_path):
    scans = {arm: _scan(5, 3, phecodes=49, categories=2) for arm in COLOURS}
    phewas_qq(scans, 4.0, COLOURS, {}, path=tmp_path / "qq.png")
    phewas_arms(_differences(scans), 4.0, COLOURS, path=tmp_path / "arms.png")
    names = {"qq.png", "qq.pdf", "arms.png", "arms.pdf"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_nothing_to_draw_is_said(tmp_path, scans):
    empty = {arm: scan.assign(neg_log10_p=np.nan) for arm, scan in scans.items()}
    with pytest.raises(InputError, match="no phecode has a p-value"):
        phewas_qq(empty, 4.0, COLOURS, {}, path=tmp_path / "qq.png")
