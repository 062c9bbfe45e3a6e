"""A run with everything and one with probes only, and their reports, built once."""

import shutil
from pathlib import Path

import pytest

from regreveal.report.html import build_report

from .run_folder import make_run_folder


@pytest.fixture(scope="session")
def full_run(tmp_path_factory) -> Path:
    return make_run_folder(tmp_path_factory.mktemp("runs") / "full")


@pytest.fixture(scope="session")
def probes_run(tmp_path_factory) -> Path:
    return make_run_folder(tmp_path_factory.mktemp("runs") / "probes", genetics=False)


@pytest.fixture(scope="session")
def images_run(tmp_path_factory) -> Path:
    """ECGs and three kinds of images, some of them fused, and phases; no genetics."""
    folder = tmp_path_factory.mktemp("runs") / "images"
    return make_run_folder(folder, genetics=False, images=True, fusion=True)


@pytest.fixture(scope="session")
def images_page(images_run) -> str:
    return build_report(images_run).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def full_page(full_run) -> str:
    return build_report(full_run).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def probes_page(probes_run) -> str:
    return build_report(probes_run).read_text(encoding="utf-8")


@pytest.fixture
def copy_of_run(full_run, tmp_path) -> Path:
    """A run of one's own to damage, without a report."""
    return shutil.copytree(
        full_run,
        tmp_path / "run",
        ignore=shutil.ignore_patterns("report.html", "figures", "tables"),
    )
