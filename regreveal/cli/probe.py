"""`regreveal probe`: what latent spaces know of phenotypes."""

from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.options import NewFolder
from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    read_embeddings,
    split_names,
)
from regreveal.errors import InputError


def probe(
    embedding: Annotated[
        list[str],
        typer.Option(help="Embedding, as PATH or NAME=PATH; repeat it to compare several."),
    ],
    phenotypes: Annotated[Path, typer.Option(help="Table with sample_id and the targets.")],
    splits: Annotated[Path, typer.Option(help="Split file; analysis participants are used.")],
    out: NewFolder,
    targets: Annotated[
        str | None, typer.Option(help="Columns to predict, by commas; all by default.")
    ] = None,
    categorical: Annotated[
        str | None, typer.Option(help="Those of them whose classes are coded in numbers.")
    ] = None,
    continuous: Annotated[
        str | None, typer.Option(help="Those of them that are numbers of two distinct values.")
    ] = None,
    phenotype_info: Annotated[
        Path | None,
        typer.Option(help="Table with phenotype and any of units, type and description."),
    ] = None,
    covariates: Annotated[
        Path | None, typer.Option(help="Table with sample_id and what latents are to add to.")
    ] = None,
    adjust: Annotated[
        str | None, typer.Option(help="Its columns, by commas; all by default.")
    ] = None,
) -> None:
    """Predict phenotypes from latents by linear probes, and compare embeddings.

    Writes probes.tsv (scores), differences.tsv (each embedding against the first), means.tsv (the
    same over all targets), calibration.tsv (predicted and observed shares) and probe.json (who was
    left out, and why); with --covariates also gains.tsv and gain_differences.tsv (what latents add
    to covariates). Participants that a model was trained or validated on are left out.
    """
    from regreveal.phenome.phenotypes import given_types, read_phenotype_info
    from regreveal.phenome.probes.run import run_probes
    from regreveal.store.atomic import new_folder, write_json
    from regreveal.store.cohort import read_splits, read_table, write_table

    if adjust and not covariates:
        raise InputError("--adjust names columns of --covariates, which is not given")
    embeddings = read_embeddings(embedding)
    table = read_table(phenotypes)
    split = read_splits(splits)
    names = split_names(targets) or list(table.columns)
    _check_columns(table, names, phenotypes)
    given = split_names(categorical), split_names(continuous)
    for option, columns in zip(("--categorical", "--continuous"), given, strict=True):
        unknown = [name for name in columns if name not in names]
        if unknown:
            raise InputError(f"{option}: '{unknown[0]}' is not among the targets")
    info = read_phenotype_info(phenotype_info) if phenotype_info else None
    adjusting = read_table(covariates) if covariates else None
    columns = []
    if adjusting is not None:
        columns = split_names(adjust) or list(adjusting.columns)
        _check_columns(adjusting, columns, covariates)
    chosen, left_out = common_participants(embeddings, split, {"phenotypes": table.index})
    with new_folder(out) as folder:
        found = run_probes(
            {name: each.select(chosen) for name, each in embeddings.items()},
            table.loc[chosen, names],
            split["fold"],
            types=given_types(*given, info),
            units=None if info is None else info["units"].to_dict(),
            covariates=adjusting[columns].reindex(chosen) if columns else None,
            floor=True,
        )
        tables = {
            "probes": found.scores,
            "differences": found.differences,
            "means": found.means,
            "calibration": found.calibration,
        }
        if found.adjusted:
            tables |= {
                "gains": found.adjusted.gains,
                "gain_differences": found.adjusted.differences,
            }
        for name, result in tables.items():
            write_table(result, folder / f"{name}.tsv")
        write_json({"participants": len(chosen), "left_out": left_out}, folder / "probe.json")
    echo_left_out(left_out)
    typer.echo(f"{len(names)} targets, {len(chosen)} participants: {out / 'probes.tsv'}")


def _check_columns(table, names: list[str], path: Path) -> None:
    unknown = [name for name in names if name not in table]
    if unknown:
        raise InputError(
            f"{path}: no column '{unknown[0]}' (there are: {', '.join(table.columns)})"
        )
