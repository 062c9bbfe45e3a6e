import io
import json

import pytest
from rich.console import Console

from regreveal.doctor.check import Check, Status, as_json, print_table, worst

FINE = Check("machine", "memory", "64.0 GiB")
SLOW = Check("storage", "store", "5 MiB/s", Status.warning, "copy it")
BROKEN = Check("software", "keras", "not installed", Status.broken, "pip install 'keras>=3.8'")


@pytest.mark.parametrize(
    ("checks", "status"),
    [([], "ok"), ([FINE], "ok"), ([SLOW, FINE], "warning"), ([BROKEN, SLOW], "broken")],
)
def test_the_worst_of_several_counts(checks, status):
    assert worst(checks) == status


def test_json_tells_everything():
    told = json.loads(as_json([FINE, BROKEN]))
    assert told["status"] == "broken"
    assert told["checks"][1] == {
        "group": "software",
        "name": "keras",
        "found": "not installed",
        "status": "broken",
        "advice": "pip install 'keras>=3.8'",
    }


def test_the_table_says_what_to_do_about_what_is_off_only():
    page = io.StringIO()
    bracketed = Check(
        "machine", "GPU", "none", Status.warning, "pip install 'tensorflow[and-cuda]'"
    )
    print_table([FINE, SLOW, BROKEN, bracketed], Console(file=page, width=100))
    text = page.getvalue()
    assert "64.0 GiB" in text
    assert text.count("memory") == 1
    assert "pip install 'keras>=3.8'" in text
    assert "tensorflow[and-cuda]" in text  # not taken for markup
    assert "4 looked at: 1 broken, 2 warnings" in text


def test_nothing_is_cut_off_in_a_narrow_terminal():
    page = io.StringIO()
    folder = Check("storage", "store", "/a/long/path/" + 20 * "folder/")
    print_table([folder], Console(file=page, width=60))
    assert folder.found in page.getvalue().replace("\n", "").replace(" ", "")
    assert max(map(len, page.getvalue().splitlines())) <= 60
