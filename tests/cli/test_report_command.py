import pytest

from regreveal.cli.report import report
from regreveal.errors import InputError
from regreveal.experiment.manifest import Manifest
from regreveal.report import html
from regreveal.store.atomic import take_lock


def test_a_report_is_not_made_of_a_run_at_work(tmp_path):
    with Manifest(tmp_path, seed=1) as manifest:
        manifest.run("stage", lambda: None, outputs=[])
        with pytest.raises(InputError, match="another process is writing there"):
            report(tmp_path)


def test_a_run_cannot_start_while_its_report_is_being_made(tmp_path, monkeypatch):
    def build_report(folder):
        with pytest.raises(InputError, match="another process is writing there"):
            take_lock(folder / ".lock", wait=False)

    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.setattr(html, "build_report", build_report)
    report(tmp_path)
    take_lock(tmp_path / ".lock", wait=False).close()


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_nothing_is_left_in_a_folder_that_is_no_run(tmp_path, name):
    with pytest.raises(InputError):
        report(tmp_path / name)
    assert not list(tmp_path.iterdir())
