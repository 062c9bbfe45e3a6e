import errno
import fcntl
import os
import subprocess
import sys

import pytest

from regreveal.errors import InputError
from regreveal.store.atomic import (
    atomic_path,
    locked,
    new_folder,
    remove_unfinished,
    take_lock,
)


def test_a_new_folder_is_there_whole_or_not_at_all(tmp_path):
    target = tmp_path / "below" / "results"
    with new_folder(target) as folder:
        (folder / "one.tsv").write_text("1")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["results"]
    assert (target / "one.tsv").read_text() == "1"


def test_what_ends_early_leaves_nothing(tmp_path):
    folder = new_folder(tmp_path / "results")
    (folder.__enter__() / "one.tsv").write_text("1")
    interrupted = KeyboardInterrupt()
    assert not folder.__exit__(KeyboardInterrupt, interrupted, None)
    assert not list(tmp_path.iterdir())


def test_results_are_not_put_beside_those_of_an_earlier_call(tmp_path):
    (tmp_path / "results").mkdir()
    with new_folder(tmp_path / "results") as folder:
        (folder / "one.tsv").write_text("1")
    with pytest.raises(InputError, match="holds files already"), new_folder(tmp_path / "results"):
        pass
    assert (tmp_path / "results" / "one.tsv").read_text() == "1"


def test_a_folder_that_another_process_makes_is_refused_and_left_to_it(tmp_path):
    with new_folder(tmp_path / "results") as folder:
        (folder / "one.tsv").write_text("1")
        with (
            pytest.raises(InputError, match=r"results: another process is writing there"),
            new_folder(tmp_path / "results"),
        ):
            pass
        (folder / "two.tsv").write_text("2")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert len(list((tmp_path / "results").iterdir())) == 2


@pytest.mark.parametrize("there", [True, False])
def test_results_go_where_a_link_leads(tmp_path, there):
    if there:
        (tmp_path / "scratch").mkdir()
    (tmp_path / "results").symlink_to("scratch")
    with new_folder(tmp_path / "results") as folder:
        (folder / "one.tsv").write_text("1")
    assert (tmp_path / "results").is_symlink()
    assert (tmp_path / "scratch" / "one.tsv").read_text() == "1"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("place", [".", "volume", "link"])
def test_a_folder_that_cannot_be_replaced_is_refused_before_the_work(tmp_path, monkeypatch, place):
    (tmp_path / "volume").mkdir()
    (tmp_path / "link").symlink_to("volume")
    monkeypatch.chdir(tmp_path / "volume" if place == "." else tmp_path)
    monkeypatch.setattr(os.path, "ismount", lambda path: path.name == "volume")
    with pytest.raises(InputError, match="name a folder in it"), new_folder(place):
        pytest.fail("the work was begun")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_the_way_is_named(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file"), new_folder(tmp_path / place):
        pass
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("place", "told"), [("file/below", "file: is a file"), (".", "a folder")])
def test_where_no_file_can_be_is_told_in_one_line(tmp_path, place, told):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=told), atomic_path(tmp_path / place):
        pass


HOLD = (
    "import sys, time\n"
    "from regreveal.store.atomic import take_lock\n"
    "lock = take_lock(sys.argv[1], wait=False)\n"
    "print('held', flush=True)\n"
    "time.sleep(1000)\n"
)


def test_a_lock_names_its_holder_and_is_free_once_that_is_killed(tmp_path):
    lock = tmp_path / "run" / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(
            InputError, match=rf"run: another .* \(process {holder.pid} on .*\); wa"
        ):
            take_lock(lock, wait=False)
        holder.kill()
    assert str(holder.pid) in lock.read_text()  # the file stays, and says nothing of today
    with locked(lock, wait=False):
        assert f"process {os.getpid()} on" in lock.read_text()
    take_lock(lock, wait=False).close()


def test_a_lock_whose_file_was_removed_while_it_was_waited_for_is_taken_anew(tmp_path, monkeypatch):
    """As by who made a folder, and ended between another's opening and locking it."""
    path, flock = tmp_path / ".lock", fcntl.flock

    def removed(file, how):
        monkeypatch.undo()
        path.unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", removed)
    with locked(path), pytest.raises(InputError, match="another process is writing there"):
        take_lock(path, wait=False)


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("regreveal.store.atomic.fcntl.flock", refuse)
    with pytest.raises(InputError, match=r"no locks \(Function not implemented\); .*-o flock"):
        take_lock(tmp_path / ".lock")


def test_only_what_a_killed_writer_left_is_taken_away(tmp_path):
    goes_on = ("deep/.unfinished/a.tsv", "arm/.registered.resumable/whole/a.h5")
    kept = [tmp_path / name for name in (".lock", "a.tsv", ".notes.txt", *goes_on)]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("kept")
    with atomic_path(tmp_path / "deep" / "table.tsv.gz") as temporary:
        temporary.write_text("half")
        copied = temporary.with_name(temporary.name.replace(".table", ".other"))
        copied.write_text("half")
    shard = tmp_path / "deep" / f".{'0a' * 6}.h5"
    shard.write_text("half")
    folders = [
        tmp_path / name
        for name in (f".data.{'0a' * 6}", ".figures-ab_12cd3", "arm/.registered.unfinished")
    ]
    for folder in folders:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / shard.name).write_text("half")
    remove_unfinished(tmp_path)
    assert not any(folder.exists() for folder in folders)
    assert not copied.exists()
    assert not shard.exists()
    assert all(path.exists() for path in kept)
