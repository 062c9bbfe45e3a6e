"""Every command that README and docs show is one that there is, on files that there are."""

import re
import tomllib

import pytest
import typer

from regreveal.experiment.experiment_file import parse_experiment
from regreveal.models.zoo import zoo_names
from regreveal.tensormap import list_tensor_maps
from tests.docs.commands import (
    PAGES,
    ROOT,
    Command,
    commands_of,
    files_of,
    inline_commands_of,
    parse,
)

USAGE_ERROR = typer.BadParameter.__base__
TENSOR_MAP = re.compile(r"(?:ecg|dxa|brain|cardiac)\.(?!toml$)\w+")
COMMANDS_FILE = re.compile(r"(benchmarks|experiments|model_zoo)/")
REPOSITORY_FILE = re.compile(
    r"`((?:benchmarks|docs|experiments|model_zoo|regreveal|tensormaps|tests)/[\w./-]+\.\w+)`"
)


def on_every_page(test):
    return pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)(test)


def check_commands_of(page):
    for command in [*commands_of(page), *inline_commands_of(page)]:
        if command.text.startswith("regreveal"):
            try:
                parse(command)
            except USAGE_ERROR as error:
                pytest.fail(f"{command}: {error}")


@on_every_page
def test_every_command_is_one_that_there_is(page):
    check_commands_of(page)


def test_every_command_on_a_card_of_the_zoo_is_one_that_there_is():
    for name in zoo_names():
        check_commands_of(ROOT / "model_zoo" / name / "README.md")


@pytest.mark.parametrize(
    "text",
    [
        "regreveal nonsense",
        "regreveal --nonsense",
        "regreveal zoo nonsense",
        "regreveal gwas --nonsense 1",
        "regreveal split --cohort cohort.tsv",
        "regreveal simulate data --participants many",
        "regreveal zoo list too-much",
    ],
)
def test_a_command_that_there_is_not_is_found(text):
    with pytest.raises(USAGE_ERROR):
        parse(Command("page.md", text, synopsis=False))


def test_commands_are_read_as_they_are_written(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Run `regreveal gwas\n--threads 2`, then\n\n    regreveal a --out X  # why\n\n"
        "    regreveal b F... --to [NAME=]x \\\n        --c 1\n        [--d e|f [--g N]]\n\n"
        '```toml title="x.toml"\nseed = 1\n```\n\n```\nregreveal d\n```\nregreveal is no command.\n'
    )
    assert [command.text for command in commands_of(page)] == [
        "regreveal a --out X",
        "regreveal b F --to NAME=x --c 1 --d e --g 1",
        "regreveal d",
    ]
    assert [command.text for command in inline_commands_of(page)] == ["regreveal gwas --threads 2"]
    assert files_of(page) == {"x.toml": "seed = 1\n"}


@on_every_page
def test_every_file_of_the_repository_that_is_named_is_there(page):
    named = set(REPOSITORY_FILE.findall(page.read_text()))
    for command in commands_of(page):
        named |= {word for word in command.words if COMMANDS_FILE.match(word)}
    missing = [name for name in sorted(named) if not (ROOT / name).exists()]
    # Modules are named from the package on, too.
    missing = [name for name in missing if not (ROOT / "regreveal" / name).exists()]
    assert not missing


@on_every_page
def test_every_tensor_map_model_and_target_that_a_command_names_is_there(page):
    maps = {tensor_map.name for tensor_map in list_tensor_maps()}
    models = set(zoo_names())
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in commands_of(page):
        program, *words = command.words
        asked = {word for word in words if "=" not in word}
        assert program != "make" or asked <= set(targets), command
        named = {word for word in words if TENSOR_MAP.fullmatch(word)}
        assert named <= maps, command
        assert {word[4:] for word in words if word.startswith("zoo:")} <= models, command


@on_every_page
def test_every_experiment_that_a_page_shows_can_be_read(page):
    for name, content in files_of(page).items():
        if name.endswith(".toml"):
            assert parse_experiment(content, name).comparisons, name
            assert "data" in tomllib.loads(content), name
