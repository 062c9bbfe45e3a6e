"""The command line in the process of the tests, so that what commands import is loaded once."""

import subprocess
import sys

import pytest

from regreveal.cli.main import main


@pytest.fixture
def regreveal(monkeypatch, tmp_path, capsys):
    """Call the command in the test's folder; give its status and what it printed."""

    def call(*arguments: str) -> subprocess.CompletedProcess:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["regreveal", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return subprocess.CompletedProcess(arguments, end.value.code, *capsys.readouterr())

    return call
