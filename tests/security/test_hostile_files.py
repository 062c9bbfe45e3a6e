"""Every hostile file ends in one line, within little memory, with nothing from outside read."""

import json
import re
import subprocess
import sys
from pathlib import Path

import hostile_files
import pytest

ROOT = Path(__file__).parents[2]


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


def test_the_page_of_the_documentation_says_what_each_file_got(outcomes):
    page = (ROOT / "docs/security.md").read_text()
    assert f"| --- | --- |\n{hostile_files.as_table(outcomes)}\n\n" in page


def test_packages_that_the_page_calls_old_are_those_pinned():
    page, pins = ((ROOT / name).read_text() for name in ("docs/security.md", "constraints.txt"))
    rows = page[page.index("| package | last release") :].splitlines()[2:]
    named = "\n".join(row.split("|")[1] for row in rows if row.startswith("|"))
    packages = re.findall(r"([a-z-]+) ([0-9.]+)\b", named)
    assert len(packages) == 18
    for name, version in packages:
        assert f"\n{name}=={version}\n" in pins, name
    assert f"pins {pins.count('==')} packages" in page
