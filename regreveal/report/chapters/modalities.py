"""What is told of which modality of a fusion sees which lead variants."""

from functools import partial

import pandas as pd

from regreveal.genetics.clusters.modality_groups import LEVEL, SHARED, UNCLEAR
from regreveal.report.chapters.comparison import p_value
from regreveal.report.figures.modalities import modality_groups
from regreveal.report.figures.trees import unlike_labels
from regreveal.report.folder.run import FusionRun
from regreveal.report.parts import Figure, Text
from regreveal.report.style import ARM_COLOURS
from regreveal.report.tables import MOST_ROWS, Cell, Column, Table, number, rest, with_interval
from regreveal.report.words import listed, plural


def modality_parts(fusion: FusionRun) -> list:
    """Show, for every two modalities of a fusion, which lead variants are seen from which.

    Parameters
    ----------
    fusion : FusionRun

    Returns
    -------
    list of Text, Figure or Table
        Nothing where it was not looked for.
    """
    shown = []
    file = f"fusions/{fusion.name}/modality_groups.tsv"
    pairs = fusion.modality_groups.groupby(["first", "second"], sort=False)
    for (first, second), found in pairs:
        ordered = _in_order(found, first, second)
        labels = unlike_labels(ordered["gene"].tolist(), ordered["variant_id"].tolist())
        counts = ordered["group"].value_counts()
        told = listed([f"{counts.get(name, 0)} {name}" for name in _groups(first, second)])
        shown += [
            Text(f"{fusion.name}: what {first} and {second} see", kind="heading"),
            Text(f"Of {plural(len(ordered), 'lead variant')} of either arm: {told}."),
            Figure(
                f"{fusion.name}-{first}-{second}-modalities",
                f"Which lead variants of {fusion.name} are seen from which modality.",
                "One latent space and the same people, encoded from either modality. Left, the "
                "latent GWAS's p-value with either; filled where it is below "
                f"{LEVEL:g} after Holm's correction for the variants. Right, the cosine between "
                "the two directions without noise, with 95 % limits; filled where it is above zero "
                "after Holm's correction, and nothing where a direction is nearly all noise.",
                partial(
                    modality_groups,
                    ordered,
                    labels,
                    {first: ARM_COLOURS[1], second: ARM_COLOURS[0]},
                    LEVEL,
                ),
                files=(file,),
                width=44.0,
            ),
            modality_table(ordered, labels, file),
        ]
    return shown


def _groups(first: str, second: str) -> list[str]:
    return [SHARED, f"only {first}", f"only {second}", UNCLEAR]


def _in_order(found: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Sort by group, and within one by the smaller p-value."""
    place = found["group"].map(_groups(first, second).index)
    strongest = found[["neg_log10_p_first", "neg_log10_p_second"]].max(axis=1)
    ordered = found.assign(place=place, strongest=-strongest).sort_values(["place", "strongest"])
    return ordered.drop(columns=["place", "strongest"])


def modality_table(groups: pd.DataFrame, labels: list[str], file: str) -> Table:
    """Make the table of which modality sees which lead variants.

    Parameters
    ----------
    groups : DataFrame
        Of one pair of modalities, in the order of the rows.
    labels : list of str
    file : str
        Where it is in the run folder.
    """
    first, second = groups["first"].iloc[0], groups["second"].iloc[0]
    rows = []
    for label, row in list(zip(labels, groups.to_dict("records"), strict=True))[:MOST_ROWS]:
        cosine = with_interval(row["denoised_cosine"], row["low"], row["high"], 2)
        rows.append(
            [
                Cell(label),
                Cell(row["group"]),
                *(Cell(number(row[f"neg_log10_p_{place}"], 1)) for place in ("first", "second")),
                *(Cell(number(row[f"distance_{place}"], 2)) for place in ("first", "second")),
                Cell(p_value(row["difference_p"])),
                Cell(cosine),
                Cell(p_value(row["agreement_p"])),
                Cell(row["reason"]),
            ]
        )
    return Table(
        title=f"Lead variants seen from {first} and {second}.",
        caption=f"Shared: seen from both, in directions that agree. Only one: seen from it, not "
        "from the other, and moving people less there. Unclear: all else. Seen, agreement and "
        f"difference are each held to a family-wise error rate of {LEVEL:g} over the variants by "
        "Holm's method; p-values of the latter two are adjusted. Distance: of carriers from "
        "homozygotes, in standard deviations of the latents, without noise.",
        columns=(
            Column("Gene", italic=True),
            Column("Seen from"),
            *(Column(f"−log₁₀ p, {arm}", number=True) for arm in (first, second)),
            *(Column(f"Distance, {arm}", number=True) for arm in (first, second)),
            Column("p of difference", number=True),
            Column("Cosine without noise", number=True),
            Column("p of agreement", number=True),
            Column("Why unclear", wrap=True),
        ),
        rows=rows,
        note=rest(len(groups), "lead variants", file),
        files=(file,),
    )
