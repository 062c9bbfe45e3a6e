import numpy as np
import pytest

from regreveal import tensormap


@pytest.fixture
def broken(regreveal, monkeypatch):
    """An error nobody foresaw in a command that would else do nothing."""

    def listed(package):
        raise KeyError("two\nlines")

    monkeypatch.setattr(tensormap, "list_tensor_maps", listed)
    return regreveal


def test_an_error_nobody_foresaw_is_one_line_that_says_where_and_what_to_do(broken):
    result = broken("tensormaps")
    assert result.returncode == 70
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("regreveal: unexpected KeyError: ")
    assert "regreveal/cli/stages.py, line " in result.stderr
    assert "regreveal --debug" in result.stderr


def test_debug_shows_its_traceback_with_the_same_status(broken):
    result = broken("--debug", "tensormaps")
    assert result.returncode == 70
    assert "Traceback (most recent call last)" in result.stderr
    assert "in listed" in result.stderr


@pytest.mark.parametrize("options", [[], ["--debug"]])
def test_input_at_fault_has_a_traceback_with_debug_only(regreveal, options):
    result = regreveal(*options, "tensormaps", "--package", "nowhere")
    assert result.returncode == 1
    assert ("Traceback" in result.stderr) == bool(options)
    assert "regreveal: package of tensor maps 'nowhere'" in result.stderr


def test_too_little_memory_is_no_defect(regreveal, monkeypatch):
    def listed(package):
        np.empty(2**60, np.uint8)

    monkeypatch.setattr(tensormap, "list_tensor_maps", listed)
    result = regreveal("tensormaps")
    assert result.returncode == 1
    assert result.stderr.startswith("regreveal: memory is at an end (Unable to allocate 1.00 EiB")
    assert result.stderr.count("\n") == 1


def test_a_wrong_option_is_no_defect(broken):
    result = broken("tensormaps", "--colour", "red")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
