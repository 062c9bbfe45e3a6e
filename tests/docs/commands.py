"""The commands and the code that the documentation shows, as its readers would copy them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import typer

from regreveal.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
# A page's line that begins so is a command; variables may be set before it.
COMMAND = re.compile(
    r"(?:\w+=\S+ )*(?:apptainer|dask|docker|export|make|mkdir|mkdocs|pip|python|regenie|regreveal|"
    r"sbatch|source) "
)
PROGRAM = typer.main.get_command(app)
FENCE = re.compile(r"^\s*```")
TITLED = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(regreveal [^`]+)`")
# What a synopsis has in place of a value, where not any text will do.
PLACEHOLDERS = {"N": "1", "H": "0.5", "DAY": "2020-01-01", "COMMAND": "run"}


@dataclass(frozen=True)
class Command:
    """One command of a page; of a synopsis, values may be missing."""

    page: str
    text: str
    synopsis: bool

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def commands_of(path: Path) -> list[Command]:
    """Every command that stands on lines of its own, in the page's order."""
    found, fenced, lines = [], False, path.read_text().splitlines()
    for number, line in enumerate(lines):
        if FENCE.match(line):
            fenced = not fenced
        if (fenced or line.startswith("    ")) and COMMAND.match(line.strip()):
            found.append(_command(path.name, _with_continuations(lines[number:])))
    return found


def inline_commands_of(path: Path) -> list[Command]:
    """Every `regreveal …` within a sentence; such a one need not be complete."""
    texts = (" ".join(text.split()) for text in INLINE.findall(path.read_text()))
    return [Command(path.name, _plain(text), True) for text in texts]


def complete_inline_commands_of(path: Path) -> list[Command]:
    """Those of them that could be copied as they stand; the others are names of commands."""
    complete = []
    for command in inline_commands_of(path):
        whole = Command(command.page, command.text, synopsis=False)
        try:
            parse(whole)
        except typer.BadParameter.__base__:
            continue
        complete.append(whole)
    return complete


def files_of(path: Path) -> dict[str, str]:
    """Give the files that a page asks its reader to write, by their names."""
    return dict(TITLED.findall(path.read_text()))


def _with_continuations(lines: list[str]) -> str:
    """Join a command with the lines that a backslash or a deeper indentation adds to it."""
    indentation = len(lines[0]) - len(lines[0].lstrip())
    text = _uncommented(lines[0])
    for line in lines[1:]:
        deeper = len(line) - len(line.lstrip()) > indentation
        if not text.endswith("\\") and not (deeper and line.strip().startswith(("-", "["))):
            break
        text = text.removesuffix("\\") + " " + _uncommented(line)
    return text


def _uncommented(line: str) -> str:
    return re.sub(r"\s+# .*$", "", line).strip()


def _command(page: str, text: str) -> Command:
    synopsis = re.search(r"\[(--|NAME)|\.\.\.|…", text) is not None
    return Command(page, _plain(text) if synopsis else text, synopsis)


def _plain(text: str) -> str:
    """Turn a synopsis into one of the commands that it stands for."""
    text = re.sub(r"\[(?=--|NAME)|(?<==)\]|\]+(?=\s|$)", "", text)
    text = re.sub(r"(\S+?)\|\S+", r"\1", re.sub(r"\.\.\.|…", " ", text))
    return " ".join(PLACEHOLDERS.get(word, word) for word in text.split())


def parse(command: Command) -> None:
    """Take a command apart as the command line would, without doing it.

    Raises
    ------
    typer.BadParameter, or another of its base class
        If there is no such subcommand or option, or a value is missing or of the wrong kind.
    """
    program, *words = command.words
    asks_for_help = "--help" in words
    words = [word for word in words if word != "--help"]
    found = PROGRAM
    while hasattr(found, "get_command"):
        flags = {name for option in found.params if option.is_flag for name in option.opts}
        does_something = asks_for_help or command.synopsis
        while words and words[0] in flags:
            does_something = words.pop(0)
        if not words and does_something:
            return
        if not words:
            raise typer.BadParameter("no command")
        name = words.pop(0)
        group, found = found, found.get_command(typer.Context(found), name)
        if found is None:
            raise typer.BadParameter(f"no such command '{name}' of '{group.name}'")
    try:
        found.make_context(program, words)
    except typer.BadParameter as error:
        missing = type(error).__name__ == "MissingParameter"
        if not (missing and (command.synopsis or asks_for_help)):
            raise
