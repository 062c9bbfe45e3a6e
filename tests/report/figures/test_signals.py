import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from regreveal.report.figures import signals as signal_figures
from regreveal.report.figures.signals import LossCurve, SignalExamples


def curve(name: str) -> LossCurve:
    steps = np.arange(1, 21)
    loss = np.exp(-steps / 5) + 0.1
    return LossCurve(name, "#D55E00", 100 * steps, loss, 1.1 * loss)


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_no_legend_lies_over_a_panel_or_is_cut_off(groups, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(signal_figures, "write_figure", lambda figure, path: drawn.append(figure))
    arms = [curve("cardiac_native"), curve("cardiac_deformed_onto_the_exemplar")]
    titles = [f"Modality {i}" for i in range(groups)] if groups > 1 else [""]
    signal_figures.loss_curves([arms] * groups, titles, tmp_path / "loss.png")
    (figure,) = drawn
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    panels = [axes.get_window_extent(renderer) for axes in figure.axes]
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"Modality {i}" for i in range(groups)] or titles == [""]
    assert len(legends) == groups + 1
    for legend in legends:
        box = legend.get_window_extent(renderer)
        assert not any(box.shrunk(0.98, 0.9).overlaps(panel) for panel in panels)
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def examples(name, samples, channels, rate) -> SignalExamples:
    values = np.random.default_rng(0).normal(size=(5, samples, channels))
    return SignalExamples(name, "#D55E00", values, values[:3], "V", rate)


@pytest.mark.parametrize(
    ("shape", "rate", "panels", "first_label", "time_label"),
    [
        ((5000, 12), 500.0, 2, "Lead II (V)", "Time (s)"),
        ((96, 1), None, 1, "Value (V)", "Sample"),
        ((96, 3), 10.0, 2, "Channel 1 (V)", "Time (s)"),
    ],
)
def test_signals_other_than_ecgs_are_drawn_whole(
    shape, rate, panels, first_label, time_label, tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(signal_figures, "write_figure", lambda figure, path: drawn.append(figure))
    arms = [examples("native", *shape, rate), examples("registered", *shape, rate)]
    signal_figures.overlay(arms, tmp_path / "overlay.png")
    signal_figures.reconstructions(arms, tmp_path / "reconstructions.png")
    overlay, made = drawn
    assert len(overlay.axes) == 2 * panels
    assert len(made.axes) == 2 * panels * 3
    assert overlay.axes[0].get_ylabel() == first_label
    assert overlay.get_supxlabel() == made.get_supxlabel() == time_label
    seconds = overlay.axes[0].get_xlim()[1]
    assert seconds == pytest.approx(1199 / 500 if shape[1] == 12 else 95 / (rate or 1))
