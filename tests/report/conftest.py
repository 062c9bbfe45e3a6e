"""A run with everything and one with probes only, and their reports, built once."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from regreveal.report.html import build_report

from .run_folder import make_run_folder


def _reported(folder: Path, **options) -> None:
    build_report(make_run_folder(folder, **options))


@pytest.fixture(scope="session")
def full_run(made_once) -> Path:
    return made_once("full", _reported)


@pytest.fixture(scope="session")
def probes_run(made_once) -> Path:
    return made_once("probes", partial(_reported, genetics=False))


@pytest.fixture(scope="session")
def images_run(made_once) -> Path:
    """ECGs and three kinds of images, some of them fused, and phases; no genetics."""
    return made_once("images", partial(_reported, genetics=False, images=True, fusion=True))


@pytest.fixture(scope="session")
def images_page(images_run) -> str:
    return (images_run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def full_page(full_run) -> str:
    return (full_run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def probes_page(probes_run) -> str:
    return (probes_run / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def copy_of_run(full_run, tmp_path) -> Path:
    """A run of one's own to damage, without a report."""
    return shutil.copytree(
        full_run,
        tmp_path / "run",
        ignore=shutil.ignore_patterns("report.html", "figures", "tables"),
    )
