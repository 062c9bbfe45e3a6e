import math

import cv2
import numpy as np
import pytest
from sklearn.decomposition import PCA

from regreveal.registration.familiarity import (
    coarse_picture,
    cross_validated,
    learn,
    usual_bound,
)

SHAPE = (17, 22)


def pictures(n, rng, kind="discs", shape=SHAPE, frames=3):
    """Coarse pictures of discs, or rings, of any place, size and exposure, with noise."""
    places = np.moveaxis(np.indices(shape), 0, -1) / (np.array(shape) - 1) * 2 - 1
    made = []
    for _ in range(n):
        radius = np.sqrt(np.square(places - rng.uniform(-0.15, 0.15, 2)).sum(axis=-1))
        size = rng.uniform(0.5, 0.7) * (1 - 0.2 * np.arange(frames) / frames)
        image = 1.0 * (radius[..., None] < size)
        if kind == "rings":
            image -= radius[..., None] < size - 0.25
        noisy = image + 0.1 * rng.standard_normal(image.shape)
        made.append(coarse_picture(rng.uniform(1, 3) * noisy + rng.uniform(0, 5)))
    return np.stack(made)


def test_a_coarse_picture_is_of_means_over_cells_and_does_not_change_with_exposure():
    image = np.random.default_rng(0).random((16, 24, 2))
    blocks = image.reshape(8, 2, 8, 3, 2).mean(axis=(1, 3)).ravel()
    expected = (blocks - blocks.mean()) / blocks.std()
    np.testing.assert_allclose(coarse_picture(image), expected, atol=1e-5)
    np.testing.assert_allclose(coarse_picture(3 * image - 7), expected, atol=1e-5)


def test_cells_share_pixels_that_lie_between_them():
    image = np.random.default_rng(0).random((12, 19, 1))
    cells = cv2.resize(image[..., 0], (8, 8), interpolation=cv2.INTER_AREA).ravel()
    np.testing.assert_allclose(
        coarse_picture(image), (cells - cells.mean()) / cells.std(), atol=1e-4
    )


def test_small_images_and_volumes_keep_what_they_have():
    assert coarse_picture(np.random.default_rng(0).random((5, 9, 1))).shape == (5 * 8,)
    assert coarse_picture(np.random.default_rng(0).random((9, 10, 4, 2))).shape == (8 * 8 * 4 * 2,)
    assert not coarse_picture(np.ones((9, 9, 1))).any()


def test_what_components_leave_is_that_of_principal_components():
    rng = np.random.default_rng(1)
    x, new = pictures(100, rng), pictures(1, rng)
    found = learn(x)
    kept = x[np.argsort(cross_validated(x))[:95]]
    pca = PCA(len(kept) // 10).fit(kept)
    expected = np.square(new - pca.inverse_transform(pca.transform(new))).mean()
    assert found.unexplained(new[0]) == pytest.approx(expected, rel=1e-3)


def test_another_kind_is_told_from_the_kind_learned():
    rng = np.random.default_rng(2)
    found = learn(pictures(300, rng))
    right = np.array([found.unexplained(picture) for picture in pictures(300, rng)])
    wrong = np.array([found.unexplained(picture) for picture in pictures(50, rng, "rings")])
    assert np.mean(right > found.most_unexplained) < 0.03
    assert (wrong > found.most_unexplained).all()


def test_a_few_of_another_kind_among_those_learned_from_are_told_too():
    rng = np.random.default_rng(3)
    x = np.concatenate([pictures(297, rng), pictures(3, rng, "rings")])
    found = learn(x)
    assert all(found.unexplained(picture) > found.most_unexplained for picture in x[-3:])


def test_not_more_than_a_hundredth_of_those_learned_from_lie_beyond_the_bound():
    rng = np.random.default_rng(4)
    # A tail so long that robust deviations would leave out far more.
    x = pictures(400, rng) + (rng.pareto(1, (400, 1)) * rng.standard_normal((400, 192))).astype("f")
    shares = cross_validated(x)
    assert (shares > usual_bound(shares)).mean() > 0.03
    assert (shares > learn(x).most_unexplained).mean() <= 0.01


def test_of_too_few_nothing_is_learned():
    rng = np.random.default_rng(5)
    x = pictures(19, rng)
    assert cross_validated(x) is None
    found = learn(x)
    assert found.most_unexplained == math.inf
    assert np.isfinite(found.unexplained(x[0]))
    assert learn(pictures(20, rng)).most_unexplained < math.inf


def test_of_a_picture_that_shows_nothing_nothing_is_explained():
    x = pictures(30, np.random.default_rng(6))
    assert learn(x).unexplained(np.zeros_like(x[0])) == 1
