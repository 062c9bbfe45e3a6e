"""Names in tables and beside bars are shown as they are, and command nothing."""

import sys

import pytest

from regreveal.cli.tables import print_table
from regreveal.progress import track

HOSTILE = "[red]a[/red] [link=http://x]b[/link] [/nothing] :smile:"
ESCAPES = "\x1b[2J\x1b]0;owned\x07"


def test_names_in_a_table_are_no_markup(capsys):
    print_table(("name", "takes"), [(HOSTILE, ESCAPES)], ("latents",), width=160)
    told = capsys.readouterr().out
    assert HOSTILE in told
    assert "?[2J?]0;owned?" in told
    assert "\x1b" not in told


@pytest.mark.parametrize("terminal", [True, False])
def test_names_beside_a_bar_are_no_markup(capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr("regreveal.progress.LOG_EVERY_SECONDS", 0)
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "0")
    monkeypatch.setenv("COLUMNS", "160")
    assert list(track([1, 2], f"{HOSTILE}{ESCAPES}")) == [1, 2]
    told = capsys.readouterr().err
    assert "\x1b[2J" not in told
    assert "\x07" not in told
    assert "[red]a[/red]" in told
