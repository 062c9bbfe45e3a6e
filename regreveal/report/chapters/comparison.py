"""The chapter that puts all arms side by side: Table 2, for the report and for a paper."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from regreveal.report.folder.run import Run
from regreveal.report.parts import Section, Text
from regreveal.report.tables import Cell, Column, Table, hide_small, number, with_interval
from regreveal.report.words import listed

FILES = ("table2.tsv", "table2.tex")


class Shown(NamedTuple):
    """A column of one of the tables: its head, and how a row of Table 2 is told in it."""

    column: Column
    told: Callable[[pd.Series], str]
    strong: Callable[[pd.Series], bool] = lambda row: False


def comparison_section(run: Run, files: tuple[str, str] = FILES) -> Section:
    """Show every arm of a run, each with its baseline.

    Parameters
    ----------
    run : Run
    files : tuple of str
        Where Table 2 is, as TSV and as LaTeX.
    """
    lead = Text(
        "A row for each arm of each comparison, the baseline first: participants and phenotypes "
        "are those of the comparison, so an arm that stands in several has a row in each. "
        f"Everything here is in {files[0]}, and as it stands in {files[1]}."
    )
    made_with = sources(run.manifest)
    tables = table2_tables(run.table2, made_with, files).values()
    # The page says once what in a paper has to stand beside each.
    note = Text(" ".join([made_with, *_why_empty(run.table2)]))
    shown = [replace(table, note="") for table in tables]
    return Section("table-2", "All arms", [lead, *shown, note])


def sources(manifest: Mapping) -> str:
    """Say what a table was made with, out of the manifest of its run."""
    versions = manifest["versions"]
    with_them = [f"{name} {versions[name]}" for name in ("keras", "numpy") if name in versions]
    made_with = ", ".join([f"RegReveal {manifest['regreveal']}", *with_them])
    return f"Made with {made_with}; seed {manifest['seed']}."


def table2_tables(
    table: pd.DataFrame, made_with: str, files: tuple[str, str] = FILES
) -> dict[str, Table]:
    """Make the tables of the arms out of Table 2: several, since a page has no room for one.

    Parameters
    ----------
    table : DataFrame
        As `regreveal.comparison.table2.make_table2` returns it.
    made_with : str
        Versions and seed, for the notes.
    files : tuple of str
        Where all of it is.

    Returns
    -------
    dict of str to Table
        By the name of its files. Columns that are empty in every row are left out, and the note
        says why.
    """
    note = " ".join([made_with, *_why_empty(table)])
    names = _NAMES if len(set(table["comparison"])) > 1 else _NAMES[1:]
    tables = {}
    for name, (title, caption, columns) in _TABLES.items():
        heads, rows = _grid(table, names, columns)
        if len(heads) > len(names):
            tables[f"table2-{name}"] = Table(title, caption, heads, rows, note, files)
    return tables


def _grid(
    table: pd.DataFrame, names: Sequence[Shown], columns: Sequence[Shown]
) -> tuple[tuple[Column, ...], list[list[Cell]]]:
    """Give the heads, and the rows of cells, of the columns that tell something."""
    rows = [row for _, row in table.iterrows()]
    telling = [shown for shown in columns if any(shown.told(row) != "–" for row in rows)]
    there = [*names, *telling]
    cells = [[Cell(shown.told(row), shown.strong(row)) for shown in there] for row in rows]
    return tuple(shown.column for shown in there), cells


def _why_empty(table: pd.DataFrame) -> list[str]:
    """Say what is empty and why, once for all rows that have it so."""
    reasons: dict[str, list[str]] = {}
    for told in table["empty"]:
        for part in filter(None, told.split("; ")):
            what, why = part.split(": ", 1)
            if what not in reasons.setdefault(why, []):
                reasons[why].append(what)
    told = [f"{listed(what)} ({why})" for why, what in reasons.items()]
    return [f"Empty, for some arms or all: {'; '.join(told)}."] if told else []


def p_value(p: float) -> str:
    """Write a p-value: three decimals, or a power of ten below 0.001."""
    if not math.isfinite(p):
        return "–"
    if p >= 0.001:
        return f"{p:.3f}"
    if p < 1e-300:
        return "< 10⁻³⁰⁰"
    power = math.floor(math.log10(p))
    digits = round(p / 10**power)
    power, digits = (power + 1, 1) if digits == 10 else (power, digits)
    return f"{digits} × 10⁻{str(-power).translate(_RAISED)}"


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _text(name: str) -> Callable[[pd.Series], str]:
    return lambda row: row[name] or "–"


def _count(name: str, of: str | None = None) -> Callable[[pd.Series], str]:
    """Tell a count; with `of`, how many there could be."""

    def told(row: pd.Series) -> str:
        if pd.isna(row[name]):
            return "–"
        count = f"{int(row[name]):,}"
        return count if of is None or pd.isna(row[of]) else f"{count} of {int(row[of]):,}"

    return told


def _number(name: str, decimals: int, times: float = 1) -> Callable[[pd.Series], str]:
    return lambda row: number(times * row[name], decimals)


def _reduction(row: pd.Series) -> str:
    """Tell by how much the latents are smaller than the tensor, in numbers and in bytes."""
    in_bytes = "" if pd.isna(row["reduction_bytes"]) else f" ({row['reduction_bytes']:,.0f} ×)"
    return "–" if pd.isna(row["reduction"]) else f"{row['reduction']:,.0f} ×{in_bytes}"


def _better_and_worse(row: pd.Series) -> str:
    if pd.isna(row["targets_better"]):
        return "–"
    return f"{int(row['targets_better'])}, {int(row['targets_worse'])}"


def _steps(row: pd.Series) -> str:
    return "–" if pd.isna(row["steps"]) else f"{int(row['steps']):,} × {int(row['batch_size'])}"


def _analyses(row: pd.Series) -> str:
    """Tell the seconds of all analyses of an arm together."""
    parts = [row[f"seconds_{name}"] for name in ("probes", "gwas", "phewas", "other")]
    known = [seconds for seconds in parts if not pd.isna(seconds)]
    return number(sum(known), 1) if known else "–"


def _score(metric: str) -> Callable[[pd.Series], str]:
    """Tell a mean score, with its interval where there is one, and over how many phenotypes."""

    def told(row: pd.Series) -> str:
        if pd.isna(row[metric]):
            return "–"
        low, high = row[f"{metric}_low"], row[f"{metric}_high"]
        score = number(row[metric]) if pd.isna(low) else with_interval(row[metric], low, high)
        return f"{score}; {int(row[f'{metric}_targets'])}"

    return told


def _difference(metric: str) -> Callable[[pd.Series], str]:
    name = f"{metric}_difference"
    return lambda row: with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _apart(metric: str) -> Callable[[pd.Series], bool]:
    """Whether the interval of a difference leaves out zero."""
    low, high = f"{metric}_difference_low", f"{metric}_difference_high"
    return lambda row: bool(row[low] > 0 or row[high] < 0)


def _participants(metric: str) -> Callable[[pd.Series], str]:
    """Tell how many were analysed, where there is a score of them."""
    return lambda row: "–" if pd.isna(row[metric]) else hide_small(int(row["participants"]))


def _planted(row: pd.Series) -> str:
    found = _count("planted_found", "planted")(row)
    return found if found == "–" else f"{found} ({number(100 * row['planted_share'], 0)} %)"


def _recurring(row: pd.Series) -> str:
    """Tell how many loci every training seed finds, and how many any does."""
    found = _count("loci_in_all_seeds", "loci_in_any_seed")(row)
    return found if found == "–" else f"{found}; {int(row['seeds'])}"


_NAMES = (
    Shown(Column("Comparison"), lambda row: row["comparison"] or "none"),
    Shown(Column("Arm"), _text("arm")),
)
_ARMS = (
    Shown(Column("Modality"), _text("modality")),
    Shown(Column("Registration", wrap=True), _text("registration")),
    Shown(Column("Tensor", number=True), _text("shape")),
    Shown(Column("Latents", number=True), _count("latent_size")),
    Shown(Column("Reduction", number=True), _reduction),
    Shown(Column("Variance (%)", number=True), _number("explained_variance", 1, 100)),
)
_NUMBERS = (
    Shown(Column("n", number=True), _participants("r2")),
    Shown(Column("R²; phenotypes", number=True), _score("r2")),
    Shown(Column("Difference of R²", number=True), _difference("r2"), _apart("r2")),
    Shown(Column("p", number=True), lambda row: p_value(row["r2_p"])),
    Shown(Column("Better, worse", number=True), _better_and_worse),
)
_CATEGORIES = (
    Shown(Column("n", number=True), _participants("auc")),
    Shown(Column("AUC; phenotypes", number=True), _score("auc")),
    Shown(Column("Difference of AUC", number=True), _difference("auc"), _apart("auc")),
    Shown(Column("p", number=True), lambda row: p_value(row["auc_p"])),
)
_GENOME = (
    Shown(Column("λGC", number=True), _number("lambda_gc", 3)),
    Shown(Column("Loci", number=True), _count("loci")),
    Shown(Column("Shared", number=True), _count("loci_shared")),
    Shown(Column("Weaker in the other", number=True), _count("loci_weaker")),
    Shown(Column("Unique", number=True), _count("loci_unique")),
    Shown(Column("Planted loci found", number=True), _planted),
    Shown(Column("False", number=True), _count("loci_false")),
)
_EVIDENCE = (
    Shown(Column("Loci replicated", number=True), _count("loci_replicated", "loci_tested_again")),
    Shown(
        Column("Along the direction", number=True),
        _count("loci_replicated_direction", "loci_tested_again"),
    ),
    Shown(Column("In all seeds; seeds", number=True), _recurring),
    Shown(Column("Phecodes tested", number=True), _count("phecodes_tested")),
    Shown(Column("Bonferroni", number=True), _count("phecodes_bonferroni")),
    Shown(Column("FDR", number=True), _count("phecodes_fdr")),
)
_COMPUTE = (
    Shown(Column("Weights", number=True), _count("weights")),
    Shown(Column("Steps × batch", number=True), _steps),
    Shown(Column("Registration (s)", number=True), _number("seconds_registration", 1)),
    Shown(Column("Training (s)", number=True), _number("seconds_training", 1)),
    Shown(Column("Embedding (s)", number=True), _number("seconds_embedding", 1)),
    Shown(Column("Other seeds (s)", number=True), _number("seconds_seeds", 1)),
    Shown(Column("Analyses (s)", number=True), _analyses),
    Shown(Column("Memory (MiB)", number=True), _count("peak_memory_mib")),
)
_PAIRED = (
    "out of fold, and how many; difference from the baseline on the same participants, with the "
    "95 % interval of the pairs, in bold where it leaves out zero. n: participants analysed."
)
_TABLES = {
    "arms": (
        "The arms.",
        "Reduction: numbers in one participant's tensor for each latent dimension; in brackets, "
        "bytes on disk of the tensors over those of the latents. Variance: of validation "
        "participants' tensors, explained by encoder and decoder.",
        _ARMS,
    ),
    "numbers": (
        "Phenotypes that are numbers.",
        f"Mean R² of ridge regressions over phenotypes, {_PAIRED} Better, worse: phenotypes of "
        "any kind told apart from the baseline's at a false discovery rate of 5 %.",
        _NUMBERS,
    ),
    "categories": (
        "Phenotypes that are categories.",
        "Mean area under the ROC curve (AUC) of logistic regressions over phenotypes, " + _PAIRED,
        _CATEGORIES,
    ),
    "genome": (
        "Genome.",
        "Loci of the latent GWAS at p < 5 × 10⁻⁸: shared with the other arm of the comparison, "
        "below the threshold there but not by much, or unknown to it. λGC: genomic inflation "
        "factor. False: without a planted variant.",
        _GENOME,
    ),
    "evidence": (
        "Replication, seeds and diseases.",
        "Replicated: of the places found in either half of the participants and tested in the "
        "other, how many passed there, by the test of the whole latent vector and by that along "
        "the direction found first. In all seeds: of the places found with any training seed, how "
        "many with all, and how many seeds. Phecodes associated with the latent space at 0.05, "
        "after Bonferroni's correction, and at a false discovery rate of 5 %.",
        _EVIDENCE,
    ),
    "compute": (
        "What it took.",
        "Seconds of each stage, the last time it ran to its end, on the machine of this run. "
        "Registration with those that it goes on from; the training of a fusion is of all its "
        "arms together; analyses with the probes of both arms. Memory: the most that the process "
        "held in one of these stages.",
        _COMPUTE,
    ),
}
