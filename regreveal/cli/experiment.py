"""`regreveal run` and `regreveal demo`."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="The run folder; an unfinished run goes on.")]
Seed = Annotated[int | None, typer.Option(help="Instead of the experiment's own.")]


def run(
    experiment: Annotated[Path, typer.Argument(help="The experiment file (TOML).")],
    out: Out,
    seed: Seed = None,
) -> None:
    """Run an experiment: every stage that is not done yet, then the report."""
    from regreveal.experiment.run import run_experiment

    print(f"The report is at {run_experiment(experiment, out, seed)}")


def demo(out: Out, seed: Seed = None) -> None:
    """Simulate a biobank and compare its ECGs before and after alignment."""
    from regreveal.experiment.run import run_demo

    print(f"The report is at {run_demo(out, seed)}")
