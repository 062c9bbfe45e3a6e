import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from regreveal import cluster as clusters
from regreveal.cli.main import app
from regreveal.cluster import Loaded, cluster_address, cluster_map, on_cluster
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.experiment.workers import Workers


@pytest.fixture(scope="module")
def processes():
    from distributed import LocalCluster

    # The address alone reaches the code under test, as in real use.
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as local:
        yield local


@pytest.fixture
def cluster(processes):
    from distributed import Client

    with Client(processes.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2)  # those that a test before killed may still be starting
    return processes


class Doubler:
    """Work that carries data of its own."""

    def __init__(self, by, marker=None):
        self.by, self.marker = by, marker

    def __call__(self, x):
        if x == 3 and self.marker is not None and not Path(self.marker).exists():
            Path(self.marker).touch()
            os._exit(1)
        if x == 3 and self.by is None:
            raise InputError("three is not allowed")
        return x * self.by if self.by else x, os.getpid()


def slow_in_one(marker: Path, x: int) -> int:
    """A fifth of a second each on the worker that took the first item, and nothing on others."""
    if x == 0:
        marker.write_text(str(os.getpid()))
    if marker.exists() and marker.read_text() == str(os.getpid()):
        time.sleep(0.2)
    return x, os.getpid()


def die(_: int) -> None:
    os._exit(1)


def text_of(path: Path) -> str:
    return path.read_text()


def test_a_cluster_gives_results_in_the_order_of_the_items(cluster):
    results = list(cluster_map(Doubler(2), range(30), cluster.scheduler_address))
    assert [value for value, _ in results] == [2 * x for x in range(30)]
    assert os.getpid() not in {process for _, process in results}


def test_what_stages_divide_goes_to_the_cluster_and_back_here_afterwards(cluster):
    with on_cluster(cluster.scheduler_address):
        assert cluster_address() == cluster.scheduler_address
        there = list(parallel_map(Doubler(2), range(4), "Doubling", workers=1))
    here = list(parallel_map(Doubler(2), range(4), "Doubling", workers=1))
    assert cluster_address() is None
    assert [value for value, _ in there] == [value for value, _ in here] == [0, 2, 4, 6]
    assert os.getpid() not in {process for _, process in there}
    assert {process for _, process in here} == {os.getpid()}


def test_paths_may_be_relative_to_where_the_command_runs(cluster, tmp_path, monkeypatch):
    (tmp_path / "there.txt").write_text("read")
    monkeypatch.chdir(tmp_path)  # the workers were started in another folder
    address = cluster.scheduler_address
    assert list(cluster_map(text_of, [Path("there.txt")], address)) == ["read"]
    read = partial(two_texts, Path("there.txt"))
    assert list(cluster_map(read, [Path("there.txt")], address)) == ["readread"]


def two_texts(one: Path, other: Path) -> str:
    return one.read_text() + other.read_text()


def loads(marker: Path) -> str:
    with marker.open("a") as log:
        log.write(f"{os.getpid()}\n")
    return "network"


def use(loaded: Loaded, x: int) -> tuple[str, int]:
    return loaded.value(), x


def test_what_is_loaded_is_loaded_once_by_each_process_and_does_not_travel(cluster, tmp_path):
    loaded = Loaded(partial(loads, tmp_path / "log"))
    assert loaded.value() == "network"
    results = list(cluster_map(partial(use, loaded), range(20), cluster.scheduler_address))
    assert results == [("network", x) for x in range(20)]
    loaders = (tmp_path / "log").read_text().split()
    assert str(os.getpid()) in loaders
    assert len(loaders) == len(set(loaders)) >= 2


def test_work_of_a_worker_that_dies_is_done_by_another(cluster, tmp_path):
    dies_once = Doubler(2, str(tmp_path / "died"))
    results = list(cluster_map(dies_once, range(30), cluster.scheduler_address))
    assert (tmp_path / "died").exists()
    assert [value for value, _ in results] == [2 * x for x in range(30)]


def test_workers_that_are_killed_all_at_once_are_waited_for(cluster, monkeypatch):
    from distributed import Client

    monkeypatch.setattr(clusters, "PATIENCE", 0.05)
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        processes = list(client.run(os.getpid).values())
    results = cluster_map(Doubler(2), range(30), cluster.scheduler_address)
    values = [next(results)[0]]
    for process in processes:
        os.kill(process, signal.SIGKILL)
    values += [value for value, _ in results]
    assert values == [2 * x for x in range(30)]


def test_a_lack_of_workers_is_said(capsys):
    class Nobody:
        def nthreads(self):
            return {}

    clusters._tell_if_nobody_works(Nobody(), "tcp://head:8786")
    assert "tcp://head:8786: no workers now; waiting" in capsys.readouterr().err


def test_a_slow_worker_changes_nothing_and_others_do_most_of_the_work(cluster, tmp_path):
    work = partial(slow_in_one, tmp_path / "slow")
    results = list(cluster_map(work, range(40), cluster.scheduler_address))
    assert [value for value, _ in results] == list(range(40))
    by_process = pd.Series([process for _, process in results]).value_counts()
    assert by_process[int((tmp_path / "slow").read_text())] < 20


def test_an_error_on_a_worker_reaches_the_caller(cluster):
    with pytest.raises(InputError, match="three is not allowed"):
        list(cluster_map(Doubler(None), range(8), cluster.scheduler_address))


def test_items_for_a_cluster_are_drawn_only_as_results_are_taken(cluster):
    drawn = []

    def items():
        for x in range(1000):
            drawn.append(x)
            yield x

    results = cluster_map(Doubler(2), items(), cluster.scheduler_address)
    next(results)
    assert len(drawn) <= 2 * 4
    results.close()


def test_a_piece_that_ends_worker_after_worker_is_one_clear_line(cluster):
    with pytest.raises(InputError, match="has ended 4 workers one after another") as error:
        list(cluster_map(die, range(1), cluster.scheduler_address))
    assert "\n" not in str(error.value)


def test_an_address_where_nobody_answers_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(clusters, "SCHEDULER_TIMEOUT", 0.5)
    with (
        pytest.raises(InputError, match="no Dask scheduler answers there") as error,
        on_cluster("tcp://127.0.0.1:9"),
    ):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "experiment.toml", "--out", "made"],
        ["ingest", "ecg", "raw", "--store", "made"],
        ["ingest", "brain", "raw", "--to", "brain.t1_mni", "--store", "made"],
    ],
)
def test_commands_say_so_before_they_do_anything(command, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "SCHEDULER_TIMEOUT", 0.2)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command, "--dask", "tcp://127.0.0.1:9"])
    assert isinstance(result.exception, InputError)
    assert "no Dask scheduler answers there" in str(result.exception)
    assert not list(tmp_path.iterdir())


def write_address(path: Path) -> None:
    path.write_text(str(cluster_address()))


def test_the_processes_of_a_run_use_its_cluster(cluster, tmp_path):
    with on_cluster(cluster.scheduler_address), Workers() as workers:
        workers.start("asking", partial(write_address, tmp_path / "address"))
        assert [name for name, *_ in workers.finished()] == ["asking"]
    assert (tmp_path / "address").read_text() == cluster.scheduler_address


SCHEDULER = """
import asyncio, sys
from distributed import Scheduler, Worker
async def run():
    port = int(sys.argv[1])
    async with Scheduler(host="127.0.0.1", port=port, dashboard_address=None) as scheduler:
        async with Worker(scheduler.address, nthreads=1):
            print(scheduler.address, flush=True)
            await scheduler.finished()
asyncio.run(run())
"""


def start_scheduler(port: int) -> tuple[subprocess.Popen, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCHEDULER, str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    return process, process.stdout.readline().strip()


def test_a_scheduler_that_is_started_anew_is_one_clear_line_and_the_next_run_works(monkeypatch):
    monkeypatch.setattr(clusters, "SCHEDULER_TIMEOUT", 3)
    first, address = start_scheduler(0)
    results = cluster_map(abs, range(100), address)
    assert next(results) == 0
    first.kill()
    first.wait()
    second, again = start_scheduler(int(address.rsplit(":", 1)[1]))
    try:
        with pytest.raises(InputError, match="scheduler was lost; run the same again") as error:
            list(results)
        assert "\n" not in str(error.value)
        assert again == address
        assert list(cluster_map(abs, range(5), address)) == list(range(5))
    finally:
        second.kill()
        second.wait()
