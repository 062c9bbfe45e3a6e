"""`regreveal phewas`: which diseases a latent space knows of."""

from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    read_embeddings,
    split_names,
)


def phewas(
    embedding: Annotated[Path, typer.Option(help="Embedding.")],
    diagnoses: Annotated[
        Path, typer.Option(help="Table with sample_id and icd10, a row an event.")
    ],
    phecodes: Annotated[Path, typer.Option(help="Map: columns icd10 and phecode.")],
    phecode_info: Annotated[
        Path,
        typer.Option(help="Columns phecode, name, category, exclude_from, exclude_to and sex."),
    ],
    covariates: Annotated[Path, typer.Option(help="Table with sample_id, sex and the covariates.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    covariate_columns: Annotated[
        str, typer.Option(help="Covariates, by commas.")
    ] = "age,sex,ancestry",
    splits: Annotated[
        Path | None, typer.Option(help="Split file, to use its analysis participants only.")
    ] = None,
    minimum_cases: Annotated[int, typer.Option(help="Rarer phecodes are not tested.", min=2)] = 20,
    seed: Annotated[int, typer.Option(help="Of the halves.")] = 0,
) -> None:
    """Test every phecode for a direction in the latent space, learnt in half of the people.

    Writes phewas.tsv, unmapped_icd.tsv (codes without a phecode, with their number of events) and
    phewas.json (counts, and who was left out and why). Participants that the embedding's model was
    trained or validated on are left out.
    """
    from regreveal.phenome.phewas_run import run_phewas
    from regreveal.store.cohort import read_splits, read_table

    embeddings = read_embeddings([f"latents={embedding}"])
    table = read_table(covariates)
    chosen, left_out = common_participants(
        embeddings, None if splits is None else read_splits(splits), {"covariates": table.index}
    )
    result = run_phewas(
        embeddings["latents"],
        chosen,
        table,
        split_names(covariate_columns),
        diagnoses,
        phecodes,
        phecode_info,
        out,
        seed=seed,
        minimum_cases=minimum_cases,
        left_out=left_out,
    )
    echo_left_out(left_out)
    tested = int((result["reason"] == "").sum())
    typer.echo(f"{tested} phecodes tested, {len(chosen)} participants: {out / 'phewas.tsv'}")
