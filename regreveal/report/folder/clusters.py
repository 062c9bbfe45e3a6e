"""Clusters of lead variants, as a run left them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.report.folder.reading import read_tsv


@dataclass(frozen=True)
class ArmClusters:
    """One arm's clusters of lead variants, in the files' own order, and how many have none."""

    cosines: np.ndarray
    clusters: pd.DataFrame
    linkage: np.ndarray
    left_out: int


def read_clusters(folder: Path) -> ArmClusters | None:
    """Read an arm's clusters; None where fewer than two lead variants could be clustered."""
    if not folder.is_dir():
        return None
    clusters = read_tsv(folder / "clusters.tsv", "variant_id gene cluster stability")
    if len(clusters) < 2:
        return None
    cosines = read_tsv(folder / "cosines.tsv", ["variant_id", *clusters["variant_id"]])
    linkage = read_tsv(folder / "linkage.tsv", "first second distance size")
    return ArmClusters(
        cosines=cosines[clusters["variant_id"]].to_numpy(np.float64),
        clusters=clusters,
        linkage=linkage[["first", "second", "distance", "size"]].to_numpy(np.float64),
        left_out=len(read_tsv(folder / "left_out.tsv", "variant_id gene reason")),
    )
