"""The commands of the pages that a newcomer reads first, and of DXA, run from top to bottom.

DXA shares its commands with the README, and what is shared is run once.
"""

import pytest

from tests.docs.commands import ROOT
from tests.docs.walking import World

PAGES = (
    "README.md",
    "docs/getting_started.md",
    "docs/models.md",
    "docs/from_ml4h.md",
    "docs/dxa.md",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), ("ecg", "dxa"))


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_from_top_to_bottom(page, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world.walk(ROOT / page, tmp_path)
