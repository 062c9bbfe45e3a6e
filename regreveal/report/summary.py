"""The report's summary: plain sentences out of the numbers, whichever arm they favour."""

from dataclasses import dataclass

from regreveal.report.chapters import clusters, diseases, genome, probes
from regreveal.report.chapters.genome import ORACLE
from regreveal.report.folder.comparison import Comparison
from regreveal.report.folder.run import ANALYSES, Run
from regreveal.report.tables import Cell, Column, Table, hide_small, number
from regreveal.report.words import listed

EARLY = 0.7  # of the training: a best epoch before this is worth a sentence
_NAMES = {
    "probes": "linear probes",
    "gwas": "a latent GWAS",
    "phewas": "a PheWAS",
    "clusters": "clusters of variants",
}


@dataclass(frozen=True)
class Findings:
    """Sentences that belong together, under the name of what they are about, if it needs one."""

    title: str
    sentences: list[str]


def summarise(run: Run) -> list[Findings]:
    """Say what a run found, a sentence or two a finding.

    Parameters
    ----------
    run : Run

    Returns
    -------
    list of Findings
        One a comparison, and one of what concerns them all.
    """
    told = []
    for comparison in run.comparisons:
        sentences = [
            *_sizes(run, comparison),
            *genome.findings(comparison),
            *probes.findings(comparison),
            *diseases.findings(comparison),
            *clusters.findings(comparison),
        ]
        told.append(Findings(comparison.name, sentences))
    general = [*_models(run), *_registration(run), *_not_made(run)]
    if len(told) <= 1:
        return [Findings("", [*(s for f in told for s in f.sentences), *general])]
    return [*told, Findings("All arms", general)]


def glance_table(run: Run) -> Table | None:
    """Make the table that answers the question for every comparison, a row each.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Table or None
        None where there is only one comparison: a sentence says as much.
    """
    if len(run.comparisons) <= 1:
        return None
    rows = []
    for comparison in run.comparisons:
        baseline, against = comparison.arms
        loci = _found(comparison)
        predicted = phewas = ["–"] * 2
        if comparison.probes is not None:
            wins, losses = probes.told_apart(comparison)
            compared = comparison.probes.differences["difference"].notna().sum()
            predicted = [f"{len(wins)} of {compared}", str(len(losses))]
        if comparison.phewas:
            phewas = [
                str(int((comparison.phewas[arm]["bonferroni"] < 0.05).sum()))
                for arm in (baseline, against)
            ]
        texts = [comparison.name, f"{baseline} → {against}", *loci, *predicted, *phewas]
        rows.append([Cell(text) for text in texts])
    planted = any(comparison.truth is not None for comparison in run.comparisons)
    counted = "Planted loci found" if planted else "Loci"
    return Table(
        title="The answer at a glance.",
        caption=f"{counted} by the baseline and by the arm compared with it"
        + (", of how many, and loci of either arm that are false" if planted else "")
        + "; phenotypes that a linear probe predicts better, and worse, from the second arm than "
        "from the first (false discovery rate 5 %); phecodes associated with each (Bonferroni).",
        columns=(
            Column("Comparison"),
            Column("Arms", wrap=True),
            *(
                Column(title, number=True)
                for title in ("Loci before", "after", "of", "false", "Better", "Worse")
            ),
            Column("Phecodes before", number=True),
            Column("after", number=True),
        ),
        rows=rows,
    )


def _found(comparison: Comparison) -> list[str]:
    """Loci of the baseline and the other arm, how many there are to find, and false ones."""
    if not comparison.gwas:
        return ["–"] * 4
    if comparison.truth is None:
        counts = [str(len(comparison.gwas[arm].loci)) for arm in comparison.arms]
        return [*counts, "–", "–"]
    of = comparison.truth.summary.set_index("arm")
    found = [str(int(of.loc[arm, "found"])) for arm in comparison.arms]
    false = sum(int(of.loc[arm, "false"]) for arm in comparison.arms)
    return [*found, str(int(of.loc[ORACLE, "planted"])), str(false)]


def _sizes(run: Run, comparison: Comparison) -> list[str]:
    """Say so where the arms' latent spaces are of different sizes."""
    sizes = {arm: run.arms[arm].model["latent_size"] for arm in comparison.arms}
    if len(set(sizes.values())) == 1:
        return []
    told = listed([f"{size} in {arm}" for arm, size in sizes.items()])
    return [f"The latent spaces are compared as they are, of different sizes: {told} dimensions."]


def _models(run: Run) -> list[str]:
    told = [
        f"{arm.name} {number(100 * arm.model['explained_variance'], 0)} %"
        for arm in run.arms.values()
        if not arm.by_deepcycle
    ]
    sentences = told and [
        "Of the variance of its arm's tensors, in participants it did not learn from, each "
        f"encoder with its decoder explains: {listed(told)}."
    ]
    for arm in run.arms.values():
        if not arm.has_autoencoder:
            continue
        kept = arm.model["best_epoch"] * arm.model["steps_per_epoch"]
        if kept <= EARLY * arm.model["steps"]:
            sentences.append(
                f"The {arm.name} autoencoder was at its best after {kept:,} of "
                f"{arm.model['steps']:,} steps and then learned its training participants by "
                "heart; the network of its best epoch is used."
            )
    return sentences


def _registration(run: Run) -> list[str]:
    sentences = []
    for arm in run.arms.values():
        method, failed = arm.description["registration"], arm.description["n_failed"]
        if method is None:
            continue
        if method == arm.description["latents_by"]:
            told = f"no latents of {_in_words(failed)} participants; they are left out"
            told = told if failed else "latents of every participant"
            sentences.append(f"{method} ({arm.name}) gives {told}.")
        elif failed:
            sentences.append(
                f"{method} ({arm.name}) could not register {_in_words(failed)} participants; they "
                "are left out of every arm it is compared with."
            )
        else:
            sentences.append(f"{method} ({arm.name}) registered every participant.")
    return sentences


def _in_words(count: int) -> str:
    return hide_small(count).replace("<", "fewer than ")


def _not_made(run: Run) -> list[str]:
    left_out = [_NAMES[analysis] for analysis in ANALYSES if not run.asked_for(analysis)]
    if not run.comparisons:
        left_out = ["any comparison of arms"]
    sentences = [f"This experiment did not ask for {listed(left_out)}."] if left_out else []
    if "gwas" in run.experiment and all(c.truth is None for c in run.comparisons):
        sentences.append("These are not simulated data, so no truth is known to hold loci against.")
    return sentences
