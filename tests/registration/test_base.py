import json

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.registration import QRSAlignment, Registered, Registration
from regreveal.registration.base import ARRAYS_FILE, DESCRIPTION_FILE


class Centring(Registration):
    """Takes the mean sample, or a reference, away."""

    def __init__(self, reference=None, scale=1.0):
        self.reference = reference
        self.scale = scale

    def fit(self, x):
        self.mean_ = x.mean(axis=0) if self.reference is None else self.reference
        return self

    def transform(self, x):
        qc = pd.DataFrame({"ok": np.ones(len(x), bool), "reason": [""] * len(x)})
        return Registered((x - self.mean_) * self.scale, qc, [None] * len(x))


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(4, 5, 2))


def qc_of(*reasons):
    return pd.DataFrame({"ok": [reason == "" for reason in reasons], "reason": reasons})


def test_learned_arrays_and_array_parameters_survive_saving(tmp_path, x):
    for registration in (Centring(scale=2.5), Centring(reference=x[0], scale=np.float64(2))):
        registration.fit(x).save(tmp_path)
        loaded = Centring.load(tmp_path)
        np.testing.assert_array_equal(
            loaded.transform(x).tensors, registration.transform(x).tensors
        )
        np.testing.assert_array_equal(loaded.mean_, registration.mean_)
        assert loaded.get_params().keys() == {"reference", "scale"}
        assert loaded.scale == registration.scale


def test_saving_holds_no_pickles(tmp_path):
    registration = Centring()
    registration.mean_ = np.array([object()])
    registration.save(tmp_path)
    with pytest.raises(ValueError, match="allow_pickle"):
        Centring.load(tmp_path)


def test_fit_transform_is_fit_then_transform(x):
    once = Centring().fit_transform(x)
    np.testing.assert_array_equal(once.tensors, Centring().fit(x).transform(x).tensors)


def test_another_class_does_not_load(tmp_path, x):
    Centring().fit(x).save(tmp_path)
    with pytest.raises(InputError, match="holds a Centring; expected QRSAlignment"):
        QRSAlignment.load(tmp_path)


@pytest.mark.parametrize("file", [DESCRIPTION_FILE, ARRAYS_FILE])
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed", "empty"])
def test_a_damaged_folder_is_an_input_error_that_names_the_file(tmp_path, x, file, damage):
    Centring().fit(x).save(tmp_path)
    path = tmp_path / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        changed = b"\xff" + content[1:]
        path.write_bytes({"truncated": content[:-20], "changed": changed, "empty": b""}[damage])
    with pytest.raises(InputError, match=file.replace(".", r"\.")) as error:
        Centring.load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_of_another_version_is_an_input_error(tmp_path, x):
    Centring().fit(x).save(tmp_path)
    path = tmp_path / DESCRIPTION_FILE
    description = json.loads(path.read_text())
    description["parameters"]["smoothing"] = 3
    path.write_text(json.dumps(description))
    with pytest.raises(InputError, match="smoothing"):
        Centring.load(tmp_path)


def test_other_json_is_not_taken_for_a_registration(tmp_path):
    for content in ("[1, 2]", '{"class": "Centring"}'):
        (tmp_path / DESCRIPTION_FILE).write_text(content)
        with pytest.raises(InputError, match="not the description"):
            Centring.load(tmp_path)


def test_what_a_method_left_of_a_failed_sample_is_never_passed_on(x):
    registered = Registered(x.copy(), qc_of("", "blurred", "", ""), [None] * 4)
    assert np.isnan(registered.tensors[1]).all()
    np.testing.assert_array_equal(registered.tensors[[0, 2, 3]], x[[0, 2, 3]])


def test_contradictory_results_are_refused(x):
    with pytest.raises(ValueError, match="expected the same number"):
        Registered(x, qc_of("", ""), [None] * 4)
    qc = qc_of("", "", "", "")
    qc.loc[0, "ok"] = False
    with pytest.raises(ValueError, match="a reason must be given"):
        Registered(x, qc, [None] * 4)
