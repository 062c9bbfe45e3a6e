"""Chapters on what two arms know: phenotypes, genome, diseases, clusters of variants."""

from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.report import (
    comparison_figures,
    figures,
    genome_tables,
    phewas_figures,
    tables,
)
from regreveal.report.comparison_figures import METRICS
from regreveal.report.figures import GenomeScan
from regreveal.report.parts import Figure, Section, Text
from regreveal.report.run_folder import ArmClusters, Comparison, Run
from regreveal.report.summary import listed, plural
from regreveal.report.tables import hide_small, number, with_interval


def comparison_sections(run: Run, colours: dict[str, str], folder: Path) -> list[Section]:
    """Draw the figures of every comparison and put its chapters together.

    Parameters
    ----------
    run : Run
    colours : dict of str to str
        By arm.
    folder : Path
        For the figures.

    Returns
    -------
    list of Section
        Only of analyses that were asked for.
    """
    sections = []
    for comparison in run.comparisons:
        of_arms = {arm: colours[arm] for arm in comparison.arms}
        chapters = []
        if comparison.differences is not None:
            chapters.append(("phenotypes", "Phenotypes", _probes(comparison, of_arms, folder)))
        if comparison.gwas:
            chapters.append(("genome", "Genome", _genome(comparison, of_arms, folder)))
        if comparison.phewas:
            chapters.append(("diseases", "Diseases", _phewas(comparison, of_arms, folder)))
        if comparison.gwas and run.asked_for("clusters"):
            clusters = _clusters(comparison, folder)
            chapters.append(("clusters", "Clusters of lead variants", clusters))
        for anchor, title, parts in chapters:
            if len(run.comparisons) > 1:
                title = f"{title}: {comparison.name}"
            sections.append(Section(f"{comparison.name}-{anchor}", title, parts))
    return sections


def _probes(comparison: Comparison, colours: dict[str, str], folder: Path) -> list:
    baseline, against = comparison.arms
    told = [
        f"{METRICS[mean.metric]} {number(mean.score)} in {against} and "
        f"{number(mean.baseline_score)} in {baseline}, a difference of "
        f"{with_interval(mean.difference, mean.low, mean.high)}, over "
        f"{plural(mean.targets, 'phenotype')}"
        for mean in comparison.means.itertuples()
    ]
    parts = [Text(f"On average: {'; '.join(told)}.")] if told else []
    parts.append(tables.probe_table(comparison.scores, comparison.differences, baseline, against))
    if comparison.differences["difference"].notna().any():
        name = f"{comparison.name}-probes"
        comparison_figures.probe_forest(
            comparison.scores, comparison.differences, colours, folder / f"{name}.png"
        )
        parts.append(
            Figure(
                name,
                "What a linear probe reads off each latent space.",
                f"Left, score by arm; right, {against} less {baseline} on the same participants. "
                "Bars are 95 % intervals. On the right, filled where the interval leaves out zero, "
                "in the colour of the better arm; open and grey where it does not. Dashed: chance "
                f"and no difference. Up to {hide_small(comparison.participants)} analysis "
                "participants, each predicted by a probe that did not see them.",
            )
        )
    return parts


def _genome(comparison: Comparison, colours: dict[str, str], folder: Path) -> list:
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
    name = f"{comparison.name}-miami"
    figures.miami(scans[baseline], scans[against], folder / f"{name}.png")
    gwas = comparison.gwas[against].description
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
    parts = [
        Figure(
            name,
            f"Latent GWAS, {against} above and {baseline} below.",
            told + "Dashed: 5 × 10⁻⁸. Black dots: lead variants, with the nearest gene."
            f"{planted} Both panels have one scale. Variants below p = 10⁻⁵ are drawn thinned, all "
            "others are drawn.",
        )
    ]
    if comparison.truth is not None:
        parts.append(genome_tables.truth_summary_table(comparison.truth_summary))
        parts.append(genome_tables.truth_table(comparison.truth, comparison.arms))
    name = f"{comparison.name}-qq"
    figures.qq_plot(
        {arm: scan.variants["neg_log10_p"].to_numpy() for arm, scan in scans.items()},
        folder / f"{name}.png",
        colours,
    )
    parts.append(
        Figure(
            name,
            "Observed against expected p-values.",
            "Of all variants tested in each arm. Grey: the band that holds 95 % of the values at "
            "each rank if no variant has an effect and variants are independent; linkage "
            "disequilibrium makes the true band wider. λGC: median χ² over its expectation, which "
            "true effects raise as well as structure does.",
            width=30,
        )
    )
    for arm in reversed(comparison.arms):
        loci = comparison.gwas[arm].loci
        if len(loci):
            parts.append(genome_tables.loci_table(loci, arm))
        else:
            parts.append(Text(f"In the {arm} arm no variant reaches p < 5 × 10⁻⁸."))
    return parts


def _scan(comparison: Comparison, arm: str, colour: str) -> GenomeScan:
    gwas = comparison.gwas[arm]
    planted = None
    if comparison.truth is not None:
        planted = comparison.truth[["chromosome", "position"]].assign(found=comparison.truth[arm])
    loci = gwas.loci.assign(gene=gwas.loci["nearest_gene"])
    return GenomeScan(arm, colour, gwas.variants, loci, planted)


def _phewas(comparison: Comparison, colours: dict[str, str], folder: Path) -> list:
    scans = {arm: comparison.phewas[arm] for arm in comparison.arms}
    tested = max(int(scan["neg_log10_p"].notna().sum()) for scan in scans.values())
    untested = next(iter(scans.values()))["reason"].replace("", np.nan).value_counts()
    reasons = [f"{reason} ({count})" for reason, count in untested.items()]
    parts = []
    if reasons:
        parts.append(Text(f"Phecodes not tested, by reason: {listed(reasons)}."))
    if not tested:
        return parts
    threshold = -np.log10(0.05 / tested)
    name = f"{comparison.name}-phewas"
    phewas_figures.phewas_manhattan(scans, threshold, colours, folder / f"{name}.png")
    parts.append(
        Figure(
            name,
            "Association of phecodes with each latent space.",
            f"Split-half test of {tested} phecodes, {hide_small(comparison.participants)} "
            "participants; one-sided p-values. Dashed: 0.05 after Bonferroni's correction for the "
            "phecodes tested. Phecodes beyond it are named, at most the 20 strongest of an arm. "
            "Both panels have one scale.",
        )
    )
    name = f"{comparison.name}-phewas-qq"
    phewas_figures.phewas_qq(scans, colours, folder / f"{name}.png")
    parts.append(
        Figure(
            name,
            "Observed against expected p-values, by category of phecodes.",
            "In brackets: phecodes tested. Grey: the band that holds 95 % of the values at each "
            "rank if no phecode of the category is associated and phecodes are independent.",
        )
    )
    by_phecode = {arm: scan.set_index("phecode") for arm, scan in scans.items()}
    best = pd.concat([scan["neg_log10_p"] for scan in by_phecode.values()], axis=1).max(axis=1)
    passing = pd.concat([scan["bonferroni"] < 0.05 for scan in by_phecode.values()], axis=1)
    told = best[passing.any(axis=1)].sort_values(ascending=False).index
    if len(told):
        parts.append(tables.phewas_table(by_phecode, list(told)))
    else:
        parts.append(Text("No phecode passes Bonferroni's correction in either arm."))
    return parts


def _clusters(comparison: Comparison, folder: Path) -> list:
    parts = []
    for arm in reversed(comparison.arms):
        if arm not in comparison.clusters:
            count = len(comparison.gwas[arm].loci)
            loci = plural(count, "locus", "loci")
            parts.append(Text(f"The {arm} arm has {loci}; clusters need at least two."))
            continue
        found = comparison.clusters[arm]
        name = f"{comparison.name}-{arm}-clusters"
        comparison_figures.cluster_heat_map(
            found.cosines,
            found.linkage,
            _labels(found),
            found.clusters["cluster"],
            folder / f"{name}.png",
        )
        parts.append(
            Figure(
                name,
                f"Which lead variants of the {arm} arm move people the same way.",
                "Cosine similarity of the directions from the centroid of the commoner "
                "homozygotes to that of the others in the whitened latent space, "
                f"{len(found.clusters)} lead "
                f"variants by nearest gene, {hide_small(comparison.participants)} participants. "
                "Clusters, of which those of two and more are framed, are by average linkage of "
                "one minus the absolute cosine: opposite directions are alike, since which allele "
                "is counted is arbitrary.",
                width=40,
            )
        )
        parts.append(genome_tables.cluster_table(found.clusters, arm))
        if found.left_out:
            parts.append(
                Text(
                    f"{plural(found.left_out, 'lead variant')} could not be given a direction; "
                    "clusters/left_out.tsv says why."
                )
            )
    return parts


def _labels(found: ArmClusters) -> list[str]:
    """Genes, or variant ids where no gene is known."""
    return [gene or variant for variant, gene in found.clusters[["variant_id", "gene"]].to_numpy()]
