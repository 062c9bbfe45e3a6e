"""Versions of what RegReveal builds on, and which genotype formats it can read here."""

import importlib
import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterator

from packaging.requirements import Requirement

from regreveal.doctor.check import Check, Status

GROUP = "software"
# Those that results depend on are told by version; of the others only what is off.
TOLD = ("keras", "tensorflow", "numpy", "scipy", "numba", "h5py", "pandas", "distributed")
# A distribution that gives the same module as the one that is asked for.
STAND_INS = {"tensorflow": ("tensorflow-cpu", "tf-nightly"), "opencv-python-headless": (
    "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python",
)}  # fmt: skip
# What reads each format, beside pandas. Numba is left out: it takes a second to import,
# and the self-test of the GWAS compiles with it.
FORMATS = {
    "PLINK 1 (.bed)": ("numpy",),
    "PLINK 2 (.pgen)": ("pgenlib",),
    "BGEN (.bgen)": ("isal.isal_zlib", "pyarrow"),
    "VCF, BCF (.vcf.gz, .bcf)": ("cyvcf2",),
}
NEW_ENVIRONMENT = (
    "install RegReveal again into a new environment, with the versions of constraints.txt"
)


def check_software() -> Iterator[Check]:
    """Look at Python, at RegReveal, and at every package that it requires."""
    yield Check(GROUP, "Python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield Check(GROUP, "RegReveal", importlib.metadata.version("regreveal"))
    requirements = [Requirement(text) for text in importlib.metadata.requires("regreveal") or ()]
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        check = _check_requirement(requirement)
        if check.status != Status.ok or requirement.name in TOLD:
            yield check


def check_genotype_formats() -> Iterator[Check]:
    """Look whether what reads each genotype format can be loaded."""
    for name, modules in FORMATS.items():
        problems = {module: import_problem(module) for module in modules}
        broken = [module for module, problem in problems.items() if problem is not None]
        if not broken:
            yield Check("genotypes", name, "readable")
        else:
            found = problems[broken[0]]
            yield Check("genotypes", name, found, Status.broken, install_again(*broken))


def import_problem(module: str) -> str | None:
    """Say in a line why a module cannot be imported; None if it can."""
    try:
        importlib.import_module(module)
    # Beside what is missing: a compiled library that is not there, or of another NumPy.
    except (ImportError, OSError, AttributeError) as error:
        return f"{module} cannot be imported ({str(error).partition(chr(10))[0]})"
    return None


def install_again(*modules: str) -> str:
    """Say how packages are mended that cannot be imported."""
    packages = dict.fromkeys(module.partition(".")[0] for module in modules)
    return (
        f"pip install --force-reinstall {' '.join(packages)}, in the versions of constraints.txt; "
        f"if that does not help, {NEW_ENVIRONMENT}"
    )


def _check_requirement(requirement: Requirement) -> Check:
    name = requirement.name
    version = _installed_version(name)
    advice = f"pip install '{requirement}'"
    if version is None:
        return Check(GROUP, name, "not installed", Status.broken, advice)
    if not requirement.specifier.contains(version, prereleases=True):
        found = f"{version}; expected {requirement.specifier}"
        return Check(GROUP, name, found, Status.broken, advice)
    return Check(GROUP, name, version)


def _installed_version(name: str) -> str | None:
    for distribution in (name, *STAND_INS.get(name, ())):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def check_isolation() -> Iterator[Check]:
    """Look whether packages come from the environment, or from a user's folder outside it."""
    # Found, not imported: what is broken is told further on.
    numpy = importlib.util.find_spec("numpy")
    if numpy is not None and not numpy.origin.startswith((sys.prefix, sys.base_prefix)):
        yield Check(
            GROUP,
            "environment",
            f"NumPy comes from {numpy.origin}, which is not in {sys.prefix}",
            Status.warning,
            "unset PYTHONPATH, and set PYTHONNOUSERSITE=1 so that packages of the user's folder "
            "do not take the place of the environment's",
        )
