import importlib.metadata
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = "demo run report compare simulate tensormaps split register train embed probe gwas"
COMMANDS += " ingest zoo phecodes phewas clusters replicate directions regenie-inputs doctor"


def regreveal(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    # -P: the working directory is not on the path, as it is not for the installed command.
    command = [
        sys.executable,
        "-P",
        "-c",
        "from regreveal.cli.main import main; main()",
        *arguments,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_help_names_every_command(tmp_path):
    result = regreveal("--help", folder=tmp_path)
    assert result.returncode == 0
    for command in COMMANDS.split():
        assert command in result.stdout


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_explains_itself(tmp_path, command):
    result = regreveal(command, "--help", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout


def test_help_loads_nothing_heavy(tmp_path):
    code = (
        "import sys; from regreveal.cli.main import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "from importlib.metadata import packages_distributions\n"
        "installed = set(packages_distributions()) & {name.split('.')[0] for name in sys.modules}\n"
        "import json; print('loaded:', json.dumps(sorted(installed)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(json.loads(result.stdout.rpartition("loaded: ")[2]))
    heavy = {"tensorflow", "keras", "jax", "numpy", "pandas", "scipy", "matplotlib", "numba", "cv2"}
    heavy |= {"SimpleITK", "h5py", "pyarrow", "distributed", "sklearn", "statsmodels", "pydicom"}
    assert "typer" in loaded
    assert loaded & heavy == set()


def test_the_version_is_told_at_once(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = regreveal("--version", folder=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert result.returncode == 0
    assert result.stdout == f"regreveal {importlib.metadata.version('regreveal')}\n"
    # Processor time: that of the clock is other programs' as well.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.toml", "--out", "out"], "nowhere.toml: no such file"),
        (["run", "typo.toml", "--out", "out"], "unknown key 'arms.native.tensormap'"),
        (["report", "nowhere"], "nowhere"),
        (["ingest", "ecg", "nowhere", "--store", "out"], "nowhere"),
        (["embed", "--model", "nowhere", "--store", "out", "--out", "e.parquet"], "nowhere"),
        (["tensormaps", "--package", "nowhere"], "package of tensor maps 'nowhere'"),
        (
            ["gwas", "--embedding", "e.parquet", "--genotypes", "g.bed", "--out", "out"],
            "e.parquet: no such file",
        ),
        (
            [
                "register",
                "Sorting",
                "--store",
                "s",
                "--from",
                "ecg.rest_10s",
                "--to",
                "ecg.median",
                "--out",
                "out",
            ],
            "no registration 'Sorting'",
        ),
        (
            ["split", "--cohort", "nowhere.tsv", "--out", "out/splits.tsv"],
            "nowhere.tsv: no such file",
        ),
        (
            ["split", "--cohort", "cohort.tsv", "--train", "0.5", "--out", "out/splits.tsv"],
            "must be at least 0 and add up to 1",
        ),
    ],
)
def test_bad_input_is_one_line_an_exit_status_and_no_output(tmp_path, arguments, message):
    (tmp_path / "typo.toml").write_text(
        'title = "x"\n[data.simulate]\n[arms.native]\ntensor_map = "a"\ntensormap = "ecg.median"\n'
    )
    (tmp_path / "cohort.tsv").write_text("sample_id\na\nb\n")
    result = regreveal(*arguments, folder=tmp_path)
    assert result.returncode == 1, result.stderr
    assert message in result.stderr
    assert result.stderr.startswith("regreveal: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_listing_shows_the_tensor_maps(tmp_path):
    result = regreveal("tensormaps", folder=tmp_path)
    assert "ecg.rest_10s" in result.stdout
    assert "5000 × 12" in result.stdout


def test_the_listing_shows_a_package_of_the_working_directory(tmp_path):
    (tmp_path / "site_maps").mkdir()
    (tmp_path / "site_maps" / "retina.py").write_text(
        "from regreveal.tensormap import TensorMap\n"
        "left = TensorMap('retina.left', 'retina/left', (8, 8, 3), 'grey', 'retina', 'Left.')\n"
    )
    result = regreveal("tensormaps", "--package", "site_maps", folder=tmp_path)
    assert "retina.left" in result.stdout, result.stderr
