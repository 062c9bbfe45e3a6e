"""The report's methods, in brief: what was done here, with this run's settings."""

from regreveal.report.folder.run import Run
from regreveal.report.parts import Section, Text
from regreveal.report.words import listed

_TRANSFORMS = {
    "radial": "Whitened dimensions were made normal by ranks, and then the ranks of the squared "
    "Mahalanobis norms were mapped to χ² quantiles with k degrees of freedom",
    "rint": "Each dimension was made normal by ranks",
    "none": "Latents were taken as they are",
}
_CODINGS = {
    "genotype": "three genotype groups (two indicators)",
    "additive": "the dosage of the alternate allele",
}
_AUTOENCODERS = (
    "One convolutional, densely connected family; autoencoders that are compared with each other "
    "learned from the same participants, with the latent size and steps that the table of "
    "autoencoders gives. Mean squared error; the checkpoint with the least validation loss is kept."
)


def methods_section(run: Run) -> Section:
    """Write the chapter on methods, of the analyses that were made only."""
    paragraphs = {
        "Design.": _design(run),
        "Registration.": _registration(run),
        "Autoencoders.": _AUTOENCODERS,
    }
    if any(arm.by_deepcycle for arm in run.arms.values()):
        paragraphs["DeepCycle."] = _deepcycle(run)
    if run.fusions:
        paragraphs["DropFuse."] = _dropfuse(run)
    if run.asked_for("probes"):
        paragraphs["Probes."] = (
            "Five folds, stratified for categories, the same in every arm; ridge "
            "regression with its penalty chosen inside the fold and scored by R², logistic "
            "regression scored by the area under the ROC curve of its probabilities. Intervals "
            "take account of the participants scored and of those the probes learned from; that of "
            "a difference is of the difference itself, participant by participant, so it is "
            "paired. See docs/phenome.md."
        )
    gwas = [arm.description for comparison in run.comparisons for arm in comparison.gwas.values()]
    if gwas:
        paragraphs["Latent GWAS."] = _gwas(gwas[0]["settings"])
    if run.asked_for("phewas"):
        paragraphs["PheWAS."] = (
            "In one half of the participants, the direction from the centroid of people "
            "without a phecode to that of people with it; the other half was projected on it, and "
            "the phecode regressed on that component and the covariates by logistic regression, "
            "Firth's where cases are few; then the halves changed roles and the two tests were "
            "combined as dependent ones. People with a phecode of the exclusion range are no "
            "controls. See docs/phenome.md."
        )
    if run.asked_for("clusters"):
        paragraphs["Clusters."] = (
            "For each lead variant the direction from the centroid of the commoner "
            "homozygotes to those of heterozygotes and rarer homozygotes, weighted by their "
            "number, in the whitened latent space; average linkage of one minus the absolute "
            f"cosine, cut {_cut(run)}. Stability over "
            f"{run.experiment['clusters'].get('bootstraps', 100)} Bayesian bootstrap samples of "
            "participants, support of nodes by the multiscale bootstrap, agreement of clusterings "
            "by the adjusted Rand index with a permutation test. See docs/statistics.md."
        )
    texts = [Text(paragraph, lead=lead) for lead, paragraph in paragraphs.items()]
    return Section("methods", "Methods", texts)


def _cut(run: Run) -> str:
    """Say at which height trees of variants are cut."""
    height = run.experiment["clusters"].get("height")
    return f"at {height}" if height else "midway between identical and unrelated directions"


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


def _dropfuse(run: Run) -> str:
    settings = [
        f"{fusion.name} ({listed(fusion.arms)}), {_given(run.experiment['fusions'][fusion.name])}"
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
        f"other modality. Fusions: {'; '.join(settings)}."
    )


def _given(settings: dict) -> str:
    """Write settings as they stand in the experiment file."""
    told = [f"{name.replace('_', ' ')} {_plain(value)}" for name, value in settings.items()]
    return listed(told) or "default settings"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"from {listed(value)}" if isinstance(value, list) else str(value)


def _design(run: Run) -> str:
    text = (
        "Participants were divided once into training, validation and analysis. "
        "Autoencoders saw training and validation participants only; everything about "
        "phenotypes, genome and diseases is of analysis participants, the same in both arms of a "
        "comparison."
    )
    if "training" in run.experiment:
        text += " Here the autoencoders learned from other, simulated people altogether."
    return text


def _registration(run: Run) -> str:
    told = [
        f"{arm.name} ({run.made_by(arm.name)})"
        for arm in run.arms.values()
        if run.made_by(arm.name) != "none"
    ]
    if not told:
        return "No arm is registered."
    return (
        f"Made by registration: {listed(told)}. Who could not be registered is left out of "
        "every arm compared with it, and counted."
    )


_SMALL_GROUPS = {
    "additive": "Variants with fewer than {} carriers are not tested.",
    "genotype": "Genotype groups of fewer than {0} are pooled as carriers; variants with fewer "
    "than {0} carriers are not tested.",
}


_CORRECTED = (
    ", with p-values corrected for the skewness of the latents, which matters in small groups"
)


def _gwas(settings: dict) -> str:
    covariates = settings["covariates"]
    adjusted = f" after regression on {listed(covariates)}" if covariates else ""
    return (
        f"{_TRANSFORMS[settings['transform']]}{adjusted}; then "
        f"multivariate analysis of variance of the whole latent vector on "
        f"{_CODINGS[settings['coding']]}, by Pillai's trace"
        f"{_CORRECTED if settings['transform'] == 'radial' else ''}. "
        f"{_SMALL_GROUPS[settings['coding']].format(settings['minimum_count'])} "
        "Loci: variants with p < 5 × 10⁻⁸ clumped at r² < 0.1 within 1 Mb and merged within "
        "250 kb. See docs/statistics.md."
    )
