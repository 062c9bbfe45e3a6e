import collections

import numpy as np
import pytest

from regreveal.doctor import storage
from regreveal.doctor.check import Status
from regreveal.errors import InputError
from regreveal.store.tensors import TensorStore


def by_name(folder, quick=True):
    return {check.name: check for check in storage.check_storage(folder, quick)}


def test_a_usable_folder_is_told_and_left_as_it_was(tmp_path):
    checks = by_name(tmp_path)
    assert checks["store"].found == "written and read"
    assert "GiB free" in checks[f"room in {tmp_path}"].found
    assert list(tmp_path.iterdir()) == []


def test_speed_is_told_in_full(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "SIZE", 2**20)
    assert "MiB/s" in by_name(tmp_path, quick=False)["store"].found


def test_a_slow_disk_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "measure_store", lambda folder, size: (400.0, 3.0, True))
    check = by_name(tmp_path, quick=False)["store"]
    assert check.status == Status.warning
    assert "copy the store to a local disk" in check.advice


def test_a_folder_that_is_not_there_is_broken(tmp_path):
    checks = by_name(tmp_path / "nowhere")
    assert checks["store"].status == Status.broken
    assert "No such file" in checks["store"].found


def test_a_file_system_without_locks_is_broken(tmp_path, monkeypatch):
    def without_locks(*_, **__):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(TensorStore, "write", without_locks)
    check = by_name(tmp_path)["store"]
    assert check.status == Status.broken
    assert "No locks available" in check.found
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_broken_and_room_is_asked_for(tmp_path, monkeypatch):
    def full(*_, **__):
        raise InputError(
            "x/store: cannot be written (No space left on device, 0 kB free); make room"
        )

    monkeypatch.setattr(TensorStore, "write", full)
    check = by_name(tmp_path)["store"]
    assert check.status == Status.broken
    assert check.found == "cannot be written (No space left on device, 0 kB free)"
    assert check.advice.startswith(f"make room in {tmp_path}")


def test_no_folder_for_temporary_files_is_broken(monkeypatch):
    def none():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(storage.tempfile, "gettempdir", none)
    check = storage._temporary()
    assert check.status == Status.broken
    assert "TMPDIR" in check.advice


def test_a_disk_that_gives_back_something_else_is_broken(tmp_path, monkeypatch):
    read = TensorStore.read
    monkeypatch.setattr(TensorStore, "read", lambda *given: np.negative(read(*given)))
    assert by_name(tmp_path)["store"].status == Status.broken


def test_little_room_is_a_warning(tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: usage(2**29))
    check = by_name(tmp_path)[f"room in {tmp_path}"]
    assert check.status == Status.warning
    assert check.found == "0.5 GiB free; expected 20 or more"


@pytest.mark.parametrize("size", [2**16, 2**22])
def test_a_store_is_measured(tmp_path, size):
    written, read, same = storage.measure_store(tmp_path, size)
    assert written > 0
    assert read > 0
    assert same
