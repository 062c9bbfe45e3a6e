import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.store import tensors as tensors_module
from regreveal.store.tensors import TensorStore

# Every value of a tensor is its id's number, so a torn or mixed-up shard shows.
WRITER = """
import sys
import numpy as np
from regreveal.store.tensors import TensorStore

store, first, shards = TensorStore(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for start in range(first, first + 20 * shards, 20):
    numbers = np.arange(start, start + 20, dtype=np.float32)
    tensors = np.broadcast_to(numbers[:, None, None], (20, 300, 12))
    store.write("ecg/rest_10s", tensors, [str(int(i)) for i in numbers], units="mV")
    print(start, flush=True)
"""


def start_writer(path: Path, first: int, shards: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(shards)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    writer.stdout.readline()
    return writer


def assert_values_belong_to_their_ids(store: TensorStore) -> list[str]:
    ids = store.sample_ids("ecg/rest_10s")
    tensors = store.read("ecg/rest_10s")
    expected = np.broadcast_to(np.array(ids, np.float32)[:, None, None], tensors.shape)
    np.testing.assert_array_equal(tensors, expected)
    return ids


@pytest.fixture
def store(tmp_path) -> TensorStore:
    store = TensorStore(tmp_path / "store")
    tensors = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    store.write("ecg/rest_10s", tensors[:2], ["a", "b"], units="mV", sampling_rate=500)
    store.write("ecg/rest_10s", tensors[2:], ["c", "d"], units="mV", sampling_rate=500)
    return store


@given(order=st.lists(st.sampled_from("abcd"), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_reading_gives_the_rows_in_the_order_asked(tmp_path_factory, order):
    store = TensorStore(tmp_path_factory.mktemp("store"))
    tensors = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    store.write("x/y", tensors[:3], list("abc"), units="mV")
    store.write("x/y", tensors[3:], ["d"], units="mV")
    rows = ["abcd".index(sample_id) for sample_id in order]
    np.testing.assert_array_equal(store.read("x/y", order), tensors[rows])


def test_a_reopened_store_knows_names_ids_shape_and_attributes(store):
    store = TensorStore(store.path)
    assert store.names() == ["ecg/rest_10s"]
    assert store.sample_ids("ecg/rest_10s") == ["a", "b", "c", "d"]
    assert store.shape("ecg/rest_10s") == (3, 2)
    assert store.attributes("ecg/rest_10s") == {"units": "mV", "sampling_rate": 500}


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    tensors = np.ones((3, 4), np.float32)
    shards = [
        TensorStore(tmp_path / name).write("a/b", tensors, ["1", "2", "3"], units="mm")
        for name in ("first", "second")
    ]
    assert shards[0].read_bytes() == shards[1].read_bytes()


@pytest.mark.parametrize("kill_after", [0.0, 0.005, 0.02, 0.05, 0.11, 0.17, 0.3])
def test_a_killed_writer_loses_nothing_whole_and_leaves_nothing_half(tmp_path, kill_after):
    writer = start_writer(tmp_path, first=0, shards=10_000)
    time.sleep(kill_after)
    os.kill(writer.pid, signal.SIGKILL)
    reported = [int(line) for line in writer.stdout]
    writer.wait()
    store = TensorStore(tmp_path)
    if reported:
        ids = assert_values_belong_to_their_ids(store)
        assert set(ids) >= {str(i) for i in range(reported[-1] + 20)}
    # The store goes on as if nothing had happened.
    store.write("ecg/rest_10s", np.full((1, 300, 12), 10**6, np.float32), ["1000000"], units="mV")
    assert_values_belong_to_their_ids(store)


def test_several_writers_at_once_lose_nothing(tmp_path):
    writers = [start_writer(tmp_path, first, shards=15) for first in (0, 10_000, 20_000)]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    ids = assert_values_belong_to_their_ids(TensorStore(tmp_path))
    assert len(ids) == 3 * 15 * 20


def test_of_two_writers_of_one_id_at_once_one_is_refused(store, monkeypatch):
    def write(value):
        tensors = np.full((1, 3, 2), value)
        TensorStore(store.path).write("ecg/rest_10s", tensors, ["e"], units="mV", sampling_rate=500)

    locked, overtaken = tensors_module.locked, []

    def overtaken_on_the_way_to_the_lock(folder):
        # Here the first writer has found the id free and written its data, but not yet its shard.
        if not overtaken:
            overtaken.append(folder)
            write(2.0)
        return locked(folder)

    monkeypatch.setattr(tensors_module, "locked", overtaken_on_the_way_to_the_lock)
    with pytest.raises(InputError, match="'e' is already in"):
        write(1.0)
    assert TensorStore(store.path).sample_ids("ecg/rest_10s") == ["a", "b", "c", "d", "e"]
    np.testing.assert_array_equal(store.read("ecg/rest_10s", ["e"]), np.full((1, 3, 2), 2.0))
    assert len(list((store.path / "ecg/rest_10s").glob("*.h5"))) == 3


def test_a_shard_that_is_not_seen_yet_is_not_replaced(tmp_path, monkeypatch):
    """A network file system shows what another host has written a while later."""
    for number in range(3):
        store = TensorStore(tmp_path)
        monkeypatch.setattr(store, "_shards_so_far", lambda _: [])
        store.write("ecg/rest", np.full((1, 2), number, np.float32), [f"p{number}"], units="mV")
    with pytest.raises(InputError, match="sample id 'p1' is already in"):
        store.write("ecg/rest", np.zeros((1, 2), np.float32), ["p1"], units="mV")
    assert store.read("ecg/rest")[:, 0].tolist() == [0, 1, 2]


def test_shards_are_written_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = TensorStore(tmp_path)
    for number in range(2):
        store.write("ecg/rest", np.full((1, 2), number, np.float32), [f"p{number}"], units="mV")
    assert store.read("ecg/rest")[:, 0].tolist() == [0, 1]


def test_a_store_opened_before_sees_what_was_written_since(store):
    other = TensorStore(store.path)
    other.sample_ids("ecg/rest_10s")
    store.write("ecg/rest_10s", np.zeros((1, 3, 2)), ["e"], units="mV", sampling_rate=500)
    assert other.sample_ids("ecg/rest_10s")[-1] == "e"


@pytest.mark.parametrize(
    ("tensors", "ids", "options", "message"),
    [
        (np.zeros((2, 3, 2)), ["x", "x"], {}, "'x' is given twice"),
        (np.zeros((2, 3, 2)), ["x"], {}, "2 tensors but 1 sample ids"),
        (np.zeros((1, 3, 2)), [""], {}, "empty sample id"),
        (np.zeros((0, 3, 2)), [], {}, "no tensors"),
        (np.zeros((1, 3, 3)), ["x"], {}, "shape"),
        (np.zeros((1, 3, 2)), ["x"], {"units": "uV"}, "units is uV; the store holds mV"),
        (np.zeros((1, 3, 2)), ["x"], {"sampling_rate": 250}, "sampling_rate is 250"),
        (np.zeros((1, 3, 2)), ["x"], {"visit": "3"}, "visit is 3; the store holds None"),
        (np.zeros((1, 3, 2)), ["x"], {"voxel_size": (1, 2)}, r"voxel_size is \[1.0, 2.0\]"),
        (np.zeros((1, 3, 2), np.int16), ["x"], {}, "type int16; the store holds float32"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_no_trace(
    store, tensors, ids, options, message
):
    before = sorted(store.path.rglob("*"))
    with pytest.raises(InputError, match=message):
        store.write(
            "ecg/rest_10s", tensors, ids, **({"units": "mV", "sampling_rate": 500} | options)
        )
    assert sorted(store.path.rglob("*")) == before


def test_shards_of_one_kind_may_come_from_several_sources(tmp_path):
    store, kind = TensorStore(tmp_path), {"units": "mm", "visit": "2", "voxel_size": (1, 1, 2)}
    for sample_id, source in (("a", "dicom"), ("b", "nifti")):
        store.write("brain/t1", np.zeros((1, 2), np.int16), [sample_id], source=source, **kind)
    assert store.sample_ids("brain/t1") == ["a", "b"]


def test_an_unknown_participant_is_named(store):
    with pytest.raises(InputError, match="1 of 2 participants .* 'nobody'"):
        store.read("ecg/rest_10s", ["a", "nobody"])


def test_an_unknown_tensor_is_an_error_that_lists_those_there_are(store):
    with pytest.raises(InputError, match=r"no tensor 'ecg/none' \(there are: ecg/rest_10s\)"):
        store.read("ecg/none")


def test_a_name_cannot_leave_the_store(store):
    with pytest.raises(InputError, match="expected 'group/name'"):
        store.write("../outside", np.zeros((1, 2)), ["x"], units="mV")


def test_a_file_that_is_no_shard_is_named(store):
    shard = store.path / "ecg/rest_10s/part-00001.h5"
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(InputError, match=r"part-00001\.h5: not a readable HDF5 shard"):
        TensorStore(store.path).read("ecg/rest_10s")


def test_an_id_in_two_shards_is_an_error(store):
    first = store.path / "ecg/rest_10s/part-00000.h5"
    copy = store.path / "ecg/rest_10s/part-00002.h5"
    with h5py.File(first) as source, h5py.File(copy, "w") as target:
        source.copy("tensor", target)
        source.copy("sample_id", target)
    with pytest.raises(InputError, match="'a' is also in part-00000"):
        TensorStore(store.path).read("ecg/rest_10s", ["a"])


def test_a_store_opened_before_forgets_a_shard_that_was_taken_away(store):
    store.read("ecg/rest_10s", ["c"])
    (store.path / "ecg/rest_10s/part-00000.h5").unlink()
    assert store.sample_ids("ecg/rest_10s") == ["c", "d"]
    with pytest.raises(InputError, match="'a'"):
        store.read("ecg/rest_10s", ["a"])
    np.testing.assert_array_equal(store.read("ecg/rest_10s", ["c"]).ravel(), np.arange(12, 18))


def test_shards_beyond_the_hundred_thousandth_come_after_it_and_replace_none(store):
    folder = store.path / "ecg/rest_10s"
    (folder / "part-00001.h5").rename(folder / "part-99999.h5")
    for number, sample_id in enumerate("efg"):
        # Each by a store of its own, which lists the folder.
        tensors = np.full((1, 3, 2), 100.0 + number)
        TensorStore(store.path).write(
            "ecg/rest_10s", tensors, [sample_id], units="mV", sampling_rate=500
        )
    names = [f"part-{number:05d}.h5" for number in (0, 99_999, 100_000, 100_001, 100_002)]
    assert sorted(shard.name for shard in folder.glob("*.h5")) == sorted(names)
    assert store.sample_ids("ecg/rest_10s") == list("abcdefg")
    assert store.read("ecg/rest_10s", list("efg"))[:, 0, 0].tolist() == [100, 101, 102]


def test_many_shards_are_written_and_read_without_listing_them_for_each(store, monkeypatch):
    kind, listed = {"units": "mV", "sampling_rate": 500}, []
    glob = Path.glob

    def noted(path, pattern):
        listed.append(path)
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", noted)
    for number in range(10):
        store.write("ecg/rest_10s", np.zeros((1, 3, 2)), [f"n{number}"], **kind)
    assert len(listed) <= 2
    # Another writer's shard is seen all the same.
    TensorStore(store.path).write("ecg/rest_10s", np.zeros((1, 3, 2)), ["other"], **kind)
    with pytest.raises(InputError, match="'other' is already in"):
        store.write("ecg/rest_10s", np.zeros((1, 3, 2)), ["other"], **kind)
    before = time.time() - 60
    os.utime(store.path / "ecg/rest_10s", (before, before))
    reader = TensorStore(store.path)
    listed.clear()
    for number in range(10):
        reader.read("ecg/rest_10s", [f"n{number}"])
    assert len(listed) == 1
