"""What every command has in common: help at once, and one line for input at fault."""

import json
import subprocess
import sys

import pytest
from typer.main import get_command

from regreveal.cli.main import app

HEAVY = {"tensorflow", "keras", "jax", "numpy", "pandas", "scipy", "matplotlib", "numba", "cv2"}
HEAVY |= {"SimpleITK", "h5py", "pyarrow", "distributed", "sklearn", "statsmodels", "pydicom"}


def every_command(group=None, before=()):
    """Each command, and each group of commands, by its words."""
    found = {}
    for name, command in (group or get_command(app)).commands.items():
        found[*before, name] = command
        if hasattr(command, "commands"):
            found |= every_command(command, (*before, name))
    return found


def test_help_names_every_command(regreveal):
    result = regreveal("--help")
    assert result.returncode == 0
    for command, *_ in every_command():
        assert command in result.stdout


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_every_command_and_option_explains_itself(regreveal, words):
    result = regreveal(*words, "--help")
    assert result.returncode == 0, result.stderr
    assert f"regreveal {' '.join(words)} " in result.stdout
    command = every_command()[words]
    assert command.help
    assert [param.name for param in command.params if not param.help] == []


def test_no_help_loads_anything_heavy():
    """Which is what makes it instant, on any machine."""
    code = (
        "import json, sys; from regreveal.cli.start import start\n"
        "from regreveal.cli.main import main\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    sys.argv = ['regreveal', *command, '--help']\n"
        "    try: main()\n"
        "    except SystemExit: pass\n"
        "print('loaded:', json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    commands = json.dumps([[], *map(list, every_command())])
    result = subprocess.run(
        [sys.executable, "-c", code, commands], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(result.stdout.rpartition("loaded: ")[2]))
    assert "typer" in loaded
    assert loaded & HEAVY == set()


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
def test_bad_input_is_one_line_an_exit_status_and_no_output(
    tmp_path, regreveal, arguments, message
):
    (tmp_path / "typo.toml").write_text(
        'title = "x"\n[data.simulate]\n[arms.native]\ntensor_map = "a"\ntensormap = "ecg.median"\n'
    )
    (tmp_path / "cohort.tsv").write_text("sample_id\na\nb\n")
    result = regreveal(*arguments)
    assert result.returncode == 1, result.stderr
    assert message in result.stderr
    assert result.stderr.startswith("regreveal: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_listing_shows_the_tensor_maps(regreveal):
    result = regreveal("tensormaps")
    assert "ecg.rest_10s" in result.stdout
    assert "5000 × 12" in result.stdout


def test_the_listing_shows_a_package_of_the_working_directory(tmp_path):
    (tmp_path / "site_maps").mkdir()
    (tmp_path / "site_maps" / "retina.py").write_text(
        "from regreveal.tensormap import TensorMap\n"
        "left = TensorMap('retina.left', 'retina/left', (8, 8, 3), 'grey', 'retina', 'Left.')\n"
    )
    # -P: the working directory is not on the path, as it is not for the installed command.
    code = "from regreveal.cli.main import main; main()"
    result = subprocess.run(
        [sys.executable, "-P", "-c", code, "tensormaps", "--package", "site_maps"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "retina.left" in result.stdout, result.stderr
