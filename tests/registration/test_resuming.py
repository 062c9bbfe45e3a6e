"""A registration of a store that is killed goes on where it was, to the same files."""

import errno
import os
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regreveal.cluster import on_cluster
from regreveal.errors import InputError
from regreveal.registration import Registered, Registration, pieces, stage, volume_ready
from regreveal.registration.stage import fit_once, register_store
from regreveal.store import atomic
from regreveal.store.atomic import resumable, resumed_folder
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import TensorMap

SCAN = TensorMap("site.scan", "site/scan", (4, 3), "grey", "site", "A.", spatial_dimensions=2)
PEOPLE = [f"p{number}" for number in range(9)]
BLANK = [2, 3, 7]  # the second of five pieces is of two of them

SEEN: list[float] = []  # of everyone whom a method was given


class Brighter(Registration):
    """Adds to images, notes whose, and is killed when it comes to one of them."""

    uses_all_cores = True  # in this process, where notes are seen
    killed_at: float | None = None

    def __init__(self, by=1.0):
        self.by = by

    def fit(self, x):
        return self

    def transform(self, x) -> Registered:
        first = x[:, 0, 0, 0]
        if self.killed_at in first:
            raise KeyboardInterrupt
        SEEN.extend(first.tolist())
        qc = pd.DataFrame({"ok": first != 0, "reason": np.where(first, "", "blank"), "mean": first})
        return Registered(x + self.by, qc, [np.eye(3) * value for value in first])


BRIGHTER = f"{__name__}:Brighter"


@pytest.fixture
def scans(tmp_path, monkeypatch) -> TensorStore:
    """Of nine people, three of them blank; two are a piece."""
    monkeypatch.setattr(stage, "CHUNK", 2)
    SEEN.clear()
    tensors = np.repeat(np.arange(1.0, 10.0), 12).reshape(9, 4, 3)
    tensors[BLANK] = 0
    return write(tmp_path / "scans", tensors)


def write(folder: Path, tensors: np.ndarray, ids=PEOPLE) -> TensorStore:
    store = TensorStore(folder)
    store.write("site/scan", tensors, ids, units="grey", voxel_size=(1.0, 1.0))
    return store


@pytest.fixture
def saved(tmp_path) -> Path:
    Brighter().save(tmp_path / "saved")
    return tmp_path / "saved"


def register(saved, scans, folder, method=BRIGHTER, into=SCAN) -> pd.DataFrame:
    return register_store(method, saved, scans, SCAN, into, folder)


def killed(saved, scans, folder, at=7.0) -> None:
    """Be killed in the piece of some image; by default three of five are done."""
    Brighter.killed_at = at
    try:
        with pytest.raises(KeyboardInterrupt):
            register(saved, scans, folder)
    finally:
        Brighter.killed_at = None


def files(folder: Path) -> dict[str, bytes]:
    """What is in a folder, but locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def undisturbed(scans, saved, tmp_path) -> dict[str, bytes]:
    register(saved, scans, tmp_path / "undisturbed")
    SEEN.clear()
    return files(tmp_path / "undisturbed")


@pytest.mark.parametrize(("at", "again"), [(1.0, 9), (5.0, 5), (9.0, 1)])
def test_who_was_done_is_not_done_again_and_the_files_are_the_same(
    scans, saved, undisturbed, tmp_path, at, again
):
    killed(saved, scans, tmp_path / "out", at)
    assert not any(path.name[0] != "." for path in (tmp_path / "out").iterdir())
    assert resumable(tmp_path / "out/registered").exists() == (at > 1)
    SEEN.clear()
    register(saved, scans, tmp_path / "out")
    assert len(SEEN) == again
    assert files(tmp_path / "out") == undisturbed
    assert set(undisturbed) == {
        "qc.parquet",
        "registered/transforms.parquet",
        *(f"registered/site/scan/part-0000{number}.h5" for number in range(4)),
    }


def test_it_may_be_killed_more_than_once(scans, saved, undisturbed, tmp_path):
    for at in (5.0, 7.0, 9.0):
        killed(saved, scans, tmp_path / "out", at)
    register(saved, scans, tmp_path / "out")
    assert len(SEEN) == len(PEOPLE)
    assert files(tmp_path / "out") == undisturbed


@pytest.mark.parametrize(
    ("module", "name", "calls_before", "again"),
    [
        (pieces, "write_table", 3, 3),  # a shard is there, and its table is not
        (stage, "write_table", 0, 0),
        (stage, "write_table", 1, 0),
        (atomic.shutil, "rmtree", 0, 0),  # all is where it belongs, and nobody came to know
    ],
)
def test_killed_between_two_files_it_goes_on_to_the_same(
    scans, saved, undisturbed, tmp_path, monkeypatch, module, name, calls_before, again
):
    work, calls = getattr(module, name), []

    def killed_at_a_call(*arguments, **options):
        calls.append(arguments)
        if len(calls) > calls_before:
            raise KeyboardInterrupt
        return work(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, killed_at_a_call)
        with pytest.raises(KeyboardInterrupt):
            register(saved, scans, tmp_path / "out")
    # What a kill leaves in the middle of a file.
    store = resumable(tmp_path / "out/registered") / "whole/site/scan"
    if store.exists():
        (store / f".{'0a' * 6}.h5").write_bytes(b"half")
    SEEN.clear()
    register(saved, scans, tmp_path / "out")
    assert len(SEEN) == again
    assert files(tmp_path / "out") == undisturbed


def test_on_a_cluster_it_goes_on_to_the_same(scans, saved, undisturbed, tmp_path):
    from distributed import LocalCluster

    killed(saved, scans, tmp_path / "out")
    SEEN.clear()
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        on_cluster(cluster.scheduler_address),
    ):
        register(saved, scans, tmp_path / "out")
    assert sorted(SEEN) == [0, 7, 9]
    assert files(tmp_path / "out") == undisturbed


def another_source(scans, saved):
    tensors = scans.read("site/scan") + 1
    shutil.rmtree(scans.path)
    return {"scans": write(scans.path, tensors)}


def other_people(scans, saved):
    scans.write("site/scan", np.ones((1, 4, 3)), ["late"], units="grey", voxel_size=(1.0, 1.0))
    return {}


def other_weights(scans, saved):
    Brighter(by=2.0).save(saved)
    return {}


def another_method(scans, saved):
    sys.modules["other_site"] = types.ModuleType("other_site")
    sys.modules["other_site"].Brighter = Brighter
    return {"method": "other_site:Brighter"}


def another_map(scans, saved):
    return {"into": replace(SCAN, path="site/other")}


def smaller_pieces(scans, saved):
    stage.CHUNK = 1
    return {}


@pytest.mark.parametrize(
    "change",
    [another_source, other_people, other_weights, another_method, another_map, smaller_pieces],
)
def test_what_was_done_of_another_source_or_by_another_method_is_begun_anew(
    scans, saved, tmp_path, change
):
    killed(saved, scans, tmp_path / "out")
    options = {"scans": scans, **change(scans, saved)}
    SEEN.clear()
    with pytest.warns(UserWarning, match="registered: what was begun there is of other inputs"):
        register(saved, folder=tmp_path / "out", **options)
    assert len(SEEN) == len(options["scans"].sample_ids("site/scan"))
    register(saved, folder=tmp_path / "at_once", **options)
    assert files(tmp_path / "out") == files(tmp_path / "at_once")


def test_a_site_s_changed_method_begins_anew(scans, saved, tmp_path, monkeypatch):
    module = tmp_path / "method.py"
    module.write_text("first version")
    monkeypatch.setattr(pieces, "source_of_site", lambda method: module)
    killed(saved, scans, tmp_path / "out")
    module.write_text("second version")
    SEEN.clear()
    with pytest.warns(UserWarning, match="begun anew"):
        register(saved, scans, tmp_path / "out")
    assert len(SEEN) == len(PEOPLE)


@pytest.mark.parametrize(
    ("file", "again"), [("whole/site/scan/part-00001.h5", 5), ("tables/000002.parquet", 5)]
)
def test_a_file_that_a_power_cut_emptied_is_made_again(
    scans, saved, undisturbed, tmp_path, file, again
):
    killed(saved, scans, tmp_path / "out", 9.0)
    (resumable(tmp_path / "out/registered") / file).write_bytes(b"")
    SEEN.clear()
    register(saved, scans, tmp_path / "out")
    assert len(SEEN) == again
    assert files(tmp_path / "out") == undisturbed


def test_a_full_disk_leaves_what_was_done(scans, saved, undisturbed, tmp_path, monkeypatch):
    write_bytes, shards = Path.write_bytes, []

    def full_after_two(path, content):
        shards.append(path)
        if len(shards) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_bytes(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full_after_two)
        with pytest.raises(InputError, match="make room and run the same again"):
            register(saved, scans, tmp_path / "out")
    SEEN.clear()
    register(saved, scans, tmp_path / "out")
    assert len(SEEN) == 3
    assert files(tmp_path / "out") == undisturbed


def test_an_earlier_result_stays_until_the_new_one_is_whole(scans, saved, undisturbed, tmp_path):
    register(saved, scans, tmp_path / "out")
    killed(saved, scans, tmp_path / "out")
    assert undisturbed.items() <= files(tmp_path / "out").items()
    register(saved, scans, tmp_path / "out")
    assert files(tmp_path / "out") == undisturbed


def test_a_fit_that_was_killed_is_not_taken_for_the_one_before(tmp_path):
    def killed():
        raise KeyboardInterrupt

    saved, fits = tmp_path / "saved", []
    saved.mkdir()
    for _ in range(2):
        fit_once(saved, "one", lambda: fits.append("one"))
    with pytest.raises(KeyboardInterrupt):
        fit_once(saved, "other", killed)
    fit_once(saved, "one", lambda: fits.append("one again"))
    assert fits == ["one", "one again"]


def test_two_at_once_are_refused_and_lose_nothing(scans, saved, undisturbed, tmp_path):
    killed(saved, scans, tmp_path / "out")
    SEEN.clear()
    before = files(tmp_path / "out")
    with (
        atomic.locked(tmp_path / "out/.registered.lock", wait=False),
        pytest.raises(InputError, match="out/registered: another process is writing there"),
    ):
        register(saved, scans, tmp_path / "out")
    after = files(tmp_path / "out")
    assert {name for name in after if not name.endswith(".lock")} == set(before)
    register(saved, scans, tmp_path / "out")
    assert len(SEEN) == 3
    assert files(tmp_path / "out") == undisturbed


def test_if_nobody_could_be_registered_nothing_is_left(saved, tmp_path):
    nothing = write(tmp_path / "nothing", np.zeros((3, 4, 3)), PEOPLE[:3])
    with pytest.raises(InputError, match="none of 3 participants could be registered"):
        register(saved, nothing, tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


def test_a_folder_that_was_made_and_holds_nothing_is_not_left(tmp_path):
    with pytest.raises(InputError), resumed_folder(tmp_path / "made", "by me"):
        raise InputError("of the user")
    assert not any(tmp_path.iterdir())


def test_ready_transforms_are_taken_up_too(tmp_path, monkeypatch):
    for folder, suffix in (("volumes", ".nii"), ("transforms", ".xfm")):
        (tmp_path / folder).mkdir()
        for name in "abcde":
            (tmp_path / folder / f"{name}{suffix}").write_text(name)
    (tmp_path / "transforms" / "d.xfm").unlink()
    brain = TensorMap("site.brain", "site/brain", (30, 36, 30), "intensity", "site", "A.")
    seen, killed_at = [], ["c"]

    def registered(task, voxel_size, fixed):
        name = task[0].read_text()
        if name in killed_at:
            raise KeyboardInterrupt
        seen.append(name)
        reason = "does not resemble the reference" if name == "b" else ""
        return np.full(brain.shape, ord(name), np.float32), reason, ord(name) / 100

    def register(out):
        folders = tmp_path / "volumes", tmp_path / "transforms"
        return volume_ready.register_folders(*folders, brain, out, 6, workers=1)

    monkeypatch.setattr(volume_ready, "_register_file", registered)
    with pytest.raises(KeyboardInterrupt):
        register(tmp_path / "out")
    killed_at.clear()
    seen.clear()
    qc = register(tmp_path / "out")
    assert seen == ["c", "e"]
    assert qc["ok"].tolist() == [True, False, True, False, True]
    register(tmp_path / "undisturbed")
    assert files(tmp_path / "out") == files(tmp_path / "undisturbed")

    killed_at.append("e")
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        register(tmp_path / "out")
    killed_at.clear()
    (tmp_path / "transforms" / "a.xfm").write_text("another")
    seen.clear()
    with pytest.warns(UserWarning, match="begun anew"):
        register(tmp_path / "out")
    assert seen == ["a", "b", "c", "e"]
