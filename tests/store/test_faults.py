import errno
import os
import resource
import tempfile
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from regreveal.errors import InputError
from regreveal.genetics.genotypes.lines import LineTable
from regreveal.genetics.output.unfinished import UnfinishedFiles
from regreveal.store.atomic import atomic_folder, atomic_path, write_json
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding
from regreveal.store.faults import explained
from regreveal.store.tensors import TensorStore

ROOM = 20_000
NUMBERS = np.random.default_rng(1).normal(size=(50, 200)).astype(np.float32)
IDS = [f"p{number}" for number in range(len(NUMBERS))]


@contextmanager
def little_room():
    """Let the system refuse to write more than ROOM bytes into a file, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def table() -> pd.DataFrame:
    frame = pd.DataFrame(NUMBERS).add_prefix("column_")
    return frame.set_index(pd.Index(IDS, name="sample_id"))


def write_arrays(path):
    with atomic_path(path) as temporary:
        np.savez(temporary, numbers=NUMBERS)


def write_folder(path):
    with atomic_folder(path) as folder:
        folder.mkdir()
        (folder / "numbers").write_bytes(NUMBERS.tobytes())


WRITERS = {
    "table.tsv": lambda path: write_table(table(), path),
    "table.tsv.gz": lambda path: write_table(table(), path),
    "table.parquet": lambda path: write_table(table(), path),
    "e.parquet": lambda path: Embedding(IDS, NUMBERS).write(path),
    "content.json": lambda path: write_json(NUMBERS.tolist(), path),
    "state.npz": write_arrays,
    "results": write_folder,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path, name):
    path = tmp_path / name
    if name != "results":
        path.write_text("of an earlier run")
    before = sorted(tmp_path.iterdir())
    with little_room(), pytest.raises(InputError) as error:
        WRITERS[name](path)
    message = str(error.value)
    assert message.startswith(f"{path}: cannot be written (File too large, ")
    assert " free); make room and run the same again" in message
    assert "\n" not in message
    assert sorted(tmp_path.iterdir()) == before
    if name != "results":
        assert path.read_text() == "of an earlier run"
        path.unlink()
    WRITERS[name](path)
    assert path.exists()


def test_a_shard_that_does_not_fit_leaves_the_store_as_it_was(tmp_path):
    store = TensorStore(tmp_path / "store")
    store.write("ecg/rest", NUMBERS[:2], IDS[:2], units="mV")
    with little_room(), pytest.raises(InputError, match=r"ecg/rest: cannot be written \(File too"):
        store.write("ecg/rest", NUMBERS[2:], IDS[2:], units="mV")
    assert [path.name for path in tmp_path.rglob("*.h5")] == ["part-00000.h5"]
    store.write("ecg/rest", NUMBERS[2:], IDS[2:], units="mV")
    np.testing.assert_array_equal(store.read("ecg/rest", IDS), NUMBERS)


def test_a_scan_that_filled_the_disk_goes_on_where_it_was(tmp_path):
    units = [bytes([number]) * 9000 for number in range(4)]

    def write_all():
        files = UnfinishedFiles(tmp_path, "same", {"table": b"header"})
        for unit in units[files.units_done :]:
            files.add_unit({"table": unit}, Counter(variants=1))
        return files

    with little_room(), pytest.raises(InputError, match=r"table: cannot be written \(File too"):
        write_all()
    files = write_all()
    assert files.path("table").read_bytes() == b"header" + b"".join(units)
    assert files.counts == {"variants": 4}


def test_a_full_folder_of_temporary_files_is_named_and_not_taken_for_a_damaged_input(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    packed = tmp_path / "genome.pvar.zst"
    with pa.output_stream(str(packed), compression="zstd") as stream:
        stream.write(b"1\t1\trs1\tA\tC\n" * 10_000)
    with little_room(), pytest.raises(InputError) as error:
        LineTable(packed)
    assert str(error.value).startswith(f"{tmp_path}: cannot be written (File too large, ")
    assert LineTable(packed).count == 10_000


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_free_space_is_told(tmp_path, number):
    told = str(explained(OSError(number, os.strerror(number)), tmp_path / "not" / "there"))
    assert os.strerror(number) in told
    assert "B free)" in told


def test_a_full_disk_is_told_where_the_system_does_not_say_of_which_file():
    told = str(explained(OSError(errno.ENOSPC, "full")))
    assert told.startswith("a file cannot be written (No space left on device); make room where")
    assert explained(OSError(errno.EACCES, "denied")) is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_what_may_not_be_used_is_named(number):
    error = explained(OSError(number, os.strerror(number), "secret.tsv"))
    assert str(error).startswith(f"secret.tsv: {os.strerror(number)}; ")


def test_other_errors_of_the_system_are_not_explained_away(tmp_path):
    assert explained(OSError(errno.EIO, "of the disk itself", "file")) is None
    with pytest.raises(IsADirectoryError), atomic_path(tmp_path / "file"):
        tmp_path.read_bytes()
