"""`regreveal directions`: what a variant, a disease or a phenotype looks like, decoded."""

from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.options import AnalysisSplits, NewFolder
from regreveal.cli.participants import (
    common_participants,
    echo_left_out,
    read_embeddings,
    split_names,
)
from regreveal.errors import InputError


def directions(
    embedding: Annotated[Path, typer.Option(help="Embedding, not transformed.")],
    model: Annotated[
        str,
        typer.Option(help="Folder of the model that made it, or of the zoo: zoo:ecg_median."),
    ],
    store: Annotated[Path, typer.Option(help="The TensorStore that the model's tensors are in.")],
    out: NewFolder,
    genotypes: Annotated[
        Path | None, typer.Option(help="Genotypes: .bed, .pgen, .bgen or .vcf.gz.")
    ] = None,
    variants: Annotated[str | None, typer.Option(help="Ids of variants in it, by commas.")] = None,
    phenotypes: Annotated[
        Path | None,
        typer.Option(help="Table with sample_id and numbers; 0 and 1 for controls and cases."),
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Columns of it, by commas.")] = None,
    covariates: Annotated[
        Path | None, typer.Option(help="Table with sample_id and covariates to take out.")
    ] = None,
    covariate_columns: Annotated[
        str | None, typer.Option(help="Columns of it, by commas; all by default.")
    ] = None,
    splits: AnalysisSplits = None,
    steps: Annotated[
        str, typer.Option(help="Scores to decode at, in standard deviations, by commas.")
    ] = "-3,-2,-1,0,1,2,3",
    seed: Annotated[
        int, typer.Option(help="Of who is read where very many are at an end.", min=0)
    ] = 0,
) -> None:
    """Decode from the mean latents to either side along the directions of variants or phenotypes.

    Writes directions.tsv (how far each goes, and whether it can be believed), groups.tsv (mean
    scores of the people of each genotype or status), and for each direction 01.npz (what was
    decoded, and how people at either end differ) with a figure, 01.png and 01.pdf. Participants
    that the model was trained or validated on are left out.
    """
    from regreveal.directions.run import Model, run_directions
    from regreveal.errors import printable
    from regreveal.models.model_folder import read_model_json, trained_tensor_map
    from regreveal.models.zoo import find_model
    from regreveal.store.atomic import check_folder, new_folder
    from regreveal.store.cohort import read_splits, read_table
    from regreveal.store.tensors import TensorStore

    check_folder(out)
    model_folder, tensors = find_model(model), TensorStore(store)
    tensor_map = trained_tensor_map(read_model_json(model_folder))
    embeddings = read_embeddings([f"latents={embedding}"])
    needed = {"store": tensors.sample_ids(tensor_map.path)}
    table = read_table(covariates) if covariates else None
    if table is not None:
        needed["covariates"] = table.index
    chosen, left_out = common_participants(
        embeddings, None if splits is None else read_splits(splits), needed
    )
    taken_out = [] if table is None else split_names(covariate_columns) or list(table.columns)
    with new_folder(out) as folder:
        found = run_directions(
            embeddings["latents"],
            chosen,
            _variables(chosen, genotypes, split_names(variants), phenotypes, split_names(columns)),
            {"variant": taken_out, "phenotype": taken_out},
            table,
            Model(model_folder, tensors, tensor_map),
            folder,
            steps=_numbers(steps),
            seed=seed,
        )
        _draw(folder)
    echo_left_out(left_out)
    for _, row in found[found["reason"] != ""].iterrows():
        typer.echo(printable(f"not decoded: {row['name']}: {row['reason']}"))
    decoded = int((found["reason"] == "").sum())
    typer.echo(f"{decoded} directions, {len(chosen)} participants: {out / 'directions.tsv'}")


def _variables(
    participants: list[str],
    genotypes: Path | None,
    variants: list[str],
    phenotypes: Path | None,
    columns: list[str],
) -> list:
    from regreveal.directions.variables import (
        find_variants,
        phenotype_variables,
        variant_variables,
    )
    from regreveal.genetics.genotypes import open_genotypes
    from regreveal.store.cohort import read_table

    if bool(variants) != bool(genotypes) or bool(columns) != bool(phenotypes):
        raise InputError("give --variants with --genotypes, and --columns with --phenotypes")
    if not variants and not columns:
        raise InputError("give --variants or --columns: directions are of something")
    asked = []
    if variants:
        opened = open_genotypes(genotypes)
        present = set(opened.samples)
        genotyped = [sample_id for sample_id in participants if sample_id in present]
        rows = find_variants(opened, variants)
        asked += variant_variables(opened, rows, [""] * len(rows), genotyped)
    if columns:
        asked += phenotype_variables(read_table(phenotypes), columns)
    return asked


def _numbers(text: str) -> list[float]:
    try:
        steps = [float(step) for step in split_names(text)]
    except ValueError:
        raise InputError(f"--steps: '{text}'; expected numbers with commas between them") from None
    if steps != sorted(set(steps)) or 0 not in steps or not steps[0] < 0 < steps[-1]:
        raise InputError(
            f"--steps: '{text}'; expected increasing scores on both sides of 0, and 0 itself"
        )
    return steps


def _draw(folder: Path) -> None:
    """Draw each direction by itself, of signals all channels."""
    from regreveal.report.chapters.directions import draw_directions, title_of
    from regreveal.report.folder.directions import read_directions

    found = read_directions(folder)
    for _, row in found.decoded.iterrows():
        file = folder / row["file"]
        draw_directions(
            [file],
            [title_of(row)],
            found.units,
            found.sampling_rate,
            file.with_suffix(".png"),
            whole=True,
        )
