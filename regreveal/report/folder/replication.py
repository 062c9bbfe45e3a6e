"""What replicated in the other half of the participants, as a run left it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regreveal.report.folder.reading import read_json, read_tsv

_LEADS = (
    "discovery place chromosome position variant_id nearest_gene discovery_neg_log10_p "
    "joint_neg_log10_p direction_neg_log10_p direction_beta replicated_joint "
    "replicated_direction level reason"
)
_TESTS = [
    f"{test}_{what}"
    for test in ("joint", "direction")
    for what in ("replicated", "low", "high", "expected_cautious", "expected_hopeful")
]


@dataclass(frozen=True)
class ArmReplication:
    """One arm's replication: its leads, their counts by half, and `replication.json`."""

    leads: pd.DataFrame
    summary: pd.DataFrame
    description: dict


def read_replication(folder: Path) -> ArmReplication:
    """Read an arm's replication from its folder."""
    summary = read_tsv(
        folder / "summary.tsv", ["discovery", "leads", "tested", *_TESTS], dtype={"discovery": str}
    )
    return ArmReplication(
        leads=read_tsv(folder / "leads.tsv", _LEADS),
        summary=summary.set_index("discovery"),
        description=read_json(
            folder / "replication.json", "participants", "relatives", "threshold"
        ),
    )
