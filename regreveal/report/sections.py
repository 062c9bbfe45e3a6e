"""Chapters of the report: what is shown where, and what is said about it."""

from pathlib import Path

from regreveal.report import signal_figures, tables
from regreveal.report.comparison_sections import comparison_sections
from regreveal.report.methods import methods_section
from regreveal.report.parts import Figure, Section, Text
from regreveal.report.run_folder import ArmRun, Run
from regreveal.report.signal_figures import EcgExamples, LossCurve
from regreveal.report.style import arm_colours
from regreveal.report.summary import listed
from regreveal.report.tables import hide_small

_PURPOSES = {"train": "training", "validation": "validation", "analysis": "analysis"}


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
    colours = arm_colours(_baselines_first(run))
    return [
        _recordings(run, colours, figures),
        _autoencoders(run, colours, figures),
        *comparison_sections(run, colours, figures),
        _dropped(run),
        methods_section(run),
        _reproduce(run),
    ]


def _baselines_first(run: Run) -> list[str]:
    """Order arms so that a baseline has the first colour, whatever the file's order."""
    baselines = [comparison.baseline for comparison in run.comparisons]
    return list(dict.fromkeys([*baselines, *run.arms]))


def _recordings(run: Run, colours: dict[str, str], figures: Path) -> Section:
    parts = []
    for arm in run.arms.values():
        method = arm.description["registration"]
        kind = method or "as recorded"
        parts.append(Text(arm.description["description"], lead=f"{arm.name} ({kind})."))
    ecgs = _ecg_examples(run, colours)
    if ecgs:
        signal_figures.overlay(ecgs, figures / "overlay.png")
        shown = min(signal_figures.OVERLAID_PARTICIPANTS, *(len(ecg.inputs) for ecg in ecgs))
        parts.append(
            Figure(
                "overlay",
                "Recordings of many participants over one another.",
                f"{hide_small(shown)} analysis participants in each panel, leads "
                f"{listed(signal_figures.SHOWN_LEADS)}, drawn on one scale of time and one of "
                f"voltage for each lead; at most the first {signal_figures.SHOWN_SECONDS} s. "
                "Black: their mean. Where beats are not aligned they cancel in the mean.",
            )
        )
    return Section("recordings", "Recordings before and after registration", parts)


def _ecg_examples(run: Run, colours: dict[str, str]) -> list[EcgExamples]:
    """Examples of the arms whose tensors are twelve-lead ECGs."""
    return [
        EcgExamples(
            arm.name,
            colours[arm.name],
            arm.inputs,
            arm.reconstructions,
            arm.description["sampling_rate"],
        )
        for name in colours
        for arm in [run.arms[name]]
        if arm.description["tensor_map"].startswith("ecg.")
    ]


def _autoencoders(run: Run, colours: dict[str, str], figures: Path) -> Section:
    arms = [run.arms[name] for name in colours]
    signal_figures.loss_curves(
        [_loss_curve(arm, colours[arm.name]) for arm in arms], figures / "loss.png"
    )
    parts = [
        tables.model_table(
            {arm.name: arm.model for arm in arms}, {arm.name: arm.description for arm in arms}
        ),
        Figure(
            "loss",
            "Loss during training.",
            "Mean squared error as share of that of predicting the mean recording of the "
            f"training participants, for {_learners(arms)}. Training loss is the mean over an "
            "epoch, so it is of slightly earlier weights than validation loss. The arms' losses "
            "are of different recordings and do not rank them.",
            width=40,
        ),
    ]
    ecgs = _ecg_examples(run, colours)
    if ecgs:
        signal_figures.reconstructions(ecgs, figures / "reconstructions.png")
        parts.append(
            Figure(
                "reconstructions",
                "Recordings and their reconstructions.",
                f"A few analysis participants, whom no autoencoder has seen, leads "
                f"{listed(signal_figures.SHOWN_LEADS)}; at most the first "
                f"{signal_figures.SHOWN_SECONDS} s.",
            )
        )
    return Section("autoencoders", "Autoencoders", parts)


def _loss_curve(arm: ArmRun, colour: str) -> LossCurve:
    return LossCurve(
        arm.name,
        colour,
        arm.history["steps"].to_numpy(),
        arm.history["loss"].to_numpy() / arm.model["baseline_loss"],
        arm.history["validation_loss"].to_numpy() / arm.model["validation_baseline_loss"],
    )


def _learners(arms: list[ArmRun]) -> str:
    told = [
        f"{arm.name} {hide_small(len(arm.model['trained_on']))} training and "
        f"{hide_small(len(arm.model['validated_on']))} validation participants"
        for arm in arms
    ]
    return listed(told)


def _dropped(run: Run) -> Section:
    # Shares, not counts: the difference of two counts could tell what the table hides.
    everyone = sum(run.split_sizes.values())
    shares = listed(
        [
            f"{run.split_sizes[split] / everyone:.0%} for {purpose}".replace("%", " %")
            for split, purpose in _PURPOSES.items()
            if split in run.split_sizes
        ]
    )
    parts = [Text(f"Participants were divided once for all arms: {shares}.")]
    if len(run.dropped):
        parts.append(tables.dropped_table(run.dropped))
    else:
        parts.append(Text("Nobody was left out after that."))
    return Section("left-out", "What was left out", parts + _variants(run))


def _variants(run: Run) -> list[Text]:
    """Say what became of the variants, once for the arms of which the same is true."""
    arms_of = {}
    for comparison in run.comparisons:
        for arm, gwas in comparison.gwas.items():
            arms_of.setdefault(_variant_counts(gwas.description["variants"]), []).append(arm)
    return [
        Text(told, lead=f"Variants, {listed(dict.fromkeys(arms))}.")
        for told, arms in arms_of.items()
    ]


def _variant_counts(counts: dict[str, int]) -> str:
    return (
        f"{counts['read']:,} read and {counts['tested']:,} tested; not tested: "
        f"{counts['no_variation']:,} that are the same in everyone and {counts['too_few']:,} with "
        "too few participants in a tested group."
    )


def _reproduce(run: Run) -> Section:
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
        tables.version_table({"regreveal": version, **run.manifest["versions"]}),
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
