"""What may not be read or written is one line and status 1."""

import ctypes
import os
import struct
from functools import partial

import pytest

OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of capabilities(7)
VERSION_3 = 0x20080522  # of the structures of capget(2)

EXPERIMENT = 'title = "x"\n[data.simulate]\n[arms.a]\ntensor_map = "ecg.median"\n'
TRAIN = ["train", "ecg.rest_10s", "--store", ".", "--splits", "cohort.tsv", "--out"]
SPLIT = ["split", "--cohort", "cohort.tsv", "--out"]


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Let root, as whom containers run tests, be refused like anybody else."""
    library = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", VERSION_3, 0)
    before = ctypes.create_string_buffer(24)
    library.capget(header, before)
    effective, *others = struct.unpack("6I", before)
    for capability in OVERRIDES:
        effective &= ~(1 << capability)
    library.capset(header, struct.pack("6I", effective, *others))
    # Of root it would say what could be permitted, not what is.
    monkeypatch.setattr(os, "access", partial(os.access, effective_ids=True))
    probe = tmp_path / "probe"
    probe.touch(0)
    try:
        probe.open()
        pytest.skip("nothing is refused to this user")
    except PermissionError:
        probe.unlink()
        yield
    finally:
        library.capset(header, before)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("path", "mode", "arguments", "message"),
    [
        ("closed", 0o500, ["run", "little.toml", "--out", "closed"], "closed: cannot be written"),
        ("closed", 0o500, [*SPLIT, "closed/splits.tsv"], "closed/splits.tsv: Permission denied; "),
        ("closed", 0o500, [*SPLIT, "closed/new/splits.tsv"], "closed/new: cannot be written to"),
        ("closed", 0o500, [*TRAIN, "closed/model"], "closed: cannot be written to (Permission"),
        ("run/experiment.toml", 0, ["report", "run"], "run/experiment.toml: "),
    ],
)
def test_what_is_not_permitted_is_one_line(tmp_path, regreveal, path, mode, arguments, message):
    (tmp_path / "little.toml").write_text(EXPERIMENT)
    (tmp_path / "cohort.tsv").write_text("sample_id\na\nb\nc\nd\n")
    (tmp_path / "closed").mkdir()
    (tmp_path / "run").mkdir()
    for name in ("manifest.json", "settings.json", "experiment.toml"):
        (tmp_path / "run" / name).write_text("{}")
    (tmp_path / path).chmod(mode)
    result = regreveal(*arguments)
    assert result.returncode == 1, result.stderr
    assert result.stderr.startswith(f"regreveal: {message}"), result.stderr
    assert "ermission denied" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list((tmp_path / "closed").iterdir())


@pytest.mark.usefixtures("refused")
def test_an_argument_that_may_not_be_read_is_refused_like_any_other_wrong_one(tmp_path, regreveal):
    (tmp_path / "cohort.tsv").touch(0)
    result = regreveal(*SPLIT, "splits.tsv")
    assert result.returncode == 2
    assert "'cohort.tsv' is not readable" in result.stderr
    assert not (tmp_path / "splits.tsv").exists()
