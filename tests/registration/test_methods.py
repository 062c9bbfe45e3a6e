"""Registrations by name: RegReveal's own and a site's."""

import json
import pickle
import sys

import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.experiment.experiment_file import load_experiment, parse_experiment
from regreveal.experiment.preflight import check_names
from regreveal.experiment.zoo.evaluation import register as register_for_model
from regreveal.registration import QRSAlignment
from regreveal.registration.methods import (
    check_parameters,
    loaded_registration,
    registration_class,
    source_of_site,
)
from regreveal.store.tensors import TensorStore

CODE = """
import pandas as pd
from regreveal.registration import Registered, Registration

class Plus(Registration):
    def __init__(self, amount=1.0):
        self.amount = amount

    def fit(self, x):
        return self

    def transform(self, x):
        qc = pd.DataFrame({"ok": [True] * len(x), "reason": ""})
        return Registered(x + self.amount, qc, [None] * len(x))

class Latents(Plus):
    gives_latents = True

class NotOne:
    pass
"""
METHOD = "site_methods.plus:Plus"
EXPERIMENT = """
title = "Plus"
[data]
folder = "data"
[arms.native]
tensor_map = "ecg.median"
[arms.moved]
tensor_map = "ecg.median"
registration = { method = "METHOD", input = "ecg.median" }
"""
SIMULATED = ('[data]\nfolder = "data"', "[data.simulate]")
MODEL = {
    "tensor_map": {},
    "latent_size": 4,
    "seed": 1,
    "registrations": [{"method": METHOD, "folder": "registration/moved"}],
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A working directory with a package that nobody has imported."""
    (tmp_path / "site_methods").mkdir()
    (tmp_path / "site_methods" / "plus.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    forget()


def forget():
    for name in ("site_methods.plus", "site_methods"):
        sys.modules.pop(name, None)


def test_a_class_of_a_package_in_the_working_directory_is_found(site):
    path = list(sys.path)
    assert registration_class(METHOD)(2.0).fit_transform(np.zeros((1, 2, 1))).tensors.sum() == 4
    assert sys.path == path
    assert source_of_site(METHOD) == site / "site_methods" / "plus.py"
    assert registration_class("QRSAlignment") is QRSAlignment
    assert source_of_site("QRSAlignment") is None


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("site_methods.plus:Minus", r"'site_methods\.plus' has no registration 'Minus'.*Plus"),
        ("site_methods.plus:NotOne", "has no registration 'NotOne'"),
        ("regreveal.registration:Registration", "has no registration 'Registration'"),
        ("site_methods.minus:Plus", r"'site_methods\.minus' cannot be imported.*working directory"),
        ("site_methods.broken:Plus", r"'site_methods\.broken' cannot be imported.*line 1"),
        ("../site_methods:Plus", "expected a name such as site_maps"),
        (":Plus", "expected a name such as site_maps"),
    ],
)
def test_what_is_not_a_registration_is_one_line(site, method, message):
    (site / "site_methods" / "broken.py").write_text("class Plus(:\n")
    with pytest.raises(InputError, match=message) as caught:
        registration_class(method)
    assert "\n" not in str(caught.value)


def test_its_parameters_are_checked(site):
    check_parameters(METHOD, {"amount": 3})
    with pytest.raises(InputError, match=r"speed.*its parameters: amount"):
        check_parameters(METHOD, {"speed": 3})


def test_a_worker_in_another_folder_loads_it(site, monkeypatch):
    registration_class(METHOD)(5.0).save(site / "saved")
    work = pickle.dumps(loaded_registration(METHOD, site / "saved"))
    forget()
    (site / "elsewhere").mkdir()
    monkeypatch.chdir(site / "elsewhere")
    assert pickle.loads(work).value().amount == 5


def test_loading_a_saved_one_imports_nothing_that_the_folder_names(site):
    QRSAlignment().save(site / "saved")
    description = json.loads((site / "saved" / "registration.json").read_text())
    description["class"] = METHOD
    (site / "saved" / "registration.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="expected QRSAlignment"):
        QRSAlignment.load(site / "saved")
    assert "site_methods.plus" not in sys.modules


def test_a_model_from_elsewhere_names_no_code(site):
    model = site / "model"
    model.mkdir()
    (model / "model.json").write_text(json.dumps(MODEL))
    with pytest.raises(InputError, match=rf"registration of another site, '{METHOD}'"):
        register_for_model(model, TensorStore(site / "tensors"), site / "out")
    (model / "recipe.toml").write_text(EXPERIMENT.replace("METHOD", METHOD).replace(*SIMULATED))
    with pytest.raises(InputError, match=rf"names a package of its own \('{METHOD}'\)"):
        load_experiment(model / "recipe.toml")
    assert "site_methods.plus" not in sys.modules


def test_reading_an_experiment_imports_nothing_and_checking_its_names_does(site):
    experiment = parse_experiment(EXPERIMENT.replace("METHOD", METHOD), "x.toml")
    assert "site_methods.plus" not in sys.modules
    check_names(experiment)
    latents = parse_experiment(EXPERIMENT.replace("METHOD", "site_methods.plus:Latents"), "x.toml")
    with pytest.raises(
        InputError, match=r"^arms\.moved: site_methods\.plus:Latents: gives latents"
    ):
        check_names(latents)
