"""Methods of the analyses: a paragraph each, with this run's settings, and what it cites."""

from collections.abc import Mapping

from regreveal.report.folder.run import Run
from regreveal.report.words import listed, plural, spoken

_BENJAMINI = (
    "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical and powerful "
    "approach to multiple testing. J R Stat Soc B 1995;57:289–300."
)
_TRANSFORMS = {
    "radial": "Whitened dimensions were made normal by ranks, and then the ranks of the squared "
    "Mahalanobis norms were mapped to χ² quantiles with k degrees of freedom, which keeps the test "
    "right at rare genotypes where latents have heavy tails",
    "rint": "Each dimension was made normal by ranks",
    "none": "Latents were taken as they are",
}
_CODINGS = {
    "genotype": "three genotype groups (two indicators)",
    "additive": "the dosage of the alternate allele",
}
_SMALL_GROUPS = {
    "additive": "Variants with fewer than {} carriers were not tested.",
    "genotype": "Genotype groups of fewer than {0} were pooled as carriers; variants with fewer "
    "than {0} carriers were not tested.",
}
_CORRECTED = (
    ", with p-values corrected for the skewness of the latents, which matters in small groups"
)
_EDITIONS = {
    "who": "the World Health Organization's edition",
    "cm": "the clinical modification (ICD-10-CM)",
}
_NULLS = {
    "labels": "of diseases permuted among participants",
    "latents": "of latents permuted among participants",
    "gaussian": "of normal noise of as many dimensions",
}
Written = tuple[str, tuple[str, ...]]


def _tested(counts: set[int]) -> str:
    """Say of how many tests a correction is, when comparisons have different numbers of them."""
    least, most = min(counts), max(counts)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def _probes(run: Run, settings: Mapping) -> Written:
    scored = {
        int(comparison.probes.differences["difference"].notna().sum())
        for comparison in run.comparisons
    }
    text = (
        "Latents were clipped at three standard deviations and standardised over all participants "
        "of a comparison; phenotypes were predicted from them in five folds, stratified for "
        "categories and "
        "the same in every arm: numbers by ridge regression, scored by R²; categories by "
        "L2-penalised logistic regression, scored by the area under the ROC curve of the "
        "probabilities of participants held out (of several classes, the mean of one against the "
        "rest). Penalties were chosen within the training folds, by leaving one participant out. "
        "Intervals (95 %) take account of the participants scored and of those learned from; that "
        "of a difference between arms is paired, of the difference itself, participant by "
        "participant. "
        f"Differences were tested two-sidedly for {_tested(scored)} phenotypes a comparison; "
        "the false discovery rate was controlled over them (Benjamini and Hochberg 1995), and "
        "family-wise p-values are step-down, from 9,999 bootstrap samples of participants "
        "(Westfall and Young 1993). As floor the labels were shuffled within folds."
    )
    if settings["adjust"]:
        columns = listed([spoken(name) for name in settings["adjust"]])
        text += (
            f" What latents add was measured over {columns}: as the score of latents and these, "
            "unpenalised, less that of these alone, with the same folds and paired intervals."
        )
    sources = (
        _BENJAMINI,
        "Westfall PH, Young SS. Resampling-based multiple testing: examples and methods for "
        "p-value adjustment. New York: Wiley; 1993.",
    )
    return text, sources


def _gwas(run: Run, settings: Mapping) -> Written:
    described = [arm.description for c in run.comparisons for arm in c.gwas.values()]
    made = described[0]["settings"]
    covariates = made["covariates"]
    # Of a category each value has a column, "sex=male"; a reader wants to know the category.
    names = dict.fromkeys(spoken(column.split("=")[0]) for column in covariates)
    adjusted = f" after regression on {listed(names)}" if covariates else ""
    text = (
        f"{_TRANSFORMS[made['transform']]}{adjusted}; then "
        "multivariate analysis of variance of the whole latent vector on "
        f"{_CODINGS[made['coding']]}, by Pillai's trace (Pillai 1955)"
        f"{_CORRECTED if made['transform'] == 'radial' else ''}. "
        f"{_SMALL_GROUPS[made['coding']].format(made['minimum_count'])} Missing genotypes were "
        "imputed by their mean. "
        f"{_tested({d['variants']['tested'] for d in described})} variants were tested. Loci: "
        "variants with p < 5 × 10⁻⁸ clumped at r² < 0.1 within 1 Mb and merged within 250 kb."
    )
    if settings["project_out"]:
        text += (
            f" {listed([spoken(name) for name in settings['project_out']])} had been taken out of "
            "the latents by iterated nullspace projection with cross-fitting."
        )
    text += (
        " Loci of two arms were taken for one place of the genome where they are less than 250 kb "
        "apart or their leads lie within 1 Mb at r² ≥ 0.1; places that one arm has alone were "
        "compared by McNemar's exact test."
    )
    if settings["minimum_maf"]:
        text += f" Variants had a minor allele frequency of at least {settings['minimum_maf']:g}."
    if any(comparison.truth is not None for comparison in run.comparisons):
        text += (
            " As a bound on what could be found, the true traits of the same participants were "
            "tested one by one, at 5 × 10⁻⁸ divided by their number (the oracle)."
        )
    source = (
        "Pillai KCS. Some new test criteria in multivariate analysis. Ann Math Stat 1955;26:117–21."
    )
    return text, (source,)


def _phewas(run: Run, settings: Mapping) -> Written:
    tested = {
        int(scan["neg_log10_p"].notna().sum())
        for comparison in run.comparisons
        for scan in comparison.phewas.values()
    }
    covariates = listed([spoken(name) for name in settings["covariates"]])
    days = plural(settings["minimum_count"], "day")
    text = (
        "Diagnoses were mapped to phecodes (Denny et al. 2013) with their roll-up, exclusion "
        f"ranges and limits to one sex; a case has codes on at least {days}, people with "
        "a phecode of the exclusion range were not controls, and phecodes of fewer than "
        f"{settings['minimum_cases']} cases or controls were not tested. In one half of the "
        "participants, the direction from the centroid of controls to that of cases was taken in "
        "the whitened latent space; the other half was projected on it, standardised, and the "
        "phecode regressed on that component"
        f"{f', {covariates}' if covariates else ''} by logistic regression, Firth's (1993) where "
        "cases are few or separate; then the halves changed roles and the two tests were combined "
        "as dependent ones. p-values are one-sided, since a direction that replicates has a "
        f"positive effect; {_tested(tested)} phecodes an arm were tested, corrected by Bonferroni "
        "and by the false discovery rate (Benjamini and Hochberg 1995). Odds ratios are a standard "
        "deviation of the component, with intervals from the likelihood ratio. Arms were compared "
        "phecode by phecode by paired differences, and their counts by McNemar's exact test."
    )
    # Neither stands in the settings of older runs.
    if edition := settings.get("icd10_edition"):
        text += f" Codes of ICD-10 are those of {_EDITIONS[edition]}."
    if until := settings.get("until"):
        text += f" Records end on {until}."
    if settings["null"]:
        kinds = listed([_NULLS[kind] for kind in settings["null"]])
        text += f" The same was done {kinds} ({plural(settings['null_repeats'], 'draw')} each)."
    if settings["timing"] == "prevalent" or settings["incident"]:
        days = settings["window_days"]
        window = f"{plural(days, 'day')} after the visit" if days else "the visit"
        text += f" Disease is prevalent that was recorded by {window} ({settings['visit']})."
    sources = (
        _BENJAMINI,
        "Denny JC, Bastarache L, Ritchie MD, et al. Systematic comparison of phenome-wide "
        "association study of electronic medical record data and genome-wide association study "
        "data. Nat Biotechnol 2013;31:1102–10.",
        "Firth D. Bias reduction of maximum likelihood estimates. Biometrika 1993;80:27–38.",
    )
    if settings["incident"]:
        text += (
            " Incident disease was tested by Cox's (1972) proportional hazards with Efron's method "
            "for ties, among people free of it at the visit, on the direction of the other half."
        )
        sources += ("Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187–220.",)
    return text, sources


def _clusters(run: Run, settings: Mapping) -> Written:
    height = settings["height"]
    cut = f"at {height:g}" if height else "midway between identical and unrelated directions"
    text = (
        "For each lead variant the direction from the centroid of the commoner homozygotes to "
        "those of heterozygotes and rarer homozygotes, weighted by their number, was taken in the "
        "whitened latent space. Distance is one minus the absolute cosine, since which allele is "
        f"counted is arbitrary; trees of average linkage were cut {cut}. Stability is over "
        f"{settings['bootstraps']:,} Bayesian bootstrap samples of participants (Rubin 1981), "
        "support of nodes by the multiscale bootstrap (Shimodaira 2004). Agreement between arms "
        "is the adjusted Rand index (Hubert and Arabie 1985) of the same variants in either "
        f"space, tested by {settings['permutations']:,} permutations."
    )
    return text, (
        "Rubin DB. The Bayesian bootstrap. Ann Stat 1981;9:130–4.",
        "Shimodaira H. Approximately unbiased tests of regions using multistep-multiscale "
        "bootstrap resampling. Ann Stat 2004;32:2616–41.",
        "Hubert L, Arabie P. Comparing partitions. J Classif 1985;2:193–218.",
    )


def _directions(run: Run, settings: Mapping) -> Written:
    low, *_, high = settings["steps"]
    ends = f"{low:g} to {high:g}".replace("-", "−")
    text = (
        f"For at most {plural(settings['variants'], 'lead variant')} and "
        f"{plural(settings['phecodes'], 'phecode')} an arm, the strongest, the latents were "
        "regressed on the variant or the disease with the covariates of its analysis; from the "
        f"mean latents, scores of {ends} standard deviations along the "
        "pattern of that direction (Haufe et al. 2014) were decoded. The decoded tensors were "
        "encoded again, to see whether the scores come back, and compared with the mean tensors of "
        "participants at either end of the score."
    )
    return text, (
        "Haufe S, Meinecke F, Görgen K, et al. On the interpretation of weight vectors of linear "
        "models in multivariate neuroimaging. NeuroImage 2014;87:96–110.",
    )


def _replication(run: Run, settings: Mapping) -> Written:
    text = (
        "Participants were halved once, within folds and with families in one half, by "
        "KING-robust kinship (Manichaikul et al. 2010). Lead variants of a latent GWAS of one half "
        "(p < 5 × 10⁻⁸; latents transformed and covariates regressed out within the half) were "
        "tested in the other, by the same joint test and, one-sided, by linear regression of the "
        "latents' projection on the direction found in the first half; then in turn. A lead "
        "replicates at 0.05 divided by the number of leads of its half that could be tested; "
        "shares have exact intervals. Expected is the sum of leads' power, at the effects found "
        "and at those likeliest given that they passed the threshold (Zhong and Prentice 2008)."
    )
    return text, (
        "Manichaikul A, Mychaleckyj JC, Rich SS, Daly K, Sale M, Chen WM. Robust relationship "
        "inference in genome-wide association studies. Bioinformatics 2010;26:2867–73.",
        "Zhong H, Prentice RL. Bias-reduced estimators and confidence intervals for odds ratios in "
        "genome-wide association studies. Biostatistics 2008;9:621–34.",
    )


def _recurrence(run: Run, settings: Mapping) -> Written:
    text = (
        f"The autoencoders of {listed(settings['arms'])} were trained again with "
        f"{plural(settings['seeds'], 'further seed')}, all else the same, and their latent GWAS "
        "repeated. Loci of several seeds were taken for one where they overlap; likeness of "
        "latents is linear centred kernel alignment (Kornblith et al. 2019) and the mean "
        "canonical correlation."
    )
    return text, (
        "Kornblith S, Norouzi M, Lee H, Hinton G. Similarity of neural network representations "
        "revisited. ICML 2019:3519–29.",
    )


# The paragraph, the table of the experiment file that asks for it, and what writes it.
ANALYSES = {
    "Probes.": ("probes", _probes),
    "Latent GWAS.": ("gwas", _gwas),
    "Replication.": ("replication", _replication),
    "Recurrence over seeds.": ("recurrence", _recurrence),
    "PheWAS.": ("phewas", _phewas),
    "Clusters of variants.": ("clusters", _clusters),
    "Directions.": ("directions", _directions),
}
