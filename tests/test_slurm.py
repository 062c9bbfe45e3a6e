"""Recipes for SLURM: what would be submitted, and what a job's script does, without any SLURM."""

import importlib.util
import os
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import create_server

import pytest

RECIPES = Path(__file__).resolve().parents[1] / "slurm"


@pytest.fixture(scope="module")
def dask_workers():
    spec = importlib.util.spec_from_file_location("dask_workers", RECIPES / "dask_workers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_job_has_a_worker_a_core_and_ends_before_slurm_ends_it(
    dask_workers, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where a folder for the jobs' logs is made
    named = ["--queue", "cpu", "--account", "biobank", "--first", "module load python"]
    sizes = ["--cores", "8", "--memory", "64GiB", "--hours", "2"]
    with ExitStack() as stack:
        with suppress(OSError):  # if another has Dask's usual port, all the better
            stack.enter_context(create_server(("", 8786)))
        dask_workers.main([*named, *sizes, "--show"])
    script = capsys.readouterr().out.splitlines()
    for line in (
        "#SBATCH -p cpu",
        "#SBATCH -A biobank",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=64G",
        "#SBATCH -t 02:00:00",
        "module load python",
        "export TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1",
    ):
        assert line in script
    (worker,) = (line for line in script if "dask_worker" in line)
    assert "--nthreads 1 --memory-limit 8.00GiB --nworkers 8" in worker
    assert "--lifetime 100m --lifetime-stagger 10m" in worker


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A node without SLURM: its programs only note how they were called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "hostname").write_text("#!/bin/bash\necho localhost\n")
    # The scheduler says in a file that it answers, or that its port is taken.
    (programs / "dask").write_text(
        '#!/bin/bash\necho "dask $1 $2 $3" >> "$LOG"\n[[ -z ${TAKEN:-} ]] || exit 1\n'
        '[[ $1 = worker ]] || echo "{}" > "${!#}"\nexec sleep 5\n'
    )
    (programs / "regreveal").write_text(
        '#!/bin/bash\necho "regreveal $*" >> "$LOG"\n'
        'env | grep ^KERAS_ | sort >> "$LOG"\nexit "${STATUS:-0}"\n'
    )
    # As on two nodes, one after the other.
    (programs / "srun").write_text(
        '#!/bin/bash\nshift\nfor i in 0 1; do SLURM_PROCID=$i "$@" || exit; done\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SLURM_NNODES", "2")
    monkeypatch.setenv("SLURM_JOB_ID", "1234567")
    return tmp_path / "log"


def run(recipe: str, *arguments: str) -> int:
    command = ["bash", RECIPES / recipe, *arguments]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.run(command, timeout=60, check=False, **silent).returncode


def test_every_host_of_a_training_is_told_which_it_is(node):
    assert run("train_hosts.sh", "ecg.median", "--out", "a model") == 0
    command = "regreveal train ecg.median --out a model --devices all --precision mixed_bfloat16"
    told = ["KERAS_BACKEND=jax", "KERAS_DISTRIBUTION_JOB_ADDRESSES=localhost:24567"]
    told.append("KERAS_DISTRIBUTION_NUM_PROCESSES=2")
    assert node.read_text().splitlines() == [
        *(command, *told, "KERAS_DISTRIBUTION_PROCESS_ID=0"),
        *(command, *told, "KERAS_DISTRIBUTION_PROCESS_ID=1"),
    ]


def test_a_training_takes_all_gpus_of_its_node(node):
    assert run("train.sh", "ecg.median", "--batch-size", "8") == 0
    expected = "regreveal train ecg.median --batch-size 8 --devices all --precision mixed_bfloat16"
    assert node.read_text().splitlines() == [expected]


@pytest.mark.parametrize("status", [0, 1])
def test_an_allocation_ends_with_its_run_and_has_its_status(node, monkeypatch, status):
    monkeypatch.setenv("STATUS", str(status))
    assert run("allocation.sh", "experiment.toml", "--out", "RUN") == status
    lines = node.read_text().splitlines()
    assert lines[0] == "dask scheduler --port 24567"
    assert "regreveal run experiment.toml --out RUN --dask tcp://localhost:24567" in lines


def test_an_allocation_takes_no_scheduler_of_another_job_for_its_own(node, monkeypatch):
    monkeypatch.setenv("TAKEN", "yes")
    with create_server(("localhost", 0)) as scheduler:  # who has the port answers
        port = str(scheduler.getsockname()[1])
        monkeypatch.setenv("DASK_PORT", port)
        assert run("allocation.sh", "experiment.toml", "--out", "RUN") == 1
    assert node.read_text().splitlines() == [f"dask scheduler --port {port}"]
