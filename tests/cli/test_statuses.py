"""Exit statuses of every command: 2 for arguments it does not take, 1 for files at fault."""

from collections.abc import Iterator

import numpy as np
import pytest
from typer.main import get_command

from regreveal.cli.main import app
from regreveal.simulation.biobank import simulate_biobank
from regreveal.store.cohort import make_splits, read_table, write_table
from regreveal.store.embedding import Embedding

PEOPLE = "--embedding in/e.parquet"
GENOME = f"{PEOPLE} --genotypes in/genotypes/genome.bed"
DISEASES = "--diagnoses in/diagnoses.tsv --phecodes in/phecodes.tsv"
STORE = "--store in/tensors"
# Of each command what it cannot do without: inputs, in "in", and where results go, "OUT".
COMMANDS = {
    "demo": "--out OUT",
    "run": "in/little.toml --out OUT",
    "report": "in/run",
    "compare": "in/run_a in/run_b --out OUT",
    "simulate": "OUT --participants 100 --variants 500 --modality ecg",
    "tensormaps": "--package in",
    "split": "--cohort in/cohort.tsv --out OUT/splits.tsv",
    "register": f"QRSAlignment {STORE} --from ecg.rest_10s --to ecg.median --out OUT",
    "register-ready": "in/volumes in/transforms --out OUT",
    "train": f"ecg.rest_10s {STORE} --splits in/splits.tsv --out OUT --steps 1 --batch-size 2",
    "embed": f"--model in/model {STORE} --out OUT/e.parquet",
    "probe": f"{PEOPLE} --phenotypes in/phenotypes.tsv --splits in/splits.tsv --out OUT",
    "gwas": f"{GENOME} --out OUT",
    "replicate": f"{GENOME} --out OUT",
    "regenie-inputs": f"{GENOME} --out OUT",
    "clusters": f"{GENOME} --variants in/variants.txt --out OUT",
    "phecodes": f"{DISEASES} --participants in/cohort.tsv --out OUT",
    "phewas": f"{PEOPLE} {DISEASES} --covariates in/cohort.tsv --out OUT",
    "directions": f"{PEOPLE} --model in/model {STORE} --phenotypes in/phenotypes.tsv --out OUT",
    "doctor": "--quick",
    "ingest ecg": "in/raw --store OUT",
    "ingest dxa": "in/raw --to dxa.dxa_11 --store OUT",
    "ingest brain": "in/raw --to brain.t1_native --store OUT",
    "ingest cardiac": "in/raw --store OUT",
    "zoo list": "",
    "zoo show": "in/model",
    "zoo register": f"ecg_median {STORE} --out OUT",
    "zoo check": "ecg_median --out OUT",
    "zoo pack": "in/run arm --name model --to OUT",
}


def commands(group=None, before: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in (group or get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
        else:
            yield " ".join((*before, name))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs") / "in"
    simulate_biobank(folder, participants=100, variants=500, modalities=["ecg"])
    ids = read_table(folder / "cohort.tsv").index.tolist()
    shares = {"train": 0.2, "validation": 0.1, "analysis": 0.7}
    write_table(make_splits(ids, shares, 1), folder / "splits.tsv")
    Embedding(ids, np.random.default_rng(1).normal(size=(100, 3))).write(folder / "e.parquet")
    (folder / "little.toml").write_text(
        'title = "x"\n[data.simulate]\nparticipants = 100\n[arms.a]\ntensor_map = "ecg.median"\n'
    )
    return folder


def test_every_command_is_here():
    assert set(COMMANDS) == set(commands())


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_there_is_not_is_status_2(regreveal, command):
    result = regreveal(*command.split(), "--colour", "red")
    assert result.returncode == 2
    assert "No such option: --colour" in result.stderr


@pytest.mark.parametrize("command", [c for c, given in COMMANDS.items() if "in/" in given])
def test_a_missing_input_is_one_line_and_status_1(tmp_path, regreveal, command):
    result = regreveal(*command.split(), *COMMANDS[command].split())
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert result.stderr.startswith("regreveal: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file", "file/below"])
@pytest.mark.parametrize("command", [c for c, given in COMMANDS.items() if "OUT" in given])
def test_a_file_in_the_place_of_results_is_one_line_and_status_1(
    tmp_path, regreveal, inputs, command, place
):
    (tmp_path / "in").symlink_to(inputs)
    (tmp_path / "file").write_text("x")
    given = COMMANDS[command].replace("OUT", place)
    result = regreveal(*command.split(), *given.split())
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert result.stderr.startswith("regreveal: file")
    assert (tmp_path / "file").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "in"]
