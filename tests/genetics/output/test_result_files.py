import json

import pandas as pd
import pytest

from regreveal.genetics.output.files import ResultFiles


def publish(folder):
    files = ResultFiles(folder, "settings", {"table.tsv": b"header"})
    files.add("table.tsv", b"header and lines")
    return files.publish(pd.DataFrame({"locus": [1]}), {"variants": 1})


def test_what_an_earlier_scan_left_and_this_one_does_not_make_is_taken_away(tmp_path):
    (tmp_path / "earlier.tsv").touch()
    (tmp_path / "gwas.json").write_text(json.dumps({"files": ["earlier.tsv", "table.tsv"]}))
    publish(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"table.tsv", "loci.tsv", "gwas.json"}


@pytest.mark.parametrize("name", ["../mine.tsv", "/mine.tsv", "link/mine.tsv"])
def test_a_summary_from_elsewhere_has_nothing_outside_of_the_folder_taken_away(tmp_path, name):
    mine, folder = tmp_path / "mine.tsv", tmp_path / "out"
    mine.touch()
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    named = str(mine) if name == "/mine.tsv" else name
    (folder / "gwas.json").write_text(json.dumps({"files": [named]}))
    publish(folder)
    assert mine.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": 3}'])
def test_a_damaged_summary_is_replaced(tmp_path, content):
    """Such as a power cut leaves: every later scan into the folder ended as a defect."""
    (tmp_path / "gwas.json").write_text(content)
    publish(tmp_path)
    assert json.loads((tmp_path / "gwas.json").read_text())["variants"] == 1
