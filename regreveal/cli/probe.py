"""`regreveal probe`: what latent spaces know of phenotypes."""

from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    read_embeddings,
    split_names,
    write_json,
)
from regreveal.errors import InputError


def probe(
    embedding: Annotated[
        list[str],
        typer.Option(help="Embedding, as PATH or NAME=PATH; repeat it to compare several."),
    ],
    phenotypes: Annotated[Path, typer.Option(help="Table with sample_id and the targets.")],
    splits: Annotated[Path, typer.Option(help="Split file; analysis participants are used.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    targets: Annotated[
        str | None, typer.Option(help="Columns to predict, by commas; all by default.")
    ] = None,
    categories: Annotated[
        str | None, typer.Option(help="Those of them that are categories coded in numbers.")
    ] = None,
) -> None:
    """Predict phenotypes from latents by linear probes, and compare embeddings.

    Writes probes.tsv (scores), differences.tsv (each embedding against the first), means.tsv (the
    same over all targets) and probe.json (who was left out, and why). Participants that a model was
    trained or validated on are left out.
    """
    from regreveal.phenome.probes import run_probes
    from regreveal.store.cohort import read_splits, read_table, write_table

    embeddings = read_embeddings(embedding)
    table = read_table(phenotypes)
    split = read_splits(splits)
    names = split_names(targets) or list(table.columns)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise InputError(
            f"{phenotypes}: no column '{unknown[0]}' (there are: {', '.join(table.columns)})"
        )
    chosen, left_out = common_participants(embeddings, split, {"phenotypes": table.index})
    arms = {name: each.select(chosen) for name, each in embeddings.items()}
    kinds = dict.fromkeys(split_names(categories), "category")
    tables = run_probes(arms, table.loc[chosen, names], split["fold"], kinds=kinds)
    for result, name in zip(tables, ("probes", "differences", "means"), strict=True):
        write_table(result, out / f"{name}.tsv")
    write_json({"participants": len(chosen), "left_out": left_out}, out / "probe.json")
    echo_left_out(left_out)
    typer.echo(f"{len(names)} targets, {len(chosen)} participants: {out / 'probes.tsv'}")
