"""Build the distributions, install the wheel where nothing else is, and use it; by hand.

    python tests/install_wheel.py [--python python3.12] [--doctor] [--wheel FILE]

Takes minutes and, once, downloads all requirements. Needs `build`. With --doctor the self-tests of
`regreveal doctor` are run, too.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
# Files of packages that are no modules: each is needed by a command or by those who use the types.
NEEDED = (
    "regreveal/py.typed",
    "regreveal/experiment/demo.toml",
    "regreveal/report/templates/report.html.j2",
    "regreveal/report/templates/style.css",
    "regreveal/simulation/loci.tsv",
    "tensormaps/ecg.py",
    "model_zoo/train.toml",
    "model_zoo/ecg_median/README.md",
    "model_zoo/ecg_median/encoder.keras",
    "model_zoo/ecg_median/registration/ecg_aligned/arrays.npz",
)


def run(*command: str, cwd: Path) -> str:
    """Run a command; give what it prints, or end with it."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def missing_files(names: set[str]) -> list[str]:
    """Tracked files of the packages that are not among the names."""
    tracked = run("git", "ls-files", "regreveal", "tensormaps", "model_zoo", cwd=CHECKOUT)
    return sorted((set(tracked.split()) | set(NEEDED)) - names)


def main() -> None:
    """Build, look, install, use."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="what the environment is made of")
    parser.add_argument("--doctor", action="store_true", help="run the self-tests, too")
    parser.add_argument("--wheel", type=Path, help="a wheel built before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = arguments.wheel or build(folder / "dist")
        names = set(zipfile.ZipFile(wheel).namelist())
        if missing := missing_files(names):
            sys.exit(f"{wheel.name} lacks {', '.join(missing)}")
        print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 2**20:.1f} MiB")
        use(wheel.resolve(), folder, arguments.python, arguments.doctor)


def build(dist: Path) -> Path:
    """Build both distributions; the wheel is built of the source distribution."""
    run(sys.executable, "-m", "build", "--outdir", str(dist), str(CHECKOUT), cwd=CHECKOUT)
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getnames()
    print(f"{sdist.name}: {len(members)} files, {sdist.stat().st_size / 2**20:.1f} MiB")
    (wheel,) = dist.glob("*.whl")
    return wheel


def use(wheel: Path, folder: Path, python: str, doctor: bool) -> None:
    """Install a wheel in a new environment, and use it in an empty folder."""
    environment, empty = folder / "environment", folder / "empty"
    empty.mkdir()
    run(python, "-m", "venv", str(environment), cwd=empty)
    pip = (str(environment / "bin" / "pip"), "install", "--quiet", str(wheel))
    started = time.monotonic()
    run(*pip, "--constraint", str(CHECKOUT / "constraints.txt"), cwd=empty)
    print(f"installed in {time.monotonic() - started:.0f} s")
    regreveal = str(environment / "bin" / "regreveal")
    commands = ["--help"], ["zoo", "list"], ["zoo", "show", "ecg_median"], ["tensormaps"]
    quick = [] if doctor else ["--quick"]
    for command in (*commands, ["doctor", *quick]):
        started = time.monotonic()
        told = run(regreveal, *command, cwd=empty)
        print(f"regreveal {' '.join(command)}: {time.monotonic() - started:.2f} s")
    print(told)


if __name__ == "__main__":
    main()
