"""What pages name and nothing of theirs makes: raw files, other programs' files, a package."""

import os
import shutil
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
import wfdb

from regreveal.brain_atlas import template
from regreveal.ecg_leads import LEADS
from regreveal.simulation.ecg import phantom
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from tests.ingest.image_files import body, brain, write_brain, write_cine, write_picture

SITE_MAPS = """\
from regreveal.tensormap import Standardize, TensorMap

SCALE = Standardize(mean=100, standard_deviation=50)
hip = TensorMap("mysite.hip", "dxa/mysite", (400, 200, 1), "intensity", "dxa", "A hip.", SCALE)
"""
LATENTS = 4
# How many are kept of what takes long to register. Of more cines, each is held to be like the
# others, which takes more training than is done here.
FEW = {"cardiac/lax_4ch_small": 4, "dxa/body": 40}


def link(source: Path, target: Path) -> None:
    """Give a file or a folder another place, without copying what is in it."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=os.link)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)


def write_raw_files(folder: Path, people: Path) -> None:
    """Write one participant's raw files of every modality, and files that other programs leave."""
    _write_ecg(folder)
    write_picture(folder / "images/p1.png", body(400, 200))
    write_brain(folder / "scans/p1.nii.gz", brain((60, 70, 60)))
    write_cine(folder / "cines/p1", frames=50)
    _write_ready_transform(folder)
    _write_hospital_records(folder, people)
    cohort = read_table(people / "cohort.tsv")
    latents = np.random.default_rng(0).normal(size=(len(cohort), LATENTS))
    table = pd.DataFrame(latents, cohort.index).add_prefix("latent_")
    table.to_csv(folder / "hidden_inference_dxa.tsv", sep="\t")
    link(people / "cohort.tsv", folder / "cohort.tsv")
    for file in (people / "genotypes").iterdir():
        link(file, folder / file.name)
    (folder / "lead_variants.txt").write_text("\n".join(few_variants(people)) + "\n")
    (folder / "ids.txt").write_text("\n".join(cohort.index) + "\n")
    (folder / "withdrawn.txt").write_text(f"{cohort.index[0]}\n")
    (folder / "mysite_maps").mkdir()
    (folder / "mysite_maps/mysite.py").write_text(SITE_MAPS)


def few_variants(people: Path) -> list[str]:
    """Ids of some of the simulated variants, over the genome."""
    variants = (people / "genotypes" / "genome.bim").read_text().splitlines()
    return [line.split("\t")[1] for line in variants[::60]]


def complete_people(people: Path) -> None:
    """Give simulated people what takes long to simulate, or to learn from, in little."""
    store = TensorStore(people / "tensors")
    ids = read_table(people / "cohort.tsv").index.tolist()
    image = np.pad(template(6)[0], 3)
    moved = [np.roll(image, shift, (0, 1, 2)) for shift in ((0, 0, 0), (1, 0, -1), (0, 2, 1))]
    store.write(
        "brain/t1_native_6mm",
        (200 * np.stack(moved)).astype(np.uint8),
        ids[: len(moved)],
        units="intensity",
        voxel_size=(6.0,) * 3,
    )
    for name, count in FEW.items():
        tensors, attributes = store.read(name)[:count], store.attributes(name)
        shutil.rmtree(people / "tensors" / name)
        size = attributes["voxel_size"]
        TensorStore(people / "tensors").write(
            name, tensors, ids[:count], units=attributes["units"], voxel_size=size
        )


def write_predictions(folder: Path, step1: Path) -> None:
    """Write what REGENIE's step 1 leaves: predictions, here of nothing, a file a latent."""
    people = pd.read_csv(step1 / "phenotypes.txt", sep=r"\s+", dtype=str)
    names = (people["FID"] + "_" + people["IID"]).tolist()
    rows = [" ".join(["FID_IID", *names])]
    rows += [" ".join([str(chromosome), *["0"] * len(names)]) for chromosome in range(1, 24)]
    latents = [column for column in people if column.startswith("latent_")]
    for number, _ in enumerate(latents, 1):
        (folder / f"fit_{number}.loco").write_text("\n".join(rows) + "\n")
    listed = [f"{name} fit_{number}.loco" for number, name in enumerate(latents, 1)]
    (folder / "fit_pred.list").write_text("\n".join(listed) + "\n")


def _write_ecg(folder: Path) -> None:
    ecg, _ = phantom(1, np.random.default_rng(0))
    (folder / "recordings").mkdir(parents=True)
    wfdb.wrsamp(
        "p1",
        500,
        ["mV"] * 12,
        list(LEADS),
        ecg[0].astype(float),
        write_dir=str(folder / "recordings"),
    )
    (folder / "hd5").mkdir()
    with h5py.File(folder / "hd5" / "1.hd5", "w") as file:
        for lead, samples in zip(LEADS, ecg[0].T, strict=True):
            file[f"/ukb_ecg_rest/strip_{lead}/instance_0"] = samples * 200


def _write_ready_transform(folder: Path) -> None:
    """Write a head that lies elsewhere than the template's, with ITK's transform to there."""
    image, affine = template(4)
    nibabel.Nifti1Image(image, affine).to_filename(folder / "FSL_REFERENCE.nii.gz")
    there = affine.copy()
    there[:3, 3] += 6, -4, 9
    nibabel.Nifti1Image(100 * image, there).to_filename(folder / "scans/p2.nii.gz")
    (folder / "matrices").mkdir()
    # ITK's first two axes point the other way.
    (folder / "matrices/p2.txt").write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 1 0 0 0 1 0 0 0 1 -6 4 9\nFixedParameters: 0 0 0\n"
    )


def _write_hospital_records(folder: Path, people: Path) -> None:
    """Write the simulated diagnoses as UK Biobank's two tables, and phecodeX's from the map."""
    diagnoses = pd.read_csv(people / "diagnoses.tsv", sep="\t", dtype=str)
    diagnoses["ins_index"] = diagnoses.groupby("sample_id").cumcount()
    diagnoses = diagnoses.rename(
        columns={"sample_id": "eid", "icd10": "diag_icd10", "icd9": "diag_icd9", "date": "epistart"}
    )
    for name, columns in {
        "hesin_diag.txt": ["eid", "ins_index", "diag_icd10", "diag_icd9"],
        "hesin.txt": ["eid", "ins_index", "epistart"],
    }.items():
        diagnoses[columns].to_csv(folder / name, sep="\t", index=False)
    for name, table in {
        "phecodeX_unrolled_ICD_WHO.csv": "phecodes.tsv",
        "phecodeX_info.csv": "phecode_info.tsv",
    }.items():
        pd.read_csv(people / table, sep="\t", dtype=str).to_csv(folder / name, index=False)
