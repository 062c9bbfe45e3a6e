"""What may not be read or written is one line and status 1."""

import ctypes
import os
import subprocess
import sys

import pytest

DROP_FROM_BOUNDING_SET = 24  # PR_CAPBSET_DROP of Linux's prctl(2)
OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH of capabilities(7)


def give_up_overrides():
    """Let root, as whom containers run tests, be refused like anybody else."""
    if os.geteuid() == 0:
        for capability in OVERRIDES:
            ctypes.CDLL(None).prctl(DROP_FROM_BOUNDING_SET, capability)


@pytest.fixture
def regreveal(tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        code = "from regreveal.cli.main import main; main()"
        return subprocess.run(
            [sys.executable, "-P", "-c", code, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            preexec_fn=give_up_overrides,
        )

    probe = tmp_path / "probe"
    probe.write_text("x")
    probe.chmod(0)
    code = "open('probe')"
    refused = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, preexec_fn=give_up_overrides, stderr=-1
    )
    if refused.returncode == 0:
        pytest.skip("nothing is refused to this user")
    return run


EXPERIMENT = 'title = "x"\n[data.simulate]\n[arms.a]\ntensor_map = "ecg.median"\n'
SPLIT = ["split", "--cohort", "cohort.tsv", "--out"]


@pytest.mark.parametrize(
    ("path", "mode", "arguments", "message"),
    [
        ("closed", 0o500, ["run", "little.toml", "--out", "closed"], "closed: cannot be written"),
        ("closed", 0o500, [*SPLIT, "closed/splits.tsv"], "closed/splits.tsv: Permission denied; "),
        ("closed", 0o500, [*SPLIT, "closed/new/splits.tsv"], "closed/new: cannot be written to"),
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
    (tmp_path / path).chmod(0o700)
    assert result.returncode == 1, result.stderr
    assert result.stderr.startswith(f"regreveal: {message}"), result.stderr
    assert "ermission denied" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list((tmp_path / "closed").iterdir())


def test_an_argument_that_may_not_be_read_is_refused_like_any_other_wrong_one(tmp_path, regreveal):
    (tmp_path / "cohort.tsv").touch(0)
    result = regreveal(*SPLIT, "splits.tsv")
    assert result.returncode == 2
    assert "'cohort.tsv' is not readable" in result.stderr
    assert not (tmp_path / "splits.tsv").exists()
