"""The page of two runs compared, with the look and the chapters of a run's own report."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from regreveal.comparison.latex import to_latex
from regreveal.report.chapters.comparison import comparison_section, table2_tables
from regreveal.report.chapters.contents import comparison_group
from regreveal.report.chapters.probes import probe_table
from regreveal.report.folder.comparison import Comparison, read_comparison
from regreveal.report.folder.reading import read_json
from regreveal.report.folder.run import ArmRun, Run
from regreveal.report.folder.table2 import read_table2
from regreveal.report.html import write_page
from regreveal.report.parts import Section, Text
from regreveal.report.style import arm_colours
from regreveal.store.atomic import atomic_path
from regreveal.store.cohort import write_table

TABLE, LATEX, PAGE = "comparison.tsv", "comparison.tex", "comparison.html"


def write_two_runs(
    folder: Path,
    name: str,
    table: pd.DataFrame,
    arms: tuple[str, str],
    asked: Collection[str],
    notes: Sequence[str],
    in_tens: bool,
) -> Path:
    """Write comparison.tsv, comparison.tex and comparison.html.

    Parameters
    ----------
    folder : Path
        Holds `comparisons/<name>/` as a run does, and `manifest.json`.
    name : str
        Of the comparison.
    table : DataFrame
        Table 2 of the two arms.
    arms : tuple of str
        The baseline first.
    asked : collection of str
        The analyses made: "probes", "gwas", "phewas".
    notes : sequence of str
        What is to be known of them: which runs, and in what they differ.
    in_tens : bool
        Whether to tell numbers of participants in tens: where the participants are those of a run
        but for a few, its own report and exact numbers here would count these few out.

    Returns
    -------
    Path
        The page.
    """
    if in_tens:
        table = table.assign(participants=_tens(table["participants"]))
    write_table(table, folder / TABLE)
    run = _as_run(folder, name, read_table2(folder / TABLE), arms, asked)
    if in_tens:
        run = replace(run, comparisons=[_in_tens(one) for one in run.comparisons])
    (comparison,) = run.comparisons
    tables = table2_tables(run.table2, " ".join(notes))
    if comparison.probes is not None:
        probed = comparison.probes
        tables["probes"] = probe_table(
            probed.scores, probed.differences, *arms, comparison.participants
        )
    with atomic_path(folder / LATEX) as temporary:
        parts = [to_latex(one, f"comparison-{key}") for key, one in tables.items()]
        temporary.write_text("\n".join(["% Needs the package booktabs.", *parts]))
    contents = [
        comparison_section(run, (TABLE, LATEX)),
        comparison_group(run, comparison, arm_colours(arms)),
        Section("runs-compared", "What was compared", [Text(note) for note in notes]),
    ]
    return write_page(run, contents, notes, folder / PAGE)


def _as_run(
    folder: Path, name: str, table: pd.DataFrame, arms: tuple[str, str], asked: Collection[str]
) -> Run:
    """Give what was made of two runs as the report takes one."""
    settings = {"baseline": arms[0], "against": arms[1]}
    experiment = {
        "title": f"{arms[1]} against {arms[0]}, of two runs",
        "data": {},
        "arms": {arm: {} for arm in arms},
        "comparisons": {name: settings},
        **{analysis: {} for analysis in asked},
    }
    comparison = read_comparison(folder / "comparisons" / name, name, settings, experiment)
    return Run(
        folder=folder,
        text="",
        experiment=experiment,
        manifest=read_json(folder / "manifest.json", "regreveal", "versions", "seed", "stages"),
        split_sizes={},
        dropped=pd.DataFrame(columns=["stage", "arm", "reason", "count"]),
        arms={row["arm"]: _as_arm(row) for row in table.to_dict("records")},
        fusions=[],
        comparisons=[comparison],
        table2=table,
    )


def _in_tens(comparison: Comparison) -> Comparison:
    """Tell every number of participants in tens."""
    probes = comparison.probes
    if probes is not None:
        tables = {name: getattr(probes, name) for name in ("scores", "differences")}
        tables = {name: one.assign(n=_tens(one["n"])) for name, one in tables.items()}
        probes = replace(probes, **tables)
    counts = ("n_cases", "n_controls")
    phewas = {
        arm: scan.assign(**{name: _tens(scan[name]) for name in counts})
        for arm, scan in comparison.phewas.items()
    }
    diseases = comparison.diseases
    if diseases is not None:
        told = (*counts, "n_earlier", "n_not_followed_up")
        incident = {
            arm: scan.assign(**{name: _tens(scan[name]) for name in told})
            for arm, scan in diseases.incident.items()
        }
        diseases = replace(diseases, incident=incident)
    gwas = {}
    for arm, scan in comparison.gwas.items():
        analysed = round(scan.description["participants"]["analysed"], -1)
        people = scan.description["participants"] | {"analysed": analysed}
        gwas[arm] = replace(scan, description=scan.description | {"participants": people})
    people = round(comparison.participants, -1)
    return replace(
        comparison, participants=people, probes=probes, phewas=phewas, diseases=diseases, gwas=gwas
    )


def _tens(counts: pd.Series) -> pd.Series:
    return counts.round(-1)


def _as_arm(row: dict) -> ArmRun:
    """Give what the first screen asks of an arm, out of its row of Table 2."""
    registered = row["registration"] if row["registration"] != "none" else None
    description = {
        "tensor_map": row["tensor_map"],
        "registration": registered,
        "fusion": "DropFuse" in row["registration"],
        "after": None,
        "latents_by": "another run",
    }
    nothing = np.empty(0)
    model = {"latent_size": row["latent_size"]}
    return ArmRun(row["arm"], description, nothing, nothing, {}, model, pd.DataFrame())
