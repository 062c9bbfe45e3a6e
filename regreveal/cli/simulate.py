"""`regreveal simulate`: a biobank to try things on, with its truth."""

from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.options import Dask


def simulate(
    folder: Annotated[Path, typer.Argument(help="Where the biobank is to be.")],
    participants: Annotated[int, typer.Option(help="How many participants.")] = 4000,
    variants: Annotated[int, typer.Option(help="How many genotyped variants.")] = 20000,
    seed: Annotated[int, typer.Option(help="All randomness comes from it.", min=0)] = 1,
    modalities: Annotated[
        list[str] | None,
        typer.Option(
            "--modality", help="ecg, dxa, brain or cardiac; give it again for more. By default all."
        ),
    ] = None,
    dask: Dask = None,
) -> None:
    """Simulate a biobank: genomes, images, phenotypes and diagnoses, and the truth behind them."""
    from regreveal.cluster import on_cluster
    from regreveal.simulation.biobank import MODALITIES, simulate_biobank

    with on_cluster(dask):
        simulate_biobank(folder, participants, variants, seed, modalities or MODALITIES)
    typer.echo(folder)
