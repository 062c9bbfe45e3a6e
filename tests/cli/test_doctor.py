import json
import subprocess
import sys

from regreveal.cli import doctor as command
from regreveal.doctor import examination
from regreveal.doctor.check import Check, Status


def test_quick_json_is_well(regreveal):
    result = regreveal("doctor", "--quick", "--json")
    assert result.returncode == 0, result.stdout
    told = json.loads(result.stdout)
    assert told["status"] in ("ok", "warning")
    names = {check["name"] for check in told["checks"]}
    assert {"RegReveal", "tensorflow", "processors", "memory", "store", "BGEN (.bgen)"} <= names


def test_quick_loads_no_network_library(tmp_path):
    """Which is what makes it quick enough for a container's health check."""
    code = (
        "import sys; from pathlib import Path\n"
        "from regreveal.doctor.examination import examine\n"
        "list(examine(Path('.'), quick=True))\n"
        "print(sorted({'tensorflow', 'keras', 'jax', 'numba', 'statsmodels'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert result.stdout.strip() == b"[]", result.stderr


def test_a_folder_that_cannot_be_used_is_told_and_the_status_is_1(regreveal):
    result = regreveal("doctor", "--quick", "--folder", "nowhere")
    assert result.returncode == 1
    assert "broken" in result.stdout
    assert "choose a folder that you may write to" in result.stdout
    assert result.stderr == ""


def test_warnings_do_not_fail(monkeypatch, capsys, tmp_path):
    warning = Check("machine", "memory", "1 GiB", Status.warning, "allow it more")
    monkeypatch.setattr(examination, "examine", lambda *_: [warning])
    command.doctor(folder=tmp_path)
    assert "allow it more" in capsys.readouterr().out


def test_a_dask_scheduler_that_does_not_answer_is_broken(monkeypatch):
    from regreveal import cluster as clusters
    from regreveal.doctor import cluster

    monkeypatch.setattr(clusters, "SCHEDULER_TIMEOUT", 0.5)
    (check,) = cluster.check_cluster("tcp://127.0.0.1:9")
    assert check.status == Status.broken
    assert "no Dask scheduler answers" in check.found


def test_a_dask_cluster_is_told_with_its_workers():
    from distributed import LocalCluster

    from regreveal.doctor import cluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as there:
        (check,) = cluster.check_cluster(there.scheduler_address)
    assert check.status == Status.ok
    assert check.found == "1 workers with 2 threads"
