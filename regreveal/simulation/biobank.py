"""A whole biobank from one seed: genomes, traits, recordings, health, and the truth of it all."""

import json
import os
import secrets
import shutil
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from regreveal.compute import parallel_map
from regreveal.errors import InputError
from regreveal.simulation import health
from regreveal.simulation.genome import (
    ANCESTRIES,
    CHROMOSOME_MB,
    Genome,
    call_genotypes,
    draw_genome,
    principal_components,
    write_plink,
)
from regreveal.simulation.recordings import Recordings
from regreveal.simulation.traits import Traits, draw_traits, read_table
from regreveal.store.atomic import make_folder, place_for_folder
from regreveal.store.cohort import write_table
from regreveal.store.tensors import TensorStore

MODALITIES = ("ecg", "dxa", "brain", "cardiac")
FEWEST_PARTICIPANTS = 100
FEWEST_VARIANTS = 200
PRINCIPAL_COMPONENTS = 10
FILLER_GENES = 2000
FILLER_DISTANCE_BP = 500_000  # planted genes stay the nearest to their variants' neighbours
CHUNK = 250  # participants recorded at once, each chunk from a seed of its own


def simulate_biobank(
    folder: str | os.PathLike,
    participants: int = 4000,
    variants: int = 20000,
    seed: int = 1,
    modalities: Sequence[str] = MODALITIES,
) -> None:
    """Write a simulated biobank: the same parameters give the same bytes.

    Parameters
    ----------
    folder : path-like
        Where it is to be. A biobank of the same parameters that is there already is left as it
        is; otherwise the folder must be empty or not exist. It appears whole or not at all.
    participants, variants : int
        How many.
    seed : int
        All randomness comes from it.
    modalities : sequence of str
        Which images to make, of "ecg", "dxa", "brain" and "cardiac". People's genomes, traits and
        health do not depend on it.

    Raises
    ------
    InputError
        If a parameter is out of range or the folder holds something else.
    """
    folder = Path(folder)
    parameters = {
        "participants": participants,
        "variants": variants,
        "seed": seed,
        "modalities": list(modalities),
    }
    _check_parameters(**parameters)
    if _already_there(folder, parameters):
        return
    folder = place_for_folder(folder)
    make_folder(folder.parent)
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    try:
        # One thread: the order in which threads add up would show in the last digits.
        with threadpool_limits(1):
            _write_biobank(unfinished, parameters)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check_parameters(participants: int, variants: int, seed: int, modalities: list[str]) -> None:
    if participants < FEWEST_PARTICIPANTS:
        raise InputError(f"{participants} participants; expected at least {FEWEST_PARTICIPANTS}")
    if variants < FEWEST_VARIANTS:
        raise InputError(f"{variants} variants; expected at least {FEWEST_VARIANTS}")
    if seed < 0:
        raise InputError(f"seed {seed}; expected 0 or more")
    unknown = [modality for modality in modalities if modality not in MODALITIES]
    if unknown or not modalities:
        found = f"unknown modality '{unknown[0]}'" if unknown else "no modality"
        raise InputError(f"{found}; those that can be simulated are: {', '.join(MODALITIES)}")


def _already_there(folder: Path, parameters: dict) -> bool:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; expected a folder for the biobank")
    if not folder.exists() or not any(folder.iterdir()):
        return False
    description = folder / "biobank.json"
    if not description.is_file():
        raise InputError(f"{folder}: is not empty and holds no biobank; name another folder")
    try:
        found = json.loads(description.read_text())["parameters"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{description}: not the description of a biobank ({error})") from error
    different = [key for key in parameters if found.get(key) != parameters[key]]
    if different:
        key = different[0]
        raise InputError(
            f"{folder}: holds a biobank with {key} {found.get(key)}, not {parameters[key]}; "
            "name another folder or remove it"
        )
    return True


def _write_biobank(folder: Path, parameters: dict) -> None:
    participants, seed = parameters["participants"], parameters["seed"]
    # A stream for each part, so that a change to one leaves the others as they were.
    streams = np.random.SeedSequence(seed).spawn(5 + len(MODALITIES))
    genome_rng, person_rng, trait_rng, gene_rng, health_rng = map(
        np.random.default_rng, streams[:5]
    )
    traits, loci, genes = map(read_table, ("traits.tsv", "loci.tsv", "genes.tsv"))
    planted = genes[genes["gene"].isin(loci["gene"])]
    genome = draw_genome(participants, parameters["variants"], planted, genome_rng)
    called = call_genotypes(genome.dosages, genome_rng)

    sample_ids = [f"P{number:06d}" for number in range(1, participants + 1)]
    age = person_rng.uniform(45, 80, participants).round(1)
    male = person_rng.random(participants) < 0.48
    drawn = draw_traits(genome, age, male, traits, loci, trait_rng)
    lifestyle = health.draw_lifestyle(drawn.traits, age, male, health_rng)
    phenotypes = health.measure(drawn.traits, lifestyle, health_rng)
    diagnoses = health.draw_diagnoses(drawn.traits, lifestyle, age, male, health_rng)
    diagnoses.insert(0, "sample_id", np.array(sample_ids)[diagnoses.pop("row")])

    (folder / "genotypes").mkdir(parents=True)
    (folder / "truth").mkdir()
    sex = np.where(male, "male", "female")
    write_plink(folder / "genotypes" / "genome", called, genome.variants, sample_ids, sex)
    cohort = pd.DataFrame({"age": age, "sex": sex})
    # A stream of its own, so that who is ill does not depend on it.
    cohort["visit"] = health.draw_visits(participants, health_rng.spawn(1)[0])
    cohort["ancestry"] = np.array(ANCESTRIES)[genome.ancestry.argmax(axis=1)]
    components = principal_components(called, genome.variants, PRINCIPAL_COMPONENTS, seed)
    for number, component in enumerate(components.T, start=1):
        cohort[f"pc_{number}"] = component
    _write_people(folder / "cohort.tsv", cohort, sample_ids)
    _write_people(folder / "phenotypes.tsv", phenotypes, sample_ids)
    _write(folder / "phenotype_info.tsv", health.phenotype_info(traits))
    _write(folder / "diagnoses.tsv", diagnoses)
    _write(folder / "phecodes.tsv", health.phecode_map())
    _write(folder / "phecode_info.tsv", health.phecode_info())
    _write(folder / "genes.tsv", _with_filler_genes(genes, gene_rng))
    _write_truth(folder / "truth", genome, drawn, sample_ids)

    seen = drawn.traits.assign(bmi=lifestyle.bmi)
    seeds = {name: streams[5 + MODALITIES.index(name)] for name in parameters["modalities"]}
    _write_images(folder, seen, sample_ids, seeds)
    description = {
        "parameters": parameters,
        "counts": {
            "participants": participants,
            "variants": len(genome.variants),
            "planted_loci": int(drawn.causal["variant_id"].nunique()),
            "sibling_pairs": len(genome.siblings),
            "diagnoses": len(diagnoses),
        },
        "versions": {name: version(name) for name in ("regreveal", "numpy", "pandas", "scipy")},
    }
    (folder / "biobank.json").write_text(json.dumps(description, indent=2) + "\n")


def _write_truth(folder: Path, genome: Genome, drawn: Traits, sample_ids: list[str]) -> None:
    _write(folder / "causal_variants.tsv", drawn.causal)
    _write(folder / "heritability.tsv", drawn.heritability)
    _write(folder / "diseases.tsv", health.disease_truth())
    _write_people(folder / "traits.tsv", drawn.traits, sample_ids)
    _write_people(folder / "genetic_values.tsv", drawn.genetic, sample_ids)
    _write_people(
        folder / "ancestry.tsv", pd.DataFrame(genome.ancestry, columns=ANCESTRIES), sample_ids
    )
    pairs = np.array(sample_ids)[genome.siblings]
    families = pd.DataFrame(pairs, columns=["sample_id_1", "sample_id_2"])
    _write(folder / "families.tsv", families.assign(relationship="siblings"))


def _write_images(
    folder: Path,
    traits: pd.DataFrame,
    sample_ids: list[str],
    seeds: dict[str, np.random.SeedSequence],
) -> None:
    """Record everyone in each modality of `seeds`, chunk by chunk, with the truth of it all.

    All chunks are of one list, so that processes are started, and wait for the last, only once.
    """
    firsts = range(0, len(traits), CHUNK)
    chunks = [
        (modality, traits.iloc[first : first + CHUNK], chunk_seed)
        for modality, stream in seeds.items()
        for first, chunk_seed in zip(firsts, stream.spawn(len(firsts)), strict=True)
    ]
    stores = {name: TensorStore(folder / name) for name in ("tensors", "truth/labels")}
    recorded = parallel_map(_record_chunk, chunks, "Simulating recordings")
    tables = {}
    for (modality, first), recordings in zip(product(seeds, firsts), recorded, strict=True):
        ids = np.array(sample_ids[first : first + CHUNK])
        for kind, store in (("tensors", stores["tensors"]), ("labels", stores["truth/labels"])):
            for name, tensors in getattr(recordings, kind).items():
                attributes = recordings.attributes if kind == "tensors" else {"units": "label"}
                if name in recordings.voxel_sizes:
                    attributes = attributes | {"voxel_size": recordings.voxel_sizes[name]}
                store.write(f"{modality}/{name}", tensors, ids, source="simulated", **attributes)
        for name, table in recordings.truth.items():
            rows = table.pop("row") if "row" in table else np.arange(len(ids))
            table.insert(0, "sample_id", ids[rows])
            tables.setdefault(name, []).append(table)
    for name, parts in tables.items():
        write_table(pd.concat(parts, ignore_index=True), folder / "truth" / f"{name}.parquet")


def _record_chunk(chunk: tuple[str, pd.DataFrame, np.random.SeedSequence]) -> Recordings:
    modality, traits, seed = chunk
    module = import_module(f"regreveal.simulation.{modality}")
    return module.record(traits, np.random.default_rng(seed))


def _with_filler_genes(genes: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Add invented genes in between, so that a nearest gene is to be found everywhere."""
    chromosome = rng.choice(
        np.arange(1, 23), size=FILLER_GENES, p=CHROMOSOME_MB / CHROMOSOME_MB.sum()
    )
    start = rng.integers(1, CHROMOSOME_MB[chromosome - 1] * 1_000_000)
    end = start + np.exp(rng.normal(np.log(25_000), 1.0, FILLER_GENES)).astype(int)
    clear = np.ones(FILLER_GENES, dtype=bool)
    for gene in genes.itertuples():
        near = (start < gene.end + FILLER_DISTANCE_BP) & (end > gene.start - FILLER_DISTANCE_BP)
        clear &= ~(near & (chromosome == gene.chromosome))
    filler = pd.DataFrame({"chromosome": chromosome, "start": start, "end": end})[clear]
    filler["gene"] = [f"GENE{number:04d}" for number in range(1, len(filler) + 1)]
    table = pd.concat([genes, filler], ignore_index=True)
    return table.sort_values(["chromosome", "start"], ignore_index=True)


def _write_people(path: Path, table: pd.DataFrame, sample_ids: list[str]) -> None:
    _write(path, table.set_axis(pd.Index(sample_ids, name="sample_id")).reset_index())


def _write(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, sep="\t", index=False, float_format="%.8g", lineterminator="\n")
