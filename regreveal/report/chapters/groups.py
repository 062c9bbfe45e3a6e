"""Arms that are shown together: those compared with each other."""

from regreveal.report.figures.images import ImageExamples
from regreveal.report.figures.signals import SHOWN_LEADS, SHOWN_SECONDS, SignalExamples
from regreveal.report.folder.run import ArmRun, Run
from regreveal.report.words import listed

MODALITIES = {"ecg": "ECG", "dxa": "DXA", "brain": "Brain MRI", "cardiac": "Cardiac MRI"}
SIGNALS_DIMENSIONS = 3  # people, samples, channels


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


def group_name(run: Run, group: list[str]) -> str:
    """Name a group of arms by what they show, and by themselves where another shows the same."""
    shown = modality(run, group)
    title = MODALITIES.get(shown, shown)
    alike = [other for other in arm_groups(run) if modality(run, other) == shown]
    return title if len(alike) == 1 else f"{title}: {listed(group)}"


def modality(run: Run, group: list[str]) -> str:
    """Name the modality that a group of arms shows, such as "ecg"."""
    return run.arms[group[0]].description["tensor_map"].split(".")[0]


def file_name(name: str, groups: list[list[str]], group: list[str]) -> str:
    """Name a group's figure, by number where there are several groups."""
    return name if len(groups) == 1 else f"{name}-{groups.index(group) + 1}"


def image_width(images: list[ImageExamples]) -> float:
    """Volumes are drawn in three views and take the width of the page; others need less."""
    return 52.0 if images[0].inputs.ndim == 5 else 40.0


def shows_signals(run: Run, group: list[str]) -> bool:
    """Whether a group of arms shows signals of one axis, such as ECGs, and not images."""
    return run.arms[group[0]].inputs.ndim == SIGNALS_DIMENSIONS


def signal_examples(arm: ArmRun, colours: dict[str, str]) -> SignalExamples:
    """Give what figures draw of an arm of signals."""
    return SignalExamples(
        arm.name,
        colours[arm.name],
        arm.inputs,
        arm.reconstructions,
        arm.description["units"],
        arm.description["sampling_rate"],
    )


def told_channels(shown: SignalExamples) -> str:
    """Say which channels of signals a figure shows, and how much of them."""
    if shown.is_ecg:
        return f"leads {listed(SHOWN_LEADS)}; at most the first {SHOWN_SECONDS} s"
    return f"{listed(shown.channels)}, whole" if len(shown.channels) > 1 else "whole recordings"


def image_examples(arm: ArmRun, colours: dict[str, str]) -> ImageExamples:
    """Give what figures draw of an arm of images."""
    return ImageExamples(arm.name, colours[arm.name], arm.inputs, arm.reconstructions)
