"""Fixtures every test folder shares."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# The same examples every time, so that a commit passes or fails whatever the day;
# HYPOTHESIS_PROFILE=default looks for new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# The files that take longest, longest first. Begun first, none of them is what all other processes
# wait for in the end.
SLOWEST = (
    "registration/test_deepcycle.py",
    "experiment/test_run.py",
    "experiment/test_latents_run.py",
    "docs/test_pages.py",
    "report/test_browser.py",
    "genetics/scan/test_going_on.py",
    "simulation/test_biobank.py",
    "models/test_fitting.py",
    "registration/test_dropfuse.py",
    "registration/test_dropfuse_faults.py",
    "phenome/probes/test_differences.py",
    "registration/test_voxelmorph.py",
    "report/test_html.py",
)
TESTS = Path(__file__).parent
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings, images and genotypes; tests that need it skip without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data not found at {SHARED_DATA}")
    return SHARED_DATA


def pytest_collection_modifyitems(items):
    """Put the slowest files first; a process takes whole files, in this order."""

    def place(item):
        file = item.path.relative_to(TESTS).as_posix()
        return SLOWEST.index(file) if file in SLOWEST else len(SLOWEST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable:
    """Give what makes a folder for all processes of the tests, by whoever comes first."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return folder_of
