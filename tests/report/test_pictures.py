"""Pictures of the page: small, and alike to the eye."""

import base64
import io
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure as Drawing
from PIL import Image

from regreveal.report.folder.run import read_run
from regreveal.report.html import write_page
from regreveal.report.parts import Figure, Section
from regreveal.report.pictures import draw_figures, embedded
from regreveal.report.style import styled, write_figure


def _decoded(picture):
    kind, data = picture.address.split(";base64,")
    assert kind == "data:image/webp"
    stored = base64.b64decode(data)
    return np.asarray(Image.open(io.BytesIO(stored)).convert("RGB")).astype(int), len(stored)


@styled
def _curve(seed, path):
    figure = Drawing(figsize=(4, 3))
    axes = figure.add_subplot()
    axes.plot(np.random.default_rng(seed).standard_normal((80, 4)).cumsum(axis=0))
    axes.set_xlabel("Time (s)")
    write_figure(figure, path)


def _drawn(seed):
    return Figure(f"curve-{seed}", "Curve.", "A walk.", partial(_curve, seed))


def test_a_drawing_is_a_third_of_its_file_with_its_white_white_and_the_rest_alike(tmp_path):
    (picture,) = draw_figures([_drawn(1)], tmp_path).values()
    pixels, size = _decoded(picture)
    file = tmp_path / "curve-1.png"
    original = np.asarray(Image.open(file).convert("RGB")).astype(int)
    assert pixels.shape[:2] == (picture.height, picture.width) == original.shape[:2]
    assert (pixels[(original == 255).all(axis=2)] == 255).mean() > 0.999
    assert np.sqrt(np.mean((pixels - original) ** 2.0)) < 2
    assert np.quantile(np.abs(pixels - original), 0.999) <= 16
    assert size < file.stat().st_size / 3


def test_a_photograph_is_compressed_as_one(tmp_path):
    y, x = np.mgrid[0:300, 0:400] / 60
    smooth = np.stack([np.sin(x + y), np.cos(x - y), np.sin(x * y / 4)], axis=-1)
    noisy = smooth + 0.15 * np.random.default_rng(2).standard_normal(smooth.shape)
    pixels = np.clip(127 + 90 * noisy, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    picture = embedded(tmp_path / "photograph.png")
    seen, size = _decoded(picture)
    assert (picture.height, picture.width) == pixels.shape[:2]
    assert 0.75 < seen.shape[1] / pixels.shape[1] < 1
    expected = np.asarray(Image.fromarray(pixels).resize(seen.shape[1::-1])).astype(float)
    assert np.sqrt(np.mean((seen - expected) ** 2)) < 20
    assert size < (tmp_path / "photograph.png").stat().st_size / 3


def test_many_figures_are_drawn_in_other_processes_to_the_same_files(tmp_path):
    figures = [_drawn(seed) for seed in range(12)]
    shared = draw_figures(figures, tmp_path / "shared")
    assert list(shared) == [figure.name for figure in figures]
    alone = draw_figures(figures[3:4], tmp_path / "alone")
    assert alone["curve-3"] == shared["curve-3"]
    for suffix in ("png", "pdf"):
        one, other = (tmp_path / place / f"curve-3.{suffix}" for place in ("shared", "alone"))
        assert one.read_bytes() == other.read_bytes()


def test_two_figures_of_one_name_are_a_defect(tmp_path):
    with pytest.raises(ValueError, match="curve-1"):
        draw_figures([_drawn(1), _drawn(1)], tmp_path)


def test_a_picture_that_is_on_the_page_already_is_named_instead_of_embedded_again(
    full_run, tmp_path
):
    first = _drawn(1)
    figures = [first, _drawn(2), replace(first, name="again")]
    run = replace(read_run(full_run), folder=tmp_path)
    page = write_page(run, [Section("a", "A", figures)], [], tmp_path / "report.html").read_text()
    assert page.count("data:image/webp") == 2
    assert page.count('The same picture as <a href="#figure-1">Figure 1</a>') == 1
    assert (tmp_path / "figures" / "again.pdf").is_file()
