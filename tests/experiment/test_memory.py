"""The most memory that a stage took."""

import sys

import numpy as np
import pytest

from regreveal.experiment.memory import forget_peak, peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is told by Linux alone")
def test_the_peak_counts_what_is_freed_again_and_starts_anew():
    assert forget_peak()
    before = peak_memory()
    block = np.ones(25_000_000)  # 191 MiB
    del block
    assert 150 <= peak_memory() - before <= 250
    assert forget_peak()
    assert peak_memory() - before < 50


def test_a_system_that_cannot_tell_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("regreveal.experiment.memory._RESET", tmp_path / "none" / "clear_refs")
    assert not forget_peak()
