"""Every hostile file ends in one line, within little memory, with nothing from outside read."""

import json
import subprocess
import sys

import hostile_files
import pytest


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory):
    """What each file got, in a process of its own: where a reader fails, only that one dies."""
    folder = tmp_path_factory.mktemp("hostile")
    subprocess.run([sys.executable, hostile_files.__file__, folder], check=True, timeout=120)
    return json.loads((folder / "outcomes.json").read_text())


@pytest.mark.parametrize("name", hostile_files.CASES)
def test_a_hostile_file_is_refused_in_one_line(outcomes, name):
    kind, message, seconds = outcomes[name]
    assert kind == "InputError", message
    assert hostile_files.CASES[name][1] in message
    assert message.isprintable()
    assert seconds < 10
