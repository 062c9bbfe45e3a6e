"""The recipes of docker/ and compose.yaml say what docs/docker.md promises of the images."""

import importlib.metadata
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from distributed.cli import dask_worker
from packaging.requirements import Requirement
from typer.testing import CliRunner

from regreveal.cli.main import app
from tests.docs.commands import Command, parse

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
APPTAINER = ROOT / "docker" / "regreveal.def"
COMPOSE = ROOT / "compose.yaml"
PAGE = ROOT / "docs" / "docker.md"
PINS = ROOT / "constraints.txt"
GPU_PINS = ROOT / "docker" / "constraints-gpu.txt"
IMAGES = ("cpu", "gpu")
SERVICES = ("demo", "regreveal", "gpu", "scheduler", "worker")


def instructions(recipe: Path) -> list[tuple[str, str]]:
    lines = [line for line in recipe.read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def stages(recipe: Path) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Base and instructions of every stage, by its name."""
    found = {}
    for instruction, value in instructions(recipe):
        if instruction == "FROM":
            base, _, name = value.split()
            found[name] = (base, [])
        elif found:
            found[name][1].append((instruction, value))
    return found


def with_bases(name: str) -> list[tuple[str, str]]:
    """Instructions of a stage after those of the stages that it stands on."""
    base, own = stages(DOCKERFILE)[name]
    return [*(with_bases(base) if base in stages(DOCKERFILE) else []), *own]


def pip_installs(text: str) -> list[str]:
    return [
        command.strip()
        for command in re.split(r"&&|\n", text.replace("\\\n", " "))
        if re.search(r"\bpip install\b", command) and not command.lstrip().startswith("#")
    ]


def pins(file: Path) -> dict[str, str]:
    return dict(line.split("==") for line in file.read_text().split())


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_the_base_image_is_an_argument():
    recipe = stages(DOCKERFILE)
    assert {base for base, _ in recipe.values()} <= {"${BASE}", *recipe}
    (base,) = (
        value.partition("=")[2]
        for instruction, value in instructions(DOCKERFILE)
        if instruction == "ARG" and value.startswith("BASE=")
    )
    definition = APPTAINER.read_text()
    assert set(re.findall(r"^From: (.*)$", definition, re.M)) == {"{{ BASE }}"}
    bases = re.findall(r"^ +BASE=(.*)$", definition, re.M)
    assert len(bases) == 2
    assert set(bases) == {base}


def test_every_argument_of_the_definition_is_declared_in_the_stage_that_uses_it():
    *_, build, final = re.split(r"^(?=Bootstrap:)", APPTAINER.read_text(), flags=re.M)
    for stage in (build, final):
        used = set(re.findall(r"\{\{ (\w+) \}\}", stage))
        (section,) = re.findall(r"^%arguments\n((?: +.*\n)+)", stage, re.M)
        assert used == set(re.findall(r"^ +([A-Z]+)=", section, re.M))
        assert {"BOOTSTRAP", "BASE"} <= used
    assert "Stage: final" in final
    assert "%files from build" in final


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_user_without_rights(image):
    last = with_bases(image)[-1]
    assert last == ("USER", "regreveal")
    created = " ".join(value for kind, value in with_bases(image) if kind == "RUN")
    assert "useradd --create-home --uid 1000 regreveal" in created


@pytest.mark.parametrize("image", IMAGES)
def test_no_compiler_stays_in_an_image(image):
    packages = [
        package
        for kind, value in with_bases(image)
        if kind == "RUN" and "apt-get install" in value
        for package in value.split("&&")[1].split()[2:]
        if not package.startswith("--")
    ]
    assert packages == ["python3", "tini", "fonts-liberation"]


@pytest.mark.parametrize("image", IMAGES)
def test_the_health_check_is_a_command_that_regreveal_has(image):
    (check,) = (value for kind, value in with_bases(image) if kind == "HEALTHCHECK")
    program, command, *options = yaml.safe_load(check.partition(" CMD ")[2])
    assert program == "regreveal"
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
    assert options == ["--quick"]


@pytest.mark.parametrize("recipe", [DOCKERFILE, APPTAINER], ids=lambda path: path.name)
def test_every_version_that_is_installed_is_pinned(recipe):
    installs = pip_installs(recipe.read_text())
    assert installs
    for command in installs:
        assert "constraints.txt" in command or "--no-deps" in command, command


def test_the_pins_of_cuda_are_what_tensorflow_and_jax_ask_for():
    gpu = pins(GPU_PINS)
    asked = [
        requirement
        for text in importlib.metadata.requires("tensorflow")
        if (requirement := Requirement(text)).marker
        and requirement.marker.evaluate({"extra": "and-cuda"})
        and not requirement.marker.evaluate({"extra": ""})
    ]
    assert asked
    for requirement in asked:
        assert gpu[requirement.name] in requirement.specifier, requirement
    assert gpu["jax-cuda12-plugin"] == gpu["jax-cuda12-pjrt"] == pins(PINS)["jax"]


@pytest.mark.parametrize(
    "recipe", [DOCKERFILE, APPTAINER, COMPOSE, GPU_PINS], ids=lambda path: path.name
)
def test_a_recipe_has_no_address_and_no_secret(recipe):
    text = recipe.read_text()
    assert not re.search(r"\w+://(?!scheduler:8786)", text)
    assert not re.search(r"index-url|find-links|trusted-host|password|token|proxy", text, re.I)


def test_secrets_are_mounted_and_nothing_else_of_a_site_is_copied():
    for kind, value in instructions(DOCKERFILE):
        assert kind != "ADD"
        if kind == "COPY":
            assert "pip.conf" not in value
    mounts = re.findall(r"--mount=type=secret,(\S+)", DOCKERFILE.read_text())
    assert set(mounts) == {"id=pip,target=/etc/pip.conf"}


def test_a_build_sees_the_code_and_nothing_beside_it():
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((ROOT / path).exists() for path in allowed)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.rstrip("*") for package in packages} <= allowed
    copied = re.findall(r"^ +(\S+) /build/", APPTAINER.read_text(), re.M)
    assert set(copied) == allowed


def test_what_is_packaged_reaches_the_build():
    """A link that leads out of the packages is cut off there: the demo's experiment was, once."""
    packages = [ROOT / name for name in ("regreveal", "tensormaps", "model_zoo")]
    links = [path for package in packages for path in package.rglob("*") if path.is_symlink()]
    for link in links:
        assert any(link.resolve().is_relative_to(package) for package in packages), link
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert {rule for rule in rules if rule.startswith("**")} == {"**/__pycache__", "**/*.egg-info"}


def test_a_build_takes_its_backend_from_the_pins():
    (command,) = (
        value
        for kind, value in stages(DOCKERFILE)["code"][1]
        if kind == "RUN" and "pip install" in value
    )
    assert "--no-build-isolation" in command
    pinned = pins(PINS)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for requirement in map(Requirement, needed):
        assert pinned[requirement.name] in requirement.specifier
    assert "wheel" in pinned


def test_a_change_of_code_installs_no_dependencies_anew():
    recipe = stages(DOCKERFILE)
    for name in ("dependencies", "gpu"):
        before = []
        for kind, value in recipe[name][1]:
            if kind == "RUN" and "constraints.txt" in value:
                break
            before.append((kind, value))
        copied = {value for kind, value in before if kind == "COPY"}
        assert copied <= {
            "constraints.txt ./",
            "--from=requirements /build/requirements.txt ./",
        }, name
        assert "from=code" not in value, name


def test_every_service_is_there_with_volumes_for_data_and_runs(services):
    assert set(services) == set(SERVICES)
    for name, service in services.items():
        targets = [volume.rpartition(":")[2] for volume in service["volumes"]]
        assert targets == ["/data", "/runs"], name


def test_no_service_is_root_or_open_to_others(services):
    for name, service in services.items():
        assert service["user"] == "${REGREVEAL_USER:-1000:1000}", name
        assert service["cap_drop"] == ["ALL"], name
        assert not {"ports", "network_mode", "privileged"} & set(service), name
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["default"] == {"internal": True}


def test_a_service_that_is_stopped_has_time_to_take_away_what_is_half_written(services):
    assert {service["stop_grace_period"] for service in services.values()} == {"1m"}


def test_services_are_built_from_stages_and_arguments_that_the_recipe_has(services):
    arguments = {
        value.partition("=")[0] for kind, value in instructions(DOCKERFILE) if kind == "ARG"
    }
    for name, service in services.items():
        build = service["build"]
        assert ROOT / build["dockerfile"] == DOCKERFILE
        assert build["target"] in IMAGES, name
        assert service["image"] == f"regreveal:{build['target']}", name
        assert set(build["args"]) <= arguments, name


def test_only_the_demo_starts_without_a_profile(services):
    profiles = {name: service.get("profiles") for name, service in services.items()}
    assert profiles == {
        "demo": None,
        "regreveal": ["tools"],
        "gpu": ["gpu"],
        "scheduler": ["dask"],
        "worker": ["dask"],
    }


def test_health_checks_are_words_without_blanks(services):
    """Podman 4.3 takes them apart at blanks."""
    checks = [
        service["healthcheck"]["test"] for service in services.values() if "healthcheck" in service
    ]
    checks += [
        yaml.safe_load(value.partition(" CMD ")[2])
        for kind, value in with_bases("cpu")
        if kind == "HEALTHCHECK"
    ]
    assert len(checks) == 2
    assert not [word for check in checks for word in check if " " in word]


def test_workers_wait_for_the_scheduler_and_find_it(services):
    worker = services["worker"]
    assert worker["depends_on"] == {"scheduler": {"condition": "service_healthy"}}
    assert "tcp://scheduler:8786" in worker["entrypoint"]
    assert "8786" in services["scheduler"]["entrypoint"]


def test_there_is_a_worker_a_core_with_one_thread(services):
    """With "auto" for their number, Dask decides of threads whatever it is told."""
    _, _, _, kind, *arguments = services["worker"]["entrypoint"]
    assert kind == "worker"
    told = dask_worker.main.make_context("dask worker", arguments).params
    assert (told["n_workers"], told["nthreads"]) == ("-1", 1)
    environment = services["worker"]["environment"]
    assert environment == {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def test_what_the_page_tells_compose_to_do_can_be_done(services):
    """Services and profiles are there, and what a container is to run is a command of regreveal."""
    lines = re.findall(r"^    docker compose (.*?)(?:\s+# .*)?$", PAGE.read_text(), re.M)
    assert len(lines) > 5
    for line in lines:
        options, verb, rest = re.fullmatch(r"(.*?)\b(run|build|up|down)\b(.*)", line).groups()
        profiles = re.findall(r"--profile (\w+)", options)
        assert set(profiles) <= {"tools", "gpu", "dask"}, line
        words = [word for word in shlex.split(rest) if word not in ("--rm", "--detach")]
        if verb != "run":
            assert set(words) <= set(services), line
            continue
        service, *arguments = words
        assert service in services, line
        if arguments:
            text = shlex.join(["regreveal", *(word for word in arguments if word != "…")])
            parse(Command("docker.md", text, "…" in words))


def test_other_engines_are_told_of_recipes_and_targets_that_are_there():
    text = PAGE.read_text() + DOCKERFILE.read_text() + APPTAINER.read_text()
    targets = re.findall(r"--target (\S+)", text)
    assert targets
    assert set(targets) <= set(IMAGES)
    recipes = re.findall(r"docker/[\w.-]+", text)
    assert recipes
    assert all((ROOT / recipe).exists() for recipe in recipes)
    arguments = set(re.findall(r"--build-arg (\w+)=", text))
    known = re.findall(
        r"^(?:ARG | +)([A-Z]+)=", DOCKERFILE.read_text() + APPTAINER.read_text(), re.M
    )
    assert arguments <= set(known)
