"""The worked example of a modality that RegReveal does not know."""

import importlib

import numpy as np
import pytest

from regreveal.tensormap import list_tensor_maps
from tests.docs.commands import ROOT, files_of
from tests.registration.harness import check_registration

MODULE = files_of(ROOT / "docs" / "own_modality.md")["site_maps/pulse.py"]
SAMPLES = 96


@pytest.fixture(scope="module")
def pulse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    # By another name than the page's, since Python keeps packages that it has imported.
    (folder / "example_maps").mkdir()
    (folder / "example_maps" / "pulse.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("example_maps.pulse")


def beats_begun_at(starts) -> np.ndarray:
    phase = (np.arange(SAMPLES) - np.asarray(starts)[:, None]) % SAMPLES / SAMPLES
    second = np.linspace(0.2, 0.8, len(starts))[:, None] * np.exp(-(((phase - 0.55) / 0.1) ** 2))
    return (np.exp(-(((phase - 0.25) / 0.07) ** 2)) + second)[:, :, None].astype(np.float32)


def test_the_example_is_as_short_as_the_page_says():
    code = [line for line in MODULE.splitlines() if line.strip()]
    assert len(code) <= 40


def test_the_declared_maps_are_listed(pulse):
    names = [tensor_map.name for tensor_map in list_tensor_maps("example_maps")]
    assert names == ["pulse.raw", "pulse.aligned"]


def test_the_registration_keeps_the_contract(pulse, tmp_path):
    check_registration(pulse.RiseAlignment(), beats_begun_at([0, 20, 50, 90]), tmp_path)


def test_beats_that_differ_in_where_they_begin_become_the_same(pulse):
    starts = np.array([0, 5, 33, 80])
    begun_together = beats_begun_at(np.zeros(4))
    registered = pulse.RiseAlignment().fit_transform(beats_begun_at(starts))
    expected = pulse.RiseAlignment().fit_transform(begun_together)
    np.testing.assert_allclose(registered.tensors, expected.tensors, atol=1e-6)
    rise = np.diff(registered.tensors[:, :, 0], axis=1).argmax(axis=1)
    assert (np.abs(rise - 24) <= 1).all()
