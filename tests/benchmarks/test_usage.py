"""What the scripts say of how they are called is where they lie."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_names_itself_in_its_usage_and_only_scripts_that_there_are(script):
    text = script.read_text()
    called = re.findall(r"^ *(?:\w+=\w+ )?python (benchmarks/\S+)", text, re.MULTILINE)
    assert {ROOT / name for name in called} <= {script}
    named = re.findall(r"benchmarks/[\w/]+\.py", text)
    assert [name for name in named if not (ROOT / name).is_file()] == []
