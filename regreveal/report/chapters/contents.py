"""The chapters in their order."""

from pathlib import Path

from regreveal.report.chapters import clusters, diseases, genome, probes
from regreveal.report.chapters.autoencoders import autoencoders_section
from regreveal.report.chapters.groups import arm_groups
from regreveal.report.chapters.latents import cycle_section, fusion_section
from regreveal.report.chapters.left_out import left_out_section
from regreveal.report.chapters.methods import methods_section
from regreveal.report.chapters.recordings import recordings_section
from regreveal.report.chapters.reproduce import reproduce_section
from regreveal.report.folder.run import Run
from regreveal.report.parts import Section
from regreveal.report.style import arm_colours


def make_sections(run: Run, figures: Path) -> list[Section]:
    """Draw every figure of a report and put the chapters together.

    Parameters
    ----------
    run : Run
    figures : Path
        Folder for the figures.

    Returns
    -------
    list of Section
    """
    groups = arm_groups(run)
    colours = {arm: colour for group in groups for arm, colour in arm_colours(group).items()}
    with_cycle = any(arm.by_deepcycle for arm in run.arms.values())
    return [
        recordings_section(run, groups, colours, figures),
        autoencoders_section(run, groups, colours, figures),
        *([cycle_section(run, figures)] if with_cycle else []),
        *([fusion_section(run, figures)] if run.fusions else []),
        *comparison_sections(run, colours, figures),
        left_out_section(run),
        methods_section(run),
        reproduce_section(run),
    ]


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
        for anchor, title, chapter, there in (
            ("phenotypes", "Phenotypes", probes, comparison.probes),
            ("genome", "Genome", genome, comparison.gwas),
            ("diseases", "Diseases", diseases, comparison.phewas),
            ("clusters", "Clusters of lead variants", clusters, run.asked_for("clusters")),
        ):
            if not there:
                continue
            if len(run.comparisons) > 1:
                title = f"{title}: {comparison.name}"
            parts = chapter.parts(comparison, of_arms, folder)
            sections.append(Section(f"{comparison.name}-{anchor}", title, parts))
    return sections
