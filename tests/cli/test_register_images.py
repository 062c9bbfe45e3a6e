"""What images are registered to, and where, from the shell's side."""

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from regreveal.cli.main import app
from regreveal.errors import InputError
from regreveal.registration import Homography
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore

BMI = {"p0": 31.0, "p1": 22.0, "p2": 26.0, "p3": np.nan, "p4": 19.0, "p5": 35.0}


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One picture, shifted; the last is blank. And a table of body mass index."""
    folder = tmp_path_factory.mktemp("images")
    picture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(112, 112)), 5)
    picture = np.interp(picture, (picture.min(), picture.max()), (0, 255))
    images = np.stack([picture[8 + i : 104 + i, 8 - i : 104 - i] for i in range(6)])
    images[5] = 0
    store = TensorStore(folder / "tensors")
    store.write("dxa/hip", images, list(BMI), units="grey value", voxel_size=(1.0, 1.0))
    table = pd.DataFrame(
        {"sample_id": list(BMI), "bmi": BMI.values(), "age": [50, 51, 62, 63, 55, 54]}
    )
    table.to_csv(folder / "phenotypes.tsv", sep="\t", index=False)
    cv2.imwrite(str(folder / "reference.png"), images[4].astype(np.uint8))
    return folder


def register(folder, out, *more) -> str:
    maps = ["--from", "dxa.hip", "--to", "dxa.hip"]
    return run("register", "Homography", "--store", folder / "tensors", *maps, "--out", out, *more)


@pytest.fixture(scope="module")
def by_exemplar(folder):
    out = folder / "by_exemplar"
    output = register(folder, out, "--exemplar", "bmi", "--phenotypes", folder / "phenotypes.tsv")
    return out, output


def test_the_exemplar_is_whoever_has_the_median(folder, by_exemplar):
    out, output = by_exemplar
    # Of 19, 22, 26, 31 and 35.
    image = TensorStore(folder / "tensors").read("dxa/hip", ["p2"])[0]
    reference = Homography.load(out / "registration").reference_
    np.testing.assert_array_equal(reference[..., 0], image)
    assert "5 of 6 registered" in output
    assert "left out       1  blank image" in output
    matrices = read_table(out / "registered" / "transforms.parquet")
    assert matrices.loc["p5"].isna().all()
    # What p2 shows lies two pixels further left and lower in p0.
    np.testing.assert_allclose(matrices.loc["p0", ["m_02", "m_12"]], [-2, 2], atol=0.1)


def test_a_file_may_be_what_images_are_registered_to(folder, tmp_path):
    register(folder, tmp_path / "out", "--reference", folder / "reference.png")
    reference = Homography.load(tmp_path / "out" / "registration").reference_
    stored = TensorStore(folder / "tensors").read("dxa/hip", ["p4"])[0]
    np.testing.assert_array_equal(reference[..., 0], stored.astype(np.uint8))


def test_a_cluster_does_the_same_work(folder, by_exemplar, tmp_path):
    from distributed import LocalCluster

    phenotypes = ["--exemplar", "bmi", "--phenotypes", folder / "phenotypes.tsv"]
    with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        register(folder, tmp_path / "out", *phenotypes, "--dask", address)
    here, there = (TensorStore(out / "registered") for out in (by_exemplar[0], tmp_path / "out"))
    np.testing.assert_array_equal(here.read("dxa/hip"), there.read("dxa/hip"))


def test_killed_while_it_registers_it_does_not_fit_again(
    folder, by_exemplar, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    def counted(registration, images):
        fits.append(images)
        return fit(registration, images)

    def register_to(column="bmi"):
        register(folder, out, "--exemplar", column, "--phenotypes", folder / "phenotypes.tsv")

    out, fits, fit = tmp_path / "out", [], Homography.fit
    monkeypatch.setattr(Homography, "fit", counted)
    with monkeypatch.context() as patched:
        patched.setattr("regreveal.registration.pieces.write_table", killed)
        for _ in range(2):
            with pytest.raises(Killed):
                register_to()
    register_to()
    assert len(fits) == 1
    there, expected = (
        {file.relative_to(of): file.read_bytes() for file in of.rglob("*") if file.is_file()}
        for of in (out, by_exemplar[0])
    )
    assert there == expected
    (out / "registered").rename(tmp_path / "elsewhere")
    with monkeypatch.context() as patched:
        patched.setattr("regreveal.registration.pieces.write_table", killed)
        with pytest.raises(Killed):
            register_to()
    register_to("age")  # of whom another participant has the median
    assert len(fits) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--exemplar", "bmi"], "--exemplar and --phenotypes need each other"),
        (["--phenotypes", "{}/phenotypes.tsv"], "--exemplar and --phenotypes need each other"),
        (["--exemplar", "bmi", "--reference", "x.png"], "--exemplar and --reference are both"),
        (["--exemplar", "size", "--phenotypes", "{}/phenotypes.tsv"], "no column 'size'"),
        (["--reference", "{}/phenotypes.tsv"], r"suffix '\.tsv'"),
        (["--dask", "tcp://127.0.0.1:9"], "no Dask scheduler answers there"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing_registered(
    folder, tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr("regreveal.cluster.SCHEDULER_TIMEOUT", 1)
    with pytest.raises(InputError, match=message):
        register(folder, tmp_path / "out", *[option.format(folder) for option in options])
    assert not (tmp_path / "out" / "registered").exists()
