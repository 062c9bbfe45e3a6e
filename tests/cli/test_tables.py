"""Names in tables and beside bars are shown as they are, and command nothing."""

import sys

import pytest

from regreveal.cli.defects import describe
from regreveal.cli.participants import echo_left_out
from regreveal.cli.tables import print_table
from regreveal.cli.zoo import show
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


def test_a_card_commands_no_terminal(capsys, monkeypatch, tmp_path):
    (tmp_path / "README.md").write_text(f"# A card\n\n{ESCAPES} and a [link](http://x)\n")
    monkeypatch.setattr("regreveal.cli.zoo._folder", lambda name: tmp_path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show("any")
    told = capsys.readouterr().out
    assert "A card" in told
    assert "\x1b[2J" not in told
    assert "\x07" not in told


def test_reasons_out_of_files_and_defects_command_no_terminal(capsys):
    echo_left_out({f"no {ESCAPES}": 3})
    assert capsys.readouterr().out == "left out       3  no ?[2J?]0;owned?\n"
    with pytest.raises(ValueError, match="owned") as caught:
        list(track(_failing(), "x"))
    assert describe(caught.value).isprintable()


def _failing():
    yield 1
    raise ValueError(ESCAPES)
