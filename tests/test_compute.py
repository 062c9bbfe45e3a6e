import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from regreveal import compute
from regreveal.compute import available_cores, parallel_map
from regreveal.errors import InputError


def square(x: int) -> int:
    return x * x


def worker_of(_: int) -> int:
    return os.getpid()


class Interrupted:
    """Work during whose coming, before anything else that a worker does, Ctrl-C is pressed."""

    def __getstate__(self):
        return {"state": None}

    def __setstate__(self, _):
        os.kill(os.getpid(), signal.SIGINT)

    def __call__(self, number: int) -> int:
        return number


def fail_at_three(x: int) -> int:
    if x == 3:
        raise KeyError("three")
    return x


class Heavy:
    """Work that holds data, and knows how often these came to the process that it is in."""

    arrived = 0

    def __setstate__(self, state):
        Heavy.arrived += 1

    def __getstate__(self):
        return {"data": "much"}

    def __call__(self, _: int) -> int:
        return Heavy.arrived


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(parallel_map(square, range(20), "Squaring", workers)) == [x * x for x in range(20)]


def test_work_leaves_this_process_only_where_there_are_several_workers():
    assert set(parallel_map(worker_of, range(3), "Asking", 1)) == {os.getpid()}
    assert os.getpid() not in set(parallel_map(worker_of, range(3), "Asking", 2))


def test_what_the_work_holds_goes_to_a_worker_once():
    assert set(parallel_map(Heavy(), range(12), "Working", 2)) == {1}


def test_ctrl_c_is_for_the_parent_to_answer_even_while_workers_start():
    assert list(parallel_map(Interrupted(), range(3), "Working", 2)) == [0, 1, 2]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_function_reaches_the_caller(workers):
    with pytest.raises(KeyError, match="three"):
        list(parallel_map(fail_at_three, range(8), "Failing", workers))


def die(_: int) -> None:
    os._exit(9)


def test_a_worker_that_is_killed_is_one_line():
    with pytest.raises(InputError, match="a process of this command was killed, most often"):
        list(parallel_map(die, range(4), "Dying", 2))


def test_items_are_drawn_only_as_results_are_taken():
    drawn = []
    items = (drawn.append(i) or i for i in range(1000))
    results = parallel_map(square, items, "Squaring", 2)
    next(results)
    assert len(drawn) <= 5
    results.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
def test_workers_of_a_killed_process_end(tmp_path):
    script = tmp_path / "work.py"
    script.write_text(
        "import os, time\n"
        "from regreveal.compute import parallel_map\n"
        "def tell(_):\n"
        "    os.write(1, b'%d\\n' % os.getpid())\n"  # whole, also beside another's
        "    time.sleep(0.5)\n"
        "if __name__ == '__main__':\n"
        "    list(parallel_map(tell, range(1000), 'Telling', 2))\n"
    )
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    workers = set()
    while len(workers) < 2:
        workers.add(int(process.stdout.readline()))
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(map(at_work, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def at_work(number: int) -> bool:
    """Say whether a process is there; some containers keep those that ended, as zombies."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_there_are_never_more_workers_than_items():
    assert list(parallel_map(worker_of, [1], "Asking", 8)) == [os.getpid()]
    assert list(parallel_map(worker_of, [], "Asking", 8)) == []


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "300000 100000\n"}, 3),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 5),
    ],
)
@pytest.mark.parametrize("has_affinity", [True, False])
def test_cores_are_those_the_container_may_use(tmp_path, monkeypatch, files, cores, has_affinity):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(compute, "CGROUP", tmp_path)
    if has_affinity:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 64)
    else:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert available_cores() == cores
