from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from regreveal.report.figures import images as image_figures
from regreveal.report.figures.images import ImageExamples, overlaid, pictures


def examples(shape, people=12) -> ImageExamples:
    rng = np.random.default_rng(0)
    inputs = rng.random((people, *shape), np.float32)
    return ImageExamples("native", "#D55E00", inputs, inputs[:5] * 0.5)


def test_people_who_agree_are_grey_and_where_one_is_brighter_it_has_its_colour():
    image = np.tile(np.linspace(0, 1, 50), (40, 1))
    grey = overlaid(np.stack([image] * 3))
    np.testing.assert_allclose(grey[..., 0], grey[..., 1])
    assert (grey.min(), grey.max()) == (0, 1)
    other = image.copy()
    other[10:20, :10] = 1
    coloured = overlaid(np.stack([image, other, image]))
    assert (coloured[10:20, :10, 1] > 0.9).all()
    assert (coloured[10:20, :10, [0, 2]] < 0.3).all()


def test_each_image_has_its_own_scale_of_brightness():
    image = np.tile(np.linspace(0, 1, 50), (40, 1))
    shown = overlaid(np.stack([image, 100 * image + 7, image]))
    np.testing.assert_allclose(shown[..., 0], shown[..., 1], atol=1e-9)
    assert np.isfinite(overlaid(np.zeros((3, 4, 4)))).all()


def test_a_volume_is_shown_through_its_middle_with_the_top_up():
    volume = np.zeros((1, 6, 8, 10, 1))
    volume[0, 3, 4, 9] = 1  # top of the head
    volume[0, 3, 7, 5] = 2  # the face
    volume[0, 5, 4, 5] = 3  # the right
    axial, coronal, sagittal = pictures(volume)
    assert axial.shape == (1, 8, 6)
    assert coronal.shape == (1, 10, 6)
    assert sagittal.shape == (1, 10, 8)
    assert axial[0, 0, 3] == 2
    assert axial[0, 3, 5] == 3
    assert coronal[0, 0, 3] == 1
    assert sagittal[0, 0, 4] == 1
    assert sagittal[0, 4, 7] == 2


def test_a_cine_is_shown_by_two_frames_and_an_image_by_itself():
    cine = np.arange(2 * 4 * 4 * 16.0).reshape(2, 4, 4, 16)
    first, later = pictures(cine)
    np.testing.assert_array_equal(first, cine[..., 0])
    np.testing.assert_array_equal(later, cine[..., 5])
    (itself,) = pictures(cine[..., :1])
    np.testing.assert_array_equal(itself, cine[..., 0])


@pytest.mark.parametrize("shape", [(58, 22, 1), (24, 24, 8), (12, 14, 12, 1)])
def test_both_figures_are_drawn_for_every_kind_of_image(shape, tmp_path):
    arms = [examples(shape), examples(shape)]
    image_figures.overlay(arms, tmp_path / "overlay.png")
    image_figures.reconstructions(arms, tmp_path / "reconstructions.png")
    for name in ("overlay", "reconstructions"):
        assert matplotlib.image.imread(tmp_path / f"{name}.png").std() > 0.1
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_name_of_an_arm_is_never_cut_off_however_low_its_pictures(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(image_figures, "write_figure", lambda figure, path: drawn.append(figure))
    arms = [replace(examples((24, 24, 8)), name="cardiac_deformed_onto_the_exemplar")] * 2
    image_figures.overlay(arms, tmp_path / "overlay.png")
    image_figures.reconstructions(arms, tmp_path / "reconstructions.png")
    for figure in drawn:
        renderer = FigureCanvasAgg(figure).get_renderer()
        pictures = [axes.get_window_extent(renderer) for axes in figure.axes]
        assert len(figure.texts) == 2
        for text in figure.texts:
            box = text.get_window_extent(renderer)
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
            assert not any(box.overlaps(picture) for picture in pictures)


def test_fewer_people_than_a_figure_shows_are_enough(tmp_path):
    image_figures.overlay([examples((20, 20, 1), people=4)], tmp_path / "overlay.png")
    assert (tmp_path / "overlay.png").is_file()
