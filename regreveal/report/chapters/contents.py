"""The chapters in their order."""

from regreveal.report.chapters import (
    autoencoders,
    clusters,
    directions,
    diseases,
    genome,
    probes,
    recurrence,
    replication,
    shared_loci,
)
from regreveal.report.chapters.autoencoders import autoencoders_section
from regreveal.report.chapters.comparison import comparison_section
from regreveal.report.chapters.groups import arm_groups
from regreveal.report.chapters.latents import cycle_section, fusion_section
from regreveal.report.chapters.left_out import left_out_section
from regreveal.report.chapters.methods import methods_section
from regreveal.report.chapters.recordings import recordings_section
from regreveal.report.chapters.reproduce import reproduce_section
from regreveal.report.folder.comparison import Comparison
from regreveal.report.folder.run import Run
from regreveal.report.parts import Group, Section
from regreveal.report.style import arm_colours

# Of each comparison, in this order. Each has a TITLE, an ANCHOR, the ANALYSIS it tells of (a table
# of the experiment file), and functions of a comparison: its parts, and its findings in sentences.
OF_COMPARISONS = (
    probes, genome, shared_loci, replication, recurrence, diseases, clusters, directions,
)  # fmt: skip
# What stands in the table of the first screen, in this order.
HEADLINES = (genome.headlines, probes.headlines, diseases.headlines)


def make_contents(run: Run) -> list[Section | Group]:
    """Put the chapters of a report together.

    Parameters
    ----------
    run : Run

    Returns
    -------
    list of Section or Group
        Only of analyses that were asked for. Figures are not drawn yet.
    """
    groups = arm_groups(run)
    colours = {arm: colour for group in groups for arm, colour in arm_colours(group).items()}
    return [
        recordings_section(run, groups, colours),
        *([comparison_section(run)] if run.comparisons else []),
        *(comparison_group(run, comparison, colours) for comparison in run.comparisons),
        _models(run, groups, colours),
        left_out_section(run),
        methods_section(run),
        reproduce_section(run),
    ]


def comparison_group(run: Run, comparison: Comparison, colours: dict[str, str]) -> Group:
    """Put the chapters of a comparison together, of the analyses that were asked for."""
    of_arms = {arm: colours[arm] for arm in comparison.arms}
    asked = [chapter for chapter in OF_COMPARISONS if run.asked_for(chapter.ANALYSIS)]
    sections = [
        Section(f"{comparison.name}-{chapter.ANCHOR}", chapter.TITLE, parts)
        for chapter in asked
        if (parts := chapter.parts(comparison, of_arms))
    ]
    findings = [sentence for chapter in asked for sentence in chapter.findings(comparison)]
    title = f"{comparison.name}: {comparison.against} against {comparison.baseline}"
    return Group(
        comparison.name, title, comparison.name, sections, (*_sizes(run, comparison), *findings)
    )


def _models(run: Run, groups: list[list[str]], colours: dict[str, str]) -> Group:
    sections = [autoencoders_section(run, groups, colours)]
    if any(arm.by_deepcycle for arm in run.arms.values()):
        sections.append(cycle_section(run))
    if run.fusions:
        sections.append(fusion_section(run))
    title = "How the latents were made"
    return Group("models", title, title, sections, tuple(autoencoders.findings(run)))


def _sizes(run: Run, comparison: Comparison) -> list[str]:
    """Say so where the arms' latent spaces are of different sizes."""
    sizes = {arm: run.arms[arm].model["latent_size"] for arm in comparison.arms}
    if len(set(sizes.values())) == 1:
        return []
    told = " and ".join(f"{size} in {arm}" for arm, size in sizes.items())
    return [f"The latent spaces are compared as they are, of different sizes: {told} dimensions."]
