"""Ctrl-C and a scheduler's SIGTERM: one line, the status of the signal, nothing left running."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

SCRIPT = """
import signal, sys, time
from pathlib import Path
from regreveal.cli import main
from regreveal.cli.start import start
from regreveal.compute import parallel_map
from regreveal.store.atomic import atomic_path

def work(number):
    if number == 2:
        print("at work", flush=True)
        time.sleep(1000)

def slow(out: Path, workers: int):
    with atomic_path(out) as temporary:
        temporary.write_text("half")
        list(parallel_map(work, range(8), "Working", workers))

if __name__ == "__main__":
    main.app.command()(slow)
    start()
"""


@pytest.fixture
def start(tmp_path):
    started = []

    def start_script(workers: int) -> subprocess.Popen:
        script = tmp_path / "script.py"
        script.write_text(SCRIPT)
        process = subprocess.Popen(
            [sys.executable, script, "slow", tmp_path / "out.txt", str(workers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline() == "at work\n"
        return process

    yield start_script
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "by"),
    [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")],
)
def test_a_signal_ends_a_command_with_one_line_and_its_status(tmp_path, start, number, by):
    process = start(1)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert told.startswith(f"regreveal: stopped by {by}; nothing is left half-written")
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def test_ctrl_c_ends_the_processes_of_a_command_too_and_they_say_nothing(tmp_path, start):
    process = start(2)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    # A terminal sends it to all of them.
    for member in (*children, process):
        member.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.count("\n") == 1, told
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]
    end = time.monotonic() + 60
    while any(map(at_work, children)):
        assert time.monotonic() < end
        time.sleep(0.05)


def at_work(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # which it may become at any moment
        return False


def test_a_command_that_was_started_to_ignore_a_signal_ignores_it(tmp_path):
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from regreveal.cli.stopping import stop_on_signals; stop_on_signals()\n"
        "signal.raise_signal(signal.SIGHUP); print('still here')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "still here\n"


def test_a_signal_while_the_command_is_being_loaded_is_one_line_too():
    # Before a module that the command line needs, as if Ctrl-C came then.
    code = (
        "import signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from regreveal.cli.start import start; start()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 130
    assert result.stderr.startswith("regreveal: stopped by Ctrl-C; ")
    assert result.stderr.count("\n") == 1
