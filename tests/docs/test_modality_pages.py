"""The commands of the pages of single modalities, run from top to bottom.

Those of DXA are run with the README's, from which they hardly differ.
"""

import pytest

from tests.docs.commands import PAGES, ROOT, commands_of
from tests.docs.walking import PARSED_ONLY, World, write_brains

WALKED = ("ecg.md", "brain.md", "cardiac.md", "own_modality.md")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"), ("ecg",))
    write_brains(world.people)
    return world


@pytest.mark.parametrize("page", WALKED)
def test_the_commands_of_a_page_run_from_top_to_bottom(page, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world.walk(ROOT / "docs" / page, tmp_path)
    if page == "own_modality.md":
        report = (tmp_path / "runs" / "pulse" / "report.html").read_text()
        assert "site_maps.pulse:RiseAlignment" in report


def test_every_reason_to_only_parse_a_command_is_needed():
    commands = [command for page in PAGES for command in commands_of(page)]
    for start in PARSED_ONLY:
        assert any(command.text.startswith(start) for command in commands), start
