"""A comparison of two arms, as a run left it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regreveal.report.folder.clusters import (
    ArmClusters,
    SharedClusters,
    read_clusters,
    read_shared_clusters,
)
from regreveal.report.folder.directions import ArmDirections, read_directions
from regreveal.report.folder.genome import ArmGwas, Truth, read_gwas, read_truth
from regreveal.report.folder.phewas import Diseases, read_diseases, read_phewas
from regreveal.report.folder.probes import Probes, read_probes
from regreveal.report.folder.reading import reading
from regreveal.report.folder.recurrence import ArmRecurrence, read_recurrence
from regreveal.report.folder.replication import ArmReplication, read_replication
from regreveal.report.folder.shared_loci import read_shared_loci
from regreveal.store.table_files import read_parquet


@dataclass(frozen=True)
class Comparison:
    """Two arms on the same participants; analyses that were not asked for are None or empty."""

    name: str
    baseline: str
    against: str
    participants: int
    probes: Probes | None
    gwas: dict[str, ArmGwas]
    shared_loci: pd.DataFrame | None
    replication: dict[str, ArmReplication]
    recurrence: dict[str, ArmRecurrence]
    phewas: dict[str, pd.DataFrame]
    diseases: Diseases | None
    clusters: dict[str, ArmClusters]
    shared_clusters: SharedClusters | None
    directions: dict[str, ArmDirections]
    truth: Truth | None

    @property
    def arms(self) -> tuple[str, str]:
        """The arms, the baseline first."""
        return self.baseline, self.against

    def file(self, name: str) -> str:
        """Where a file of the comparison is, from the run folder: what a report links to."""
        return f"comparisons/{self.name}/{name}"


def read_comparison(folder: Path, name: str, settings: dict, experiment: dict) -> Comparison:
    """Read a comparison's folder.

    Parameters
    ----------
    folder : Path
    name : str
    settings : dict
        Its table of the experiment file.
    experiment : dict
        The whole file: an analysis that it has a table for must be there.

    Returns
    -------
    Comparison
    """
    arms = (settings["baseline"], settings["against"])
    with reading(folder / "participants.parquet") as path:
        participants = len(read_parquet(path)["sample_id"])
    analyses = ("probes", "gwas", "phewas", "clusters", "directions", "replication", "recurrence")
    asked = {name for name in analyses if name in experiment}
    clusters = {
        arm: read_clusters(folder / arm / "clusters") for arm in arms if "clusters" in asked
    }
    seeds = {arm: read_recurrence(folder / arm) for arm in arms if "recurrence" in asked}
    return Comparison(
        name=name,
        baseline=arms[0],
        against=arms[1],
        participants=participants,
        probes=_read_probes(folder, experiment["probes"]) if "probes" in asked else None,
        gwas={arm: read_gwas(folder / arm / "gwas") for arm in arms if "gwas" in asked},
        shared_loci=read_shared_loci(folder, arms) if "gwas" in asked else None,
        replication={
            arm: read_replication(folder / arm / "replication")
            for arm in arms
            if "replication" in asked
        },
        recurrence={arm: found for arm, found in seeds.items() if found is not None},
        phewas={arm: read_phewas(folder / arm / "phewas") for arm in arms if "phewas" in asked},
        diseases=read_diseases(folder, arms) if "phewas" in asked else None,
        clusters={arm: found for arm, found in clusters.items() if found is not None},
        shared_clusters=read_shared_clusters(folder, arms) if "clusters" in asked else None,
        directions={
            arm: read_directions(folder / arm / "directions")
            for arm in arms
            if "directions" in asked
        },
        truth=read_truth(folder, arms) if "gwas" in asked else None,
    )


def _read_probes(folder: Path, settings: dict) -> Probes:
    return read_probes(folder, adjusted=bool(settings.get("adjust")))
