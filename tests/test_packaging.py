"""What the distributions are made of; tests/install_wheel.py builds and installs them."""

import re
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from setuptools.discovery import PackageFinder

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def packaged():
    """Files that a wheel is to hold, by the declarations of pyproject.toml."""
    settings = PROJECT["tool"]["setuptools"]
    packages = PackageFinder.find(str(CHECKOUT), include=settings["packages"]["find"]["include"])
    found = set()
    for package in packages:
        folder = CHECKOUT / package.replace(".", "/")
        for pattern in ("*.py", *settings["package-data"].get(package, ())):
            found |= {path for path in folder.glob(pattern) if path.is_file()}
    return found


def test_a_wheel_holds_every_file_of_the_packages(packaged):
    there = {
        path
        for package in ("regreveal", "tensormaps", "model_zoo")
        for path in (CHECKOUT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    missing = sorted(str(path.relative_to(CHECKOUT)) for path in there - packaged)
    assert missing == []


def test_what_commands_and_types_need_is_among_them(packaged):
    for name in (
        "regreveal/py.typed",
        "regreveal/experiment/demo.toml",
        "regreveal/report/templates/report.html.j2",
        "tensormaps/ecg.py",
        "model_zoo/ecg_median/encoder.keras",
        "model_zoo/ecg_median/registration/ecg_aligned/arrays.npz",
    ):
        assert CHECKOUT / name in packaged


@pytest.fixture(scope="module")
def pins():
    lines = (CHECKOUT / "constraints.txt").read_text().split()
    return {name_of(line.partition("==")[0]): line.partition("==")[2] for line in lines}


def test_pinned_versions_can_be_installed_together(pins):
    installed = {name_of(each.name): each for each in metadata.distributions()}
    for name in set(pins) & set(installed):
        for requirement in map(Requirement, installed[name].requires or ()):
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            pinned = pins.get(name_of(requirement.name))
            if applies and pinned:
                assert requirement.specifier.contains(pinned, prereleases=True), (name, requirement)


def test_every_requirement_is_pinned_in_a_version_that_is_allowed(pins):
    extras = PROJECT["project"]["optional-dependencies"]
    for text in [*PROJECT["project"]["dependencies"], *chain(*extras.values())]:
        requirement = Requirement(text)
        assert name_of(requirement.name) in pins, text
        assert requirement.specifier.contains(pins[name_of(requirement.name)]), text


def name_of(text):
    return re.sub(r"[-_.]+", "-", text).lower()


def test_the_licence_and_the_typing_are_declared():
    project = PROJECT["project"]
    assert project["license"] == "Apache-2.0"
    for name in project["license-files"]:
        assert "Apache License" in (CHECKOUT / name).read_text()
    assert "Typing :: Typed" in project["classifiers"]


def test_the_python_versions_told_are_those_allowed():
    told = [
        line.rpartition(" ")[2]
        for line in PROJECT["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", line)
    ]
    allowed = Requirement(f"python{PROJECT['project']['requires-python']}").specifier
    assert told
    assert all(allowed.contains(version) for version in told)
    assert not allowed.contains("3.10")


def test_the_citation_is_of_this_version_and_this_licence():
    citation = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert all({"name", "family-names"} & author.keys() for author in citation["authors"])


def test_the_changelog_begins_with_this_version():
    headings = re.findall(r"^## (\S+)", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == PROJECT["project"]["version"]
