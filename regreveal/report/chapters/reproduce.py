"""The chapter on how to reproduce and cite a run."""

from collections.abc import Mapping

from regreveal.report.folder.run import Run
from regreveal.report.parts import Section, Text
from regreveal.report.tables import Cell, Column, Table


def reproduce_section(run: Run) -> Section:
    """Give versions, the experiment file and what to cite."""
    version = run.manifest["regreveal"]
    seed = run.manifest["seed"]
    parts = [
        Text("To reproduce", "heading"),
        Text(
            f"With RegReveal {version}, the packages of the table and the experiment file below, "
            f"the same command gives the same results (seed {seed}), up to the rounding of other "
            "processors:"
        ),
        Text("regreveal run experiment.toml --out RUN", "code"),
        Text("experiment.toml:"),
        Text(run.text.strip(), "code"),
        version_table({"regreveal": version, **run.manifest["versions"]}),
        Text("To cite", "heading"),
        Text(f"The software: RegReveal, version {version}."),
        Text(
            "The method: Friedman S, Moran G, Rakic M, Philippakis A. Genetic Architectures of "
            "Medical Images Revealed by Registration of Multiple Modalities. Bioinformatics and "
            "Biology Insights 2024;18. doi:10.1177/11779322241282489."
        ),
        Text(
            "Every figure is in the folder figures/ beside this page, as PNG and as PDF with "
            "text that can be edited."
        ),
    ]
    return Section("reproduce", "How to reproduce and cite this", parts)


def version_table(versions: Mapping[str, str]) -> Table:
    """Make the table of package versions."""
    return Table(
        title="Versions.",
        caption="Of RegReveal and what it ran on.",
        columns=(Column("Package"), Column("Version", number=True)),
        rows=[[Cell(package), Cell(version)] for package, version in versions.items()],
    )
