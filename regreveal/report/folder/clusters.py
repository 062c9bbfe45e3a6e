"""Clusters of lead variants, as a run left them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.report.folder.reading import read_json, read_tsv

_TRUTH = (
    "arm lead_variants_of variants without_planted traits clusters rand_index low high p_value "
    "stability reliability"
)
_AGREEMENT = (
    "baseline against variants clusters_one clusters_other rand_index low high p_value "
    "distance_correlation distance_p_value"
)
_GROUPS = (
    "first second variant_id gene found_in group reason neg_log10_p_first adjusted_p_first "
    "distance_first neg_log10_p_second adjusted_p_second distance_second difference_p cosine "
    "denoised_cosine low high agreement_p"
)


@dataclass(frozen=True)
class ArmClusters:
    """One arm's clusters of lead variants, in the files' own order.

    Parameters
    ----------
    cosines : ndarray, shape (v, v)
    clusters : DataFrame
        `variant_id`, `gene`, `cluster`, `stability`, `reliability`.
    table : DataFrame
        A row a cluster: `cluster_stability.tsv`.
    linkage : ndarray, shape (v − 1, 4)
    support : ndarray, shape (v − 1,)
        Of the nodes; NaN where nothing is known.
    heights : DataFrame
        `clusters_by_height.tsv`.
    summary : dict
        `clusters.json`.
    """

    cosines: np.ndarray
    clusters: pd.DataFrame
    table: pd.DataFrame
    linkage: np.ndarray
    support: np.ndarray
    heights: pd.DataFrame
    summary: dict


@dataclass(frozen=True)
class SharedClusters:
    """Both arms' lead variants in either arm's space, and what is known of their grouping.

    Parameters
    ----------
    spaces : dict of str to ArmClusters
        By arm; empty where there are too few lead variants.
    agreement : DataFrame
        A row, or none.
    truth : DataFrame
        A row for each set of lead variants in each space; none where nothing is planted.
    """

    spaces: dict[str, ArmClusters]
    agreement: pd.DataFrame
    truth: pd.DataFrame


def read_clusters(folder: Path) -> ArmClusters | None:
    """Read an arm's clusters; None where fewer than two lead variants could be clustered."""
    if not (folder.is_dir() and any(folder.iterdir())):
        return None
    clusters = read_tsv(folder / "clusters.tsv", "variant_id gene cluster stability reliability")
    if len(clusters) < 2:
        return None
    cosines = read_tsv(folder / "cosines.tsv", ["variant_id", *clusters["variant_id"]])
    linkage = read_tsv(folder / "linkage.tsv", "first second distance size bootstrap support")
    return ArmClusters(
        cosines=cosines[clusters["variant_id"]].to_numpy(np.float64),
        clusters=clusters,
        table=read_tsv(
            folder / "cluster_stability.tsv",
            "cluster variants genes bootstrap support least_cosine jaccard recovered",
        ),
        linkage=linkage[["first", "second", "distance", "size"]].to_numpy(np.float64),
        support=linkage["support"].to_numpy(np.float64),
        heights=read_tsv(
            folder / "clusters_by_height.tsv", "height chosen clusters stability silhouette"
        ),
        summary=read_json(
            folder / "clusters.json",
            "height", "height_rule", "ceiling", "chance", "bootstraps", "left_out",
        ),
    )  # fmt: skip


def read_shared_clusters(folder: Path, arms: tuple[str, str]) -> SharedClusters:
    """Read what a comparison's two arms make of the same lead variants."""
    together = folder / "cluster_agreement"
    spaces = {arm: read_clusters(together / arm) for arm in arms}
    agreement = pd.DataFrame(columns=_AGREEMENT.split())
    if together.is_dir():
        agreement = read_tsv(folder / "cluster_agreement.tsv", _AGREEMENT)
    truth = pd.DataFrame(columns=_TRUTH.split())
    if (folder / "cluster_truth.tsv").is_file():
        truth = read_tsv(folder / "cluster_truth.tsv", _TRUTH)
    return SharedClusters(
        {arm: found for arm, found in spaces.items() if found is not None}, agreement, truth
    )


def read_modality_groups(folder: Path) -> pd.DataFrame:
    """Read which lead variants of a fusion either modality sees; empty where nobody looked."""
    file = folder / "modality_groups.tsv"
    return read_tsv(file, _GROUPS) if file.is_file() else pd.DataFrame(columns=_GROUPS.split())
