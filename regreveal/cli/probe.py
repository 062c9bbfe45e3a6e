"""`regreveal probe`: what latent spaces know of phenotypes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regreveal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from regreveal.store.embedding import Embedding


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

    Writes probes.tsv (scores), differences.tsv (each embedding against the first) and probe.json
    (who was left out, and why).
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
    scores, differences = run_probes(arms, table.loc[chosen, names], split["fold"], kinds=kinds)
    write_table(scores, out / "probes.tsv")
    write_table(differences, out / "differences.tsv")
    write_json({"participants": len(chosen), "left_out": left_out}, out / "probe.json")
    typer.echo(f"{len(names)} targets, {len(chosen)} participants: {out / 'probes.tsv'}")


def split_names(text: str | None) -> list[str]:
    """Names between commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def read_embeddings(arguments: list[str]) -> "dict[str, Embedding]":
    """Read embeddings given as NAME=PATH, or as PATH, whose name is then that of the file.

    Raises
    ------
    InputError
        If a file is no embedding, or two have one name.
    """
    from regreveal.store.embedding import Embedding

    embeddings = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals:
            name, path = Path(argument).stem, argument
        if name in embeddings:
            raise InputError(f"--embedding: two are named '{name}'; give them names, as NAME=PATH")
        embeddings[name] = Embedding.read(path)
    return embeddings


def common_participants(
    embeddings: "dict[str, Embedding]",
    splits: "pd.DataFrame | None",
    tables: "dict[str, pd.Index]",
) -> tuple[list[str], dict[str, int]]:
    """Find the participants that can be analysed in every embedding, and count the others.

    Parameters
    ----------
    embeddings : dict
        By name.
    splits : DataFrame or None
        Split file indexed by sample id; without it everybody embedded may be analysed.
    tables : dict of str to Index
        Sample ids of what else is needed, by what it is.

    Returns
    -------
    sample_ids : list of str
        Sorted.
    left_out : dict of str to int
        By the first reason that applies.

    Raises
    ------
    InputError
        If nobody is left.
    """
    import pandas as pd

    everybody = pd.Index([])
    for each in embeddings.values():
        everybody = everybody.union(each.sample_ids)
    needed = {f"not in embedding '{name}'": each.sample_ids for name, each in embeddings.items()}
    if splits is not None:
        needed["not an analysis participant"] = splits.index[splits["split"] == "analysis"]
    needed |= {f"not in the {name}": ids for name, ids in tables.items()}
    left, left_out = everybody, {}
    for reason, ids in needed.items():
        left_out[reason] = len(left.difference(ids))
        left = left.intersection(ids)
    for name, each in embeddings.items():
        seen = left.intersection(each.metadata.get("trained_on", []))
        left_out[f"seen in training by the model of '{name}'"] = len(seen)
        left = left.difference(seen)
    left_out = {reason: count for reason, count in left_out.items() if count}
    if not len(left):
        counts = ", ".join(f"{reason}: {count}" for reason, count in left_out.items())
        raise InputError(
            f"no participant is left of {len(everybody)} ({counts}); "
            "check that the files use the same sample ids"
        )
    return sorted(left), left_out


def write_json(content: dict, path: Path) -> None:
    """Write a small JSON file, whole or not at all."""
    from regreveal.store.atomic import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
