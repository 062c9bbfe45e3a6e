"""When an arm's registrations are made again: with whatever decides them, and with nothing else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.experiment import arms
from regreveal.experiment.arms import ArmStages
from regreveal.experiment.data import prepare_data
from regreveal.experiment.experiment_file import parse_experiment
from regreveal.experiment.manifest import Manifest
from regreveal.experiment.preflight import check_data
from regreveal.registration import Registered, Registration
from regreveal.store.tensors import TensorStore

EXPERIMENT = """
title = "Two registrations, one after the other"
seed = 1
[data]
folder = "{folder}"
[splits]
train = 0.5
validation = 0.25
analysis = 0.25
[arms.moved]
tensor_map = "dxa.hip"
registration = {{ method = "{method}", input = "dxa.hip"{reference} }}
[arms.further]
after = "moved"
tensor_map = "dxa.hip"
registration = {{ method = "{method}", input = "dxa.hip" }}
[arms.alone]
tensor_map = "dxa.hip"
registration = {{ method = "{method}", input = "dxa.hip" }}
"""
FIRST = ["arms/moved/fit registration", "arms/moved/register"]
THEN = ["arms/further/fit registration", "arms/further/register"]
ALONE = ["arms/alone/fit registration", "arms/alone/register"]


class Added(Registration):
    """Adds the reference, or one, and the seed."""

    def __init__(self, reference=None, seed=0):
        self.reference = reference
        self.seed = seed

    def fit(self, x):
        self.added_ = np.float32(1) if self.reference is None else self.reference
        return self

    def transform(self, x) -> Registered:
        qc = pd.DataFrame({"ok": True, "reason": ""}, index=range(len(x)))
        return Registered(x + self.added_ + 100 * self.seed, qc, [np.eye(3)] * len(x))


@pytest.fixture
def site(tmp_path) -> Path:
    """Eight people whose images and body mass index are their number."""
    ids = [f"p{i}" for i in range(8)]
    images = np.zeros((8, 96, 96), np.float32) + np.arange(8)[:, None, None]
    images[:, 0, 0] = -1
    store = TensorStore(tmp_path / "site" / "tensors")
    store.write("dxa/hip", images, ids, units="grey value", voxel_size=(1.0, 1.0))
    table = pd.DataFrame({"sample_id": ids, "bmi": range(8)})
    for name in ("cohort", "phenotypes"):
        table.to_csv(tmp_path / "site" / f"{name}.tsv", sep="\t", index=False)
    return tmp_path / "site"


def register(site: Path, reference: str = "", seed: int = 1) -> None:
    text = EXPERIMENT.format(
        folder=site, method=f"{__name__}:Added", reference=reference and f", {reference}"
    ).replace("seed = 1", f"seed = {seed}")
    experiment = parse_experiment(text, "site.toml")
    folder = site.parent / "run"
    with Manifest(folder, seed) as manifest:
        data, training = prepare_data(experiment, folder, manifest)
        check_data(experiment, data, training)
        for name in experiment.arms:
            arm = ArmStages(name, experiment, data, training, manifest)
            arm.fit_registration()
            arm.register()


def made_again(capsys) -> list[str]:
    return [line[:-2] for line in capsys.readouterr().err.splitlines() if line.endswith(" …")]


def image_of(site: Path, arm: str, sample_id: str) -> np.ndarray:
    store = TensorStore(site.parent / "run" / "arms" / arm / "registered")
    return store.read("dxa/hip", [sample_id])[0]


def test_an_arm_goes_on_from_what_another_gives(site):
    register(site)
    # The seed of the experiment, 1, counts a hundred; the reference that was not given, one.
    assert image_of(site, "moved", "p5")[5, 5] == 5 + 101
    assert image_of(site, "further", "p5")[5, 5] == 5 + 2 * 101
    assert image_of(site, "alone", "p5")[5, 5] == 5 + 101


def test_another_reference_in_the_same_file_is_seen_down_the_chain(site, capsys):
    file = site / "reference.npy"
    image = np.arange(96.0 * 96).reshape(96, 96)
    np.save(file, image)
    register(site, f'reference = "{file}"')
    assert image_of(site, "moved", "p5")[5, 5] == 5 + 100 + image[5, 5]
    capsys.readouterr()
    register(site, f'reference = "{file}"')
    assert made_again(capsys) == []
    np.save(file, image + 1)
    register(site, f'reference = "{file}"')
    assert made_again(capsys) == FIRST + THEN
    assert image_of(site, "further", "p5")[5, 5] == 5 + 100 + image[5, 5] + 1 + 101


def test_the_exemplar_is_chosen_again_when_its_column_changes(site, capsys):
    register(site, 'exemplar = "bmi"')
    capsys.readouterr()
    phenotypes = site / "phenotypes.tsv"
    phenotypes.write_text(phenotypes.read_text().replace("\t7\n", "\t70\n"))
    register(site, 'exemplar = "bmi"')
    assert made_again(capsys) == FIRST + THEN


def test_phenotypes_that_no_exemplar_is_chosen_by_are_nothing_to_a_registration(site, capsys):
    register(site)
    capsys.readouterr()
    phenotypes = site / "phenotypes.tsv"
    phenotypes.write_text(phenotypes.read_text().replace("\t7\n", "\t70\n"))
    register(site)
    assert made_again(capsys) == []


def test_another_modality_added_to_the_store_is_nothing_to_a_registration(site, capsys):
    register(site)
    capsys.readouterr()
    spines = np.zeros((2, 96, 96), np.float32)
    TensorStore(site / "tensors").write("dxa/spine", spines, ["p0", "p1"], units="grey value")
    register(site)
    assert made_again(capsys) == []


def test_images_added_to_the_tensor_are_registered(site, capsys):
    register(site)
    capsys.readouterr()
    more = np.ones((1, 96, 96), np.float32)
    store = TensorStore(site / "tensors")
    store.write("dxa/hip", more, ["p8"], units="grey value", voxel_size=(1.0, 1.0))
    register(site)
    assert made_again(capsys) == FIRST + THEN + ALONE


def test_another_seed_trains_registrations_anew(site, capsys):
    register(site)
    capsys.readouterr()
    register(site, seed=2)
    assert made_again(capsys) == ["splits", *FIRST, *THEN, *ALONE]
    assert image_of(site, "alone", "p5")[5, 5] == 5 + 201


def test_a_registration_of_the_site_is_made_again_when_its_module_changes(
    site, capsys, monkeypatch
):
    register(site)
    capsys.readouterr()
    changed = site.parent / "changed.py"
    changed.write_text(Path(__file__).read_text() + "# another version\n")
    monkeypatch.setattr(arms, "source_of_site", lambda method: changed)
    register(site)
    assert made_again(capsys) == FIRST + THEN + ALONE


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ('reference = "nowhere.npy"', r"arms.moved: nowhere\.npy: no such file"),
        ('exemplar = "weight"', r"arms.moved: exemplar: no column 'weight' .*there are: bmi"),
    ],
)
def test_what_images_are_registered_to_is_looked_for_before_anything_is_registered(
    site, reference, message
):
    with pytest.raises(InputError, match=message):
        register(site, reference)
    assert not (site.parent / "run" / "arms").exists()


def test_a_tensor_that_is_not_there_is_named_before_anything_is_registered(site):
    (site / "tensors/dxa/hip").rename(site / "tensors/dxa/hips")
    with pytest.raises(InputError, match=r"arms.moved: .* no tensor 'dxa/hip'"):
        register(site)
    assert not (site.parent / "run" / "arms").exists()
