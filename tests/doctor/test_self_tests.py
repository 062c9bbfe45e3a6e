import dataclasses

import keras
import numpy as np
import pytest

from regreveal.doctor import self_tests
from regreveal.doctor.check import WrongResultError
from regreveal.genetics.manova import LatentSpace
from regreveal.models import model_folder
from regreveal.registration import Homography, QRSAlignment


@pytest.mark.parametrize("name", self_tests.SELF_TESTS)
def test_every_engine_passes_here(name, capsys):
    assert self_tests.SELF_TESTS[name]()
    assert capsys.readouterr().err == ""


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


def test_weights_that_are_not_those_saved_are_noticed(monkeypatch):
    load_model = model_folder.load_model

    def damaged(folder, name):
        model = load_model(folder, name)
        model.set_weights([weight * 0.5 for weight in model.get_weights()])
        return model

    monkeypatch.setattr(model_folder, "load_model", damaged)
    with pytest.raises(WrongResultError, match="loaded again"):
        self_tests.training()


def test_a_network_that_does_not_learn_is_noticed(monkeypatch):
    monkeypatch.setattr(keras.optimizers.Adam, "update_step", lambda *_, **__: None)
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
