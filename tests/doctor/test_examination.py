import os
import time
from functools import partial

import pytest

from regreveal.doctor import examination
from regreveal.doctor.check import Check, Status, WrongResultError


def test_what_a_function_returns_comes_back():
    assert examination.apart(partial(int, "7")) == (7, None)


def fails():
    raise WrongResultError("3 pixels off")


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (fails, "3 pixels off"),
        (partial(int, "x"), "ValueError: invalid literal"),
        (partial(os._exit, 3), "its process died"),
        (partial(time.sleep, 60), "not done within 1 s"),
    ],
)
def test_a_function_that_raises_crashes_or_hangs_is_told_in_a_line(function, problem):
    result, told = examination.apart(function, seconds=1 if "not done" in problem else 60)
    assert result is None
    assert told.startswith(problem)
    assert "\n" not in told


def test_a_self_test_that_fails_is_broken_and_the_others_go_on(monkeypatch):
    outcomes = iter([("fine", None), (None, "3 pixels off"), ("fine", None), ("fine", None)])
    monkeypatch.setattr(examination, "apart", lambda _: next(outcomes))
    checks = list(examination.run_self_tests())
    assert [check.status for check in checks] == ["ok", "broken", "ok", "ok"]
    assert checks[1].name == "planar registration"
    assert checks[1].found == "3 pixels off"
    assert "opencv" in checks[1].advice


def test_every_self_test_has_advice():
    from regreveal.doctor.self_tests import SELF_TESTS

    assert SELF_TESTS.keys() == examination.ADVICE.keys()


def test_quick_means_without_self_tests(monkeypatch, tmp_path):
    monkeypatch.setattr(
        examination, "run_self_tests", lambda: [Check("self-tests", "x", "", Status.broken)]
    )
    groups = {check.group for check in examination.examine(tmp_path, quick=True)}
    assert groups == {"software", "machine", "storage", "genotypes"}
