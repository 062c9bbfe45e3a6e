"""`regreveal phewas`: which diseases a latent space knows of."""

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

    Writes phewas.tsv, unmapped_icd10.tsv (codes without a phecode, with their number of events) and
    phewas.json (counts, and who was left out and why). Participants that the embedding's model was
    trained or validated on are left out.
    """
    from regreveal.phenome.phecodes import (
        phecode_status,
        read_diagnoses,
        read_phecode_map,
        unmapped_codes,
    )
    from regreveal.phenome.phewas import phewas as test_phecodes
    from regreveal.store.cohort import design_matrix, read_splits, read_table, write_table

    embeddings = read_embeddings([f"latents={embedding}"])
    table = read_table(covariates)
    if "sex" not in table:
        raise InputError(f"{covariates}: no column 'sex', which phecodes of one sex need")
    events = read_diagnoses(diagnoses)
    phecode_map = read_phecode_map(phecodes, phecode_info)
    chosen, left_out = common_participants(
        embeddings, None if splits is None else read_splits(splits), {"covariates": table.index}
    )
    status = phecode_status(events, phecode_map, table.loc[chosen, "sex"])
    design, _ = design_matrix(table, split_names(covariate_columns), chosen)
    latents = embeddings["latents"].select(chosen)
    result = test_phecodes(latents, status, design, phecode_map.info, seed, minimum_cases)
    unmapped = unmapped_codes(events, phecode_map)
    write_table(result, out / "phewas.tsv")
    write_table(unmapped.reset_index(), out / "unmapped_icd10.tsv")
    tested = int((result["reason"] == "").sum())
    counts = {
        "participants": len(chosen),
        "left_out": left_out,
        "events": len(events),
        "events_unmapped": int(unmapped.sum()),
        "phecodes": len(result),
        "phecodes_tested": tested,
        "seed": seed,
        "minimum_cases": minimum_cases,
    }
    write_json(counts, out / "phewas.json")
    echo_left_out(left_out)
    typer.echo(f"{tested} phecodes tested, {len(chosen)} participants: {out / 'phewas.tsv'}")
