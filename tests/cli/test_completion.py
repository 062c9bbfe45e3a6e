import os
import shutil
import subprocess
import sys

import pytest

SHELLS = ("bash", "zsh", "fish")


def regreveal(**environment):
    """What the installed command prints to a shell that asks it by the environment."""
    code = "import sys; sys.argv[0] = 'regreveal'\nfrom regreveal.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_for_each_shell(shell):
    result = regreveal(_REGREVEAL_COMPLETE=f"source_{shell}")
    assert result.returncode == 0, result.stderr
    assert "regreveal" in result.stdout
    assert f"_REGREVEAL_COMPLETE=complete_{shell}" in result.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_can_read_its_script(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = regreveal(_REGREVEAL_COMPLETE=f"source_{shell}").stdout
    read = subprocess.run([shell, "-n"], input=script, text=True, capture_output=True)
    assert read.returncode == 0, read.stderr


def test_commands_are_completed_for_bash():
    result = regreveal(
        _REGREVEAL_COMPLETE="complete_bash", COMP_WORDS="regreveal ph", COMP_CWORD="1"
    )
    assert result.stdout.split() == ["phecodes", "phewas"]


def test_options_are_completed_for_fish():
    result = regreveal(
        _REGREVEAL_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS="regreveal doctor --qu",
    )
    assert result.stdout.startswith("--quick")
