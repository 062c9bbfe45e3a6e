import pytest

from regreveal.doctor import machine
from regreveal.doctor.check import Status

UNLIMITED_V1 = "9223372036854771712\n"


def group(root, path, file, content):
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(content)


def limit(tmp_path, membership):
    (tmp_path / "membership").write_text(membership)
    return machine.memory_limit(tmp_path / "cgroup", tmp_path / "membership")


def test_a_containers_limit_is_found_at_the_root(tmp_path):
    group(tmp_path, "cgroup", "memory.max", "2147483648\n")
    assert limit(tmp_path, "0::/\n") == 2**31


def test_the_least_limit_of_a_job_and_what_is_around_it_counts(tmp_path):
    group(tmp_path, "cgroup/slurm/job_1", "memory.max", "4294967296\n")
    group(tmp_path, "cgroup/slurm/job_1/step_0", "memory.max", "max\n")
    group(tmp_path, "cgroup/slurm", "memory.max", "8589934592\n")
    assert limit(tmp_path, "0::/slurm/job_1/step_0\n") == 2**32


def test_version_1_is_read_too(tmp_path):
    group(tmp_path, "cgroup/memory/docker/a", "memory.limit_in_bytes", "1073741824\n")
    group(tmp_path, "cgroup/memory", "memory.limit_in_bytes", UNLIMITED_V1)
    assert limit(tmp_path, "5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n") == 2**30


@pytest.mark.parametrize("content", ["max\n", UNLIMITED_V1])
def test_no_limit_is_none(tmp_path, content):
    group(tmp_path, "cgroup", "memory.max", content)
    assert limit(tmp_path, "0::/\n") is None


def test_a_system_without_control_groups_has_no_limit(tmp_path):
    assert machine.memory_limit(tmp_path, tmp_path / "nowhere") is None


def test_little_memory_is_a_warning(monkeypatch):
    monkeypatch.setattr(machine, "memory_limit", lambda: 2**30)
    (check,) = machine.check_memory()
    assert check.status == Status.warning
    assert check.found.startswith("1.0 GiB (a control group's limit")


@pytest.mark.parametrize(
    ("variables", "status", "told"),
    [
        ({"OMP_NUM_THREADS": "4"}, Status.ok, "4: threads"),
        ({"OMP_NUM_THREADS": "64"}, Status.warning, "set OMP_NUM_THREADS=4"),
        ({"OMP_NUM_THREADS": "many"}, Status.warning, "unset OMP_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "1"}, Status.warning, "which then use 4 cores"),
        ({"NUMBA_NUM_THREADS": "1"}, Status.ok, "1: most threads"),
        ({"CUDA_VISIBLE_DEVICES": ""}, Status.ok, "empty: GPUs"),
    ],
)
def test_thread_settings_are_told_with_what_they_do(monkeypatch, variables, status, told):
    monkeypatch.setattr(machine, "available_cores", lambda: 4)
    (check,) = machine.check_threads(variables)
    assert check.status == status
    assert told in f"{check.found} {check.advice}"


def test_nothing_is_said_of_settings_that_are_not_made():
    assert list(machine.check_threads({})) == []


def test_a_quota_below_the_cores_seen_asks_for_fewer_threads(monkeypatch):
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    processors, threads = machine.check_processors()
    assert "a container's quota" in processors.found
    assert threads.status == Status.warning
    assert "set OMP_NUM_THREADS=1" in threads.advice


@pytest.mark.parametrize(
    ("devices", "hidden", "status"),
    [
        (["cpu:0"], None, Status.warning),
        (["cpu:0"], "", Status.ok),
        (["gpu:0"], None, Status.ok),
    ],
)
def test_a_gpu_that_the_backend_does_not_see_is_a_warning(
    monkeypatch, tmp_path, devices, hidden, status
):
    import keras

    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA 570.1\nGCC version: 12\n")
    monkeypatch.setattr(machine, "NVIDIA", driver)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert [check.found for check in machine.check_driver()] == ["NVIDIA 570.1"]
    (check,) = machine.check_devices()
    assert check.status == status
    assert ("nvidia-smi" in check.advice) == (status == Status.warning)
