"""Which loci both arms of a comparison have, as a run left it."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from regreveal.report.folder.reading import read_tsv


def read_shared_loci(folder: Path, arms: Sequence[str]) -> pd.DataFrame:
    """Read the loci of both arms side by side from a comparison's folder."""
    of_arms = [f"{what}_{arm}" for arm in arms for what in ("loci", "neg_log10_p")]
    return read_tsv(
        folder / "shared_loci.tsv",
        ["chromosome", "start", "end", "nearest_gene", "found", "class", "other_at_lead", *of_arms],
        dtype={"found": str, "class": str},
    )
