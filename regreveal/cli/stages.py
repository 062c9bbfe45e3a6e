"""Single stages on files: list tensor maps, split participants, register, train, embed."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from regreveal.cli.options import Dask
from regreveal.cli.participants import echo_left_out

Store = Annotated[Path, typer.Option(help="The TensorStore.")]
TensorMaps = Annotated[
    str,
    typer.Option(
        help="The package that declares the tensor maps: installed, or in the working directory."
    ),
]


def tensormaps(package: TensorMaps = "tensormaps") -> None:
    """List the tensor maps a package declares."""
    from regreveal.cli.tables import print_table
    from regreveal.tensormap import list_tensor_maps

    rows = [
        (one.name, " × ".join(map(str, one.shape)), one.units, one.description)
        for one in list_tensor_maps(package)
    ]
    print_table(("name", "shape", "units", "description"), rows)


def split(
    cohort: Annotated[Path, typer.Option(help="Table with sample_id.")],
    out: Annotated[Path, typer.Option(help="The split file: .parquet, .tsv or .csv.")],
    train: Annotated[float, typer.Option(help="Share to train autoencoders on.")] = 0.2,
    validation: Annotated[float, typer.Option(help="Share to choose the best epoch by.")] = 0.05,
    analysis: Annotated[float, typer.Option(help="Share for probes, GWAS and PheWAS.")] = 0.75,
    seed: Annotated[int, typer.Option(help="All randomness comes from it.", min=0)] = 1,
) -> None:
    """Divide participants once into those to train on, to validate by and to analyse."""
    from regreveal.errors import InputError
    from regreveal.store.cohort import make_splits, read_table, write_table

    if out.exists():
        raise InputError(f"{out}: is there already; choose another file, or delete it")
    fractions = {"train": train, "validation": validation, "analysis": analysis}
    splits = make_splits(read_table(cohort).index, fractions, seed)
    write_table(splits, out)
    counts = splits["split"].value_counts()
    typer.echo(", ".join(f"{counts.get(name, 0)} {name}" for name in fractions) + f": {out}")


def register(
    method: Annotated[str, typer.Argument(help="Such as QRSAlignment; your own is module:Class.")],
    store: Store,
    source: Annotated[str, typer.Option("--from", help="Tensor map to register.")],
    target: Annotated[str, typer.Option("--to", help="Tensor map of what comes out.")],
    out: Annotated[Path, typer.Option(help="Folder for the registered tensors and their quality.")],
    splits: Annotated[
        Path | None,
        typer.Option(help="Split file, to fit the method on training participants only."),
    ] = None,
    parameters: Annotated[str, typer.Option(help="Parameters of the method, as JSON.")] = "{}",
    exemplar: Annotated[
        str | None,
        typer.Option(
            help="Column of --phenotypes, such as bmi: the participant who has its median is what "
            "others are registered to. By default the method chooses."
        ),
    ] = None,
    phenotypes: Annotated[Path | None, typer.Option(help="Table with that column.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Image to register to (.npy, NIfTI, PNG), instead.")
    ] = None,
    dask: Dask = None,
    package: TensorMaps = "tensormaps",
) -> None:
    """Register a tensor of everyone in a store, or embed it by a method that gives latents."""
    from regreveal.cluster import on_cluster
    from regreveal.errors import InputError
    from regreveal.registration.latents import (
        LATENTS,
        check_gives_latents,
        embed_store,
        fit_latents,
    )
    from regreveal.registration.methods import registration_class
    from regreveal.registration.pieces import fingerprint
    from regreveal.registration.reference import find_column, median_participant, read_reference
    from regreveal.registration.stage import (
        count_failures,
        fit_once,
        fit_registration,
        forget_fit,
        register_store,
    )
    from regreveal.store.atomic import check_folder
    from regreveal.store.cohort import read_splits, read_table
    from regreveal.store.tensors import TensorStore
    from regreveal.tensormap import find_tensor_map

    try:
        chosen = json.loads(parameters)
    except json.JSONDecodeError as error:
        raise InputError(f"--parameters is not JSON ({error})") from error
    if not isinstance(chosen, dict):
        raise InputError(f"--parameters is {parameters}; expected names and values, as {{...}}")
    check_folder(out)
    if (out / "registered").exists() or (out / LATENTS).exists():
        raise InputError(f"{out}: already holds a registration; choose another folder")
    if exemplar and reference:
        raise InputError("--exemplar and --reference are both given; expected at most one")
    if bool(exemplar) != bool(phenotypes):
        raise InputError("--exemplar and --phenotypes need each other; got only one of them")
    input_map, output_map = (find_tensor_map(name, package) for name in (source, target))
    tensors = TensorStore(store)
    if splits is None:
        learn_from, validation = tensors.sample_ids(input_map.path), []
    else:
        split = read_splits(splits)["split"]
        learn_from, validation = (split.index[split == s] for s in ("train", "validation"))
    saved = out / "registration"
    learn_from, validation = list(learn_from), list(validation)
    settings = [chosen, repr(input_map), learn_from, validation]
    decided_by = partial(fingerprint, method, settings, tensors.shards(input_map.path))
    taught = method, chosen, tensors, input_map, learn_from
    if registration_class(method).gives_latents:
        check_gives_latents(method, input_map, output_map)
        if exemplar or reference:
            raise InputError(f"{method}: leave --exemplar and --reference out")
        model = out / "model"
        fit_once(saved, decided_by(), partial(fit_latents, *taught, validation, saved, model))
        with on_cluster(dask):
            qc = embed_store(method, saved, model, tensors, input_map, out)
        forget_fit(saved)
        typer.echo(f"{qc['ok'].sum()} of {len(qc)} embedded: {out / LATENTS}")
        echo_left_out(count_failures(qc))
        return
    image = None
    if reference:
        image = read_reference(reference, input_map.channelled_shape)
    elif exemplar:
        values = find_column(exemplar, [read_table(phenotypes)])
        chosen_one = median_participant(values, tensors, input_map, learn_from)
        image = input_map.read(tensors, [chosen_one])[0]
    known = decided_by([] if image is None else [image])
    fit_once(saved, known, partial(fit_registration, *taught, saved, image))
    with on_cluster(dask):
        qc = register_store(method, saved, tensors, input_map, output_map, out)
    forget_fit(saved)
    typer.echo(f"{qc['ok'].sum()} of {len(qc)} registered: {out}")
    echo_left_out(count_failures(qc))


def register_ready(
    volumes: Annotated[Path, typer.Argument(help="Folder of brains (.nii, .nii.gz, .mgz).")],
    transforms: Annotated[
        Path,
        typer.Argument(
            help="Folder of their transforms to MNI152, each named as its volume but for the "
            "suffix: FSL .mat, FreeSurfer .lta or .xfm, ITK .tfm, .txt, .mat or .h5."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the registered tensors and their quality.")],
    target: Annotated[str, typer.Option("--to", help="Tensor map of what comes out.")] = (
        "brain.t1_mni"
    ),
    voxel_size: Annotated[float, typer.Option(help="Of that, in mm.")] = 1.0,
    template: Annotated[
        Path | None,
        typer.Option(
            help="Volume that FSL's transforms were made to; by default FSL's MNI152 template, at "
            "1 mm. Other files do not ask."
        ),
    ] = None,
    dask: Dask = None,
    package: TensorMaps = "tensormaps",
) -> None:
    """Take brains to MNI space by transforms that other programs found."""
    from regreveal.cluster import on_cluster
    from regreveal.errors import InputError
    from regreveal.registration.stage import count_failures
    from regreveal.registration.volume_ready import FSL_TEMPLATE, register_folders
    from regreveal.store.atomic import check_folder
    from regreveal.tensormap import find_tensor_map

    check_folder(out)
    if (out / "registered").exists():
        raise InputError(f"{out}: already holds a registration; choose another folder")
    with on_cluster(dask):
        qc = register_folders(
            volumes,
            transforms,
            find_tensor_map(target, package),
            out,
            voxel_size,
            template or FSL_TEMPLATE,
        )
    typer.echo(f"{qc['ok'].sum()} of {len(qc)} registered: {out}")
    echo_left_out(count_failures(qc))


def train(
    tensor_map: Annotated[str, typer.Argument(help="Such as ecg.median.")],
    store: Store,
    splits: Annotated[Path, typer.Option(help="Split file: sample_id, split, fold.")],
    out: Annotated[Path, typer.Option(help="Folder for the model; an unfinished one goes on.")],
    latent_size: Annotated[int, typer.Option(help="Dimensions of the latent space.")] = 16,
    steps: Annotated[int, typer.Option(help="Batches to learn from.")] = 2000,
    batch_size: Annotated[int, typer.Option(help="Participants a batch.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Largest step size of Adam.")] = 5e-3,
    seed: Annotated[int, typer.Option(help="Of initial weights and order.", min=0)] = 1,
    precision: Annotated[
        str, typer.Option(help="float32, or on a GPU mixed_float16 or mixed_bfloat16.")
    ] = "float32",
    accumulation: Annotated[
        int, typer.Option(help="Parts a batch is taken in: as many times less memory.")
    ] = 1,
    averaging: Annotated[
        float | None,
        typer.Option(help="Keep a moving average of the weights, which keeps this share a step."),
    ] = None,
    schedule: Annotated[str, typer.Option(help="Of the step size: cosine or constant.")] = "cosine",
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better validation loss before it ends.")
    ] = None,
    devices: Annotated[str, typer.Option(help="How many share a batch: a number, or all.")] = "1",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Leave TensorBoard's event files, too.")
    ] = False,
    package: TensorMaps = "tensormaps",
) -> None:
    """Train an autoencoder on the training participants of a split."""
    from regreveal.store.atomic import check_folder
    from regreveal.store.cohort import read_splits
    from regreveal.store.tensors import TensorStore
    from regreveal.tensormap import find_tensor_map

    check_folder(out)
    declared, tensors = find_tensor_map(tensor_map, package), TensorStore(store)
    declared.check_stored(tensors)
    present = set(tensors.sample_ids(declared.path))
    split = read_splits(splits)["split"]
    train_ids, validation_ids = (
        [i for i in split.index[split == name] if i in present] for name in ("train", "validation")
    )
    typer.echo(f"{len(train_ids)} participants to learn from, {len(validation_ids)} for validation")
    from regreveal.models import training  # takes seconds: once the input has been looked at

    training.train(
        tensors,
        declared,
        train_ids,
        validation_ids,
        out,
        latent_size=latent_size,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        precision=precision,
        accumulation=accumulation,
        averaging=averaging,
        schedule=schedule,
        patience=patience,
        devices=int(devices) if devices.isdigit() else devices,
        tensorboard=tensorboard,
    )


def embed(
    model: Annotated[
        str,
        typer.Option(help="Folder of a trained model, or one of the zoo, such as zoo:ecg_median."),
    ],
    store: Store,
    out: Annotated[Path, typer.Option(help="The embedding (parquet).")],
    dask: Dask = None,
) -> None:
    """Embed everyone in a store by a trained encoder."""
    from regreveal.cluster import on_cluster
    from regreveal.models import embedding
    from regreveal.models.model_folder import read_model_json, trained_tensor_map
    from regreveal.models.zoo import check_registered, find_model
    from regreveal.store.atomic import check_file
    from regreveal.store.tensors import TensorStore

    check_file(out)
    tensors, folder = TensorStore(store), find_model(model)
    facts = read_model_json(folder)
    trained_on = trained_tensor_map(facts)
    check_registered(folder, tensors)
    trained_on.check_stored(tensors)
    with on_cluster(dask):
        embedded = embedding.embed(folder, tensors, tensors.sample_ids(trained_on.path))
    embedded.write(out)
    if "learned_from" in facts:
        seed = facts["learned_from"]["seed"]
        typer.echo(f"trained on simulated people (seed {seed}): on nobody in a store of your own")
    typer.echo(f"{len(embedded.sample_ids)} participants: {out}")
