"""`regreveal compare`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Baseline(StrEnum):
    """Which run's arm the other is compared with."""

    a = "a"
    b = "b"


Arm = typer.Option(help="The arm; in a run of one comparison, the arm against its baseline.")
Comparison = typer.Option(help="Of an arm in several, the one whose participants are meant.")


def compare(
    run_a: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    run_b: Annotated[Path, typer.Argument(help="Another.")],
    out: Annotated[Path, typer.Option("--out", help="A folder for the comparison.")],
    arm_a: Annotated[str | None, Arm] = None,
    arm_b: Annotated[str | None, Arm] = None,
    comparison_a: Annotated[str | None, Comparison] = None,
    comparison_b: Annotated[str | None, Comparison] = None,
    baseline: Annotated[
        Baseline, typer.Option(help="The run whose arm the other is compared with.")
    ] = Baseline.a,
    common_participants: Annotated[
        bool,
        typer.Option(
            "--common-participants",
            help="Where participants differ, analyse those in both anew, as RUN_A did.",
        ),
    ] = False,
    allow_different_latents: Annotated[
        bool, typer.Option("--allow-different-latents", help="Latent sizes may differ.")
    ] = False,
    allow_different_targets: Annotated[
        bool,
        typer.Option(
            "--allow-different-targets",
            help="Probes may differ; the phenotypes that are alike in both are compared.",
        ),
    ] = False,
    allow_different_gwas: Annotated[
        bool,
        typer.Option(
            "--allow-different-gwas",
            help="Covariates, coding, transform or genotypes of the GWAS may differ.",
        ),
    ] = False,
    allow_different_phewas: Annotated[
        bool,
        typer.Option(
            "--allow-different-phewas",
            help="Covariates, diagnoses or phecodes of the PheWAS may differ; RUN_A's are used.",
        ),
    ] = False,
) -> None:
    """Compare an arm of one run with an arm of another, made apart.

    Refuses where the participants analysed, the latent sizes or the analyses' settings differ,
    unless told otherwise; then it is said in the tables.
    """
    from regreveal.experiment.two_runs.compare import compare_runs
    from regreveal.store.atomic import check_folder

    check_folder(out)
    allowed = {
        "participants": common_participants,
        "latents": allow_different_latents,
        "targets": allow_different_targets,
        "gwas": allow_different_gwas,
        "phewas": allow_different_phewas,
    }
    page = compare_runs(
        run_a,
        run_b,
        out,
        arms=(arm_a, arm_b),
        comparisons=(comparison_a, comparison_b),
        baseline=baseline.value,
        allowed=[kind for kind, is_allowed in allowed.items() if is_allowed],
    )
    print(f"The comparison is at {page}")
