import datetime
import json
import multiprocessing
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from regreveal.errors import InputError
from regreveal.experiment import workers
from regreveal.experiment.manifest import Manifest, fingerprint
from regreveal.store.atomic import resumable


class Counted:
    """A stage that writes how often it ran, and may be told to break off."""

    def __init__(self, output: Path):
        self.output = output
        self.runs = 0
        self.fail = False

    def __call__(self):
        self.runs += 1
        self.output.write_text(f"{self.output.exists()} {self.runs}")
        if self.fail:
            raise KeyboardInterrupt


@pytest.fixture
def stage(tmp_path) -> Counted:
    return Counted(tmp_path / "output.txt")


def run(stage: Counted, name: str = "stage", **options) -> None:
    with Manifest(stage.output.parent, seed=1) as manifest:
        manifest.run(name, stage, outputs=[stage.output], **options)


def test_a_finished_stage_is_not_run_again(stage):
    run(stage, settings={"a": 1})
    run(stage, settings={"a": 1})
    assert stage.runs == 1


def test_other_settings_run_it_again_on_a_clean_slate(stage):
    run(stage, settings={"a": 1})
    run(stage, settings={"a": 2})
    assert stage.output.read_text() == "False 2"


def test_a_lost_output_is_made_again(stage):
    run(stage)
    stage.output.unlink()
    run(stage)
    assert stage.runs == 2


def test_a_stage_broken_off_goes_on_with_what_it_left(stage):
    stage.fail = True
    with pytest.raises(KeyboardInterrupt):
        run(stage)
    stage.fail = False
    run(stage)
    assert stage.output.read_text() == "True 2"


@pytest.mark.parametrize("settings", [1, 2])
def test_what_was_begun_of_a_folder_is_kept_for_the_same_stage_alone(tmp_path, settings):
    begun, found = resumable(tmp_path / "made"), []

    def begin():
        begun.mkdir()
        raise KeyboardInterrupt

    with Manifest(tmp_path, seed=1) as manifest, pytest.raises(KeyboardInterrupt):
        manifest.run("stage", begin, outputs=[tmp_path / "made"], settings=1)
    with Manifest(tmp_path, seed=1) as manifest:
        outputs = [tmp_path / "made"]
        manifest.run(
            "stage", lambda: found.append(begun.is_dir()), outputs=outputs, settings=settings
        )
    assert found == [settings == 1]


def test_a_changed_input_file_runs_it_again(stage, tmp_path):
    source = tmp_path / "source.txt"
    source.write_text("one")
    run(stage, files={"source": source})
    run(stage, files={"source": source})
    assert stage.runs == 1
    source.write_text("two")
    run(stage, files={"source": source})
    assert stage.runs == 2


def test_files_of_one_name_are_told_apart(stage, tmp_path):
    files = {role: tmp_path / role / "table.tsv" for role in ("first", "second")}
    for path in files.values():
        path.parent.mkdir()
        path.write_text("same")
    run(stage, files=files)
    files["first"].write_text("other")
    run(stage, files=files)
    assert stage.runs == 2


def test_what_comes_after_a_changed_stage_is_run_again(stage, tmp_path):
    def run_both(setting):
        with Manifest(tmp_path, seed=1) as manifest:
            first = tmp_path / "first.txt"
            manifest.run("first", first.touch, outputs=[first], settings=setting)
            manifest.run("second", stage, outputs=[stage.output], after=["first"])

    run_both(1)
    run_both(1)
    assert stage.runs == 1
    run_both(2)
    assert stage.runs == 2


def test_the_manifest_names_versions_seed_and_stages_in_use(stage, tmp_path):
    old = Counted(tmp_path / "old.txt")
    run(old, name="old")
    with Manifest(tmp_path, seed=7) as manifest:
        manifest.run("new", stage, outputs=[stage.output])
        manifest.forget_unused()
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert list(content["stages"]) == ["new"]
    assert not old.output.exists()
    for recorded in (content, content["stages"]["new"]):
        assert recorded["seed"] == 7
        assert recorded["versions"]["numpy"]
    assert content["stages"]["new"]["finished"]


def test_a_changed_stage_takes_away_what_was_built_on_it(stage, tmp_path):
    """Else an old report would stand beside new results while they are being made."""

    def run_both(setting, work):
        with Manifest(tmp_path, seed=1) as manifest:
            first = tmp_path / "first.txt"
            manifest.run("first", work(first), outputs=[first], settings=setting)
            manifest.run("second", stage, outputs=[stage.output], after=["first"])

    def broken_off(first):
        def work():
            raise KeyboardInterrupt

        return work

    run_both(1, lambda first: first.touch)
    with pytest.raises(KeyboardInterrupt):
        run_both(2, broken_off)
    assert not stage.output.exists()
    run_both(1, lambda first: first.touch)
    assert stage.runs == 2


def test_what_another_stage_left_in_the_same_place_is_nobodys_result(stage):
    """Such as an arm's model, by its own training and then by a fusion, and back again."""
    run(stage, name="alone")
    stage.fail = True
    with pytest.raises(KeyboardInterrupt):
        run(stage, name="fused")
    stage.fail = False
    run(stage, name="alone")
    assert stage.output.read_text() == "False 3"


def test_a_stage_that_is_forgotten_takes_nothing_of_its_successor_in_the_same_place(stage):
    run(stage, name="alone")
    with Manifest(stage.output.parent, seed=1) as manifest:
        manifest.run("fused", stage, outputs=[stage.output])
        manifest.forget_unused()
    assert stage.output.read_text() == "False 2"


def test_two_runs_cannot_work_in_one_folder(tmp_path):
    with (
        Manifest(tmp_path, seed=1),
        pytest.raises(InputError, match="another process is writing there"),
    ):
        Manifest(tmp_path, seed=1)
    Manifest(tmp_path, seed=1)


def test_a_run_that_was_killed_locks_nobody_out_and_leaves_no_half_files(tmp_path):
    half = tmp_path / "arms" / f".qc.parquet.{'0a' * 6}.parquet"
    half.parent.mkdir()
    half.write_text("half")
    (tmp_path / ".lock").write_text("process 1 on a machine that is gone")
    with Manifest(tmp_path, seed=1):
        assert not half.exists()


@pytest.mark.parametrize(
    "content",
    [
        *("", '{"stages', "[]", "{}", "[" * 100_000),
        *('{"stages": []}', '{"stages": {"a": 1}}', '{"stages": {"a": {"outputs": []}}}'),
        '{"stages": {}, "first_seen": {"a": "yesterday"}}',
    ],
)
def test_a_damaged_manifest_is_one_line_and_frees_the_folder(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    for _ in range(2):
        with pytest.raises(InputError, match=r"manifest\.json: not the manifest of a run"):
            Manifest(tmp_path, seed=1)


@pytest.mark.parametrize("place", ["/mine", "../mine", "arms/../../mine", "."])
def test_a_manifest_from_elsewhere_has_nothing_outside_the_run_removed(tmp_path, place):
    (tmp_path / "run").mkdir()
    (tmp_path / "mine").mkdir()
    outputs = [str(tmp_path / "mine") if place == "/mine" else place]
    stage = {"key": "k", "finished": True, "after": [], "outputs": outputs}
    (tmp_path / "run/manifest.json").write_text(json.dumps({"stages": {"unwanted": stage}}))
    with (
        pytest.raises(InputError, match="'unwanted' names '.*', which is not within the run"),
        Manifest(tmp_path / "run", seed=1) as manifest,
    ):
        manifest.forget_unused()
    assert (tmp_path / "mine").is_dir()


@pytest.mark.parametrize("output", ["link", "link/below"])
def test_nothing_is_removed_where_a_link_leads_out_of_the_run(tmp_path, output):
    (tmp_path / "run").mkdir()
    (tmp_path / "mine" / "below").mkdir(parents=True)
    (tmp_path / "run/link").symlink_to(tmp_path / "mine")
    outputs = [tmp_path / "run" / output]
    with (
        Manifest(tmp_path / "run", seed=1) as manifest,
        pytest.raises(InputError, match="link.*: leads out of the run by a link"),
    ):
        manifest.run("stage", lambda: None, outputs=outputs)
    assert (tmp_path / "mine" / "below").is_dir()


def test_neither_the_clock_nor_the_order_of_files_in_time_decides_what_is_run(stage, tmp_path):
    """Inputs from the future, results from before them: a clock that was put back, or a copy."""
    source = tmp_path / "source.txt"
    source.write_text("one")
    os.utime(source, (2**32, 2**32))
    run(stage, files={"source": source})
    os.utime(stage.output, (0, 0))
    for when in (0, 10**9, 2**32):
        os.utime(source, (when, when))
        run(stage, files={"source": source})
    assert stage.runs == 1
    source.write_text("two")
    os.utime(source, (2**32, 2**32))  # as old, and as long, as it was
    run(stage, files={"source": source})
    assert stage.runs == 2


def test_the_day_that_files_were_first_seen_is_kept_until_they_change(tmp_path, monkeypatch):
    files = {"diagnoses": tmp_path / "diagnoses.tsv"}

    def first_seen(today: str) -> str:
        class Clock(datetime.date):
            @classmethod
            def today(cls):
                return cls.fromisoformat(today)

        monkeypatch.setattr(datetime, "date", Clock)
        with Manifest(tmp_path / "run", seed=1) as manifest:
            return str(manifest.first_seen(files))

    files["diagnoses"].write_text("one")
    assert first_seen("2024-05-01") == "2024-05-01"
    assert first_seen("2024-05-02") == "2024-05-01"  # after midnight
    assert first_seen("1970-01-01") == "2024-05-01"  # a clock without its battery
    files["diagnoses"].write_text("two")
    assert first_seen("2024-06-01") == "2024-06-01"


def test_a_folder_is_known_by_names_and_contents(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("x")
    prints = {fingerprint(folder)}
    (folder / "a").write_text("y")
    prints.add(fingerprint(folder))
    (folder / "a").rename(folder / "b")
    prints.add(fingerprint(folder))
    assert len(prints) == 3


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2**26 + 10)
    return path


def test_the_end_of_a_large_file_counts(large):
    before, state = fingerprint(large), large.stat()
    with large.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    os.utime(large, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fingerprint(large) != before


@pytest.mark.parametrize("part", [0, 5, 10, 15])
def test_a_part_of_a_large_file_that_was_not_copied_counts(large, part):
    """As of a download in 16 parts one of which broke off: size and time are right."""
    before, state = fingerprint(large), large.stat()
    size = 2**22
    with large.open("r+b") as file:
        file.seek(part * size)
        file.write(b"x" * size)
    os.utime(large, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fingerprint(large) != before


def note(path: Path, *needed: Path, beside: Path | None = None) -> None:
    """Work for a process of its own: say which, and whether what it needs was there.

    It lasts until `beside` has begun, too.
    """
    path.with_suffix(".begun").touch()
    if beside is not None:
        until(beside.with_suffix(".begun").exists)
    path.write_text(json.dumps({"process": os.getpid(), "found": [p.exists() for p in needed]}))


def fail(message: str) -> None:
    raise InputError(message)


def linger(started: Path) -> None:
    started.write_text("here")
    time.sleep(600)


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(workers, "available_cores", lambda: 2)


def test_stages_go_side_by_side_each_after_those_it_builds_on(tmp_path, two_cores):
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    with Manifest(tmp_path, seed=1) as manifest:
        with manifest.together():
            manifest.run("first", partial(note, first, beside=second), outputs=[first])
            manifest.run("second", partial(note, second, beside=first), outputs=[second])
            manifest.run("third", partial(note, third, first), outputs=[third], after=["first"])
        assert all(stage["finished"] for stage in manifest.stages.values())
        with manifest.together():  # nothing is left to do
            manifest.run("third", partial(fail, "again"), outputs=[third], after=["first"])
    processes = {json.loads(path.read_text())["process"] for path in (first, second)}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert json.loads(third.read_text())["found"] == [True]


def test_an_error_in_another_process_is_raised_and_its_stage_is_not_done(tmp_path, two_cores):
    def run_both():
        with Manifest(tmp_path, seed=1) as manifest, manifest.together():
            manifest.run("wrong", partial(fail, "no such tensor"), outputs=[tmp_path / "a"])
            manifest.run("slow", partial(linger, tmp_path / "b"), outputs=[tmp_path / "b"])

    with pytest.raises(InputError, match="no such tensor"):
        run_both()
    stages = json.loads((tmp_path / "manifest.json").read_text())["stages"]
    assert not any(stage["finished"] for stage in stages.values())


def test_on_one_core_everything_stays_in_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "available_cores", lambda: 1)
    with Manifest(tmp_path, seed=1) as manifest, manifest.together():
        manifest.run("here", partial(note, tmp_path / "a"), outputs=[tmp_path / "a"])
    assert json.loads((tmp_path / "a").read_text())["process"] == os.getpid()


def test_on_an_accelerator_no_other_process_has_memory_of_it(tmp_path, monkeypatch):
    def looked(self, accelerated):
        assert self._submit(os.getpid).result() != os.getpid()
        return accelerated

    monkeypatch.setattr(workers.Workers, "alone_is_better", looked)
    beside = []
    with Manifest(tmp_path, seed=1) as manifest, manifest.together(accelerated=True):
        manifest.run("here", lambda: beside.append(multiprocessing.active_children()), outputs=[])
    assert beside == [[]]


def test_a_killed_run_leaves_no_process_that_goes_on_writing(tmp_path):
    started = tmp_path / "started"
    script = (
        "import sys\n"
        "from functools import partial\n"
        "from pathlib import Path\n"
        "from regreveal.experiment import workers\n"
        "from regreveal.experiment.manifest import Manifest\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_manifest import linger\n"
        "if __name__ == '__main__':\n"
        "    workers.available_cores = lambda: 2\n"
        "    with Manifest(Path(sys.argv[1]).parent, 1) as manifest, manifest.together():\n"
        "        manifest.run('slow', partial(linger, Path(sys.argv[1])), outputs=[])\n"
    )
    (tmp_path / "script.py").write_text(script)
    run = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", started, Path(__file__).parent],
    )
    try:
        until(started.exists)
        children = psutil.Process(run.pid).children(recursive=True)
        assert children
    finally:
        run.kill()
        run.wait()
    until(lambda: not any(map(_alive, children)))


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # which it may become at any moment
        return False


def until(true, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)
