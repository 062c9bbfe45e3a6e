"""The chapter on the genome: the latent GWAS of two arms, and what of the truth they found."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from regreveal.report.figures.genome import GenomeScan, miami, qq_plot
from regreveal.report.folder.comparison import Comparison
from regreveal.report.parts import Figure, Headline, Text
from regreveal.report.tables import (
    MOST_ROWS,
    Cell,
    Column,
    Table,
    hide_small,
    number,
    rest,
)
from regreveal.report.words import listed, plural, spoken

TITLE, ANCHOR, ANALYSIS = "Genome", "genome", "gwas"
ORACLE = "oracle"


def parts(comparison: Comparison, colours: dict[str, str]) -> list:
    """Show the latent GWAS of the two arms of a comparison."""
    baseline, against = comparison.arms
    untested = [
        arm for arm in comparison.arms if not comparison.gwas[arm].description["variants"]["tested"]
    ]
    if untested:
        people = hide_small(comparison.participants)
        return [
            Text(
                f"No variant could be tested in {listed(untested)}: {people} participants are few."
            )
        ]
    scans = {arm: _scan(comparison, arm, colours[arm]) for arm in comparison.arms}
    gwas = comparison.gwas[against].description
    results = tuple(comparison.file(f"{arm}/gwas/manova.tsv.gz") for arm in comparison.arms)
    coding = gwas["settings"]["coding"]
    told = (
        f"−log₁₀ p of the multivariate test of each variant against the latent vector ({coding} "
        f"coding), {hide_small(gwas['participants']['analysed'])} participants, "
        f"{gwas['variants']['tested']:,} variants tested. "
    )
    planted = (
        " Triangles: planted variants, filled where the arm found them."
        if comparison.truth is not None
        else ""
    )
    shown = [
        Figure(
            f"{comparison.name}-miami",
            f"Latent GWAS, {against} above and {baseline} below.",
            told + "Dashed: 5 × 10⁻⁸. Black dots: lead variants, with the nearest gene."
            f"{planted} Both panels have one scale. Variants below p = 10⁻⁵ are drawn thinned, all "
            "others are drawn.",
            partial(miami, scans[baseline], scans[against]),
            files=results,
        )
    ]
    if comparison.truth is not None:
        files = (comparison.file("truth_summary.tsv"), comparison.file("truth.tsv"))
        summary = truth_summary_table(comparison.truth.summary)
        planted = truth_table(comparison.truth.variants, comparison.arms)
        shown.append(replace(summary, files=files[:1]))
        shown.append(replace(planted, files=files[1:]))
    shown.append(
        Figure(
            f"{comparison.name}-qq",
            "Observed against expected p-values.",
            "Of all variants tested in each arm. Grey: the band that holds 95 % of the values at "
            "each rank if no variant has an effect and variants are independent; linkage "
            "disequilibrium makes the true band wider. λGC: median χ² over its expectation, which "
            "true effects raise as well as structure does.",
            partial(qq_plot, {arm: scan.variants for arm, scan in scans.items()}, colours=colours),
            files=results,
            width=30,
        )
    )
    for arm in reversed(comparison.arms):
        loci = comparison.gwas[arm].loci
        if len(loci):
            files = (comparison.file(f"{arm}/gwas/loci.tsv"),)
            shown.append(replace(loci_table(loci, arm), files=files))
        else:
            shown.append(Text(f"In the {arm} arm no variant reaches p < 5 × 10⁻⁸."))
    return shown


def _scan(comparison: Comparison, arm: str, colour: str) -> GenomeScan:
    gwas = comparison.gwas[arm]
    planted = None
    if comparison.truth is not None:
        planted = comparison.truth.variants[["chromosome", "position"]].assign(
            found=comparison.truth.variants[arm]
        )
    loci = gwas.loci.assign(gene=gwas.loci["nearest_gene"])
    return GenomeScan(arm, colour, gwas.points, loci, planted)


def truth_table(truth: pd.DataFrame, arms: Sequence[str]) -> Table:
    """Make the table of planted variants: what the oracle and each arm saw of them.

    Parameters
    ----------
    truth : DataFrame
        `gene`, `trait`, `chromosome`, `position`, `variance_explained`; for the oracle and each
        arm a bool column of its name (found) and `neg_log10_p_<name>`.
    arms : sequence of str

    Returns
    -------
    Table
        −log10 p in bold where found.
    """
    seen_by = ["oracle", *arms]
    ordered = truth.sort_values("neg_log10_p_oracle", ascending=False)
    rows = [
        [
            Cell(row["gene"]),
            Cell(spoken(row["trait"])),
            _place(row),
            Cell(f"{100 * row['variance_explained']:.1f}"),
            *(_found(row[f"neg_log10_p_{name}"], row[name]) for name in seen_by),
        ]
        for _, row in ordered.iterrows()
    ]
    return Table(
        title="Planted variants.",
        caption="−log₁₀ p of each planted variant, by the oracle (a GWAS of the true traits "
        "themselves, the best of them) and by each arm; a tick and bold where it lies in or beside "
        "a genome-wide significant locus.",
        columns=(
            Column("Gene", italic=True),
            Column("Trait"),
            Column("Chromosome: position", number=True),
            Column("Variance of trait (%)", number=True),
            *(Column(name, number=True) for name in seen_by),
        ),
        rows=rows,
    )


def _found(neg_log10_p: float, found: bool) -> Cell:
    text = number(neg_log10_p, 1)
    return Cell(f"✓ {text}", True) if found else Cell(text)


def truth_summary_table(summary: pd.DataFrame) -> Table:
    """Make the table of how many planted loci each arm found.

    Parameters
    ----------
    summary : DataFrame
        `arm`, `planted`, `found`, `missed`, `false`, `share_of_oracle`.
    """
    return Table(
        title="Loci against planted truth.",
        caption="Planted: those of traits that this modality shows. False: genome-wide significant "
        "loci without a variant planted for any trait. The last column "
        "is the share found of the planted loci that the oracle found: a univariate GWAS of each "
        "true trait, whose threshold is 5 × 10⁻⁸ divided by the number of traits.",
        columns=(
            Column(""),
            *(Column(t, number=True) for t in ("Planted", "Found", "Missed", "False")),
            Column("Share of oracle (%)", number=True),
        ),
        rows=[
            [
                Cell(row["arm"]),
                *(Cell(str(int(row[name]))) for name in ("planted", "found", "missed", "false")),
                Cell(number(100 * row["share_of_oracle"], 0)),
            ]
            for _, row in summary.iterrows()
        ],
    )


def loci_table(loci: pd.DataFrame, arm: str) -> Table:
    """Make the table of an arm's strongest loci.

    Parameters
    ----------
    loci : DataFrame
        As `regreveal.genetics.loci.find_loci` returns them.
    arm : str
    """
    shown = loci.nlargest(MOST_ROWS, "neg_log10_p")
    return Table(
        title=f"Loci of the {arm} arm.",
        caption="Lead variants by p-value. Variants: significant ones in the locus.",
        columns=(
            Column("Nearest gene", italic=True),
            Column("Lead variant"),
            Column("Chromosome: position", number=True),
            Column("Ref / alt"),
            Column("Alt frequency", number=True),
            Column("−log₁₀ p", number=True),
            Column("Variants", number=True),
        ),
        rows=[
            [
                Cell(row["nearest_gene"] or "–"),
                Cell(row["variant_id"]),
                _place(row),
                Cell(f"{row['ref']} / {row['alt']}"),
                Cell(number(row["alt_frequency"], 2)),
                Cell(number(row["neg_log10_p"], 1)),
                Cell(f"{row['n_variants']:,}"),
            ]
            for _, row in shown.iterrows()
        ],
        note=rest(len(loci), "loci", "loci.tsv"),
    )


def _place(row: pd.Series) -> Cell:
    """Write where a variant is, sorted in the order of the genome; X and Y after the autosomes."""
    name, position = str(row["chromosome"]), int(row["position"])
    order = int(name) if name.isdigit() else 100 + ord(name[0])
    return Cell(f"{name}: {position:,}", value=order * 1e9 + position)


def headlines(comparison: Comparison) -> list[Headline]:
    """Count the loci of the two arms: the planted ones, where it is known which they are."""
    if not comparison.gwas:
        return []
    if comparison.truth is None:
        before, after = (len(comparison.gwas[arm].loci) for arm in comparison.arms)
        told = f"{before} → {after}"
        favours = int(np.sign(after - before))
        return [Headline("Loci", told, favours, "genome-wide significant loci", before, after)]
    of = comparison.truth.summary.set_index("arm")
    before, after = (int(of.loc[arm, "found"]) for arm in comparison.arms)
    false = sum(int(of.loc[arm, "false"]) for arm in comparison.arms)
    planted = int(of.loc[ORACLE, "planted"])
    told = f"{before} → {after} of {planted}" + (f", {false} false" if false else "")
    favours = int(np.sign(after - before))
    counted = "planted loci found"
    return [Headline("Planted loci", told, favours, counted, before, after, planted)]


def findings(comparison: Comparison) -> list[str]:
    """Say what the GWAS found, for the summary."""
    return [*_truth(comparison), *_loci(comparison)]


def _truth(comparison: Comparison) -> list[str]:
    if comparison.truth is None:
        return []
    of = comparison.truth.summary.set_index("arm")
    baseline, against = comparison.arms
    planted = int(of.loc[ORACLE, "planted"])
    found = of["found"].astype(int)
    first = (
        f"Of the {planted} planted loci, the {against} arm found {found[against]} and the "
        f"{baseline} arm {found[baseline]}; the oracle, a GWAS of the true traits of the same "
        f"participants, found {found[ORACLE]}."
    )
    if not found[ORACLE]:
        return [f"{first} So few participants do not allow the arms to be compared."]
    share = {arm: number(100 * of.loc[arm, "share_of_oracle"], 0) for arm in comparison.arms}
    first += (
        f" As share of the oracle's, that is {share[against]} % for {against} and "
        f"{share[baseline]} % for {baseline}."
    )
    if found[against] < found[baseline]:
        first += f" Here {against} did worse than {baseline}."
    elif found[against] == found[baseline]:
        first += " Neither did better than the other."
    false = {arm: int(of.loc[arm, "false"]) for arm in (against, baseline, ORACLE)}
    told = [f"{plural(count, 'locus', 'loci')} of {arm}" for arm, count in false.items() if count]
    second = (
        f"Without a planted variant, and so false: {listed(told)}."
        if told
        else "No locus of either arm or of the oracle was false."
    )
    return [first, second]


def _loci(comparison: Comparison) -> list[str]:
    if not comparison.gwas:
        return []
    counts, inflation = [], []
    for arm in reversed(comparison.arms):
        gwas = comparison.gwas[arm]
        counts.append(f"{plural(len(gwas.loci), 'locus', 'loci')} in {arm}")
        inflation.append(f"{number(gwas.description['lambda_gc'])} in {arm}")
    sentences = [
        f"The latent GWAS has {listed(counts)} at p < 5 × 10⁻⁸; "
        f"the genomic inflation factor λGC is {listed(inflation)}."
    ]
    related = gwas.description.get("relatedness") or {}
    close = (related.get("first_degree") or 0) + (related.get("second_degree") or 0)
    if close:
        sentences.append(
            f"Among {related['participants']:,} of the participants are {hide_small(close)} pairs "
            "of relatives of the first or second degree, which inflates the test; predictions from "
            "the rest of the genome (LOCO) would take care of that."
        )
    return sentences
