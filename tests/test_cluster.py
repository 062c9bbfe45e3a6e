import os
import signal
from functools import partial
from pathlib import Path

import cluster_work as work
import numpy as np
import pytest
from typer.testing import CliRunner

from regreveal import cluster as clusters
from regreveal.cli.main import app
from regreveal.cluster import Loaded, cluster_address, cluster_map, on_cluster
from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.experiment.workers import Workers

DOUBLES = [2 * x for x in range(30)]


@pytest.fixture(scope="module")
def processes():
    import dask
    from distributed import LocalCluster

    # The address alone reaches the code under test, as in real use. A LocalCluster would give a
    # worker up that it finds dead twice, 15 s apart.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as local,
    ):
        yield local


@pytest.fixture
def cluster(processes):
    from distributed import Client

    with Client(processes.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2)  # those that a test before killed may still be starting
    return processes


@pytest.fixture
def address(cluster):
    return cluster.scheduler_address


def test_what_stages_divide_goes_to_the_cluster_and_back_here_afterwards(address):
    with on_cluster(address):
        assert cluster_address() == address
        there = list(parallel_map(work.Doubler(), range(30), "Doubling", workers=1))
    here = list(parallel_map(work.Doubler(), range(30), "Doubling", workers=1))
    assert cluster_address() is None
    assert [value for value, _ in there] == [value for value, _ in here] == DOUBLES
    assert os.getpid() not in {process for _, process in there}
    assert {process for _, process in here} == {os.getpid()}


def test_a_piece_has_one_core(address):
    assert list(cluster_map(work.cores, range(2), address)) == [(1, 1), (1, 1)]


def test_paths_may_be_relative_to_where_the_command_runs(address, tmp_path, monkeypatch):
    (tmp_path / "there.txt").write_text("read")
    monkeypatch.chdir(tmp_path)  # the workers were started in another folder
    read = partial(work.two_texts, Path("there.txt"))
    assert list(cluster_map(read, [Path("there.txt")], address)) == ["readread"]


def test_what_is_loaded_is_loaded_once_by_each_process_and_does_not_travel(address, tmp_path):
    loaded = Loaded(partial(work.loads, tmp_path / "log"))
    assert loaded.value() == "network"
    results = list(cluster_map(partial(work.use, loaded), range(20), address))
    assert results == [("network", x) for x in range(20)]
    loaders = (tmp_path / "log").read_text().split()
    assert str(os.getpid()) in loaders
    assert len(loaders) == len(set(loaders)) >= 2


def test_arrays_are_in_line_also_with_a_worker_that_has_them_from_another():
    """Numpy rounds otherwise with those that are not, and is slow."""
    from distributed.protocol import deserialize, serialize

    matrix = np.random.default_rng(1).normal(size=(300, 40))
    shared = clusters._Shared(clusters._packed(partial(np.matmul, matrix)))
    header, frames = serialize(shared)
    for shift in range(8):  # wherever in a message they come to lie
        moved = [memoryview(bytearray(shift) + frame)[shift:] for frame in frames]
        there = deserialize(header, moved).function.args[0]
        assert there.flags.aligned
        np.testing.assert_array_equal(there, matrix)


def test_workers_keep_what_they_were_given_while_they_have_nothing_to_do(cluster):
    results = cluster_map(work.Doubler(), range(3), cluster.scheduler_address)
    assert next(results)[0] == 0
    assert not cluster.scheduler.extensions["amm"].running
    results.close()


def test_a_slow_worker_holds_nobody_up_and_results_stay_in_order(address, tmp_path):
    results = list(cluster_map(partial(work.wait_for_another, tmp_path), range(40), address))
    assert [x for x, _ in results] == list(range(40))
    assert results[0][1]


@pytest.mark.parametrize(
    ("trouble", "error"), [(work.refuse, InputError), (work.out_of_time, TimeoutError)]
)
def test_an_error_on_a_worker_reaches_the_caller(address, trouble, error):
    with pytest.raises(error, match="three is not allowed|the work's own"):
        list(cluster_map(work.Doubler(trouble), range(8), address))


def test_items_for_a_cluster_are_drawn_only_as_results_are_taken(address):
    drawn = []

    def items():
        for x in range(1000):
            drawn.append(x)
            yield x

    results = cluster_map(work.Doubler(), items(), address)
    next(results)
    assert len(drawn) <= 2 * clusters.AHEAD
    results.close()


class Waiting:
    """A piece whose result is there, or is not there any more, and comes in the end."""

    status = "finished"

    def __init__(self):
        self.asked = 0

    def result(self, timeout):
        self.asked += 1
        if self.asked < 4:
            raise TimeoutError
        return "done again"


class Scheduler:
    """One whose workers are away at first."""

    status = "running"

    def __init__(self):
        self.seen = [{}, {}, {"worker": 1}]

    def nthreads(self, callback_timeout):
        return self.seen.pop(0)


def test_a_lack_of_workers_is_said_while_a_piece_is_waited_for(capsys):
    result = clusters._result(Scheduler(), Waiting(), "tcp://head:8786")
    assert result == "done again"
    line = "tcp://head:8786: no workers now; waiting for some\n"
    assert capsys.readouterr().err == 2 * line


@pytest.mark.parametrize(
    "command",
    [
        ["ingest", "brain", "raw", "--to", "brain.t1_mni", "--store", "made"],
        ["register-ready", "volumes", "transforms", "--out", "made"],
        ["simulate", "made"],
    ],
)
def test_commands_say_so_before_they_do_anything(command, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "SCHEDULER_TIMEOUT", 0.2)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command, "--dask", "tcp://127.0.0.1:9"])
    assert isinstance(result.exception, InputError)
    assert "no Dask scheduler answers there" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_the_processes_of_a_run_use_its_cluster(address, tmp_path):
    with on_cluster(address), Workers() as workers:
        workers.start("asking", partial(work.write_address, tmp_path / "address"))
        assert [name for name, *_ in workers.finished()] == ["asking"]
    assert (tmp_path / "address").read_text() == address


def test_work_of_a_worker_that_dies_is_done_by_another(address, tmp_path):
    dies_once = work.Doubler(work.DieOnce(tmp_path / "died"))
    results = list(cluster_map(dies_once, range(30), address))
    assert (tmp_path / "died").exists()
    assert [value for value, _ in results] == DOUBLES


def test_a_piece_that_ends_worker_after_worker_is_one_clear_line(cluster, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 1)  # of three: it takes less long
    with pytest.raises(InputError, match="has ended 2 workers one after another") as error:
        list(cluster_map(work.die, range(1), cluster.scheduler_address))
    assert "\n" not in str(error.value)


def test_workers_that_are_killed_all_at_once_are_waited_for(address, monkeypatch):
    from distributed import Client

    monkeypatch.setattr(clusters, "PATIENCE", 0.1)
    with Client(address, set_as_default=False) as client:
        processes = list(client.run(os.getpid).values())
    results = cluster_map(work.Doubler(), range(30), address)
    values = [next(results)[0]]
    for process in processes:
        os.kill(process, signal.SIGKILL)
    values += [value for value, _ in results]
    assert values == DOUBLES
