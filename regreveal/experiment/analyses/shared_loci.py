"""Which loci both arms find, and what the other arm says of those that one finds alone."""

from functools import partial
from pathlib import Path

from regreveal.comparison.loci import shared_loci
from regreveal.experiment.analyses.compared import Compared
from regreveal.experiment.analyses.genome import matched_genotypes
from regreveal.genetics.loci import read_loci
from regreveal.store.cohort import write_table


def run_stages(compared: Compared) -> None:
    """Set the loci of both arms side by side."""
    output = compared.folder / "shared_loci.tsv"
    compared.manifest.run(
        compared.stage("shared loci"),
        partial(_write, compared, output),
        outputs=[output],
        settings=list(compared.arms),
        after=[compared.stage(f"{arm}/gwas") for arm in compared.arms],
    )


def _write(compared: Compared, output: Path) -> None:
    folders = {arm: compared.folder / arm / "gwas" for arm in compared.arms}
    table = shared_loci(
        {arm: read_loci(folder / "loci.tsv") for arm, folder in folders.items()},
        {arm: folder / "manova.tsv.gz" for arm, folder in folders.items()},
        *matched_genotypes(compared),
    )
    write_table(table, output)
