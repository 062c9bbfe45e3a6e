"""The report's methods, as in a paper: what was done here, with this run's settings and sources."""

from collections.abc import Mapping

from regreveal.report.chapters.methods_analyses import ANALYSES
from regreveal.report.folder.reading import read_json
from regreveal.report.folder.run import ArmRun, Run
from regreveal.report.parts import Section, Text
from regreveal.report.words import listed, spoken

_REGISTRATIONS = {
    "QRSAlignment": (
        "R peaks were found in the root mean square over leads and refined by cross-correlation "
        "of all leads; beats that do not resemble the participant's template were left out, and "
        "the median of the aligned beats was taken.",
        "",
    ),
    "Homography": (
        "Images were moved onto the reference by a homography, found by maximising the enhanced "
        "correlation coefficient over a pyramid of resolutions (Evangelidis and Psarakis 2008).",
        "Evangelidis GD, Psarakis EZ. Parametric image alignment using enhanced correlation "
        "coefficient maximization. IEEE Trans Pattern Anal Mach Intell 2008;30:1858–65.",
    ),
    "Affine": (
        "Volumes were moved onto the template by affine transforms of twelve degrees of freedom "
        "that maximise mutual information (Mattes et al. 2003), with SimpleITK.",
        "Mattes D, Haynor DR, Vesselle H, Lewellen TK, Eubank W. PET-CT image registration in the "
        "chest using free-form deformations. IEEE Trans Med Imaging 2003;22:120–8.",
    ),
    "VoxelMorph": (
        "Images were deformed onto the reference by a network that predicts the displacement "
        "field, trained without labels (VoxelMorph, Balakrishnan et al. 2019).",
        "Balakrishnan G, Zhao A, Sabuncu MR, Guttag J, Dalca AV. VoxelMorph: a learning framework "
        "for deformable medical image registration. IEEE Trans Med Imaging 2019;38:1788–800.",
    ),
}
_FRIEDMAN = (
    "Friedman SF, Moran GE, Rakic M, Philippakis A. Genetic architectures of medical images "
    "revealed by registration of multiple modalities. Bioinform Biol Insights 2024;18. "
    "doi:10.1177/11779322241282489."
)
_DENSENET = (
    "Huang G, Liu Z, van der Maaten L, Weinberger KQ. Densely connected convolutional networks. "
    "CVPR 2017:4700–8."
)
_ADAM = "Kingma DP, Ba J. Adam: a method for stochastic optimization. ICLR 2015."
_PURPOSES = {"train": "training", "validation": "validation", "analysis": "analysis"}


def methods_section(run: Run) -> Section:
    """Write the chapter on methods, of what was done only."""
    settings = read_json(run.folder / "settings.json", "splits", "arms")
    paragraphs = {
        "Software.": _software(run),
        "Design.": _design(run, settings),
        "Registration.": _registration(run, settings),
    }
    references = [_FRIEDMAN]
    used = {arm.description["registration"] for arm in run.arms.values()}
    references += [_REGISTRATIONS[name][1] for name in _REGISTRATIONS if name in used]
    if any(arm.has_autoencoder for arm in run.arms.values()):
        paragraphs["Autoencoders."] = _autoencoders(run, settings["arms"])
        references += [_DENSENET, _ADAM]
    if any(arm.by_deepcycle for arm in run.arms.values()):
        paragraphs["DeepCycle."] = _deepcycle(run)
    if run.fusions:
        paragraphs["DropFuse."] = _dropfuse(run, settings["fusions"])
    for lead, (analysis, write) in ANALYSES.items():
        if run.asked_for(analysis):
            paragraphs[lead], sources = write(run, settings[analysis])
            references += sources
    texts = [Text(paragraph, lead=lead) for lead, paragraph in paragraphs.items()]
    texts.append(Text("References", "heading"))
    texts += [Text(reference) for reference in sorted(dict.fromkeys(filter(None, references)))]
    return Section("methods", "Methods", texts, copied=True)


def _software(run: Run) -> str:
    versions = run.manifest["versions"]
    named = ("keras", "tensorflow", "numpy", "scipy", "scikit-learn", "statsmodels")
    told = [f"{name} {versions[name]}" for name in named if name in versions]
    return (
        f"Everything was done with RegReveal {run.manifest['regreveal']} ("
        f"{', '.join([*told, 'Python ' + run.manifest['python']])}), after Friedman et al. "
        f"(2024). All random draws follow from the seed {run.manifest['seed']}."
    )


def _design(run: Run, settings: Mapping) -> str:
    shares = [
        f"{100 * settings['splits'][split]:.0f} % for {purpose}"
        for split, purpose in _PURPOSES.items()
        if settings["splits"][split]
    ]
    text = (
        f"Participants were divided once at random: {listed(shares)}. "
        "Autoencoders saw training and validation participants only; everything about "
        "phenotypes, genome and diseases is of analysis participants, the same in both arms of a "
        "comparison, in five folds that all arms share."
    )
    if "training" in run.experiment:
        text += " Here the autoencoders learned from other, simulated people altogether."
    return text


def _registration(run: Run, settings: Mapping) -> str:
    registered = [arm for arm in run.arms.values() if run.made_by(arm.name) != "none"]
    if not registered:
        return "No arm is registered."
    used = {arm.description["registration"] for arm in registered}
    how = [sentence for name, (sentence, _) in _REGISTRATIONS.items() if name in used]
    told = [
        f"{arm.name} ({run.made_by(arm.name)}{_asked(arm, settings['arms'][arm.name])})"
        for arm in registered
    ]
    return " ".join(
        [
            *how,
            f"Arms made by registration: {listed(told)}.",
            "Who could not be registered was left out of every arm compared with it, and counted.",
        ]
    )


def _asked(arm: ArmRun, settings: Mapping) -> str:
    """Write what an arm's registration was given, but for what DeepCycle's paragraph says."""
    registration = settings["registration"]
    if registration is None or arm.by_deepcycle:
        return ""
    told = [f"from {registration['input']}"]
    if registration["exemplar"]:
        told.append(f"onto the training participant of median {spoken(registration['exemplar'])}")
    if registration["parameters"]:
        told.append(_given(registration["parameters"]))
    return ", " + ", ".join(told)


def _autoencoders(run: Run, settings: Mapping) -> str:
    arms = [arm for arm in run.arms.values() if arm.has_autoencoder]
    plans: dict[str, list[str]] = {}
    for arm in arms:
        plan = settings[arm.name]["autoencoder"]
        told = (
            f"{plan['latent_size']} latents, {plan['steps']:,} steps of {plan['batch_size']} at "
            f"a step size of {plan['learning_rate']:g} ({plan['schedule']} schedule, "
            f"{plan['precision']}{_parts(plan)})"
        )
        plans.setdefault(told, []).append(arm.name)
    each = [f"{told} for {listed(names)}" for told, names in plans.items()]
    return (
        "One convolutional, densely connected family of autoencoders (Huang et al. 2017); arms "
        "that are compared with each other learned from the same participants. Mean squared error "
        "was minimised by Adam (Kingma and Ba 2015) with clipped gradients and a step size that "
        "rises over the first twentieth of the steps; the checkpoint with the least validation "
        f"loss was kept. Plans of training: {'; '.join(each)}."
    )


def _parts(plan: Mapping) -> str:
    """Say of a training plan what few have."""
    told = [f"in {plan['accumulation']} parts"] if plan["accumulation"] > 1 else []
    told += [f"weights averaged at {plan['averaging']:g}"] if plan["averaging"] else []
    told += [f"patience of {plan['patience']} epochs"] if plan["patience"] else []
    return "".join(f", {each}" for each in told)


def _deepcycle(run: Run) -> str:
    arms = [arm for arm in run.arms.values() if arm.by_deepcycle]
    settings = [f"{arm.name}, {_given(arm.description['parameters'])}" for arm in arms]
    return (
        "Every frame of a cine was encoded as one angle θ and decoded from (cos θ, sin θ); the "
        "latents of a cine are the phases of its frames, unwrapped. All training participants who "
        "have the cine were learned from. Training started from the phase of the first two "
        "principal components, warmed the decoder up, and went on jointly, with a penalty on going "
        "backwards in time. Where circular is false, one plain number takes the place of the "
        f"angle: the control. Arms: {'; '.join(settings)}."
    )


def _dropfuse(run: Run, settings: Mapping) -> str:
    told = [
        f"{fusion.name} ({listed(fusion.arms)}), {_given(settings[fusion.name])}"
        for fusion in run.fusions
    ]
    return (
        "Encoders of several modalities learned one latent space together, by reconstruction of "
        "each modality and symmetric InfoNCE on normalised latents with a learned temperature; "
        "each latent coordinate of each participant was taken from one modality at random, drawn "
        "afresh at every step. All training participants who have one of the modalities were "
        "learned from, who may be more than those of the autoencoders compared with them. With a "
        "warm start, the steps of the autoencoders started from come on top of those given here: "
        "such an arm has been trained longer. Each arm embeds by its own encoder, without the "
        "other modality. Fusions: "
        f"{'; '.join(told)}."
    )


def _given(settings: Mapping) -> str:
    """Write settings as they stand in the experiment file; those that are nothing, not at all."""
    told = [
        f"{_SETTINGS.get(name, name.replace('_', ' '))} {_plain(value)}"
        for name, value in settings.items()
        if value not in (None, [], {})
    ]
    return listed(told) or "default settings"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return listed(map(str, value)) if isinstance(value, list) else str(value)


_SETTINGS = {"warm_start": "warm start from"}
