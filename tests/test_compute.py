import os

import pytest

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


def test_there_is_at_least_one_core():
    assert available_cores() >= 1
