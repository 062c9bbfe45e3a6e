import contextlib
import os
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest

from regreveal.doctor import examination, self_tests
from regreveal.doctor.check import Check, Status, WrongResultError


@pytest.fixture(scope="module")
def apart():
    with examination.Apart() as process:
        yield process


def test_functions_are_called_in_one_process_beside_this_one(apart):
    (first, problem), (second, _) = apart.call(os.getpid), apart.call(os.getpid)
    assert problem is None
    assert first == second != os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
def test_the_process_ends_with_a_doctor_that_is_killed(tmp_path):
    """As by a health check that took too long: it would hold its memory for ever."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from regreveal.doctor.examination import Apart\n"
        "if __name__ == '__main__':\n"
        "    with Apart() as apart:\n"
        "        print(apart.call(os.getpid)[0], flush=True)\n"
        "        time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as doctor:
        process = psutil.Process(int(doctor.stdout.readline()))
        doctor.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        end = time.monotonic() + 60
        while process.status() != psutil.STATUS_ZOMBIE:  # as which some containers keep it
            assert time.monotonic() < end
            time.sleep(0.05)


def fails():
    raise WrongResultError("3 pixels off")


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (fails, "3 pixels off"),
        (partial(int, "x"), "ValueError: invalid literal"),
        (partial(os._exit, 3), "its process died"),
        (partial(time.sleep, 60), "not done within 0.5 s"),
    ],
)
def test_a_function_that_fails_crashes_or_hangs_is_told_in_a_line_and_the_next_is_called(
    apart, function, problem
):
    result, told = apart.call(function, seconds=0.5 if "not done" in problem else 60)
    assert result is None
    assert told.startswith(problem)
    assert "\n" not in told
    assert apart.call(partial(int, "7")) == (7, None)


def test_a_self_test_that_fails_is_broken_and_the_others_go_on():
    class Planned:
        def call(self, function):
            failed = function is self_tests.planar_registration
            return (None, "3 pixels off") if failed else ("fine", None)

    checks = list(examination.run_self_tests(Planned()))
    assert len(checks) == len(self_tests.SELF_TESTS)
    (check,) = [check for check in checks if check.status != "ok"]
    assert check.status == "broken"
    assert (check.name, check.found) == ("planar registration", "3 pixels off")
    assert "opencv" in check.advice


def test_self_tests_that_cannot_be_loaded_are_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "regreveal.doctor.self_tests", None)  # importing it fails
    (check,) = examination.run_self_tests(None)
    assert check.status == Status.broken
    assert check.found.startswith("cannot be done (")


def test_every_self_test_has_advice():
    assert self_tests.SELF_TESTS.keys() == examination.ADVICE.keys()


def test_quick_means_without_self_tests(monkeypatch, tmp_path):
    monkeypatch.setattr(
        examination, "run_self_tests", lambda _: [Check("self-tests", "x", "", Status.broken)]
    )
    groups = {check.group for check in examination.examine(tmp_path, quick=True)}
    assert groups == {"software", "machine", "storage", "genotypes"}
