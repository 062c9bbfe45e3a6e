"""The stage that puts every arm of a run in one table, for the report and for a paper."""

import json
import tomllib

from regreveal.comparison.latex import to_latex
from regreveal.comparison.table2 import make_table2
from regreveal.experiment.manifest import Manifest
from regreveal.store.atomic import atomic_path
from regreveal.store.cohort import write_table


def run_stage(manifest: Manifest, text: str) -> None:
    """Write `table2.tsv` and `table2.tex`, after every other stage but the report.

    Parameters
    ----------
    manifest : Manifest
    text : str
        The experiment file.
    """
    names = ("table2.tsv", "table2.tex")
    manifest.run(
        "table2",
        lambda: _write(manifest, tomllib.loads(text)),
        outputs=[manifest.folder / name for name in names],
        after=list(manifest.used),
    )


def _write(manifest: Manifest, experiment: dict) -> None:
    from regreveal.report.chapters.comparison import sources, table2_tables
    from regreveal.report.folder.table2 import read_table2

    folder = manifest.folder
    file = folder / "table2.tsv"
    write_table(make_table2(folder, experiment, manifest.stages), file)
    tables = table2_tables(read_table2(file), sources(json.loads(manifest.path.read_text())))
    parts = [to_latex(table, name) for name, table in tables.items()]
    with atomic_path(folder / "table2.tex") as temporary:
        temporary.write_text("\n".join(["% Needs the package booktabs.", *parts]))
