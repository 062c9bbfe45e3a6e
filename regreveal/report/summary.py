"""The first screen: what the numbers answer, in words and a table, whomever they favour."""

from collections.abc import Sequence
from dataclasses import dataclass

from regreveal.report.chapters import probes
from regreveal.report.chapters.contents import HEADLINES
from regreveal.report.folder.comparison import Comparison
from regreveal.report.folder.run import ANALYSES, Run
from regreveal.report.parts import Headline
from regreveal.report.tables import Cell, Column, Table, hide_small
from regreveal.report.words import listed, spoken

_NAMES = {
    "probes": "linear probes",
    "gwas": "a latent GWAS",
    "phewas": "a PheWAS",
    "clusters": "clusters of variants",
}
_SIGNS = {1: "▲", 0: "=", -1: "▼"}


@dataclass(frozen=True)
class Answer:
    """What comparisons of one kind say together.

    Parameters
    ----------
    title : str
        What is compared.
    verdict : str
        In a word or two.
    sentences : list of str
    """

    title: str
    verdict: str
    sentences: list[str]


def lead(run: Run) -> str:
    """Say under the title what was compared, and on whom."""
    simulated = "simulate" in run.experiment["data"]
    people = sorted({comparison.participants for comparison in run.comparisons})
    arms = f"{len(run.arms)} latent spaces{' of simulated data' if simulated else ''}"
    if not people:
        told = f"{arms}: {listed(list(run.arms))}."
    elif len(run.comparisons) == 1:
        (comparison,) = run.comparisons
        told = (
            f"{comparison.against} against {comparison.baseline}, two latent spaces"
            f"{' of simulated data' if simulated else ''}, on the same {hide_small(people[0])} "
            "participants."
        )
    else:
        span = " to ".join(dict.fromkeys(map(hide_small, (people[0], people[-1]))))
        told = (
            f"{arms} in {len(run.comparisons)} comparisons, each of two on the same participants "
            f"({span})."
        )
    if simulated:
        told += " Everybody here is simulated; nobody's data are shown."
    elif "training" in run.experiment:
        told += " The autoencoders learned from simulated people only."
    return told


def answers(run: Run) -> list[Answer]:
    """Answer whether registration reveals more, and say what the other comparisons found.

    Parameters
    ----------
    run : Run

    Returns
    -------
    list of Answer
        First of the comparisons of a registered arm with one as recorded, then of the others, each
        where there are such.
    """
    registered = [c for c in run.comparisons if _is_of_registration(run, c)]
    others = [c for c in run.comparisons if c not in registered]
    told = []
    if registered:
        sides = ("as recorded", "registered")
        told.append(_answer("Does registration reveal more?", sides, registered))
    if others:
        title = "The other comparisons:" if registered else "Does the arm compared know more?"
        told.append(_answer(title, ("by the baselines", "by the arms compared"), others))
    return [answer for answer in told if answer.sentences]


def _is_of_registration(run: Run, comparison: Comparison) -> bool:
    """Whether an arm as recorded is compared with one that registration, not fusion, made."""
    fused = any(run.arms[arm].description["fusion"] for arm in comparison.arms)
    made_by = [run.made_by(arm) for arm in comparison.arms]
    return not fused and made_by[0] == "none" != made_by[1]


def _answer(title: str, sides: tuple[str, str], comparisons: Sequence[Comparison]) -> Answer:
    counted: dict[str, list[tuple[str, Headline]]] = {}
    for comparison in comparisons:
        for headline in _headlines(comparison):
            if headline.counted:
                counted.setdefault(headline.counted, []).append((comparison.name, headline))
    sentences = [_together(what, sides, found) for what, found in counted.items()]
    given_up = [
        f"{listed([spoken(target) for target in lost])} ({comparison.name})"
        for comparison in comparisons
        if comparison.probes is not None
        and len(lost := probes.told_apart(comparison)[1]["target"]) > 0
    ]
    if given_up:
        sentences.append(f"Predicted better {sides[0]}: {'; '.join(given_up)}.")
    gains = [sum(h.after - h.before for _, h in found) for found in counted.values()]
    return Answer(title, _verdict(gains), sentences)


def _verdict(gains: Sequence[int]) -> str:
    """Put gains of several kinds of counts in a word."""
    if any(gain > 0 for gain in gains):
        return "In these data, yes." if all(gain > 0 for gain in gains) else "In part."
    return "In these data, no." if any(gains) else "No difference in these data."


def _together(what: str, sides: tuple[str, str], found: Sequence[tuple[str, Headline]]) -> str:
    """Say of one kind of count what several comparisons found."""
    before, after, of = (sum(getattr(h, n) for _, h in found) for n in ("before", "after", "of"))
    sentence = f"{what[0].upper()}{what[1:]}" + (f" (of {of})" if of else "")
    sentence += f": {after} {sides[1]}, {before} {sides[0]}"
    told = []
    for sign, words in ((1, "more in"), (0, "as many in"), (-1, "fewer in")):
        names = [name for name, headline in found if headline.favours == sign]
        if names:
            every = f"all {len(names)} comparisons" if len(names) == len(found) else listed(names)
            told.append(f"{words} {every}")
    return f"{sentence}; {'; '.join(told)}." if len(found) > 1 else f"{sentence}."


def _headlines(comparison: Comparison) -> list[Headline]:
    return [headline for headlines in HEADLINES for headline in headlines(comparison)]


def glance_table(run: Run) -> Table | None:
    """Make the table that answers the question for every comparison, a row each.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Table or None
        None where nothing was compared.
    """
    by_name = {c.name: {h.title: h for h in _headlines(c)} for c in run.comparisons}
    titles = list(dict.fromkeys(title for found in by_name.values() for title in found))
    if not titles:
        return None
    rows = [
        [
            Cell(comparison.name, link=f"#{comparison.name}"),
            Cell(f"{comparison.baseline} → {comparison.against}"),
            *(_cell(by_name[comparison.name].get(title)) for title in titles),
        ]
        for comparison in run.comparisons
    ]
    return Table(
        title="The answer at a glance.",
        caption="Baseline → arm compared with it. ▲ speaks for the arm compared, ▼ for the "
        "baseline, = for neither.",
        columns=(
            Column("Comparison"),
            Column("Baseline → compared", wrap=True),
            *(Column(title) for title in titles),
        ),
        rows=rows,
        note=" ".join(_EXPLAINED[title] for title in titles if title in _EXPLAINED),
    )


_EXPLAINED = {
    "Planted loci": "Planted loci: found at p < 5 × 10⁻⁸, of those planted for this modality.",
    "Loci": "Loci: at p < 5 × 10⁻⁸.",
    "Phenotypes": "Phenotypes: told apart at a false discovery rate of 5 %.",
    "Mean R²": "Mean R²: over the phenotypes that are numbers; a sign where its 95 % interval of "
    "the difference leaves out zero.",
    "Phecodes": "Phecodes: associated after Bonferroni's correction. Signs of counts say which is "
    "larger; whether by more than chance is told in the chapters.",
}


def _cell(headline: Headline | None) -> Cell:
    if headline is None:
        return Cell("–")
    return Cell(
        f"{_SIGNS[headline.favours]} {headline.text}",
        value=headline.after - headline.before if headline.counted else None,
        favours=headline.favours,
    )


def not_made(run: Run) -> list[str]:
    """Say what this experiment did not ask for."""
    left_out = [_NAMES[analysis] for analysis in ANALYSES if not run.asked_for(analysis)]
    if not run.comparisons:
        left_out = ["any comparison of arms"]
    sentences = [f"This experiment did not ask for {listed(left_out)}."] if left_out else []
    if "gwas" in run.experiment and all(c.truth is None for c in run.comparisons):
        sentences.append("These are not simulated data, so no truth is known to hold loci against.")
    return sentences
