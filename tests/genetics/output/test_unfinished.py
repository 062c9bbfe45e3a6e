import json
from collections import Counter

import pytest

from regreveal.genetics.output.unfinished import UnfinishedFiles

HEADERS = {"table.txt": b"header\n", "deeper/points.bin": b""}


def add(files, unit):
    part = f"unit {unit}\n".encode()
    files.add_unit({"table.txt": part, "deeper/points.bin": bytes([unit])}, Counter(read=10))


def finish(files):
    for unit in range(files.units_done, 5):
        add(files, unit)
    files.move(["table.txt", "deeper/points.bin"])


@pytest.mark.parametrize("killed_after", range(6))
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, killed_after):
    finish(UnfinishedFiles(tmp_path / "whole", "a", HEADERS))
    killed = UnfinishedFiles(tmp_path / "killed", "a", HEADERS)
    for unit in range(killed_after):
        add(killed, unit)
    with killed.path("table.txt").open("ab") as stream:
        stream.write(b"half of a un")  # and the process died
    resumed = UnfinishedFiles(tmp_path / "killed", "a", HEADERS)
    assert resumed.units_done == killed_after
    assert resumed.counts["read"] == 10 * killed_after
    finish(resumed)
    for name in HEADERS:
        whole, again = (tmp_path / run / name for run in ("whole", "killed"))
        assert again.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in (tmp_path / "killed").iterdir()) == ["deeper", "table.txt"]


def test_what_another_run_left_is_started_anew(tmp_path):
    other = UnfinishedFiles(tmp_path, "other", HEADERS)
    add(other, 0)
    with pytest.warns(UserWarning, match="started anew"):
        files = UnfinishedFiles(tmp_path, "this", HEADERS)
    assert files.units_done == 0
    assert files.path("table.txt").read_bytes() == b"header\n"
    assert not files.counts


@pytest.mark.parametrize("damage", ["no table", "short table", "no state", "cut state"])
def test_files_that_lost_something_are_started_anew(tmp_path, damage):
    files = UnfinishedFiles(tmp_path, "a", HEADERS)
    add(files, 0)
    if damage == "no table":
        files.path("table.txt").unlink()
    elif damage == "short table":
        files.path("table.txt").write_bytes(b"head")
    elif damage == "no state":
        files.path("state.json").unlink()
    else:
        state = files.path("state.json").read_text()
        files.path("state.json").write_text(state[: len(state) // 2])
    with pytest.warns(UserWarning, match="started anew"):
        assert UnfinishedFiles(tmp_path, "a", HEADERS).units_done == 0


def test_nothing_that_looks_whole_is_there_before_the_end(tmp_path):
    files = UnfinishedFiles(tmp_path, "a", HEADERS)
    add(files, 0)
    assert [path.name for path in tmp_path.iterdir()] == [".unfinished"]
    assert json.loads(files.path("state.json").read_text())["units_done"] == 1
