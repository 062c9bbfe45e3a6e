import numpy as np
import pytest
from matplotlib.figure import Figure

from regreveal.report.figures import directions
from regreveal.report.figures.directions import Decoded, decoded_images, decoded_signals

STEPS = np.arange(-3.0, 4)


def decoded(shape, title="Gene (rs1)"):
    rng = np.random.default_rng(0)
    change = rng.standard_normal(shape)
    walk = rng.standard_normal(shape) + STEPS.reshape(-1, *[1] * len(shape)) * change
    return Decoded(title, STEPS, walk, change, change / 2)


@pytest.fixture
def drawn(monkeypatch):
    """Figures as they are when they would be written."""
    figures: list[Figure] = []
    monkeypatch.setattr(directions, "write_figure", lambda figure, path: figures.append(figure))
    return figures


def texts_of(figure):
    figure.canvas.draw()
    inside = [text for axes in figure.axes for text in axes.texts]
    return {text.get_text() for text in [*figure.texts, *inside]}


def test_ecg_has_a_trace_a_step_and_its_change_in_every_lead_shown(drawn):
    decoded_signals([decoded((600, 12)), decoded((600, 12))], "mV", 500, "unused.png")
    (figure,) = drawn
    assert {"Gene (rs1)", "I", "II", "V2", "V5"} <= texts_of(figure)
    lines = [len(axes.lines) for axes in figure.axes if axes.lines]
    assert lines == [7, 3] * 8  # a change has its zero, people and what is decoded
    assert {axes.get_ylabel() for axes in figure.axes} == {"", "mV", "mV/SD", "score (SD)"}


def test_all_twelve_leads_can_be_drawn_and_colours_go_with_the_steps(drawn):
    one = decoded((600, 12))
    decoded_signals([one], "mV", 500, "unused.png", whole=True)
    traces = [axes for axes in drawn[0].axes if len(axes.lines) == 7]
    assert len(traces) == 12
    colours = [line.get_color() for line in traces[0].lines]
    assert len(set(colours)) == 7
    for lead, axes in enumerate(traces):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), one.walk[0, :, lead])


def test_signals_of_any_channels_and_no_rate_are_drawn_by_sample(drawn):
    decoded_signals([decoded((50, 2))], "mmHg", None, "unused.png")
    assert {"channel 1", "channel 2"} <= texts_of(drawn[0])
    assert drawn[0].get_supxlabel() == "Sample"
    assert next(axes for axes in drawn[0].axes if axes.lines).get_xlim() == (0, 49)


@pytest.mark.parametrize(
    ("shape", "views"),
    [((40, 16, 1), []), ((12, 12, 6), ["first frame", "frame 3"]), ((8, 9, 7, 1), ["axial"])],
)
def test_images_are_drawn_step_by_step_and_their_changes_about_zero(drawn, shape, views):
    decoded_images([decoded(shape)], "SD of the image", "unused.png")
    panels, scale = drawn[0].axes
    told = [text.get_text() for text in panels.texts]
    assert told[:9] == ["−3", "−2", "−1", "0", "+1", "+2", "+3", "decoded", "people"]
    assert set(views) <= set(told[9:])
    assert scale.get_ylabel() == "change, SD of the image"
    steps = [image for image in panels.images if image.get_cmap().name == "gray"]
    changes = [image for image in panels.images if image not in steps]
    (limits,) = {image.get_clim() for image in changes}
    assert limits[0] == -limits[1]
    assert len({image.get_clim() for image in steps}) == 1
    assert len(steps) == len(changes) == max(1, len(told[9:]))


def test_pictures_of_a_row_stand_side_by_side_apart_and_under_their_titles(drawn):
    one = decoded((40, 16, 1))
    decoded_images([one], "mV", "unused.png")
    panels = drawn[0].axes[0]
    walk, changes = (np.ma.getdata(image.get_array()) for image in panels.images)
    apart = walk.shape[1] // 7
    for number in range(7):
        shown = walk[:, number * apart :][:, :16]
        np.testing.assert_allclose(shown, one.walk[number, ..., 0], rtol=1e-6)
    np.testing.assert_allclose(changes[:, :16], one.decoded[..., 0], rtol=1e-6)
    np.testing.assert_allclose(changes[:, apart:][:, :16], one.people[..., 0], rtol=1e-6)
    assert np.isnan(walk[:, 16]).all()
    frames = [box for group in panels.collections for box in group.get_paths()]
    titles = [text.get_position()[0] for text in panels.texts[:9]]
    for frame, middle in zip(frames, titles, strict=True):
        low, high = frame.get_extents().intervalx
        assert low < middle < high
