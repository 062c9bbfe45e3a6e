"""The `regreveal` command: its subcommands, and one line where the input is at fault."""

import sys

import typer

from regreveal.cli.clusters import clusters
from regreveal.cli.compare import compare
from regreveal.cli.directions import directions
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

app = typer.Typer(
    help="Does registering medical images first reveal more biology?",
    no_args_is_help=True,
    add_completion=False,
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
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(ingest_app, name="ingest", rich_help_panel="Data")
app.add_typer(zoo_app, name="zoo", rich_help_panel="From recordings to latents")


def main() -> None:
    """Run the command line; exit with status 1 and one line on input that cannot be used."""
    try:
        app()
    except InputError as error:
        print(f"regreveal: {error}", file=sys.stderr)
        sys.exit(1)
