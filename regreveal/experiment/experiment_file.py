"""Read an experiment file, or say in one line what is wrong with it."""

import difflib
import os
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from regreveal.errors import InputError
from regreveal.experiment.settings import Experiment
from regreveal.registration.methods import is_of_site

MODEL_DESCRIPTION = "model.json"  # marks the folder of a model, which may come from anywhere
RECIPE = "recipe.toml"  # trains it again on simulated people; others beside it are to be edited
PACKAGE = "tensormaps"


def load_experiment(path: str | os.PathLike) -> Experiment:
    """Read an experiment file.

    Raises
    ------
    InputError
        One line that names the file, the key, what was found and what is allowed.
    """
    experiment = parse_experiment(read_experiment_text(path), path)
    if Path(path).name == RECIPE and (Path(path).parent / MODEL_DESCRIPTION).is_file():
        _check_keeps_to_itself(experiment, path)
    return experiment


def _check_keeps_to_itself(experiment: Experiment, path: str | os.PathLike) -> None:
    """Refuse a recipe that came with a model and reaches for what is on this machine."""
    named = [experiment.data.folder, experiment.data.tensors]
    named += [arm.registration.reference for arm in experiment.arms.values() if arm.registration]
    if any(place is not None for place in named):
        raise InputError(
            f"{path}: a recipe beside a model names data of its own ({next(filter(None, named))}); "
            "expected data.simulate alone: copy the recipe to another folder to use other data"
        )
    code = [experiment.tensormaps] if experiment.tensormaps != PACKAGE else []
    methods = [arm.registration.method for arm in experiment.arms.values() if arm.registration]
    code += [method for method in methods if is_of_site(method)]
    if code:
        raise InputError(
            f"{path}: a recipe beside a model names a package of its own ('{code[0]}'), which is "
            f"code; expected '{PACKAGE}' and RegReveal's registrations: read it, and copy the "
            "recipe to another folder to use it"
        )


def read_experiment_text(path: str | os.PathLike) -> str:
    """Read an experiment file as text, or raise an InputError naming it."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an experiment (TOML)")
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; expected an experiment (TOML)") from error


def parse_experiment(text: str, path: str | os.PathLike) -> Experiment:
    """Check an experiment's text; `path` is what errors name."""
    try:
        content = tomllib.loads(text)
    # Besides its own errors, that of a number too long for a number.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_line(error)}") from error


def _first_line(error: ValidationError) -> str:
    """Say in one line what is wrong first, and how much more there is."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"])) or "experiment"
    if first["type"] == "extra_forbidden":
        allowed = _allowed_keys(first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), allowed, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        line = f"unknown key '{key}'{hint} (allowed: {', '.join(allowed)})"
    elif first["type"] == "missing":
        line = f"key '{key}' is missing"
    elif first["type"] == "value_error":
        line = f"{key}: {first['ctx']['error']}"
    else:
        line = f"{key} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
    more = error.error_count() - 1
    return line + (f" (and {more} more)" if more else "")


def _allowed_keys(location: tuple) -> list[str]:
    """Keys of the table at a location such as ("arms", "native")."""
    table: Any = Experiment
    for step in location:
        if get_origin(table) is dict:
            table = get_args(table)[1]
            continue
        annotation = table.model_fields[step].annotation
        choices = [a for a in get_args(annotation) if a is not type(None)]
        table = choices[0] if get_origin(annotation) is UnionType else annotation
    return list(table.model_fields)
