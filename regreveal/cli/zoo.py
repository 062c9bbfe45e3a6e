"""`regreveal zoo`: the models that come with RegReveal."""

from pathlib import Path
from typing import Annotated

import typer

zoo_app = typer.Typer(
    help="Models that come with RegReveal, trained on simulated people.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="Such as ecg_median; `regreveal zoo list` has all.")]


@zoo_app.command("list")
def list_models() -> None:
    """List the models, what they take and what they give."""
    from regreveal.cli.tables import print_table
    from regreveal.models.model_folder import read_model_json
    from regreveal.models.zoo import zoo_folder, zoo_names

    if not zoo_names():
        typer.echo(f"{zoo_folder()} holds no model yet; `make zoo` in a checkout trains them")
        return
    rows = []
    for name in zoo_names():
        facts = read_model_json(zoo_folder() / name)
        scores = [score["r2"] for score in facts["figures"]["probes"].values()]
        row = (
            name,
            facts["tensor_map"]["name"],
            " × ".join(map(str, facts["tensor_map"]["shape"])),
            ", ".join(step["method"] for step in facts["registrations"]),
            str(facts["latent_size"]),
            f"{facts['figures']['explained_variance']:.2f}",
            f"{sum(scores) / len(scores):.2f}",
        )
        rows.append(row)
    titles, numbers = ("name", "takes", "shape", "after"), ("latents", "explained", "mean R²")
    print_table(titles, rows, numbers, width=160)


@zoo_app.command()
def show(name: Name) -> None:
    """Show the card of a model; into a file or a pipe as it is written."""
    import sys

    from rich.console import Console
    from rich.markdown import Markdown

    from regreveal.errors import InputError, printable

    card = _folder(name) / "README.md"
    if not card.is_file():
        raise InputError(f"{card}: no such file; the model has no card")
    if sys.stdout.isatty():
        # A card from elsewhere could command the terminal.
        lines = map(printable, card.read_text().splitlines())
        Console().print(Markdown("\n".join(lines)))
    else:
        typer.echo(card.read_text(), nl=False)


@zoo_app.command()
def register(
    name: Name,
    store: Annotated[Path, typer.Option(help="The TensorStore of unregistered tensors.")],
    out: Annotated[Path, typer.Option(help="Folder for the registered tensors and their quality.")],
) -> None:
    """Register a store as a model needs it, by the registrations saved with the model."""
    from regreveal.errors import InputError
    from regreveal.experiment.zoo.evaluation import register as register_for
    from regreveal.models.model_folder import read_model_json
    from regreveal.store.atomic import check_folder
    from regreveal.store.tensors import TensorStore

    folder = _folder(name)
    if not read_model_json(folder)["registrations"]:
        raise InputError(f"{name}: takes tensors as recorded; embed the store as it is")
    check_folder(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: is not empty; choose another folder")
    registered = register_for(folder, TensorStore(store), out)
    typer.echo(f"the store to embed: {registered.path}")


@zoo_app.command()
def check(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to keep the simulated people in, for other models' checks."),
    ] = None,
) -> None:
    """Compute the figures of a model's card anew, on people simulated for that, and compare.

    The exit status is 1 if they differ.
    """
    import tempfile

    from regreveal.cli.tables import print_table
    from regreveal.experiment.zoo.evaluation import ROUNDING, differences, evaluate
    from regreveal.models.model_folder import read_model_json
    from regreveal.store.atomic import check_folder

    folder = _folder(name)
    if out is not None:
        check_folder(out)
    with tempfile.TemporaryDirectory() as temporary:
        found = evaluate(folder, out or Path(temporary))
    rows = differences(read_model_json(folder)["figures"], found)
    told = []
    for row in rows:
        card, now = (f"{row[column]:.4g}" for column in ("card", "found"))
        told.append((row["figure"], card, now, "" if row["same"] else "differs"))
    print_table(("figure", "card", "found", ""), told)
    different = sum(not row["same"] for row in rows)
    typer.echo(f"{len(rows) - different} of {len(rows)} figures agree within {ROUNDING}")
    if different:
        raise typer.Exit(1)


@zoo_app.command()
def pack(
    run: Annotated[Path, typer.Argument(help="A finished run on simulated people.")],
    arm: Annotated[str, typer.Argument(help="One of its arms.")],
    name: Annotated[str, typer.Option(help="What the model is to be called.")],
    to: Annotated[Path, typer.Option(help="The zoo: the model becomes a folder in it.")],
    shows: Annotated[str, typer.Option(help="A sentence for the card: what the model is of.")] = "",
    baseline: Annotated[
        Path | None,
        typer.Option(help="Folder of a model of the zoo to compare with, of unregistered tensors."),
    ] = None,
) -> None:
    """Make a folder of the zoo from an arm of a run: files, hashes, figures, card."""
    from regreveal.errors import InputError
    from regreveal.experiment.zoo.pack import pack as pack_arm
    from regreveal.store.atomic import check_folder

    if not name.isidentifier():
        raise InputError(f"--name is '{name}'; expected letters, digits and _, such as ecg_median")
    check_folder(to)
    facts = pack_arm(run, arm, to / name, shows=shows or f"Arm {arm}.", baseline=baseline)
    explained = facts["figures"]["explained_variance"]
    typer.echo(f"explained variance {explained:.3f} of people new to it: {to / name}")


def _folder(name: str) -> Path:
    """Folder of a model of the zoo, with or without "zoo:" before its name."""
    from regreveal.models.zoo import PREFIX, find_model

    return find_model(PREFIX + name.removeprefix(PREFIX))
