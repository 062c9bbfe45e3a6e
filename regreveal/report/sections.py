"""Chapters of the report: what is shown where, and what is said about it."""

from pathlib import Path

from regreveal.report import image_figures, signal_figures, tables
from regreveal.report.comparison_sections import comparison_sections
from regreveal.report.image_figures import ImageExamples
from regreveal.report.latent_sections import cycle_section, fusion_section
from regreveal.report.methods import methods_section
from regreveal.report.parts import Figure, Section, Text
from regreveal.report.run_folder import ArmRun, Run
from regreveal.report.signal_figures import EcgExamples, LossCurve
from regreveal.report.style import arm_colours
from regreveal.report.summary import listed
from regreveal.report.tables import hide_small

MODALITIES = {"ecg": "ECG", "dxa": "DXA", "brain": "Brain MRI", "cardiac": "Cardiac MRI"}
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
    groups = arm_groups(run)
    colours = {arm: colour for group in groups for arm, colour in arm_colours(group).items()}
    with_cycle = any(arm.by_deepcycle for arm in run.arms.values())
    return [
        _recordings(run, groups, colours, figures),
        _autoencoders(run, groups, colours, figures),
        *([cycle_section(run, figures)] if with_cycle else []),
        *([fusion_section(run, figures)] if run.fusions else []),
        *comparison_sections(run, colours, figures),
        _dropped(run),
        methods_section(run),
        _reproduce(run),
    ]


def arm_groups(run: Run) -> list[list[str]]:
    """Group arms that are compared with each other, directly or by way of others.

    The first of a group is the baseline of its first comparison.
    """
    groups: list[list[str]] = []
    compared = [list(comparison.arms) for comparison in run.comparisons]
    for arms in [*compared, *([arm] for arm in run.arms)]:
        joined = [group for group in groups if set(group) & set(arms)]
        if not joined:
            groups.append(list(arms))
            continue
        together = dict.fromkeys(arm for group in [*joined, arms] for arm in group)
        groups = [group for group in groups if group not in joined[1:]]
        groups[groups.index(joined[0])] = list(together)
    return groups


def _name(run: Run, group: list[str]) -> str:
    """Name a group of arms by what they show, and by themselves where another shows the same."""
    modality = _modality(run, group)
    title = MODALITIES.get(modality, modality)
    alike = [other for other in arm_groups(run) if _modality(run, other) == modality]
    return title if len(alike) == 1 else f"{title}: {listed(group)}"


def _modality(run: Run, group: list[str]) -> str:
    return run.arms[group[0]].description["tensor_map"].split(".")[0]


def _file_name(name: str, groups: list[list[str]], group: list[str]) -> str:
    return name if len(groups) == 1 else f"{name}-{groups.index(group) + 1}"


def _recordings(
    run: Run, groups: list[list[str]], colours: dict[str, str], figures: Path
) -> Section:
    parts = []
    for group in groups:
        if len(groups) > 1:
            parts.append(Text(_name(run, group), "heading"))
        for name in group:
            arm = run.arms[name]
            made_by = run.made_by(name).replace("none", "as recorded")
            parts.append(Text(arm.description["description"], lead=f"{name} ({made_by})."))
        # Arms whose latents are made otherwise see tensors of another arm, or as recorded.
        shown = [name for name in group if run.arms[name].has_autoencoder] or group[:1]
        parts.append(_overlay(run, shown, colours, figures, _file_name("overlay", groups, group)))
    registered = [arm for arm in run.arms.values() if arm.description["registration"]]
    quality = tables.quality_table({arm.name: arm.description for arm in registered})
    parts += [quality] if quality else []
    return Section("recordings", "Before and after registration", parts)


def _overlay(
    run: Run, group: list[str], colours: dict[str, str], figures: Path, name: str
) -> Figure:
    if _modality(run, group) == "ecg":
        ecgs = [_ecg_examples(run.arms[arm], colours) for arm in group]
        signal_figures.overlay(ecgs, figures / f"{name}.png")
        shown = min(signal_figures.OVERLAID_PARTICIPANTS, *(len(ecg.inputs) for ecg in ecgs))
        return Figure(
            name,
            "Recordings of many participants over one another.",
            f"{hide_small(shown)} analysis participants in each panel, leads "
            f"{listed(signal_figures.SHOWN_LEADS)}, drawn on one scale of time and one of "
            f"voltage for each lead; at most the first {signal_figures.SHOWN_SECONDS} s. "
            "Black: their mean. Where beats are not aligned they cancel in the mean.",
        )
    images = [_image_examples(run.arms[arm], colours) for arm in group]
    image_figures.overlay(images, figures / f"{name}.png")
    return Figure(
        name,
        f"{_name(run, group)}: three participants over one another in red, green and blue.",
        "The same analysis participants in every row, three to a picture. Grey: all three agree; "
        "coloured: they do not. Every image has its own scale of brightness.",
        width=_image_width(images),
    )


def _image_width(images: list[ImageExamples]) -> float:
    """Volumes are drawn in three views and take the width of the page; others need less."""
    return 52.0 if images[0].inputs.ndim == 5 else 40.0


def _ecg_examples(arm: ArmRun, colours: dict[str, str]) -> EcgExamples:
    rate = arm.description["sampling_rate"]
    return EcgExamples(arm.name, colours[arm.name], arm.inputs, arm.reconstructions, rate)


def _image_examples(arm: ArmRun, colours: dict[str, str]) -> ImageExamples:
    return ImageExamples(arm.name, colours[arm.name], arm.inputs, arm.reconstructions)


def _autoencoders(
    run: Run, groups: list[list[str]], colours: dict[str, str], figures: Path
) -> Section:
    arms = [run.arms[name] for name in colours]
    parts = [
        tables.model_table(
            {arm.name: arm.model for arm in arms},
            {arm.name: arm.description for arm in arms},
            {arm.name: run.made_by(arm.name) for arm in arms},
        ),
        *_losses(run, groups, colours, figures),
    ]
    for group in groups:
        name = _file_name("reconstructions", groups, group)
        # Phases say nothing of the person: what they decode to is not a reconstruction.
        shown = [arm for arm in group if not run.arms[arm].by_deepcycle]
        if shown:
            parts.append(_reconstructions(run, shown, colours, figures, name))
    return Section("autoencoders", "Autoencoders", parts)


def _losses(
    run: Run, groups: list[list[str]], colours: dict[str, str], figures: Path
) -> list[Figure]:
    """Draw how the autoencoders learned; what else gives latents has a chapter of its own."""
    names = [_name(run, group) if len(groups) > 1 else "" for group in groups]
    with_one = [[arm for arm in group if run.arms[arm].has_autoencoder] for group in groups]
    trained = {name: arms for name, arms in zip(names, with_one, strict=True) if arms}
    if not trained:
        return []
    curves = [
        [_loss_curve(run.arms[arm], colours[arm]) for arm in arms] for arms in trained.values()
    ]
    signal_figures.loss_curves(curves, list(trained), figures / "loss.png")
    learners = _learners([run.arms[arm] for arms in trained.values() for arm in arms])
    return [
        Figure(
            "loss",
            "Loss during training.",
            "Mean squared error as share of that of predicting the mean of the training "
            f"participants, for {learners}. Training loss is the mean over an "
            "epoch, so it is of slightly earlier weights than validation loss. The arms' losses "
            "are of different tensors and do not rank them.",
            width=32 if len(trained) == 1 else 52,
        )
    ]


def _reconstructions(
    run: Run, group: list[str], colours: dict[str, str], figures: Path, name: str
) -> Figure:
    unseen = "A few analysis participants, whom no autoencoder has seen"
    if _modality(run, group) == "ecg":
        ecgs = [_ecg_examples(run.arms[arm], colours) for arm in group]
        signal_figures.reconstructions(ecgs, figures / f"{name}.png")
        return Figure(
            name,
            "Recordings and their reconstructions.",
            f"{unseen}, leads {listed(signal_figures.SHOWN_LEADS)}; at most the first "
            f"{signal_figures.SHOWN_SECONDS} s.",
        )
    images = [_image_examples(run.arms[arm], colours) for arm in group]
    image_figures.reconstructions(images, figures / f"{name}.png")
    return Figure(
        name,
        f"Images and their reconstructions, {_name(run, group)}.",
        f"{unseen}, in pairs: the image, and what its latents make of it on the same scale of "
        "brightness.",
        width=_image_width(images),
    )


def _loss_curve(arm: ArmRun, colour: str) -> LossCurve:
    return LossCurve(
        arm.name,
        colour,
        arm.history["steps"].to_numpy(),
        arm.history["loss"].to_numpy() / arm.model["baseline_loss"],
        arm.history["validation_loss"].to_numpy() / arm.model["validation_baseline_loss"],
    )


def _learners(arms: list[ArmRun]) -> str:
    """Say how many each arm learned from, together for those with the same numbers."""
    by_number: dict[str, list[str]] = {}
    for arm in arms:
        told = (
            f"{hide_small(len(arm.model['trained_on']))} training and "
            f"{hide_small(len(arm.model['validated_on']))} validation participants"
        )
        by_number.setdefault(told, []).append(arm.name)
    return listed([f"{listed(names)} {told}" for told, names in by_number.items()])


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
