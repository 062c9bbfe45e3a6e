"""Whether the loci of half of the participants replicate in the other half."""

from functools import partial
from pathlib import Path

from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.analyses.genome import scan_options
from regreveal.genetics.replication import replicate


def run_stages(compared: Compared) -> None:
    """Replicate the loci of either arm, with the same halves."""
    for arm in compared.arms:
        _replicate(compared, arm)


def _replicate(compared: Compared, arm: str) -> None:
    folder = compared.folder / arm / "replication"
    compared.manifest.run(
        compared.stage(f"{arm}/replication"),
        partial(_write, compared, arm, folder),
        outputs=[folder],
        settings=[compared.experiment.gwas.model_dump(), compared.experiment.seed],
        files=compared.data.files("genotypes", "cohort", "genes"),
        after=compared.embedded(arm),
    )


def _write(compared: Compared, arm: str, folder: Path) -> None:
    replicate(
        compared.arms[arm].embedding,
        compared.data.paths.genotypes,
        folder=folder,
        fold=compared.participants["fold"],
        seed=compared.experiment.seed,
        **scan_options(compared),
    )
