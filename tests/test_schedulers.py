"""The scheduler of a cluster: none is there, or it is lost, held, or started anew."""

import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from regreveal import cluster as clusters
from regreveal.cluster import cluster_map, on_cluster
from regreveal.errors import InputError


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:9", "head", "tcp://127.0.0.1:port", "tls://127.0.0.1:9"]
)
def test_an_address_where_nobody_answers_is_one_clear_line(monkeypatch, address):
    monkeypatch.setattr(clusters, "SCHEDULER_TIMEOUT", 0.2)
    # One that cannot make sense of an address is closed by a traceback, 20 s later.
    monkeypatch.setattr("distributed.Client", None)
    with (
        pytest.raises(InputError, match=f"{address}: no Dask scheduler answers there") as error,
        on_cluster(address),
    ):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.2p1\r\n"])
def test_who_takes_a_connection_and_is_no_scheduler_or_held_is_one_clear_line(
    monkeypatch, greeting
):
    monkeypatch.setattr(clusters, "SCHEDULER_TIMEOUT", 0.5)
    connections = []

    def take():
        while True:
            connections.append(server.accept()[0])
            connections[-1].sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=take, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match="no Dask scheduler answers"), on_cluster(address):
            pass


SCHEDULER = """
import asyncio, sys
from distributed import Scheduler, Worker
async def run():
    port = int(sys.stdin.readline())
    async with Scheduler(host="127.0.0.1", port=port, dashboard_address=None) as scheduler:
        async with Worker(scheduler.address, nthreads=1):
            print(scheduler.address, flush=True)
            await scheduler.finished()
asyncio.run(run())
"""


@pytest.fixture
def schedulers():
    """Two processes that are a scheduler with a worker once they are told the port."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCHEDULER], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]  # fmt: skip
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(process: subprocess.Popen, port: int) -> str:
    process.stdin.write(f"{port}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_a_scheduler_that_is_started_anew_is_one_clear_line_and_the_next_run_works(
    schedulers, caplog
):
    first, second = schedulers
    address = start(first, 0)
    results = cluster_map(abs, range(100), address)
    assert next(results) == 0
    first.kill()
    first.wait()
    assert start(second, int(address.rsplit(":", 1)[1])) == address
    with pytest.raises(InputError, match="scheduler was lost; run the same again") as error:
        list(results)
    assert "\n" not in str(error.value)
    assert not [record for record in caplog.records if record.exc_info]
    assert list(cluster_map(abs, range(5), address)) == list(range(5))


def test_a_scheduler_that_is_lost_and_does_not_come_back_is_one_clear_line(
    schedulers, caplog, monkeypatch
):
    monkeypatch.setattr(clusters, "PATIENCE", 1)
    first, _ = schedulers
    address = start(first, 0)
    results = cluster_map(abs, range(100), address)
    assert next(results) == 0
    with socket.socket() as silent:  # takes its place, so that the client waits for an answer
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.kill()
        first.wait()
        silent.bind(("127.0.0.1", int(address.rsplit(":", 1)[1])))
        silent.listen()
        with pytest.raises(InputError, match="scheduler was lost; run the same again"):
            list(results)
    assert not [record for record in caplog.records if record.exc_info]


def test_a_scheduler_that_is_lost_while_an_item_is_made_is_one_clear_line(
    schedulers, monkeypatch, caplog
):
    monkeypatch.setattr(clusters, "SCHEDULER_TIMEOUT", 0.5)
    first, _ = schedulers
    clients, threads = [], clusters._threads

    def asked(client, address):
        clients.append(client)
        return threads(client, address)

    def items():
        yield from range(6)
        first.kill()
        end = time.monotonic() + 60
        while clients[-1].status != "closed" and time.monotonic() < end:
            time.sleep(0.02)
        yield 6

    monkeypatch.setattr(clusters, "_threads", asked)
    with pytest.raises(InputError, match="scheduler was lost; run the same again"):
        list(cluster_map(abs, items(), start(first, 0)))
    assert not [record for record in caplog.records if record.name == "distributed.client"]


def test_a_scheduler_that_is_held_is_waited_for(schedulers, monkeypatch):
    monkeypatch.setattr(clusters, "PATIENCE", 0.2)
    first, _ = schedulers
    told = []

    def go_on(line="", **_):
        told.append(line)
        first.send_signal(signal.SIGCONT)

    monkeypatch.setattr(clusters, "print", go_on, raising=False)
    results = cluster_map(abs, range(100), start(first, 0))
    assert next(results) == 0
    first.send_signal(signal.SIGSTOP)
    at_last = threading.Timer(60, go_on)  # nothing is told only if the code is broken
    at_last.start()
    assert list(results) == list(range(1, 100))
    at_last.cancel()
    assert told[0].endswith("the Dask scheduler does not answer; waiting")
