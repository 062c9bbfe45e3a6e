"""The commands of the pages of single modalities, run from top to bottom in an empty folder.

They are as the page has them but for sizes: a biobank of a hundred people, trainings of two steps.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import wfdb
from typer.testing import CliRunner

from regreveal.cli.main import app
from regreveal.ecg_leads import LEADS
from regreveal.simulation.ecg import phantom
from tests.docs.commands import ROOT, Command, commands_of, files_of
from tests.ingest.image_files import body, brain, write_brain, write_cine, write_picture

PEOPLE = ["--participants", "100", "--variants", "300"]
# Nothing that is run here reads cines.
PEOPLE += [word for name in ("ecg", "dxa", "brain") for word in ("--modality", name)]
FEW_STEPS = ["--steps", "2", "--batch-size", "8"]
WALKED = (
    "ecg.md",
    "dxa.md",
    "brain.md",
    "cardiac.md",
    "own_modality.md",
)
# Of those pages, what is only taken apart (by test_commands.py), and why. So are the commands of
# README and getting_started.md: their chain of training, GWAS and PheWAS takes too long here.
PARSED_ONLY = {
    "regreveal run": "a whole experiment takes minutes; tests/experiment/test_run.py runs one",
    "regreveal register VoxelMorph": "trains for minutes; tests/registration trains it in little",
    "regreveal register DeepCycle": "trains for minutes; tests/registration trains it in little",
    "regreveal register-ready": "takes other programs' transforms; tests/cli writes some",
}


@pytest.fixture(scope="module")
def biobank(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("biobank")
    succeed(["simulate", str(folder / "data"), *PEOPLE])
    return folder / "data"


def succeed(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def only_parsed(command: Command) -> bool:
    return command.text.startswith(tuple(PARSED_ONLY))


def write_raw_files() -> None:
    """Write one participant's raw files of every modality, under the names that the pages use."""
    ecg, _ = phantom(1, np.random.default_rng(0))
    Path("recordings").mkdir()
    wfdb.wrsamp("p1", 500, ["mV"] * 12, list(LEADS), ecg[0].astype(float), write_dir="recordings")
    write_picture(Path("images/p1.png"), body(400, 200))
    write_brain(Path("scans/p1.nii.gz"), brain((60, 70, 60)))
    write_cine(Path("cines/p1"), frames=50)


def run(command: Command, biobank: Path) -> None:
    program, *words = command.words
    if program == "python":
        subprocess.run([sys.executable, *words], check=True)
    elif words[0] == "simulate":
        shutil.copytree(biobank, words[1], copy_function=os.link)
    elif words[0] == "train":
        succeed([*words, *FEW_STEPS])
    else:
        succeed(words)


@pytest.mark.parametrize("page", WALKED)
def test_the_commands_of_a_page_run_from_top_to_bottom(page, biobank, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_raw_files()
    path = ROOT / "docs" / page
    for name, content in files_of(path).items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(content)
    commands = [command for command in commands_of(path) if not only_parsed(command)]
    assert commands
    for command in commands:
        print(command)
        run(command, biobank)


def test_every_reason_to_only_parse_a_command_is_needed():
    commands = [command for page in WALKED for command in commands_of(ROOT / "docs" / page)]
    for start in PARSED_ONLY:
        assert any(command.text.startswith(start) for command in commands), start
