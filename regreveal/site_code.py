"""Code of a site's own: imported where a user names it, never on the word of a file from elsewhere.

Experiment files and command lines name packages; models, registrations and stores that were saved
hold names, too, but nothing is imported on their word.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from regreveal.errors import InputError


def import_of_site(name: str, what: str, directory: Path | None = None) -> ModuleType:
    """Import a module or a package that is installed, or else lies in the working directory.

    Parameters
    ----------
    name : str
        Such as "site_maps.pulse".
    what : str
        What errors call it, such as "package of tensor maps".
    directory : Path, optional
        Where to look instead of this process's working directory.

    Raises
    ------
    InputError
        If it cannot be imported.
    """
    with importable(name, what, directory):
        try:
            return importlib.import_module(name)
        except InputError:
            raise
        # Broad, since a site's code may raise anything, which is no defect of RegReveal.
        except Exception as error:
            raise InputError(
                f"{what} '{name}' cannot be imported ({type(error).__name__}: {error}); expected "
                "an installed package, or one in the working directory"
            ) from error


@contextmanager
def importable(name: str, what: str, directory: Path | None = None) -> Iterator[None]:
    """Look for a package that is not installed in the working directory, within this block.

    An installed command does not look there; and a folder that only happens to lie there must not
    take the place of an installed package.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(f"{what} '{name}': expected a name such as site_maps")
    package = name.partition(".")[0]
    if package in sys.modules or importlib.util.find_spec(package) is not None:
        yield
        return
    place = str(directory or Path.cwd())
    sys.path.append(place)
    # What has been written there since Python last looked is not seen otherwise.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(place)
