"""The commands of every page, run from top to bottom."""

import re

import pytest
from distributed.cli import dask_scheduler, dask_worker

from tests.docs.commands import PAGES, ROOT, Command, commands_of, inline_commands_of, parse
from tests.docs.walking import PARSED_ONLY, World, runnable_commands_of

# What these leave, others go on from: a run, and the embedding of the first steps.
FIRST = [ROOT / "docs/own_modality.md", ROOT / "README.md"]
WALKED = [*FIRST, *(page for page in PAGES if runnable_commands_of(page) and page not in FIRST)]
# What a container or a job is to run, behind what starts it.
WRAPPED = re.compile(
    r"(?:docker run .* regreveal:\w+|apptainer run .*\.sif|sbatch .*slurm/(\w+)\.sh) (.*)"
)
RECIPES = {"": "", "allocation": "run ", "train": "train ", "train_hosts": "train "}


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Walk through a page unless that was done; give the folder it was done in."""
    world, folders = World(tmp_path_factory.mktemp("world")), {}

    def once(page):
        if page not in folders:
            folders[page] = tmp_path_factory.mktemp(page.stem)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folders[page])
                world.walk(page, folders[page])
        return folders[page]

    return once


@pytest.mark.parametrize("page", WALKED, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_from_top_to_bottom(page, walk):
    for earlier in FIRST[: WALKED.index(page)]:
        walk(earlier)
    folder = walk(page)
    if page.name == "own_modality.md":
        report = (folder / "runs" / "pulse" / "report.html").read_text()
        assert "site_maps.pulse:RiseAlignment" in report


def all_commands():
    return [each for page in PAGES for each in [*commands_of(page), *inline_commands_of(page)]]


def test_every_reason_to_only_parse_a_command_is_needed_and_names_tests_that_there_are():
    for start, reason in PARSED_ONLY.items():
        assert any(command.text.startswith(start) for command in all_commands()), start
        for name in re.findall(r"tests/[\w/]+\.py", reason):
            assert (ROOT / name).exists(), name


def test_what_containers_and_jobs_are_to_run_is_a_command():
    found = [(each, match) for each in all_commands() if (match := WRAPPED.match(each.text))]
    assert {match[1] or "" for _, match in found} == set(RECIPES)
    for command, match in found:
        assert not match[1] or (ROOT / "slurm" / f"{match[1]}.sh").exists()
        text = f"regreveal {RECIPES[match[1] or '']}{match[2]}"
        parse(Command(command.page, text, command.synopsis))


@pytest.mark.parametrize("program", [dask_scheduler, dask_worker], ids=("scheduler", "worker"))
def test_dask_takes_what_pages_tell_it(program):
    start = program.__name__.rpartition(".")[2].replace("_", " ")
    commands = [command for command in all_commands() if command.text.startswith(f"{start} ")]
    assert commands
    for command in commands:
        program.main.make_context(start, command.words[2:])
