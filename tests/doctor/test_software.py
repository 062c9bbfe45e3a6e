import importlib.metadata
import sys

import pytest
from packaging.requirements import Requirement

from regreveal.doctor import software
from regreveal.doctor.check import Status


@pytest.fixture
def requirements(monkeypatch):
    """Let RegReveal require what a test says."""

    def require(*texts):
        monkeypatch.setattr(importlib.metadata, "requires", lambda _: list(texts))
        return [check for check in software.check_software() if check.status != Status.ok]

    return require


def test_packages_that_are_there_in_the_right_version_are_no_remark(requirements):
    assert requirements("numpy>=1", "h5py") == []


def test_a_package_that_is_missing_is_broken_and_its_installation_told(requirements):
    (check,) = requirements("no-such-package>=2")
    assert check.status == Status.broken
    assert check.found == "not installed"
    assert check.advice == "pip install 'no-such-package>=2'"


def test_a_version_that_is_too_old_is_broken(requirements):
    (check,) = requirements("numpy>=99")
    assert check.status == Status.broken
    assert "expected >=99" in check.found


def test_packages_of_extras_are_not_asked_for(requirements):
    assert requirements("no-such-package; extra == 'jax'") == []


def test_tensorflow_for_processors_only_will_do(monkeypatch):
    def version(name):
        if name == "tensorflow":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"tensorflow-cpu": "2.21.0"}[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    check = software._check_requirement(Requirement("tensorflow>=2.18"))
    assert (check.status, check.found) == (Status.ok, "2.21.0")


def test_every_genotype_format_is_readable_here():
    checks = list(software.check_genotype_formats())
    assert len(checks) == 4
    assert {check.found for check in checks} == {"readable"}


def test_a_format_whose_reader_cannot_be_loaded_is_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "pgenlib", None)  # importing it fails
    broken = [check for check in software.check_genotype_formats() if check.status != Status.ok]
    assert [check.name for check in broken] == ["PLINK 2 (.pgen)"]
    assert "pgenlib cannot be imported" in broken[0].found
    assert "pip install --force-reinstall pgenlib" in broken[0].advice


def test_packages_from_outside_the_environment_are_a_warning(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/elsewhere")
    monkeypatch.setattr(sys, "base_prefix", "/elsewhere")
    (check,) = software.check_isolation()
    assert check.status == Status.warning
    assert "PYTHONPATH" in check.advice
