"""Registrations by name: those of RegReveal, and a site's own where a user names its module."""

import inspect
from functools import partial
from pathlib import Path

from regreveal import registration as registrations
from regreveal.cluster import Loaded
from regreveal.errors import InputError
from regreveal.site_code import import_of_site

CONTRACT = ("Registered", "Registration")


def is_of_site(method: str) -> bool:
    """Whether a method is named as `module:Class`, and so is code from outside of RegReveal."""
    return ":" in method


def registration_class(
    method: str, directory: Path | None = None
) -> type[registrations.Registration]:
    """Look up a registration.

    Parameters
    ----------
    method : str
        The name of a class of `regreveal.registration`, such as "QRSAlignment"; or module and
        class of one elsewhere, such as "site_maps.pulse:RiseAlignment", which is imported. It must
        have been named by the user, not by a file that may come from somewhere else.
    directory : Path, optional
        Where a package that is not installed lies; by default the working directory.

    Raises
    ------
    InputError
        If there is none; the message lists those there are.
    """
    if is_of_site(method):
        return _class_of_site(method, directory)
    there = [name for name in registrations.__all__ if name not in CONTRACT]
    if method not in there:
        raise InputError(
            f"no registration '{method}' (there are: {', '.join(sorted(there))}, and a site's own, "
            "as module:Class)"
        )
    return getattr(registrations, method)


def _class_of_site(method: str, directory: Path | None) -> type[registrations.Registration]:
    module_name, _, class_name = method.partition(":")
    module = import_of_site(module_name, "module of a registration", directory)
    found = getattr(module, class_name, None)
    base = registrations.Registration
    if isinstance(found, type) and issubclass(found, base) and not inspect.isabstract(found):
        return found
    there = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and not inspect.isabstract(value)
    ]
    raise InputError(
        f"module '{module_name}' has no registration '{class_name}', a class that builds on "
        "regreveal.registration.Registration and has fit and transform "
        f"(there are: {', '.join(there) or 'none'})"
    )


def source_of_site(method: str) -> Path | None:
    """Give the file that a site's own registration is written in; None for RegReveal's."""
    return Path(inspect.getfile(registration_class(method))) if is_of_site(method) else None


def check_parameters(method: str, parameters: dict) -> None:
    """Raise InputError, listing those there are, if a registration has no such parameter."""
    signature = inspect.signature(registration_class(method))
    try:
        signature.bind(**parameters)
    except TypeError as error:
        there = ", ".join(signature.parameters) or "none"
        raise InputError(f"{method}: {error} (its parameters: {there})") from error


def loaded_registration(method: str, saved: Path) -> Loaded[registrations.Registration]:
    """Give a saved registration as other processes can be sent it, which load it themselves.

    They are sent the method's name and where a site's package lies here, since workers of a
    cluster were started in other folders.
    """
    return Loaded(partial(_load, method, saved, Path.cwd()))


def _load(method: str, saved: Path, directory: Path) -> registrations.Registration:
    return registration_class(method, directory).load(saved)
