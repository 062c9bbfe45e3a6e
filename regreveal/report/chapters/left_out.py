"""The chapter on what was left out."""

import pandas as pd

from regreveal.report.folder.run import Run
from regreveal.report.parts import Section, Text
from regreveal.report.tables import SMALLEST_COUNT, Cell, Column, Table, hide_small
from regreveal.report.words import listed

_PURPOSES = {"train": "training", "validation": "validation", "analysis": "analysis"}


def left_out_section(run: Run) -> Section:
    """Say who and what was left out, by reason."""
    # Shares, not counts: the difference of two counts could tell what the table hides.
    everyone = sum(run.split_sizes.values())
    shares = listed(
        [
            f"{run.split_sizes[split] / everyone:.0%} for {purpose}".replace("%", " %")
            for split, purpose in _PURPOSES.items()
            if split in run.split_sizes
        ]
    )
    parts = [Text(f"Participants were divided once for all arms: {shares}.")]
    if len(run.dropped):
        parts.append(dropped_table(run.dropped))
    else:
        parts.append(Text("Nobody was left out after that."))
    return Section("left-out", "What was left out", parts + _variants(run))


def _variants(run: Run) -> list[Text]:
    """Say what became of the variants, once for the arms of which the same is true."""
    arms_of = {}
    for comparison in run.comparisons:
        for arm, gwas in comparison.gwas.items():
            arms_of.setdefault(_variant_counts(gwas.description["variants"]), []).append(arm)
    return [
        Text(told, lead=f"Variants, {listed(dict.fromkeys(arms))}.")
        for told, arms in arms_of.items()
    ]


def _variant_counts(counts: dict[str, int]) -> str:
    return (
        f"{counts['read']:,} read and {counts['tested']:,} tested; not tested: "
        f"{counts['no_variation']:,} that are the same in everyone and {counts['too_few']:,} with "
        "too few participants in a tested group."
    )


def dropped_table(dropped: pd.DataFrame) -> Table:
    """Make the table of what was left out.

    Parameters
    ----------
    dropped : DataFrame
        `stage`, `arm`, `reason`, `count`.
    """
    counts = dropped["count"]
    few = counts.between(1, SMALLEST_COUNT - 1)
    withheld = set()
    for _, of_arm in dropped.groupby(["stage", "arm"]).groups.items():
        # A single hidden count would follow from how many were left out in all.
        rest = counts[of_arm][~few[of_arm] & (counts[of_arm] > 0)]
        if few[of_arm].sum() == 1 and len(rest):
            withheld.add(rest.idxmin())
    return Table(
        title="What was left out.",
        caption="Participants by stage and reason. Counts of 1 to 4 are not told, nor one by which "
        "a single such count would be known.",
        columns=(Column("Stage"), Column("Arm"), Column("Reason"), Column("Count", number=True)),
        rows=[
            [
                Cell(row["stage"]),
                Cell(row["arm"] or "all"),
                Cell(row["reason"]),
                Cell("not told" if place in withheld else hide_small(row["count"])),
            ]
            for place, row in dropped.iterrows()
        ],
    )
