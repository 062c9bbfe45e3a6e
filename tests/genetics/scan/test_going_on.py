"""Runs that stop: what they leave, and who goes on with it."""

import json
import signal
import subprocess
import sys
import time

import pytest

from regreveal.errors import InputError
from regreveal.genetics.output.files import ResultFiles
from tests.genetics.scan.study import (
    ALL_OUTPUTS,
    gwas,
    published,
)


@pytest.mark.parametrize("killed_after", [1, 7, 13])
def test_a_run_that_stops_midway_goes_on_to_the_same_bytes(study, monkeypatch, killed_after):
    gwas(study, "whole", **ALL_OUTPUTS)
    add_unit = ResultFiles.add_unit

    def stop(files, parts, counts):
        if files.units_done == killed_after:
            raise KeyboardInterrupt
        add_unit(files, parts, counts)

    monkeypatch.setattr(ResultFiles, "add_unit", stop)
    with pytest.raises(KeyboardInterrupt):
        gwas(study, "stopped", **ALL_OUTPUTS)
    folder = study[0] / "stopped"
    assert {path.name for path in folder.iterdir()} == {".lock", ".unfinished"}
    added = []
    monkeypatch.setattr(
        ResultFiles,
        "add_unit",
        lambda files, *unit: (added.append(files.units_done), add_unit(files, *unit)),
    )
    gwas(study, "stopped", **ALL_OUTPUTS)
    assert added[0] == killed_after  # what was done is not done again
    assert published(folder) == published(study[0] / "whole")
    assert len(published(folder)) == 1 + 2 + 1 + 4 * 3 + 4  # table, index, loci, dimensions, json


def test_a_killed_process_leaves_nothing_that_looks_whole_and_goes_on(study):
    """Kill the process itself, wherever it is."""
    folder, bed, _ = study
    gwas(study, "whole", block_size=1)
    script = (
        "import time\n"
        "from regreveal.genetics.gwas import run_gwas\n"
        "from regreveal.genetics.output.files import ResultFiles\n"
        "add_unit = ResultFiles.add_unit\n"
        "def add(files, *unit):\n"
        "    if files.units_done > 150:\n"  # it never ends, however late it is killed
        "        time.sleep(600)\n"
        "    add_unit(files, *unit)\n"
        "ResultFiles.add_unit = add\n"
        f"run_gwas({str(folder / 'embedding.parquet')!r}, {str(bed)!r}, "
        f"{str(folder / 'covariates.tsv')!r}, {str(folder / 'killed')!r}, "
        "covariate_columns=['age'], sex_column='sex', block_size=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    state = folder / "killed/.unfinished/state.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if state.exists() and json.loads(state.read_text())["units_done"] > 20:
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "killed/gwas.json").exists()
    assert not (folder / "killed/manova.tsv.gz").exists()
    gwas(study, "killed", block_size=1)
    assert published(folder / "killed") == published(folder / "whole")


@pytest.mark.parametrize(
    "changed", [{"coding": "additive"}, {"transform": "rint"}, {"minimum_count": 5}]
)
def test_another_run_does_not_go_on_with_what_is_there(study, monkeypatch, changed):
    def stop(files, parts, counts):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ResultFiles, "add_unit", stop)
        with pytest.raises(KeyboardInterrupt):
            gwas(study, "stopped")
    with pytest.warns(UserWarning, match="started anew"):
        gwas(study, "stopped", **changed)
    gwas(study, "whole", **changed)
    assert published(study[0] / "stopped") == published(study[0] / "whole")


def test_genotypes_that_changed_meanwhile_are_not_gone_on_with(study, monkeypatch):
    folder, bed, _ = study
    add_unit = ResultFiles.add_unit

    def stop(files, parts, counts):
        if files.units_done == 5:
            raise KeyboardInterrupt
        add_unit(files, parts, counts)

    with monkeypatch.context() as patched:
        patched.setattr(ResultFiles, "add_unit", stop)
        with pytest.raises(KeyboardInterrupt):
            gwas(study, "stopped")
    content = bytearray(bed.read_bytes())
    content[3:3000] = content[-2997:]
    bed.write_bytes(content)
    with pytest.warns(UserWarning, match="started anew"):
        gwas(study, "stopped")
    gwas(study, "whole")
    assert published(folder / "stopped") == published(folder / "whole")


def test_an_unfinished_run_of_other_columns_is_not_gone_on_with(study, monkeypatch):
    from regreveal.genetics import analyses

    add_unit = ResultFiles.add_unit

    def stop(files, parts, counts):
        if files.units_done == 3:
            raise KeyboardInterrupt
        add_unit(files, parts, counts)

    with monkeypatch.context() as patched:
        patched.setattr(ResultFiles, "add_unit", stop)
        patched.setattr(analyses, "TABLE_COLUMNS", analyses.TABLE_COLUMNS[:-1])
        with pytest.raises(KeyboardInterrupt):
            gwas(study, "stopped")
    with pytest.warns(UserWarning, match="started anew"):
        gwas(study, "stopped")
    gwas(study, "whole")
    assert published(study[0] / "stopped") == published(study[0] / "whole")


def test_nothing_of_an_earlier_run_stays_beside_the_new_one(study):
    gwas(study, per_dimension=True, project_out_columns=["sex"])
    gwas(study)
    gwas(study, "fresh")
    assert published(study[0] / "out") == published(study[0] / "fresh")


def test_a_folder_that_is_being_written_is_refused(study):
    import fcntl

    folder = study[0] / "out"
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is writing there"):
            gwas(study)


def test_a_folder_that_is_a_file_is_one_line(study):
    (study[0] / "taken").write_text("")
    with pytest.raises(InputError, match="taken: is a file; expected a folder"):
        gwas(study, "taken")
