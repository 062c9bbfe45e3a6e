import os

import pytest

from regreveal import compute
from regreveal.compute import available_cores, parallel_map


def square(x: int) -> int:
    return x * x


def worker_of(_: int) -> int:
    return os.getpid()


def fail_at_three(x: int) -> int:
    if x == 3:
        raise KeyError("three")
    return x


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(parallel_map(square, range(20), "Squaring", workers)) == [x * x for x in range(20)]


def test_work_leaves_this_process_only_where_there_are_several_workers():
    assert set(parallel_map(worker_of, range(3), "Asking", 1)) == {os.getpid()}
    assert os.getpid() not in set(parallel_map(worker_of, range(3), "Asking", 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_function_reaches_the_caller(workers):
    with pytest.raises(KeyError, match="three"):
        list(parallel_map(fail_at_three, range(8), "Failing", workers))


def test_items_are_drawn_only_as_results_are_taken():
    drawn = []
    items = (drawn.append(i) or i for i in range(1000))
    results = parallel_map(square, items, "Squaring", 2)
    next(results)
    assert len(drawn) <= 5
    results.close()


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
