"""The chapter on replication: loci of one half of the participants, tested in the other."""

from functools import partial

import numpy as np
import pandas as pd

from regreveal.report.chapters.shared_loci import place_name
from regreveal.report.figures.replication import replication_plot
from regreveal.report.folder.comparison import Comparison
from regreveal.report.folder.replication import ArmReplication
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import MOST_ROWS, Cell, Column, Table, hide_small, number, rest
from regreveal.report.words import listed

TITLE, ANCHOR, ANALYSIS = "Replication between halves", "replication", "replication"

HALVES = ("1", "2")
ROWS = {"1": "found in the first half", "2": "found in the second half", "either": "loci of either"}


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show what of each half's loci replicated in the other."""
    found = comparison.replication
    description = next(iter(found.values())).description
    sizes = [hide_small(count) for count in description["participants"].values()]
    relatives = description["relatives"]
    told = (
        f"The participants were split into halves of {listed(sizes)} within folds"
        + (", relatives together" if relatives["degree"] else "")
        + ". Loci of a latent GWAS of one half were tested in the other, by the same joint test "
        "and along one direction: people of the other half are projected on the direction in "
        "which the variant moved the latents of the first, and the projection, one number a "
        "person, must rise with the allele that it rose with (one-sided). The level is 0.05 over "
        "the leads of the half; then the halves changed roles."
    )
    shown: list = [Text(told), counts_table(found, comparison)]
    leads = {arm: _drawn(found[arm].leads) for arm in comparison.arms}
    files = tuple(comparison.file(f"{arm}/replication/leads.tsv") for arm in comparison.arms)
    if sum(map(len, leads.values())):
        shown.append(
            Figure(
                f"{comparison.name}-replication",
                "Replication against discovery.",
                "Every lead variant of either half: its p-value there, and one-sided in the other "
                "half along the direction that was learned. Filled: replicated. Dashed: "
                "5 × 10⁻⁸, dotted: 0.05 over the number of leads of a half. On the grey diagonal "
                "both p-values are the same. The joint test of discovery spends a degree of "
                "freedom on every latent dimension, the directed one of replication a single one, "
                "hence points above the diagonal.",
                partial(replication_plot, leads, -np.log10(description["threshold"]), colours),
                files=files,
                width=48,
            )
        )
    for arm, file in zip(comparison.arms, files, strict=True):
        if len(found[arm].leads):
            shown.append(leads_table(found[arm].leads, arm, (file,)))
    return shown


def _drawn(leads: pd.DataFrame) -> pd.DataFrame:
    tested = leads[leads["reason"] == ""]
    return tested.assign(label=[_name(row) for _, row in tested.iterrows()])


def _name(row: pd.Series) -> str:
    return place_name(row.rename({"position": "start"}))


def counts_table(found: dict[str, ArmReplication], comparison: Comparison) -> Table:
    """Make the table of how many leads replicated, by arm and half."""
    rows = []
    for arm in comparison.arms:
        summary = found[arm].summary
        for name, label in ROWS.items():
            row = summary.loc[name]
            cells = [Cell(arm), Cell(label), *(Cell(str(int(row[c]))) for c in ("leads", "tested"))]
            for test in ("joint", "direction"):
                cells += [_share(row, test), _expected(row, test)]
            rows.append(cells)
    return Table(
        title="How many lead variants replicated.",
        caption="With the exact 95 % interval (Clopper and Pearson) of the share. Tested: not too "
        "few carriers in the other half. A locus found in both halves counts once among those of "
        "either, and as replicated if either lead is. Expected: the sum of the leads' power, at "
        "effects corrected for having been selected (the conditional likelihood, too cautious on "
        "average) to effects as they were found (too hopeful: the winner's curse).",
        columns=(
            Column("Arm"),
            Column(""),
            Column("Leads", number=True),
            Column("Tested", number=True),
            Column("Replicated jointly", number=True),
            Column("Expected", number=True),
            Column("Replicated along the direction", number=True),
            Column("Expected", number=True),
        ),
        rows=rows,
        files=tuple(comparison.file(f"{arm}/replication/summary.tsv") for arm in comparison.arms),
    )


def _share(row: pd.Series, test: str) -> Cell:
    count = int(row[f"{test}_replicated"])
    if not row["tested"]:
        return Cell("–")
    low, high = (number(100 * row[f"{test}_{end}"], 0) for end in ("low", "high"))
    return Cell(f"{count} ({low}–{high} %)", strong=True, value=count)


def _expected(row: pd.Series, test: str) -> Cell:
    low, high = row[f"{test}_expected_cautious"], row[f"{test}_expected_hopeful"]
    if not (np.isfinite(low) and row["tested"]):
        return Cell("–")
    told = list(dict.fromkeys(number(value, 1) for value in (low, high)))
    return Cell(" to ".join(told), value=float(low))


def leads_table(leads: pd.DataFrame, arm: str, files: tuple[str, ...] = ()) -> Table:
    """Make the table of an arm's leads in the other half."""
    shown = leads.sort_values(["place", "discovery"]).head(MOST_ROWS)
    rows = [
        [
            Cell(row["nearest_gene"] or "–"),
            Cell(row["variant_id"]),
            Cell("first" if row["discovery"] == 1 else "second"),
            Cell(number(row["discovery_neg_log10_p"], 1)),
            Cell(number(row["joint_neg_log10_p"], 1), bool(row["replicated_joint"])),
            Cell(number(row["direction_beta"], 2)),
            Cell(number(row["direction_neg_log10_p"], 1), bool(row["replicated_direction"])),
            Cell(row["reason"]),
        ]
        for _, row in shown.iterrows()
    ]
    return Table(
        title=f"Lead variants of the {arm} arm in the other half.",
        caption="−log₁₀ p, bold where replicated. Effect: of one more alternate allele on the "
        "projection, in its standard deviations; it is positive where the direction agrees.",
        columns=(
            Column("Nearest gene", italic=True),
            Column("Lead variant"),
            Column("Found in half"),
            Column("There", number=True),
            Column("Jointly in the other", number=True),
            Column("Effect along the direction", number=True),
            Column("Along the direction", number=True),
            Column(""),
        ),
        rows=rows,
        note=rest(len(leads), "leads", "leads.tsv"),
        files=files,
    )


def findings(comparison: Comparison) -> list[str]:
    """Say how many loci replicated, for the summary."""
    if not comparison.replication:
        return []
    told = []
    for arm in reversed(comparison.arms):
        row = comparison.replication[arm].summary.loc["either"]
        found = int(row["leads"])
        if not row["tested"]:
            told.append(f"none of {found} could be tested in {arm}" if found else f"none in {arm}")
            continue
        count = int(row["direction_replicated"])
        jointly = int(row["joint_replicated"])
        told.append(f"{count} of {found} in {arm} ({jointly} by the joint test)")
    return [
        "Loci found in one half of the participants that replicated in the other, along the "
        f"direction first found: {listed(told)}."
    ]
