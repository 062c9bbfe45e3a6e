"""`regreveal run` and `regreveal demo`."""

import math
from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.options import Dask

Out = Annotated[Path, typer.Option("--out", help="The run folder; an unfinished run goes on.")]
Seed = Annotated[int | None, typer.Option(help="Instead of the experiment's own.", min=0)]


def run(
    experiment: Annotated[Path, typer.Argument(help="The experiment file (TOML).")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The run folder; an unfinished run goes on.")
    ] = None,
    seed: Seed = None,
    dask: Dask = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the stages and what they would cost.")
    ] = False,
    participants: Annotated[
        int, typer.Option(help="For a dry run where the data are not there to be counted.", min=1)
    ] = 45_000,
    variants: Annotated[int, typer.Option(help="Likewise.", min=1)] = 10_000_000,
) -> None:
    """Run an experiment: every stage that is not done yet, then the report."""
    if dry_run:
        _list_stages(experiment, participants, variants)
        return
    from regreveal.cluster import on_cluster
    from regreveal.errors import InputError
    from regreveal.experiment.run import run_experiment

    if out is None:
        raise InputError("--out is missing; expected the run folder")
    with on_cluster(dask):
        report = run_experiment(experiment, out, seed)
    print(f"The report is at {report}")


def _list_stages(experiment: Path, participants: int, variants: int) -> None:
    import pandas as pd

    from regreveal.cli.tables import print_table
    from regreveal.experiment.dry_run import plan_run
    from regreveal.experiment.experiment_file import load_experiment

    plan, assumed = plan_run(load_experiment(experiment), participants, variants)
    rows = [
        (
            stage.stage,
            stage.input,
            stage.output,
            f"{stage.participants:,}",
            "" if stage.weights is pd.NA else f"{stage.weights:,}",
            "" if math.isnan(stage.gigabytes) else f"{stage.gigabytes:.1f} GB",
            "" if math.isnan(stage.seconds) else _duration(stage.seconds),
        )
        for stage in plan.itertuples()
    ]
    titles, numbers = ("stage", "takes", "gives"), ("people", "weights", "memory", "time here")
    print_table(titles, rows, numbers, width=160)
    print(
        f"In all {_duration(plan['seconds'].sum())} on this machine; at most "
        f"{plan['gigabytes'].max():.1f} GB at once, beside Python and its libraries (some 0.7 GB). "
        "Probes, PheWAS, clusters and the report are not estimated."
    )
    if assumed:
        print(
            f"Assumed, since {experiment.name}'s data are not there to be counted: "
            f"{' and '.join(assumed)} (--participants, --variants)."
        )


def _duration(seconds: float) -> str:
    """Write seconds in the unit that people would use: "40 s", "12 min", "7.5 h", "3.1 d"."""
    for unit, size, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < most * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:.3g} d"


def demo(out: Out, seed: Seed = None, dask: Dask = None) -> None:
    """Simulate a biobank and compare every modality before and after registration."""
    from regreveal.cluster import on_cluster
    from regreveal.experiment.run import run_demo

    with on_cluster(dask):
        report = run_demo(out, seed)
    print(f"The report is at {report}")
