import cv2
import numpy as np
import pytest
from scipy import ndimage

from regreveal.errors import InputError
from regreveal.registration import Homography
from regreveal.registration.planar_ecc import (
    HOMOGRAPHY,
    Fit,
    reference_level,
    refine,
)
from regreveal.registration.planar_matching import PlanarMatcher, describe, prepare
from regreveal.registration.planar_search import CoarseSearch, FeatureStart
from tests.registration.harness import check_registration
from tests.registration.planar_phantoms import body, corner_error, photograph, random_homography

SHAPE = (232, 88)  # the demo's
MOVES = {"shift": 20, "perspective": 6e-5}  # ±40 pixels and 3e-5 at twice the size
LIMIT = 2.0  # pixels of mean corner error; more is a failure


@pytest.fixture(scope="module")
def reference():
    return body(SHAPE, np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def homography(reference):
    return Homography(reference[..., None]).fit(reference[None, ..., None])


def moved(image, n, rng, noise=6.0, **moves):
    truth = [random_homography(image.shape, rng, **{**MOVES, **moves}) for _ in range(n)]
    return np.stack([photograph(image, matrix, rng, noise) for matrix in truth]), truth


def errors(registered, truth, shape=SHAPE):
    return np.array(
        [corner_error(m, t, shape) for m, t in zip(registered.transforms, truth, strict=True)]
    )


def test_homography_meets_the_contract_of_registrations(reference, tmp_path):
    x, _ = moved(reference, 4, np.random.default_rng(1))
    check_registration(Homography(), x, tmp_path)


def test_homography_with_a_reference_meets_the_contract_too(reference, tmp_path):
    x, _ = moved(reference, 3, np.random.default_rng(1))
    check_registration(Homography(reference[..., None]), x, tmp_path)


def test_bodies_moved_in_size_place_and_perspective_are_found_to_a_fraction_of_a_pixel(
    reference, homography
):
    x, truth = moved(reference, 40, np.random.default_rng(2))
    registered = homography.transform(x)
    assert registered.qc["ok"].all()
    off = errors(registered, truth)
    assert off.max() < LIMIT
    assert np.median(off) < 0.4


def test_no_failure_is_ok_however_far_bodies_are_moved_and_however_noisy(reference, homography):
    rng = np.random.default_rng(3)
    for moves in (
        {"shift": 60, "degrees": 40, "scale": 0.4},
        {"noise": 40},
        {"perspective": 5e-4},
    ):
        x, truth = moved(reference, 10, rng, **moves)
        registered = homography.transform(x)
        ok = registered.qc["ok"].to_numpy()
        assert (errors(registered, truth)[ok] < LIMIT).all()


def test_what_cannot_be_registered_is_flagged(reference, homography):
    rng = np.random.default_rng(4)
    person = body(SHAPE, rng)[0]
    half = person.copy()
    half[SHAPE[0] // 2 :] = 0
    hot_pixel = np.zeros(SHAPE)
    hot_pixel[100, 40] = 255
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    bad = [
        np.zeros(SHAPE),
        hot_pixel,
        np.full(SHAPE, np.nan),
        rng.normal(128, 40, SHAPE),
        rng.normal(20, 2, SHAPE),
        ndimage.gaussian_filter(rng.normal(128, 40, SHAPE), 4),
        200 * np.exp(-3 * (x**2 + y**2)),
        person[::-1],
        half,
        255 - person,
        np.roll(person, [SHAPE[0] // 2, SHAPE[1] // 2], (0, 1)),
        cv2.resize(person[: SHAPE[0] // 3], SHAPE[::-1]),
        cv2.resize(person[SHAPE[0] // 2 :], SHAPE[::-1]),
        cv2.resize(np.ascontiguousarray(np.rot90(person)), SHAPE[::-1]),
    ]
    registered = homography.transform(np.stack(bad)[..., None].astype(np.float32))
    assert not registered.qc["ok"].any()
    assert np.isnan(np.stack(registered.transforms)).all()
    assert registered.qc["reason"].tolist()[:3] == [
        "blank image",
        "blank image",
        "values that are not finite",
    ]


def test_a_radiograph_moved_is_found_and_is_no_body(shared_data, homography):
    radiograph = cv2.imread(str(shared_data / "radiograph/00000001_000.png"), 0).astype(np.float32)
    x, truth = moved(radiograph, 5, np.random.default_rng(5), shift=40, perspective=3e-5)
    registered = Homography(radiograph[..., None]).fit(x).transform(x)
    assert registered.qc["ok"].all()
    assert errors(registered, truth, radiograph.shape).max() < LIMIT
    small = cv2.resize(radiograph, SHAPE[::-1], interpolation=cv2.INTER_AREA)
    assert not homography.transform(small[None, ..., None]).qc["ok"][0]


def test_bones_of_different_people_overlap_afterwards(reference, homography):
    rng = np.random.default_rng(6)
    people, labels = [], []
    for _ in range(12):
        image, label = body(SHAPE, rng)
        matrix = random_homography(SHAPE, rng, **MOVES)
        people.append(photograph(image, matrix, rng))
        labels.append(cv2.warpPerspective(label, matrix, SHAPE[::-1], flags=cv2.INTER_NEAREST))
    registered = homography.transform(np.stack(people))
    assert registered.qc["ok"].all()
    true_labels = body(SHAPE, np.random.default_rng(0))[1]
    before = mean_dice(np.stack(labels), true_labels)
    after = mean_dice(homography.warp(np.stack(labels), registered.transforms), true_labels)
    assert after > 0.5
    assert after > 3 * before


def mean_dice(labels, reference):
    return np.mean(
        [
            2 * ((labels == k) & (reference == k)).sum((1, 2))
            / ((labels == k).sum((1, 2)) + (reference == k).sum())
            for k in range(1, 8)
        ]
    )  # fmt: skip


def test_an_implant_and_a_tables_edge_do_not_pull_it_off(reference, homography):
    x, truth = moved(reference, 10, np.random.default_rng(7))
    x[:, 110:150, 30:36] = 255
    x[:, :, :6] = 160
    registered = homography.transform(x)
    assert registered.qc["ok"].all()
    assert errors(registered, truth).max() < LIMIT
    assert (registered.qc["outliers"] > 0).all()


def test_the_reference_itself_stays_where_it_is(reference, homography):
    registered = homography.transform(reference[None, ..., None])
    np.testing.assert_allclose(registered.transforms[0], np.eye(3), atol=0.02)
    figures = registered.qc.iloc[0]
    assert figures["correlation"] == pytest.approx(1, abs=1e-4)
    assert figures["detail"] == pytest.approx(1, abs=1e-3)
    assert figures["overlap"] == pytest.approx(1, abs=0.02)
    assert figures["outliers"] == 0


def test_figures_are_those_of_the_matrix():
    matrix = random_homography(SHAPE, np.random.default_rng(0), perspective=0)
    quality = describe(matrix, SHAPE)
    assert quality.scale == pytest.approx(np.sqrt(np.linalg.det(matrix[:2, :2])))
    assert quality.rotation == pytest.approx(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    assert quality.stretch == pytest.approx(1)
    assert quality.perspective == pytest.approx(0)
    centre = np.array([43.5, 115.5, 1])
    assert (quality.shift_x, quality.shift_y) == pytest.approx(
        tuple((matrix @ centre - centre)[:2])
    )
    assert describe(np.diag([1.2, 1, 1]), SHAPE).stretch == pytest.approx(1.2)
    assert describe(np.diag([-1, 1, 1]), SHAPE).stretch == np.inf
    tilted = np.array([[1, 0, 0], [0, 1, 0], [0, 1e-3, 1]])
    assert describe(tilted, SHAPE).perspective == pytest.approx(0.231)
    assert describe(np.array([[1, 0, 0], [0, 1, 0], [0, -1e-2, 1]]), SHAPE).perspective == np.inf


def test_transforms_map_pixels_of_the_reference_to_those_of_the_sample(reference, homography):
    x, _ = moved(reference, 3, np.random.default_rng(8), noise=0)
    registered = homography.transform(x)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for image, matrix, tensor in zip(x, registered.transforms, registered.tensors, strict=True):
        assert matrix.dtype == np.float64
        assert matrix[2, 2] == 1
        at = matrix @ np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
        place = at[[1, 0]] / at[2]
        inside = ((place > 2) & (np.subtract(SHAPE, 3) > place.T).T).all(0)
        expected = ndimage.map_coordinates(image[..., 0], place, order=3)
        difference = (tensor[..., 0].ravel() - expected)[inside]
        assert np.abs(difference).mean() < 1  # grey values: another cubic


def test_labels_go_the_way_of_the_image(reference, homography):
    labels = body(SHAPE, np.random.default_rng(0))[1]
    rng = np.random.default_rng(9)
    matrix = random_homography(SHAPE, rng, **MOVES)
    x = photograph(reference, matrix, rng)[None]
    registered = homography.transform(x)
    taken = cv2.warpPerspective(labels, matrix, SHAPE[::-1], flags=cv2.INTER_NEAREST)[None]
    for dtype in (np.uint8, np.int64, bool):
        back = homography.warp(taken.astype(dtype), registered.transforms)
        assert back.dtype == dtype
        seen = homography.warp(np.ones_like(taken), registered.transforms)[0] == 1
        assert (back[0] == labels.astype(dtype))[seen].mean() > 0.97
    with_channels = homography.warp(taken[..., None], registered.transforms)
    np.testing.assert_array_equal(
        with_channels[..., 0], homography.warp(taken, [*registered.transforms])
    )
    linear = homography.warp(taken.astype(float), registered.transforms, order=1)
    assert linear.dtype == np.float32
    assert not np.isin(linear, range(8)).all()
    failed = homography.warp(taken, [np.full((3, 3), np.nan)])
    assert (failed == 0).all()


def test_where_the_sample_does_not_reach_is_its_background(reference, homography):
    shifted = np.array([[1, 0, 18], [0, 1, 0], [0, 0, 1]], float)
    image = photograph(reference + 40, shifted, np.random.default_rng(0), noise=0)
    image[:, :18] = image[0, -1]
    registered = homography.transform(image[None])
    assert registered.qc["ok"][0]
    np.testing.assert_array_equal(registered.tensors[0, :, -10:], image[0, -1, 0])
    assert registered.tensors.min() >= image.min()
    assert registered.tensors.max() <= image.max()


def test_frames_of_a_cine_move_alike(reference, homography):
    x, truth = moved(reference, 1, np.random.default_rng(10))
    cine = np.concatenate([x, 0.5 * x, x + 20], axis=-1)
    still = np.repeat(reference[..., None], 3, axis=-1)
    registered = Homography(still).fit(cine).transform(cine)
    assert errors(registered, truth)[0] < LIMIT
    first, second, third = np.moveaxis(registered.tensors[0], -1, 0)
    np.testing.assert_allclose(second, first / 2, atol=1e-3)
    np.testing.assert_allclose(third, first + 20, atol=1e-3)


def test_the_result_is_on_the_references_grid(reference):
    x, truth = moved(reference, 2, np.random.default_rng(11))
    cut = reference[10:, 4:-4, None]
    registered = Homography(cut).fit(x).transform(x)
    assert registered.tensors.shape == (2, *cut.shape)
    inset = np.array([[1, 0, 4], [0, 1, 10], [0, 0, 1]], float)
    for matrix, true in zip(registered.transforms, truth, strict=True):
        assert corner_error(matrix, true @ inset, cut.shape[:2]) < LIMIT


def test_the_reference_chosen_is_nobody_unusual():
    rng = np.random.default_rng(12)
    people = [body(SHAPE, rng, 0.3)[0] for _ in range(8)]
    blank, odd = np.zeros(SHAPE), rng.normal(100, 20, SHAPE)
    x = np.stack([blank, odd, np.full(SHAPE, np.nan), *people])[..., None]
    chosen = Homography().fit(x).reference_
    assert any(np.array_equal(chosen[..., 0], person) for person in people)


@pytest.mark.parametrize(
    ("reference", "x", "message"),
    [
        (
            None,
            np.zeros((2, 40, 40)),
            r"shape \(2, 40, 40\); expected \(n, rows, columns, channels",
        ),
        (None, np.zeros((2, 40, 20, 1)), "at least 32 pixels a side"),
        (None, np.zeros((2, 40, 40, 1)), "none of 2 is usable as a reference"),
        (np.zeros((40, 40, 1)), np.ones((2, 40, 40, 1)), "reference: blank image"),
        (np.eye(40), np.ones((2, 40, 40, 1)), r"reference: shape \(40, 40\); expected"),
        (np.ones((40, 40, 2)), np.ones((2, 40, 40, 1)), "2 channels, the images 1"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_a_line(reference, x, message):
    with pytest.raises(InputError, match=message):
        Homography(reference).fit(x)


def test_mistaken_calls_are_said_in_a_line(homography):
    with pytest.raises(InputError, match="not fitted"):
        Homography().transform(np.zeros((1, 40, 40, 1)))
    with pytest.raises(InputError, match="for 1 transforms"):
        homography.warp(np.zeros((2, 40, 40)), [np.eye(3)])
    with pytest.raises(InputError, match="order: 3; expected 0"):
        homography.warp(np.zeros((1, 40, 40)), [np.eye(3)], order=3)


def test_the_refinement_ends_where_the_correlation_is_largest(reference):
    """At the end, no small change of the matrix makes the images more alike."""
    rng = np.random.default_rng(13)
    truth = random_homography(SHAPE, rng, shift=2, degrees=1, scale=0.01, perspective=6e-5)
    sample = prepare(photograph(reference, truth, rng, 20)[..., 0])
    image, sample = (cv2.GaussianBlur(i, (0, 0), 1.5) for i in (prepare(reference), sample))
    found = refine(reference_level(image), sample, Fit(np.eye(3)), HOMOGRAPHY, 30).matrix
    rows, columns = np.mgrid[8 : SHAPE[0] - 8, 8 : SHAPE[1] - 8]
    pixels = np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])

    def alike(matrix):
        x, y, w = matrix @ pixels
        warped = ndimage.map_coordinates(sample, [y / w, x / w], order=1)
        return np.corrcoef(warped, image[8:-8, 8:-8].ravel())[0, 1]

    for row, column, change in (
        (0, 0, 3e-3), (0, 1, 3e-3), (0, 2, 0.3), (1, 0, 3e-3), (1, 1, 3e-3), (1, 2, 0.3),
        (2, 0, 2e-5), (2, 1, 2e-5),
    ):  # fmt: skip
        for sign in (-1, 1):
            other = found.copy()
            other[row, column] += sign * change
            assert alike(other) < alike(found)


def test_the_search_finds_the_pose():
    image = cv2.resize(body(SHAPE, np.random.default_rng(0))[0], (22, 58)) / 255
    pose = np.vstack([cv2.getRotationMatrix2D((10.5, 28.5), 10, 1.1), [0, 0, 1]])
    pose[:2, 2] += 3, -4
    sample = cv2.warpPerspective(image, pose, (22, 58))
    best, *others = CoarseSearch(image, image.shape).starts(sample, 3)
    np.testing.assert_allclose(best, pose, atol=1e-6)
    assert len(others) == 2


def test_features_find_what_lies_beyond_the_search(shared_data):
    radiograph = cv2.imread(str(shared_data / "radiograph/00000001_000.png"), 0).astype(np.float32)
    small = cv2.resize(radiograph, (256, 256), interpolation=cv2.INTER_AREA) / 255
    rng = np.random.default_rng(0)
    truth = random_homography(small.shape, rng, shift=50, degrees=90, scale=0.3, perspective=0)
    found = FeatureStart(small).start(cv2.warpPerspective(small, truth, (256, 256)))
    assert corner_error(found, truth, small.shape) < 5
    assert FeatureStart(small).start(np.zeros_like(small)) is None


def test_a_blank_reference_cannot_be_matched_to():
    with pytest.raises(ValueError, match="reference is blank"):
        PlanarMatcher(np.zeros(SHAPE), SHAPE)
