"""The card of a model of the zoo: its README.md, written from what its model.json says."""

from pathlib import Path

from regreveal.experiment.zoo.evaluation import ROUNDING
from regreveal.models.model_folder import trained_tensor_map
from regreveal.tensormap import Standardize, StandardizeEach

GIVES = {
    "autoencoder": "the bottleneck of an autoencoder",
    "fusion": "the shared space of DropFuse, from this modality alone",
    "DeepCycle": "the phase of each frame in the heart's cycle, in radians, unwrapped over time",
}

FULL_SIZE = """
`full_size.toml` trains such a model at full size, on real data.
"""

CARD = """# {name}

{shows}

## Takes

{takes}

{registration}

## Gives

`encoder.keras`: {latent_size} numbers a participant, {gives}. `decoder.keras` draws the
tensor that such numbers stand for.

    regreveal embed --model zoo:{name} --store STORE --out embedding.parquet

    import regreveal.models
    model = regreveal.models.load("zoo:{name}")
    latents = model.embed(model.tensor_map.load(store, sample_ids))

## Learned from

A simulated biobank (seed {seed}): {trained_on} people to learn from, {validated_on} to choose the
best epoch by; {steps:,} steps of {batch_size}.{warm_start} No person's data are in the weights, and
nobody in a store of your own was learned from, unless you simulated it with the same seed.

    regreveal run model_zoo/{name}/recipe.toml --out RUN      # trains it again
{full_size}
## Figures

{participants} simulated people (seed {evaluation_seed}) whom no model of the zoo has learned
from{not_registered}. Explained variance, of tensors about their mean: **{explained_variance:.3f}**.
Linear probes of the planted traits, five folds, R² with 95 % interval{against}:

{probes}

    regreveal zoo check {name}      # computes them anew; they must agree within {rounding}

## Limits

Learned from simulated data only, at demo size: it shows how such a model is used and what its
latents hold, and is a start for training on data of your own. What it makes of real recordings has
not been measured. It is not for patients: neither diagnosis nor any other use in care.

## Files

{files}

{weights:,} weights, trained with {versions}.
"""


def write_card(folder: Path, facts: dict, baseline: dict | None) -> None:
    """Write README.md.

    Parameters
    ----------
    folder : Path
        Of the model.
    facts : dict
        The content of its `model.json`, with figures.
    baseline : dict, optional
        That of the model it is compared with.
    """
    figures = facts["figures"]
    files = [f"- `{file}`, SHA-256 `{sha256}`" for file, sha256 in facts["sha256"].items()]
    failed = figures["not_registered"]
    (folder / "README.md").write_text(
        CARD.format(
            name=facts["name"],
            shows=facts["shows"],
            takes=_takes(facts),
            registration=_registration(facts),
            latent_size=facts["latent_size"],
            full_size=FULL_SIZE if "full_size.toml" in facts["sha256"] else "",
            gives=GIVES[facts["kind"]],
            seed=facts["learned_from"]["seed"],
            trained_on=facts["learned_from"]["trained_on"],
            validated_on=facts["learned_from"]["validated_on"],
            steps=facts["steps"],
            batch_size=facts["batch_size"],
            warm_start=_warm_start(facts),
            participants=figures["participants"],
            evaluation_seed=facts["evaluation"]["seed"],
            not_registered=f"; {failed} more could not be registered" if failed else "",
            explained_variance=figures["explained_variance"],
            against=_against(baseline),
            probes=_probes(figures, baseline),
            rounding=ROUNDING,
            files="\n".join(files),
            weights=facts["weights"],
            versions=", ".join(f"{name} {number}" for name, number in facts["versions"].items()),
        )
    )


def _takes(facts: dict) -> str:
    tensor_map = trained_tensor_map(facts)
    shape = " × ".join(map(str, tensor_map.shape))
    match tensor_map.normalize:
        case StandardizeEach():
            normalisation = "each participant's tensor is brought to mean 0 and deviation 1"
        case Standardize(mean=mean, standard_deviation=deviation):
            normalisation = f"less {mean}, divided by {deviation}"
    return (
        f"Tensor map `{tensor_map.name}`, `{tensor_map.path}` of a store: {shape}, in "
        f"{tensor_map.units}. {tensor_map.description} Before the encoder, {normalisation}; "
        "`embed` does that."
    )


def _registration(facts: dict) -> str:
    steps = facts["registrations"]
    if not steps:
        return "Tensors as recorded; no registration before."
    methods = ", then ".join(
        f"{step['method']} of `{step['input']['name']}` (`{step['folder']}/`)" for step in steps
    )
    return (
        f"Registered before by {methods}, as fitted for this model:\n\n"
        f"    regreveal zoo register {facts['name']} --store STORE --out DIR"
        "      # embed DIR/registered"
    )


def _warm_start(facts: dict) -> str:
    """Say so where the training had a start that cost steps, too."""
    started = facts.get("warm_start")
    if not started:
        return ""
    maps = " and ".join(f"`{name}`" for name in started)
    return (
        f" The networks of {maps} started from autoencoders that had been trained before, whose "
        "steps come on top (recipe.toml)."
    )


def _against(baseline: dict | None) -> str:
    if baseline is None:
        return ""
    people = baseline["figures"]["participants"]
    return f", beside those of {baseline['name']} (of the {people} people whom that one can take)"


def _probes(figures: dict, baseline: dict | None) -> str:
    header = "| trait | R² |" + (f" {baseline['name']} |" if baseline else "")
    lines = [header, "|" + " --- |" * (header.count("|") - 1)]
    for trait, score in figures["probes"].items():
        line = f"| {trait} | {_with_interval(score)} |"
        if baseline:
            theirs = baseline["figures"]["probes"].get(trait)
            line += f" {_with_interval(theirs) if theirs else ''} |"
        lines.append(line)
    return "\n".join(lines)


def _with_interval(score: dict) -> str:
    return f"{score['r2']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
