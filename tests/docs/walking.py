"""Running the commands of a page from top to bottom, in a folder of its own.

They are as the page has them but for sizes: a biobank of a hundred people, trainings of two steps.
A command that an earlier page has had, too, is not run again: what it left is taken.
"""

import os
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tensorflow
import wfdb
from typer.testing import CliRunner

from regreveal import compute
from regreveal.brain_atlas import template
from regreveal.cli.main import app
from regreveal.ecg_leads import LEADS
from regreveal.experiment import workers
from regreveal.simulation.ecg import phantom
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from tests.docs.commands import Command, commands_of, files_of
from tests.ingest.image_files import body, brain, write_brain, write_cine, write_picture

FEW_STEPS = ["--steps", "2", "--batch-size", "8"]
FEW_SAMPLES = ["--bootstraps", "5", "--permutations", "99"]
# The one experiment that is run: what another's page says, this one's says, too.
RUN = "regreveal run pulse.toml --out runs/pulse"
# What is only taken apart (by test_commands.py), and why.
PARSED_ONLY = {
    "make": "makes an environment of its own; .ci/run is `make test`, the demo takes ten minutes",
    "regreveal doctor": "measures for twenty seconds; tests/doctor",
    "regreveal run": "takes minutes; tests/experiment/test_run.py runs one of their kind",
    "regreveal compare": "needs two runs; tests/comparison has them",
    "regreveal register VoxelMorph": "trains for minutes; tests/registration trains it in little",
    "regreveal register DeepCycle": "trains for minutes; tests/registration trains it in little",
    "regreveal register-ready": "takes other programs' transforms; tests/cli writes some",
    "regreveal train dxa.body": "on several GPUs; tests/models trains in half precision",
    "regreveal zoo check": "simulates people for minutes; tests/cli/test_zoo_commands.py",
    "regreveal zoo pack": "needs a run; tests/cli/test_zoo_commands.py",
}


def only_parsed(command: Command) -> bool:
    """Whether a command is not run, for a reason that `PARSED_ONLY` has."""
    return command.text != RUN and command.text.startswith(tuple(PARSED_ONLY))


def succeed(words: list[str]) -> None:
    """Run a command of regreveal in this process, and in no other."""
    # For two steps a network is not worth compiling.
    tensorflow.config.run_functions_eagerly(True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for module in (compute, workers):
                patch.setattr(module, "available_cores", lambda: 1)
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
    modalities : sequence of str
        Of the simulated people's recordings.
    """

    def __init__(self, folder: Path, modalities: tuple[str, ...]):
        self.people, self.raw = folder / "data", folder / "raw"
        few = ["--participants", "100", "--variants", "300"]
        named = [word for name in modalities for word in ("--modality", name)]
        succeed(["simulate", str(self.people), *few, *named])
        _write_raw_files(self.raw, self.people)
        self.earlier: dict[str, Path] = {}

    def walk(self, page: Path, folder: Path) -> None:
        """Run a page's commands in an empty folder, the working directory."""
        shutil.copytree(self.raw, folder, copy_function=os.link, dirs_exist_ok=True)
        for name, content in files_of(page).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content.replace("steps = 400", "steps = 2"))
        commands = [command for command in commands_of(page) if not only_parsed(command)]
        assert commands
        if not any(command.text.startswith("regreveal simulate") for command in commands):
            _link(self.people, folder / "data")
        with _modules_forgotten(folder):
            for command in commands:
                print(command)
                if not command.synopsis:
                    self._run(_in_little(command), folder)

    def _run(self, words: list[str], folder: Path) -> None:
        program, *arguments = words
        out = arguments[arguments.index("--out") + 1] if "--out" in arguments else None
        if program == "python":
            _run_script(arguments[0], folder)
        elif program == "regreveal" and arguments[0] == "simulate":
            _link(self.people, folder / arguments[1])
        elif out and (made := self.earlier.get(shlex.join(words))):
            _link(made, folder / out)
        elif program == "regreveal":
            succeed(arguments)
            if out:
                self.earlier[shlex.join(words)] = folder / out


def _run_script(name: str, folder: Path) -> None:
    """Run a script of a page as `python NAME` would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        runpy.run_path(name, run_name="__main__")


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


def _in_little(command: Command) -> list[str]:
    words = command.words
    if words[1:2] == ["train"]:
        for option in ("--steps", "--batch-size"):
            if option in words:
                del words[words.index(option) : words.index(option) + 2]
        return words + FEW_STEPS
    if words[1:2] == ["clusters"]:
        # A hundred people have no loci.
        place = words.index("--loci")
        words[place : place + 2] = ["--variants", "lead_variants.txt"]
        return words + FEW_SAMPLES
    return words


def _link(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=os.link)
    else:
        os.link(source, target)


def _write_raw_files(folder: Path, people: Path) -> None:
    """Write one participant's raw files of every modality, and files that other programs leave."""
    ecg, _ = phantom(1, np.random.default_rng(0))
    (folder / "recordings").mkdir(parents=True)
    wfdb.wrsamp(
        "p1",
        500,
        ["mV"] * 12,
        list(LEADS),
        ecg[0].astype(float),
        write_dir=str(folder / "recordings"),
    )
    (folder / "hd5").mkdir()
    with h5py.File(folder / "hd5" / "1.hd5", "w") as file:
        for lead, samples in zip(LEADS, ecg[0].T, strict=True):
            file[f"/ukb_ecg_rest/strip_{lead}/instance_0"] = samples * 200
    write_picture(folder / "images/p1.png", body(400, 200))
    write_brain(folder / "scans/p1.nii.gz", brain((60, 70, 60)))
    write_cine(folder / "cines/p1", frames=50)
    cohort = read_table(people / "cohort.tsv")
    latents = np.random.default_rng(0).normal(size=(len(cohort), 4))
    table = pd.DataFrame(latents, cohort.index).add_prefix("latent_")
    table.to_csv(folder / "hidden_inference_dxa.tsv", sep="\t")
    _link(people / "cohort.tsv", folder / "cohort.tsv")
    for file in (people / "genotypes").iterdir():
        _link(file, folder / file.name)
    variants = (people / "genotypes" / "genome.bim").read_text().splitlines()
    chosen = [line.split("\t")[1] for line in variants[::60]]
    (folder / "lead_variants.txt").write_text("\n".join(chosen) + "\n")


def write_brains(people: Path) -> None:
    """Put brains into a data folder: the template's, moved, since to simulate heads takes long."""
    image = np.pad(template(6)[0], 3)
    moved = [np.roll(image, shift, (0, 1, 2)) for shift in ((0, 0, 0), (1, 0, -1), (0, 2, 1))]
    ids = read_table(people / "cohort.tsv").index[: len(moved)].tolist()
    TensorStore(people / "tensors").write(
        "brain/t1_native_6mm",
        (200 * np.stack(moved)).astype(np.uint8),
        ids,
        units="intensity",
        voxel_size=(6.0,) * 3,
    )
