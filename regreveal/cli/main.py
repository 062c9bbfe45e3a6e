"""The `regreveal` command: its subcommands, and one line where the input is at fault."""

import sys
import traceback
from typing import Annotated, NoReturn

import typer

from regreveal.cli.clusters import clusters
from regreveal.cli.compare import compare
from regreveal.cli.defects import exit_with_defect
from regreveal.cli.directions import directions
from regreveal.cli.doctor import doctor
from regreveal.cli.experiment import demo, run
from regreveal.cli.gwas import gwas
from regreveal.cli.ingest import ingest_app
from regreveal.cli.phecodes import phecodes
from regreveal.cli.phewas import phewas
from regreveal.cli.probe import probe
from regreveal.cli.regenie import regenie_inputs
from regreveal.cli.replicate import replicate
from regreveal.cli.report import report
from regreveal.cli.simulate import simulate
from regreveal.cli.stages import embed, register, register_ready, split, tensormaps, train
from regreveal.cli.zoo import zoo_app
from regreveal.errors import InputError
from regreveal.store.faults import explained

app = typer.Typer(
    help="Does registering medical images first reveal more biology?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
COMMANDS = {
    "Whole experiments": (demo, run, report, compare),
    "Data": (simulate, tensormaps, split),
    "From recordings to latents": (register, register_ready, train, embed),
    "What latents know": (
        probe,
        gwas,
        replicate,
        regenie_inputs,
        clusters,
        phecodes,
        phewas,
        directions,
    ),
    "The installation": (doctor,),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(ingest_app, name="ingest", rich_help_panel="Data")
app.add_typer(zoo_app, name="zoo", rich_help_panel="From recordings to latents")


def show_version(asked: bool) -> None:
    """Print the version and end, if that is what was asked for."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"regreveal {version('regreveal')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, for reporting it.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command; `main` reads them."""
    context.ensure_object(dict)["debug"] = debug


def main() -> None:
    """Run the command line; end with one line and a status that says what happened.

    The status is 0 for what is done, 1 for input, disks, permissions or too little memory, 2 for
    arguments that the command does not take, and 70 for a defect; `start` adds those of signals.
    Tracebacks are shown after `--debug` only.
    """
    given: dict[str, bool] = {}
    try:
        app(obj=given)
    # Broad, since here everything ends: nobody is helped by a traceback who does not ask for it.
    except Exception as error:
        if given.get("debug"):
            traceback.print_exc()
        told = explained(error) if isinstance(error, OSError) else error
        if isinstance(error, MemoryError):
            told = InputError(
                f"memory is at an end ({str(error) or 'no more is to be had'}); let the command "
                "have more, and run the same again"
            )
        if isinstance(told, InputError):
            fail(told)
        exit_with_defect(error)


def fail(error: InputError) -> NoReturn:
    """Print an error and exit with status 1."""
    print(f"regreveal: {error}", file=sys.stderr)
    sys.exit(1)
