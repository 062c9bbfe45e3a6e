import contextlib
import dataclasses
import io
import shutil

import numpy as np
import pandas as pd
import pytest

from regreveal.doctor import self_tests
from regreveal.doctor.check import WrongResultError
from regreveal.genetics.genotypes.bed import BedGenotypes
from regreveal.genetics.genotypes.bgen import BgenGenotypes
from regreveal.genetics.genotypes.pgen import PgenGenotypes
from regreveal.genetics.genotypes.vcf import VcfGenotypes
from regreveal.genetics.manova import LatentSpace
from regreveal.models import model_folder
from regreveal.models import training as training_module
from regreveal.registration import Affine, Homography, QRSAlignment, Registered, VoxelMorph


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What the test of training says, on both channels, and the model that it trained."""
    kept = tmp_path_factory.mktemp("trained") / "model"
    train, printed = training_module.train, io.StringIO()

    def keeping(*given, **options):
        return shutil.copytree(train(*given, **options), kept)

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(printed):
        patch.setattr(training_module, "train", keeping)
        found = self_tests.training()
    return found, printed.getvalue(), kept


@pytest.mark.parametrize("name", [name for name in self_tests.SELF_TESTS if name != "training"])
def test_every_engine_passes_here(name, capsys):
    assert self_tests.SELF_TESTS[name]()
    assert capsys.readouterr().err == ""


def test_training_passes_here(trained):
    found, printed, _ = trained
    assert found.startswith("loss from ")
    assert printed == ""


def test_beats_that_are_out_of_time_are_noticed(monkeypatch):
    transform = QRSAlignment.transform

    def late(self, x):
        registered = transform(self, x)
        times = [np.append(times[0] + 1.0, times[1:]) for times in registered.transforms]
        return dataclasses.replace(registered, transforms=times)

    monkeypatch.setattr(QRSAlignment, "transform", late)
    with pytest.raises(WrongResultError, match="ms from the truth"):
        self_tests.beat_alignment()


def test_an_image_put_in_a_wrong_place_is_noticed(monkeypatch):
    transform = Homography.transform

    def aside(self, x):
        registered = transform(self, x)
        shift = np.array([[1, 0, 2.0], [0, 1, 0], [0, 0, 1]])
        moved = [shift @ matrix for matrix in registered.transforms]
        return dataclasses.replace(registered, transforms=moved)

    monkeypatch.setattr(Homography, "transform", aside)
    with pytest.raises(WrongResultError, match="pixels from the truth"):
        self_tests.planar_registration()


def test_a_volume_put_in_a_wrong_place_is_noticed(monkeypatch):
    transform = Affine.transform

    def aside(self, x):
        registered = transform(self, x)
        shift = np.eye(4)
        shift[0, 3] = 0.5
        moved = [shift @ matrix for matrix in registered.transforms]
        return dataclasses.replace(registered, transforms=moved)

    monkeypatch.setattr(Affine, "transform", aside)
    with pytest.raises(WrongResultError, match="voxels from the truth"):
        self_tests.volume_registration()


def test_a_deformation_that_makes_nothing_more_alike_is_noticed(monkeypatch):
    row = {"ok": True, "reason": "", "similarity_before": 0.8, "similarity_after": 0.81}
    registered = Registered(np.zeros((1, 32, 32, 1)), pd.DataFrame([row]), [None])
    monkeypatch.setattr(VoxelMorph, "fit", lambda self, x: self)
    monkeypatch.setattr(VoxelMorph, "transform", lambda self, x: registered)
    with pytest.raises(WrongResultError, match="not more alike"):
        self_tests.deformable_registration()


@pytest.mark.parametrize("reader", [BedGenotypes, PgenGenotypes, BgenGenotypes, VcfGenotypes])
def test_genotypes_that_are_not_those_written_are_noticed(monkeypatch, reader):
    read = reader.dosages
    monkeypatch.setattr(reader, "dosages", lambda *given: 2 - read(*given))
    with pytest.raises(WrongResultError, match="file are not those written"):
        self_tests.reading()


def test_weights_that_are_not_those_saved_are_noticed(monkeypatch, trained):
    load_model = model_folder.load_model

    def damaged(folder, name):
        model = load_model(folder, name)
        model.set_weights([weight * 0.5 for weight in model.get_weights()])
        return model

    monkeypatch.setattr(training_module, "train", lambda *_, **__: trained[2])
    monkeypatch.setattr(model_folder, "load_model", damaged)
    with pytest.raises(WrongResultError, match="loaded again"):
        self_tests.training()


def test_a_network_that_does_not_learn_is_noticed(monkeypatch, trained, tmp_path):
    model = shutil.copytree(trained[2], tmp_path / "model")
    history = pd.read_csv(model / "history.csv")
    history.assign(validation_loss=history["validation_loss"].iloc[0]).to_csv(model / "history.csv")
    monkeypatch.setattr(training_module, "train", lambda *_, **__: model)
    with pytest.raises(WrongResultError, match="does not fall"):
        self_tests.training()


def test_a_trace_that_is_a_little_off_is_noticed(monkeypatch):
    test = LatentSpace.test

    def off(self, *arguments, **options):
        table = test(self, *arguments, **options)
        return table.assign(pillai=table["pillai"] + 1e-8)

    monkeypatch.setattr(LatentSpace, "test", off)
    with pytest.raises(WrongResultError, match="differs from statsmodels' by 1e-08"):
        self_tests.gwas_kernel()
