import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from regreveal.report.figures.labels import place_labels


def axes_of(points):
    figure = Figure(figsize=(4, 3))
    axes = figure.add_subplot()
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    axes.scatter(*points.T)
    return axes


def boxes(axes):
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    return [text.get_window_extent(renderer) for text in axes.texts]


def test_names_cover_neither_each_other_nor_points_and_stay_inside():
    rng = np.random.default_rng(0)
    points = rng.uniform(0.2, 9.8, (40, 2))
    axes = axes_of(points)
    written = place_labels(axes, points, [f"GENE{i}" for i in range(40)], points)
    placed = boxes(axes)
    assert 15 < written == len(placed)
    frame = axes.get_window_extent()
    for i, box in enumerate(placed):
        assert not box.count_overlaps(placed[:i])
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1
        dots = axes.transData.transform(points)
        assert not any(box.contains(*dot) for dot in dots)


def test_the_first_names_are_written_where_there_is_room_for_few():
    points = np.full((30, 2), 5.0) + np.random.default_rng(1).normal(0, 0.05, (30, 2))
    axes = axes_of(points)
    written = place_labels(axes, points, [f"GENE{i}" for i in range(30)], points[:1])
    assert 0 < written < 30
    assert axes.texts[0].get_text() == "GENE0"
