"""What the commands have in common: who takes part, and who is left out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from regreveal.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from regreveal.store.embedding import Embedding


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

    Participants that a model was trained or validated on are always left out: latents of those it
    has seen are not like those of others.

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
    needed |= {
        f"seen in training or validation by the model of '{name}'": each.unseen_ids()
        for name, each in embeddings.items()
    }
    left, left_out = everybody, {}
    for reason, ids in needed.items():
        left_out[reason] = len(left.difference(ids))
        left = left.intersection(ids)
    left_out = {reason: count for reason, count in left_out.items() if count}
    if not len(left):
        counts = ", ".join(f"{reason}: {count}" for reason, count in left_out.items())
        raise InputError(
            f"no participant is left of {len(everybody)} ({counts}); "
            "check that the files use the same sample ids"
        )
    return sorted(left), left_out


def echo_left_out(left_out: "dict[str, int] | pd.Series") -> None:
    """Say how many participants were left out, a line a reason."""
    for reason, count in left_out.items():
        typer.echo(f"left out {count:>7}  {reason}")


def write_json(content: dict, path: Path) -> None:
    """Write a small JSON file, whole or not at all."""
    from regreveal.store.atomic import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
