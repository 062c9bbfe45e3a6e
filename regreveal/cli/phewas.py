"""`regreveal phewas`: which diseases a latent space knows of."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.options import (
    AnalysisSplits,
    Dask,
    Diagnoses,
    Icd10Edition,
    Latents,
    MinimumCount,
    NewFolder,
    PhecodeMaps,
    Until,
    WindowDays,
)
from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    read_embeddings,
    split_names,
)
from regreveal.errors import InputError


class Timing(StrEnum):
    """When a case may have got the disease."""

    ever = "ever"
    prevalent = "prevalent"


def phewas(
    embedding: Latents,
    diagnoses: Diagnoses,
    phecodes: PhecodeMaps,
    covariates: Annotated[Path, typer.Option(help="Table with sample_id, sex and the covariates.")],
    out: NewFolder,
    phecode_info: Annotated[
        Path | None, typer.Option(help="Description of the phecodes, if not among --phecodes.")
    ] = None,
    covariate_columns: Annotated[
        str, typer.Option(help="Covariates, by commas.")
    ] = "age,sex,ancestry",
    splits: AnalysisSplits = None,
    minimum_cases: Annotated[int, typer.Option(help="Rarer phecodes are not tested.", min=2)] = 20,
    minimum_count: MinimumCount = 1,
    timing: Annotated[
        Timing, typer.Option(help="prevalent: only cases by the visit count.")
    ] = Timing.ever,
    null: Annotated[
        str,
        typer.Option(
            help="Set beside, by commas: labels (permuted), latents (of others), gaussian."
        ),
    ] = "",
    null_repeats: Annotated[
        int, typer.Option(help="Draws of each; from 100, they give a threshold.", min=1)
    ] = 1,
    incident: Annotated[
        bool, typer.Option(help="Test disease after the visit, too, by Cox's regression.")
    ] = False,
    visit: Annotated[
        str | None, typer.Option(help="Column of the covariates with the day of the visit.")
    ] = None,
    end_of_follow_up: Annotated[
        str | None,
        typer.Option(help="Day, or column of the covariates; by default the last diagnosis."),
    ] = None,
    window_days: WindowDays = 0,
    until: Until = None,
    icd10_edition: Icd10Edition = None,
    seed: Annotated[int, typer.Option(help="Of the halves and of what is null.", min=0)] = 0,
    dask: Dask = None,
) -> None:
    """Test every phecode for a direction in the latent space, learnt in half of the people.

    Writes phewas.tsv, phecode_counts.tsv (who is a case, a control, or neither and why),
    unmapped_icd.tsv (codes without a phecode, with their number of events) and phewas.json (counts,
    and who was left out and why); where asked for phewas_null.tsv, phewas_null_summary.tsv and
    phewas_incident.tsv. Participants that the embedding's model was trained or validated on are
    left out.
    """
    from regreveal.cluster import on_cluster
    from regreveal.phenome.phecodes.hospital_records import read_diagnoses
    from regreveal.phenome.phecodes.phecode_map import read_phecode_map
    from regreveal.phenome.phecodes.phecode_records import phecode_records
    from regreveal.phenome.phewas.null import KINDS
    from regreveal.phenome.phewas.run import PhewasOptions, prepare_phewas, run_phewas
    from regreveal.store.atomic import new_folder
    from regreveal.store.cohort import read_splits, read_table

    kinds = split_names(null)
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise InputError(f"--null: no kind '{unknown[0]}'; expected of {', '.join(KINDS)}")
    options = PhewasOptions(
        covariates=split_names(covariate_columns),
        minimum_cases=minimum_cases,
        minimum_count=minimum_count,
        timing=timing.value,
        null=kinds,
        null_repeats=null_repeats,
        incident=incident,
        visit=visit,
        end_of_follow_up=end_of_follow_up,
        window_days=window_days,
    )
    embeddings = read_embeddings([f"latents={embedding}"])
    table = read_table(covariates)
    chosen, left_out = common_participants(
        embeddings, None if splits is None else read_splits(splits), {"covariates": table.index}
    )
    with on_cluster(dask), new_folder(out) as folder:
        maps = [*phecodes, *([phecode_info] if phecode_info else [])]
        records = phecode_records(
            read_diagnoses(*diagnoses, until=until.date() if until else None),
            read_phecode_map(*maps, edition=icd10_edition.upper() if icd10_edition else None),
        )
        data = prepare_phewas(chosen, table, records, options)
        result = run_phewas(embeddings["latents"], data, folder, options, seed, left_out)
    echo_left_out(left_out)
    tested = int((result["reason"] == "").sum())
    typer.echo(
        f"{tested} phecodes tested, {len(data.sample_ids)} participants: {out / 'phewas.tsv'}"
    )
