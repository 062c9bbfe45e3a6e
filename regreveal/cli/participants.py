"""What the commands have in common: who takes part, and who is left out."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from regreveal.errors import InputError, printable

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
    keep: Collection[str] | None = None,
    remove: Collection[str] | None = None,
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
    keep, remove : collection of str, optional
        Sample ids outside which, and in which, nobody is analysed.

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
    if remove is not None:
        needed["in the --remove list"] = everybody.difference(list(remove))
    if keep is not None:
        needed["not in the --keep list"] = pd.Index(list(keep))
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


def read_participant_list(path: Path) -> frozenset[str]:
    """Read sample ids: one a line, alone or after a family id, as PLINK's lists of people.

    Parameters
    ----------
    path : Path
        Lines that are empty or start with "#" do not count, but PLINK 2's header "#IID" says that
        the first column has the ids; else it is the second, where there is one.

    Returns
    -------
    frozenset of str

    Raises
    ------
    InputError
        No such file, not a text file, or no ids in it.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise InputError(
            f"{path.name}: not a text file; expected a participant's id a line"
        ) from None
    column = 0 if lines and lines[0].split()[:1] == ["#IID"] else 1
    rows = [line.split() for line in lines if not line.lstrip().startswith("#")]
    ids = frozenset(fields[min(column, len(fields) - 1)] for fields in rows if fields)
    if not ids:
        raise InputError(f"{path.name}: no participants in it; leave the option out to use no list")
    return ids


def read_participant_lists(
    keep: Path | None, remove: Path | None
) -> dict[str, frozenset[str] | None]:
    """Read those of the two lists that are given, by the name of the option."""
    given = {"keep": keep, "remove": remove}
    return {
        option: None if path is None else read_participant_list(path)
        for option, path in given.items()
    }


def choose_participants(
    embedding: Path, splits: Path | None, keep: Path | None, remove: Path | None
) -> "tuple[Embedding, list[str]]":
    """Read the embedding of a latent GWAS, and choose and tell who of it may be analysed.

    Parameters
    ----------
    embedding : Path
    splits : Path or None
        Split file.
    keep, remove : Path or None
        Lists for `read_participant_list`.

    Returns
    -------
    embedding : Embedding
    sample_ids : list of str
        Sorted.

    Raises
    ------
    InputError
        A file cannot be used, or nobody is left.
    """
    from regreveal.store.cohort import read_splits

    embeddings = read_embeddings([f"latents={embedding}"])
    lists = read_participant_lists(keep, remove)
    chosen, left_out = common_participants(
        embeddings, None if splits is None else read_splits(splits), {}, **lists
    )
    embedded = set(embeddings["latents"].sample_ids)
    for option, ids in lists.items():
        if unknown := len((ids or frozenset()) - embedded):
            typer.echo(
                f"warning: {unknown} of the {len(ids)} participants in the --{option} list are "
                "not in the embedding",
                err=True,
            )
    echo_left_out(left_out)
    return embeddings["latents"], chosen


def echo_unmatched(counts: Mapping[str, int]) -> None:
    """Say who of the chosen participants lacks something, by `Matched.counts`."""
    reasons = ("without_genotypes", "without_covariates", "missing_covariate_values")
    echo_left_out({name.replace("_", " "): counts[name] for name in reasons if counts.get(name)})


def echo_left_out(left_out: "dict[str, int] | pd.Series") -> None:
    """Say how many participants were left out, a line a reason."""
    for reason, count in left_out.items():
        typer.echo(printable(f"left out {count:>7}  {reason}"))
