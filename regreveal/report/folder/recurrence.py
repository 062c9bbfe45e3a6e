"""How loci recur over an arm's training seeds, as a run left it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regreveal.report.folder.reading import read_json, read_tsv


@dataclass(frozen=True)
class ArmRecurrence:
    """One arm's loci over its seeds, pairs of seeds, and `recurrence.json`."""

    loci: pd.DataFrame
    pairs: pd.DataFrame
    description: dict

    @property
    def seeds(self) -> list[int]:
        """The seeds, the experiment's own first."""
        return self.description["seeds"]


def read_recurrence(folder: Path) -> ArmRecurrence | None:
    """Read an arm's recurrence from its folder in a comparison; None if it was not asked for."""
    if not (folder / "recurrence.json").exists():
        return None
    description = read_json(
        folder / "recurrence.json", "seeds", "loci", "loci_low", "loci_high", "places_in_all"
    )
    of_seeds = [f"{what}_{n}" for n in description["seeds"] for what in ("found", "neg_log10_p")]
    return ArmRecurrence(
        loci=read_tsv(
            folder / "recurrence.tsv",
            ["chromosome", "start", "end", "nearest_gene", "seeds", *of_seeds],
        ),
        pairs=read_tsv(
            folder / "recurrence_pairs.tsv",
            "seed other_seed jaccard linear_cka mean_canonical_correlation",
        ),
        description=description,
    )
