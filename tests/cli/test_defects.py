import subprocess
import sys

import pytest

# An error nobody foresaw in a command that would else do nothing.
BROKEN = """
from regreveal import tensormap
def listed(package):
    raise KeyError("two\\nlines")
tensormap.list_tensor_maps = listed
from regreveal.cli.main import main
main()
"""


def broken(*arguments):
    return subprocess.run(
        [sys.executable, "-c", BROKEN, *arguments], capture_output=True, text=True
    )


def test_an_error_nobody_foresaw_is_one_line_that_says_where_and_what_to_do():
    result = broken("tensormaps")
    assert result.returncode == 70
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("regreveal: unexpected KeyError: ")
    assert "regreveal/cli/stages.py, line " in result.stderr
    assert "regreveal --debug" in result.stderr


def test_debug_shows_its_traceback_with_the_same_status():
    result = broken("--debug", "tensormaps")
    assert result.returncode == 70
    assert "Traceback (most recent call last)" in result.stderr
    assert "in listed" in result.stderr


@pytest.mark.parametrize("options", [[], ["--debug"]])
def test_input_at_fault_has_a_traceback_with_debug_only(options):
    code = "from regreveal.cli.main import main; main()"
    arguments = [*options, "tensormaps", "--package", "nowhere"]
    result = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert ("Traceback" in result.stderr) == bool(options)
    assert "regreveal: package of tensor maps 'nowhere'" in result.stderr


def test_a_wrong_option_is_no_defect():
    result = broken("tensormaps", "--colour", "red")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
