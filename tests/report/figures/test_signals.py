import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from regreveal.report.figures import signals as signal_figures
from regreveal.report.figures.signals import LossCurve


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
