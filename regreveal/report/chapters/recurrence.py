"""The chapter on training seeds: which loci an arm finds again when it is trained anew."""

from functools import partial

import pandas as pd

from regreveal.report.chapters.shared_loci import place_name
from regreveal.report.figures.recurrence import MOST_LOCI, recurrence_matrix
from regreveal.report.folder.comparison import Comparison
from regreveal.report.folder.recurrence import ArmRecurrence
from regreveal.report.parts import Figure, Text
from regreveal.report.tables import Cell, Column, Table, number
from regreveal.report.words import plural

TITLE, ANCHOR, ANALYSIS = "Training seeds", "seeds", "recurrence"


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show which seeds find which loci, for the arms that were trained again."""
    shown: list = []
    for arm in reversed(comparison.arms):
        if arm not in comparison.recurrence:
            continue
        found = comparison.recurrence[arm]
        shown.append(Text(sentence(found, arm)))
        if len(found.loci):
            shown.append(_figure(comparison, arm, found, colours[arm]))
        files = (comparison.file(f"{arm}/recurrence_pairs.tsv"),)
        shown.append(pairs_table(found.pairs, arm, files))
    return shown


def _figure(comparison: Comparison, arm: str, found: ArmRecurrence, colour: str) -> Figure:
    table = found.loci.head(MOST_LOCI)
    more = f" The first {MOST_LOCI} of {len(found.loci)}." if len(found.loci) > MOST_LOCI else ""
    of_seeds = {
        what: table[[f"{what}_{seed}" for seed in found.seeds]].to_numpy()
        for what in ("found", "neg_log10_p")
    }
    return Figure(
        f"{comparison.name}-{arm}-seeds",
        f"Loci that each training of {arm} finds.",
        "Filled: genome-wide significant with that seed; ring: p < 5 × 10⁻⁴ only. Sizes grow with "
        f"−log₁₀ p. The first seed is the experiment's own.{more}",
        partial(
            recurrence_matrix,
            [place_name(row) for _, row in table.iterrows()],
            found.seeds,
            of_seeds["found"].astype(bool),
            of_seeds["neg_log10_p"].astype(float),
            colour,
        ),
        files=(comparison.file(f"{arm}/recurrence.tsv"),),
        width=min(52.0, 15 + 4.2 * len(found.seeds)),
    )


def pairs_table(pairs: pd.DataFrame, arm: str, files: tuple[str, ...] = ()) -> Table:
    """Make the table of how alike two trainings of an arm are.

    Parameters
    ----------
    pairs : DataFrame
        `seed`, `other_seed`, `jaccard`, `linear_cka`, `mean_canonical_correlation`.
    arm : str
    files : tuple of str
        Where it is.
    """
    return Table(
        title=f"How alike two trainings of {arm} are.",
        caption="Loci: found by both over found by either (Jaccard). Linear CKA: likeness of the "
        "latent spaces whatever their axes, by variance (Kornblith et al. 2019). Canonical "
        "correlation: mean over the dimensions, each counting alike, as in the latent GWAS.",
        columns=(
            Column("Seeds"),
            Column("Loci in common (Jaccard)", number=True),
            Column("Linear CKA", number=True),
            Column("Mean canonical correlation", number=True),
        ),
        rows=[
            [
                Cell(f"{int(row['seed'])} and {int(row['other_seed'])}"),
                Cell(number(row["jaccard"], 2)),
                Cell(number(row["linear_cka"], 3)),
                Cell(number(row["mean_canonical_correlation"], 3)),
            ]
            for _, row in pairs.iterrows()
        ],
        files=files,
    )


def sentence(found: ArmRecurrence, arm: str) -> str:
    """Say how many loci the seeds of an arm find, and how many recur."""
    told, seeds = found.description, found.seeds
    if not told["places_in_any"]:
        return f"{arm} finds no locus with any of {len(seeds)} training seeds."
    own = told["loci"][str(seeds[0])]
    places = plural(told["places_in_any"], "locus", "loci")
    parts = [f"{told['places_in_all']} in all of them"]
    if len(seeds) > 2:
        parts.append(f"{told['places_in_most'] + told['places_in_fewer']} in some")
    parts.append(f"{told['places_in_one']} in one only")
    return (
        f"{arm} finds {plural(own, 'locus', 'loci')} "
        f"({told['loci_low']}–{told['loci_high']} over {len(seeds)} training seeds): "
        f"{places} in any, {', '.join(parts[:-1])} and {parts[-1]}."
    )


def findings(comparison: Comparison) -> list[str]:
    """Say how many loci recur, for the summary."""
    found = comparison.recurrence
    told = [sentence(found[arm], arm) for arm in reversed(comparison.arms) if arm in found]
    return [f"Trained again, {one}" for one in told]
