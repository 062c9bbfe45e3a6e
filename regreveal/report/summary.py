"""The report's summary: plain sentences out of the numbers, whichever arm they favour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.report.comparison_figures import METRICS, spoken
from regreveal.report.run_folder import ANALYSES, Comparison, Run
from regreveal.report.tables import Cell, Column, Table, hide_small, number

FALSE_DISCOVERY_RATE = 0.05
EARLY = 0.7  # of the training: a best epoch before this is worth a sentence
ORACLE = "oracle"
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
    findings = []
    for comparison in run.comparisons:
        sentences = [
            *_sizes(run, comparison),
            *_truth(comparison),
            *_loci(comparison),
            *_probes(comparison),
            *_phewas(comparison),
            *_clusters(comparison),
        ]
        findings.append(Findings(comparison.name, sentences))
    general = [*_models(run), *_registration(run), *_not_made(run)]
    if len(findings) <= 1:
        return [Findings("", [*(s for f in findings for s in f.sentences), *general])]
    return [*findings, Findings("All arms", general)]


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
        probes = phewas = ["–"] * 2
        if comparison.differences is not None:
            wins, losses = _told_apart(comparison)
            compared = comparison.differences["difference"].notna().sum()
            probes = [f"{len(wins)} of {compared}", str(len(losses))]
        if comparison.phewas:
            phewas = [
                str(int((comparison.phewas[arm]["bonferroni"] < 0.05).sum()))
                for arm in (baseline, against)
            ]
        texts = [comparison.name, f"{baseline} → {against}", *loci, *probes, *phewas]
        rows.append([Cell(text) for text in texts])
    planted = any(comparison.truth_summary is not None for comparison in run.comparisons)
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
    if comparison.truth_summary is None:
        counts = [str(len(comparison.gwas[arm].loci)) for arm in comparison.arms]
        return [*counts, "–", "–"]
    of = comparison.truth_summary.set_index("arm")
    found = [str(int(of.loc[arm, "found"])) for arm in comparison.arms]
    false = sum(int(of.loc[arm, "false"]) for arm in comparison.arms)
    return [*found, str(int(of.loc[ORACLE, "planted"])), str(false)]


def _told_apart(comparison: Comparison) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the phenotypes that the second arm predicts better, and those it predicts worse."""
    scored = comparison.differences.dropna(subset="difference")
    told_apart = scored["q_value"] < FALSE_DISCOVERY_RATE
    wins = scored[told_apart & (scored["difference"] > 0)]
    return wins, scored[told_apart & (scored["difference"] < 0)]


def listed(words: Sequence[str]) -> str:
    """Join words as in a sentence: "a, b and c"."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: "1 locus", "3 loci", "no loci"."""
    return f"{count or 'no'} {one if count == 1 else many or one + 's'}"


def _sizes(run: Run, comparison: Comparison) -> list[str]:
    """Say so where the arms' latent spaces are of different sizes."""
    sizes = {arm: run.arms[arm].model["latent_size"] for arm in comparison.arms}
    if len(set(sizes.values())) == 1:
        return []
    told = listed([f"{size} in {arm}" for arm, size in sizes.items()])
    return [f"The latent spaces are compared as they are, of different sizes: {told} dimensions."]


def _truth(comparison: Comparison) -> list[str]:
    if comparison.truth_summary is None:
        return []
    of = comparison.truth_summary.set_index("arm")
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


def _probes(comparison: Comparison) -> list[str]:
    if comparison.differences is None:
        return []
    baseline, against = comparison.arms
    scored = comparison.differences.dropna(subset="difference")
    wins, losses = _told_apart(comparison)
    open_ = scored.drop(wins.index).drop(losses.index)
    sentence = f"Of {plural(len(scored), 'phenotype')} probed, the {against} arm predicts "
    sentence += f"{len(wins) or 'none'} better than the {baseline} arm"
    sentence += f" ({_targets(wins)})" if len(wins) else ""
    sentence += f" and {len(losses) or 'none'} worse"
    sentence += f" ({_targets(losses)})" if len(losses) else ""
    if len(open_):
        sentence += f"; for {_targets(open_)} the arms could not be told apart"
    sentences = [f"{sentence}, at a false discovery rate of 5 %."]
    if len(losses):
        told = [
            f"{spoken(row['target'])} ({METRICS[row['metric']]} {_score(comparison, against, row)} "
            f"against {_score(comparison, baseline, row)})"
            for _, row in losses.iterrows()
        ]
        sentences.append(
            f"What the {against} arm gives up: {listed(told)}. A latent space cannot know what "
            "registration has taken out."
        )
    return sentences


def _targets(rows: pd.DataFrame) -> str:
    return listed([spoken(target) for target in rows["target"]])


def _score(comparison: Comparison, arm: str, row: pd.Series) -> str:
    scores = comparison.scores.set_index(["arm", "target"])["score"]
    return number(scores[arm, row["target"]], 2)


def _clusters(comparison: Comparison) -> list[str]:
    sentences = []
    for arm in reversed(comparison.arms):
        if arm not in comparison.clusters:
            continue
        table = comparison.clusters[arm].clusters
        if len(table["cluster"].unique()) == 1:
            sentences.append(
                f"The directions of the {len(table)} lead variants of the {arm} arm could not be "
                "told apart."
            )
            continue
        stability = table["stability"].mean()
        sentences.append(
            f"The {len(table)} lead variants of the {arm} arm fall into "
            f"{plural(table['cluster'].nunique(), 'cluster')} of like direction in latent space"
            + (f" (mean stability {number(stability, 2)})." if np.isfinite(stability) else ".")
        )
    return sentences


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


def _phewas(comparison: Comparison) -> list[str]:
    if not comparison.phewas:
        return []
    told = []
    for arm in reversed(comparison.arms):
        tested = comparison.phewas[arm].dropna(subset="neg_log10_p")
        told.append(f"{int((tested['bonferroni'] < 0.05).sum())} of {len(tested)} in {arm}")
    return [
        f"Phecodes associated with the latent space after Bonferroni's correction: {listed(told)}."
    ]
