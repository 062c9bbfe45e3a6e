import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import typer
from bed_reader import open_bed
from typer.testing import CliRunner

from regreveal.cli.simulate import simulate
from regreveal.errors import InputError
from regreveal.phenome.phenotypes import read_phenotype_info, recognise_type
from regreveal.simulation import biobank as biobank_module
from regreveal.simulation.biobank import simulate_biobank
from regreveal.simulation.genome import SIBLING_SHARE
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore
from regreveal.tensormap import list_tensor_maps

from .conftest import PARTICIPANTS, SEED, VARIANTS


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(path):
    return pd.read_csv(path, sep="\t")


def test_same_seed_gives_the_same_bytes_on_any_number_of_cores(imaged, tmp_path, monkeypatch):
    monkeypatch.setattr(biobank_module, "CHUNK", 60)
    monkeypatch.setattr("regreveal.compute.available_cores", lambda: 1)
    simulate_biobank(tmp_path / "again", 100, 300, SEED)
    assert hashes(tmp_path / "again") == hashes(imaged)


def test_every_modality_has_images_labels_and_truth_of_everyone(imaged):
    ids = read_table(imaged / "cohort.tsv").index.to_list()
    images, labels = TensorStore(imaged / "tensors"), TensorStore(imaged / "truth" / "labels")
    assert set(labels.names()) == set(images.names()) - {"ecg/rest_10s"}
    declared = {m.path: m for m in list_tensor_maps() if m.path in images.names()}
    assert set(declared) == set(images.names())
    for name, tensor_map in declared.items():
        assert images.sample_ids(name) == ids
        tensor_map.check_stored(images)
    for name in labels.names():
        assert labels.sample_ids(name) == ids
        assert labels.shape(name) == images.shape(name)
        assert len(images.attributes(name)["voxel_size"]) in (2, 3)
    for name in ("ecg", "dxa", "brain", "cardiac"):
        assert read_table(imaged / "truth" / f"{name}.parquet").index.to_list() == ids


def test_people_are_the_same_whichever_modalities_they_are_recorded_in(imaged, tmp_path):
    simulate_biobank(tmp_path / "hearts", 100, 300, SEED, ["ecg"])
    for name in ("cohort.tsv", "phenotypes.tsv", "diagnoses.tsv", "genotypes/genome.bed"):
        assert (tmp_path / "hearts" / name).read_bytes() == (imaged / name).read_bytes()
    assert not (tmp_path / "hearts" / "tensors" / "dxa").exists()


def test_another_seed_gives_another_biobank(biobank, tmp_path):
    simulate_biobank(tmp_path / "other", 100, 300, SEED + 1, ["ecg"])
    simulate_biobank(tmp_path / "third", 100, 300, SEED + 2, ["ecg"])
    other, third = hashes(tmp_path / "other"), hashes(tmp_path / "third")
    unchanging = {name for name in other if other[name] == third[name]}
    assert unchanging == {
        "phecodes.tsv",
        "phecode_info.tsv",
        "phenotype_info.tsv",
        "truth/diseases.tsv",
        "tensors/ecg/rest_10s/.lock",
    }


def test_every_phenotype_and_what_the_cohort_tells_is_described(biobank):
    info = read_phenotype_info(biobank / "phenotype_info.tsv")
    phenotypes = read_table(biobank / "phenotypes.tsv")
    assert set(info.index) == {*phenotypes, "age", "sex", "ancestry"}
    assert (info["description"] != "").all()
    numbers = phenotypes.select_dtypes("number").columns
    assert (info.loc[numbers, "units"] != "").all()
    people = phenotypes.join(read_table(biobank / "cohort.tsv"))
    for name, given in info["type"][info["type"] != ""].items():
        assert recognise_type(people[name]).type == given


def test_everything_is_there_for_the_same_participants(biobank):
    ids = read_table(biobank / "cohort.tsv").index.to_list()
    assert len(ids) == PARTICIPANTS
    for name in ("phenotypes.tsv", "truth/traits.tsv", "truth/ancestry.tsv"):
        assert read_table(biobank / name).index.to_list() == ids, name
    store = TensorStore(biobank / "tensors")
    assert store.names() == ["ecg/rest_10s"]
    assert store.sample_ids("ecg/rest_10s") == ids
    assert store.shape("ecg/rest_10s") == (5000, 12)
    assert store.attributes("ecg/rest_10s")["units"] == "mV"
    assert store.attributes("ecg/rest_10s")["sampling_rate"] == 500
    with open_bed(biobank / "genotypes" / "genome.bed") as bed:
        assert list(bed.iid) == ids
        assert bed.shape == (PARTICIPANTS, VARIANTS)
        cohort = read_table(biobank / "cohort.tsv")
        assert list(np.where(bed.sex == 1, "male", "female")) == cohort["sex"].to_list()
    beats = pd.read_parquet(biobank / "truth" / "beats.parquet")
    assert beats["sample_id"].drop_duplicates().to_list() == ids
    assert set(read_table(biobank / "cohort.tsv").columns) == {
        *("age", "sex", "ancestry", "visit"),
        *(f"pc_{number}" for number in range(1, 11)),
    }
    assert not read_table(biobank / "cohort.tsv").isna().any().any()
    assert set(table(biobank / "diagnoses.tsv")["sample_id"]) < set(ids)
    families = table(biobank / "truth" / "families.tsv")
    assert len(families) == round(PARTICIPANTS * SIBLING_SHARE / 2)
    assert set(families["sample_id_1"]) | set(families["sample_id_2"]) < set(ids)


def test_recordings_belong_to_their_participants(biobank):
    store = TensorStore(biobank / "tensors")
    beats = pd.read_parquet(biobank / "truth" / "beats.parquet")
    rate = read_table(biobank / "truth" / "traits.tsv")["heart_rate"]
    rr = beats.groupby("sample_id")["r_sample"].apply(lambda r: np.diff(r).mean())
    assert np.corrcoef(rr, 30_000 / rate[rr.index])[0, 1] > 0.97
    ids = store.sample_ids("ecg/rest_10s")[-20:]
    for sample_id, ecg in zip(ids, store.read("ecg/rest_10s", ids), strict=True):
        own = beats.loc[(beats["sample_id"] == sample_id) & ~beats["is_ectopic"], "r_sample"]
        at_beats = np.abs(np.diff(ecg, axis=0)).max(axis=1)
        windows = [at_beats[int(r) - 15 : int(r) + 15].max() for r in own if 20 < r < 4970]
        assert np.median(windows) > np.percentile(at_beats, 90)


def test_causal_variants_are_in_the_genotypes_and_in_their_genes(biobank):
    causal = table(biobank / "truth" / "causal_variants.tsv")
    columns = ["chromosome", "variant_id", "cm", "position", "alt", "ref"]
    bim = pd.read_csv(biobank / "genotypes" / "genome.bim", sep="\t", names=columns)
    found = causal.merge(bim, on=["variant_id", "chromosome", "position"], validate="m:1")
    assert len(found) == len(causal)
    genes = table(biobank / "genes.tsv")
    for variant in causal.itertuples():
        near = genes[genes["chromosome"] == variant.chromosome]
        distance = np.maximum(near["start"] - variant.position, variant.position - near["end"])
        assert near.loc[distance.clip(0).idxmin(), "gene"] == variant.gene
    genes_of = causal.groupby("modality")["gene"].nunique()
    assert genes_of.between(10, 24).all()
    assert set(genes_of.index) == {"ecg", "dxa", "brain", "cardiac"}
    assert causal["variant_id"].nunique() == causal["gene"].nunique()
    assert causal["variance_explained"].between(0.02, 0.05).all()
    of_heart_rate = causal.loc[causal["trait"] == "heart_rate", "gene"].nunique()
    assert of_heart_rate <= 0.15 * genes_of["ecg"]
    assert genes["gene"].is_unique
    assert len(genes) > 1000


def test_description_says_what_was_made_and_nothing_of_when(biobank):
    description = json.loads((biobank / "biobank.json").read_text())
    assert description["parameters"] == {
        "participants": PARTICIPANTS,
        "variants": VARIANTS,
        "seed": SEED,
        "modalities": ["ecg"],
    }
    assert description["counts"]["participants"] == PARTICIPANTS
    assert description["counts"]["diagnoses"] == len(table(biobank / "diagnoses.tsv"))
    assert set(description) == {"parameters", "counts", "versions"}


def test_a_biobank_that_is_there_is_left_as_it_is(biobank):
    before = {path: path.stat().st_mtime_ns for path in biobank.rglob("*")}
    simulate_biobank(biobank, PARTICIPANTS, VARIANTS, SEED, ["ecg"])
    assert {path: path.stat().st_mtime_ns for path in biobank.rglob("*")} == before


def test_a_biobank_of_other_parameters_is_not_overwritten(biobank):
    with pytest.raises(InputError, match=f"holds a biobank with seed {SEED}, not 8"):
        simulate_biobank(biobank, PARTICIPANTS, VARIANTS, 8, ["ecg"])


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        simulate_biobank(tmp_path, 100, 300, 1)
    with pytest.raises(InputError, match="is a file"):
        simulate_biobank(tmp_path / "thesis.txt", 100, 300, 1)
    (tmp_path / "biobank.json").write_text("{}")
    with pytest.raises(InputError, match="not the description of a biobank"):
        simulate_biobank(tmp_path, 100, 300, 1)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_working_directory_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="name a folder in it"):
        simulate_biobank(".", participants=100, variants=500, modalities=["ecg"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"participants": 20}, "20 participants; expected at least 100"),
        ({"variants": 10}, "10 variants; expected at least 200"),
        ({"seed": -1}, "seed -1"),
        ({"modalities": ("ecg", "smell")}, "unknown modality 'smell'.*: ecg"),
        ({"modalities": ()}, "no modality"),
    ],
)
def test_wrong_parameters_are_one_clear_line(tmp_path, wrong, message):
    with pytest.raises(InputError, match=message):
        simulate_biobank(tmp_path / "biobank", **wrong)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_simulation_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(biobank_module, "_write_images", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulate_biobank(tmp_path / "biobank", 100, 300, 1)
    assert not list(tmp_path.iterdir())


def test_the_command_makes_a_biobank(tmp_path):
    app = typer.Typer()
    app.command()(simulate)
    folder = tmp_path / "biobank"
    arguments = [str(folder), "--participants", "100", "--variants", "300", "--seed", "4"]
    arguments += ["--modality", "ecg"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert str(folder) in result.output.replace("\n", "")
    assert json.loads((folder / "biobank.json").read_text())["parameters"]["seed"] == 4
