"""The commands of every page, run from top to bottom."""

import pytest

from tests.docs.commands import PAGES, commands_of, inline_commands_of
from tests.docs.walking import PARSED_ONLY, World, runnable_commands_of

# What these leave, others go on from: a run, then the first steps' embedding.
FIRST = ("own_modality.md", "README.md")
WALKED = sorted(
    (page for page in PAGES if runnable_commands_of(page)),
    key=lambda page: FIRST.index(page.name) if page.name in FIRST else len(FIRST),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("page", WALKED, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_from_top_to_bottom(page, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world.walk(page, tmp_path)
    if page.name == "own_modality.md":
        report = (tmp_path / "runs" / "pulse" / "report.html").read_text()
        assert "site_maps.pulse:RiseAlignment" in report


def test_every_reason_to_only_parse_a_command_is_needed():
    commands = [
        command for page in PAGES for command in [*commands_of(page), *inline_commands_of(page)]
    ]
    for start in PARSED_ONLY:
        assert any(command.text.startswith(start) for command in commands), start
