"""Running the commands of a page from top to bottom, in a folder of its own.

They are as the page has them but for sizes: a biobank of a hundred people, trainings of two steps.
A command that an earlier page has had, too, is not run again: what it left is taken. So is what a
page's commands name and an earlier page has made.
"""

import json
import os
import runpy
import shlex
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

# Else it would log to what a command's output went to, when that is gone.
import distributed
import pytest
import tensorflow
from typer.testing import CliRunner

from regreveal import compute
from regreveal.cli.main import app
from regreveal.experiment import dry_run, workers
from regreveal.experiment import run as experiment_run
from regreveal.report import style
from tests.docs.commands import ROOT, Command, commands_of, complete_inline_commands_of, files_of
from tests.docs.raw_files import (
    complete_people,
    few_variants,
    link,
    write_predictions,
    write_raw_files,
)

FEW_STEPS = ["--steps", "2", "--batch-size", "8"]
FEW_SAMPLES = ["--bootstraps", "5", "--permutations", "99"]
# Of methods that learn.
FEW_PARAMETERS = {
    "VoxelMorph": {"steps": 1, "batch_size": 1, "features": [2, 4]},
    "DeepCycle": {"steps": 8, "batch_size": 2, "learning_rate": 0.01},
}
# The one experiment that is run to its end: what another's page says, this one's says, too.
RUN = "regreveal run pulse.toml --out runs/pulse"
# The page whose results other pages go on from.
FIRST_STEPS = "README.md"
# What is only taken apart (by test_commands.py), and why.
PARSED_ONLY = {
    "make": "makes an environment of its own; .ci/run is `make test`, the demo takes ten minutes",
    "mkdocs serve": "serves until it is stopped; tests/docs/test_site.py builds the site",
    "pip install": "installs; tests/install_wheel.py does, by hand",
    "mkdir": "is the shell's own",
    "export": "is the shell's own",
    "source": "is the shell's own",
    "docker": "wants Docker; tests/test_docker.py holds what it is asked for to be there",
    "apptainer": "wants Apptainer; tests/test_docker.py looks into its definition",
    "sbatch": "wants SLURM; tests/test_slurm.py runs the scripts",
    "dask": "runs until it is stopped; tests/test_cluster.py has schedulers and workers",
    "regenie": "is another program; tests/genetics/test_loco.py reads what it leaves",
    "_REGREVEAL_COMPLETE": "writes into the user's home; tests/cli/test_completion.py",
    "regreveal --install-completion": "writes there, too; tests/cli/test_completion.py",
    "regreveal --debug": "is an option, not a command; tests/cli/test_defects.py",
    "regreveal run experiments/paper_table1.toml": "tests/experiment/test_dry_run.py does it",
    "regreveal zoo check": "simulates people for minutes; tests/cli/test_zoo_commands.py",
    "regreveal zoo pack": "needs a run; tests/cli/test_zoo_commands.py",
    "regreveal train brain.t1_mni": "is of several hosts; tests/models/test_hosts.py",
    "python slurm/dask_workers.py --queue cpu --account biobank --jobs 20": (
        "submits jobs; tests/test_slurm.py looks at the job"
    ),
}
PARSE_ARGUMENTS = ArgumentParser.parse_args


class BegunError(Exception):
    """What was called has come to its work: all that it asks for is there."""


def only_parsed(command: Command) -> bool:
    """Whether a command is not run, for a reason that `PARSED_ONLY` has."""
    if command.text.endswith(" --show"):
        return False
    return command.text.startswith(tuple(PARSED_ONLY))


def runnable_commands_of(page: Path) -> list[Command]:
    """Every command of a page that is not only parsed: first those on lines of their own."""
    commands = [*commands_of(page), *complete_inline_commands_of(page)]
    return [command for command in commands if not only_parsed(command)]


def succeed(words: list[str]) -> None:
    """Run a command of regreveal in this process, and in no other."""
    # For two steps a network is not worth compiling.
    tensorflow.config.run_functions_eagerly(True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for module in (compute, workers):
                patch.setattr(module, "available_cores", lambda: 1)
            patch.setattr(dry_run, "measured_rate", lambda rank: 1e9)
            patch.setattr(style, "DOTS_PER_INCH", 30)
            result = CliRunner().invoke(app, words)
    finally:
        tensorflow.config.run_functions_eagerly(False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


class World:
    """What pages are walked in: people, raw files under the names that pages use, earlier results.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path):
        self.people, self.raw = folder / "data", folder / "raw"
        few = ["--participants", "100", "--variants", "300"]
        named = [word for name in ("ecg", "dxa", "cardiac") for word in ("--modality", name)]
        succeed(["simulate", str(self.people), *few, *named])
        complete_people(self.people)
        write_raw_files(self.raw, self.people)
        for name in ("experiment.toml", "FILE.toml"):
            (self.raw / name).write_text(files_of(ROOT / "docs/ecg.md")["ecg.toml"])
        self.earlier: dict[str, Path] = {}
        self.results: dict[str, Path] = {}

    def walk(self, page: Path, folder: Path) -> None:
        """Run a page's commands in an empty folder, the working directory."""
        shutil.copytree(self.raw, folder, copy_function=os.link, dirs_exist_ok=True)
        for name, content in files_of(page).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content.replace("steps = 400", "steps = 2"))
        commands = runnable_commands_of(page)
        assert commands
        if not any(command.text.startswith("regreveal simulate") for command in commands):
            link(self.people, folder / "data")
        with _modules_forgotten(folder):
            for command in commands:
                print(command)
                self._run(command, self._in_little(command), folder)

    def _run(self, command: Command, words: list[str], folder: Path) -> None:
        words = words[1:] if "=" in words[0] else words
        program, *arguments = words
        out = arguments[arguments.index("--out") + 1] if "--out" in arguments else None
        self._bring(words, out, folder)
        if "--dask" in arguments:
            with _cluster() as address:
                arguments[arguments.index("--dask") + 1] = address
                return _begin(arguments) if arguments[0] == "run" else succeed(arguments)
        asks_only = {"--dry-run", "--help"} & set(arguments)
        if program == "python":
            _run_script(arguments, folder)
        elif arguments[0] == "simulate":
            link(self.people, folder / arguments[1])
        elif out and (made := self.earlier.get(shlex.join(words))):
            link(made, folder / out)
        elif arguments[0] == "run" and command.text != RUN and not asks_only:
            return _begin(arguments)
        else:
            succeed(arguments)
        if not out or not (folder / out).exists():
            return
        self.earlier.setdefault(shlex.join(words), folder / out)
        if command.page == FIRST_STEPS:
            self.results[out] = folder / out
        if command.text == RUN:
            self.results |= dict.fromkeys(("RUN", "RUN_A", "RUN_B"), folder / out)
        if arguments[0] == "regenie-inputs":
            write_predictions(folder, folder / out)

    def _bring(self, words: list[str], out: str | None, folder: Path) -> None:
        """Give a command what earlier pages have made under the names that it has."""
        names = [f"{name}/" for word in words if (name := word.rpartition("=")[2]) != out]
        for made, place in self.results.items():
            if any(name.startswith(f"{made}/") for name in names) and not (folder / made).exists():
                link(place, folder / made)

    def _in_little(self, command: Command) -> list[str]:
        words = command.words
        name = words[1] if words[0] == "regreveal" else ""
        if name == "train":
            for option in ("--steps", "--batch-size"):
                _drop(words, option)
            return words + FEW_STEPS
        if name == "clusters":
            # A hundred people have no loci.
            _drop(words, "--loci")
            _drop(words, "--variants")
            for option in FEW_SAMPLES[::2]:
                _drop(words, option)
            return [*words, "--variants", "lead_variants.txt", *FEW_SAMPLES]
        if name == "compare":
            return [word.replace("ecg_", "") for word in words]
        if name == "directions" and "--variants" in words:
            words[words.index("--variants") + 1] = ",".join(few_variants(self.people)[:1])
        if name == "doctor" and "--quick" not in words:
            # tests/doctor does each self-test.
            words.append("--quick")
        if name == "register" and words[2] in FEW_PARAMETERS:
            words += ["--parameters", json.dumps(FEW_PARAMETERS[words[2]])]
        if name == "register-ready":
            _drop(words, "--to")
            _drop(words, "--voxel-size")
            return [*words, "--to", "brain.t1_mni_6mm", "--voxel-size", "6"]
        if name == "run" and words[2].startswith(("experiments/", "model_zoo/")):
            # They simulate more people than are wanted here.
            words[2] = str(ROOT / words[2])
            return words if "--dry-run" in words else [*words, "--dry-run"]
        return words


def _drop(words: list[str], option: str) -> None:
    if option in words:
        del words[words.index(option) : words.index(option) + 2]


@contextmanager
def _cluster() -> Iterator[str]:
    """Start a scheduler and a worker; give their address."""
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def _begin(words: list[str]) -> None:
    """Run an experiment up to the first of its stages."""

    def begin(*_):
        raise BegunError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_run, "_make_latents", begin)
        with pytest.raises(BegunError):
            succeed(words)


def _run_script(words: list[str], folder: Path) -> None:
    """Run a script of a page as `python SCRIPT ARGUMENTS` would; the repository's, see below.

    Of those in benchmarks and tests, which nobody needs to run, only the arguments are read.
    """
    script = words[0]
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sys, "argv", words)
        patch.syspath_prepend(str(folder))
        if script.startswith(("benchmarks/", "tests/")):
            patch.setattr(ArgumentParser, "parse_args", _parse_and_leave)
            stack.enter_context(pytest.raises(BegunError))
        there = ROOT / script if (ROOT / script).exists() else script
        patch.syspath_prepend(str(Path(there).parent))
        runpy.run_path(str(there), run_name="__main__")


def _parse_and_leave(parser: ArgumentParser, arguments: list[str] | None = None) -> None:
    PARSE_ARGUMENTS(parser, arguments)
    raise BegunError


@contextmanager
def _modules_forgotten(folder: Path) -> Iterator[None]:
    """Forget, at the end, what scripts and commands imported of a folder: others have its name."""
    before = set(sys.modules)
    try:
        yield
    finally:
        for module in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules.get(module), "__path__", "")):
                for inner in [each for each in sys.modules if each.partition(".")[0] == module]:
                    del sys.modules[inner]
