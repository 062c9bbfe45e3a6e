"""The scan as a whole: order, killed runs, clusters, filters, X, LOCO, several files."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from regreveal.cluster import on_cluster
from regreveal.errors import InputError
from regreveal.genetics.analyses import CORRECTED
from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.gwas import run_gwas
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.output.files import ResultFiles
from regreveal.genetics.scan import genome_stretches, units
from regreveal.genetics.trait_gwas import run_univariate_gwas
from regreveal.store.embedding import Embedding
from tests.genetics.conftest import write_bed

PEOPLE = [f"p{i}" for i in range(300)]
MEN = np.arange(300) % 2 == 0


def bim(chromosome, position):
    rows = np.arange(len(position))
    return pd.DataFrame(
        {
            "chromosome": chromosome,
            "variant_id": [f"rs{row}" for row in rows],
            "centimorgan": 0,
            "position": position,
            "alt": "A",
            "ref": "C",
        }
    )


@pytest.fixture
def study(tmp_path):
    """Make files of 300 people: 200 variants on four chromosomes, two of them with an effect."""
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, rng.uniform(0.15, 0.5, 200)[:, None], (200, 300)).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.01] = -1
    chromosome = np.repeat(["1", "2", "10", "X"], 50)
    haploid = np.ix_(chromosome == "X", MEN)
    dosages[haploid] = 2 * (dosages[haploid] > 0)
    latents = rng.standard_normal((300, 4))
    latents[:, 0] += 1.2 * dosages[60] + MEN
    latents[:, 1] += 1.2 * dosages[160]
    bed = write_bed(
        tmp_path / "genome.bed",
        dosages,
        PEOPLE,
        bim(chromosome, 5_000_000 + 10_000 * np.arange(200)),
    )
    Embedding(PEOPLE, latents).write(tmp_path / "embedding.parquet")
    covariates = pd.DataFrame(
        {"age": rng.normal(60, 8, 300), "sex": np.where(MEN, "male", "female")},
        index=pd.Index(PEOPLE, name="sample_id"),
    )
    covariates.to_csv(tmp_path / "covariates.tsv", sep="\t")
    return tmp_path, bed, covariates


def gwas(study, name="out", **options):
    folder, bed, _ = study
    options = {"sex_column": "sex", "covariate_columns": ["age"], "block_size": 16} | options
    return run_gwas(
        folder / "embedding.parquet", bed, folder / "covariates.tsv", folder / name, **options
    )


def read(path):
    return pd.read_csv(path, sep="\t", dtype={"chromosome": str})


def published(folder):
    """Bytes of every file of a finished run, but for the time it took."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
    summary = json.loads(files.pop("gwas.json"))
    del summary["seconds"]
    return files | {"gwas.json": summary}


ALL_OUTPUTS = {
    "per_dimension": True,
    "regenie_tables": True,
    "criteria": ("wilks",),
    "minimum_p": True,
}


@pytest.mark.parametrize("killed_after", [1, 7, 13])
def test_a_run_that_stops_midway_goes_on_to_the_same_bytes(study, monkeypatch, killed_after):
    gwas(study, "whole", **ALL_OUTPUTS)
    add_unit = ResultFiles.add_unit

    def stop(files, parts, counts):
        if files.units_done == killed_after:
            raise KeyboardInterrupt
        add_unit(files, parts, counts)

    monkeypatch.setattr(ResultFiles, "add_unit", stop)
    with pytest.raises(KeyboardInterrupt):
        gwas(study, "stopped", **ALL_OUTPUTS)
    folder = study[0] / "stopped"
    assert {path.name for path in folder.iterdir()} == {".lock", ".unfinished"}
    added = []
    monkeypatch.setattr(
        ResultFiles,
        "add_unit",
        lambda files, *unit: (added.append(files.units_done), add_unit(files, *unit)),
    )
    gwas(study, "stopped", **ALL_OUTPUTS)
    assert added[0] == killed_after  # what was done is not done again
    assert published(folder) == published(study[0] / "whole")
    assert len(published(folder)) == 1 + 2 + 1 + 4 * 3 + 4  # table, index, loci, dimensions, json


def test_a_killed_process_leaves_nothing_that_looks_whole_and_goes_on(study):
    """Kill the process itself, wherever it is."""
    folder, bed, _ = study
    gwas(study, "whole", block_size=1)
    script = (
        "from regreveal.genetics.gwas import run_gwas\n"
        f"run_gwas({str(folder / 'embedding.parquet')!r}, {str(bed)!r}, "
        f"{str(folder / 'covariates.tsv')!r}, {str(folder / 'killed')!r}, "
        "covariate_columns=['age'], sex_column='sex', block_size=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    state = folder / "killed/.unfinished/state.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if state.exists() and json.loads(state.read_text())["units_done"] > 20:
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "killed/gwas.json").exists()
    assert not (folder / "killed/manova.tsv.gz").exists()
    gwas(study, "killed", block_size=1)
    assert published(folder / "killed") == published(folder / "whole")


@pytest.mark.parametrize(
    "changed", [{"coding": "additive"}, {"transform": "rint"}, {"minimum_count": 5}]
)
def test_another_run_does_not_go_on_with_what_is_there(study, monkeypatch, changed):
    def stop(files, parts, counts):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ResultFiles, "add_unit", stop)
        with pytest.raises(KeyboardInterrupt):
            gwas(study, "stopped")
    with pytest.warns(UserWarning, match="started anew"):
        gwas(study, "stopped", **changed)
    gwas(study, "whole", **changed)
    assert published(study[0] / "stopped") == published(study[0] / "whole")


def test_genotypes_that_changed_meanwhile_are_not_gone_on_with(study, monkeypatch):
    folder, bed, _ = study
    add_unit = ResultFiles.add_unit

    def stop(files, parts, counts):
        if files.units_done == 5:
            raise KeyboardInterrupt
        add_unit(files, parts, counts)

    with monkeypatch.context() as patched:
        patched.setattr(ResultFiles, "add_unit", stop)
        with pytest.raises(KeyboardInterrupt):
            gwas(study, "stopped")
    content = bytearray(bed.read_bytes())
    content[3:3000] = content[-2997:]
    bed.write_bytes(content)
    with pytest.warns(UserWarning, match="started anew"):
        gwas(study, "stopped")
    gwas(study, "whole")
    assert published(folder / "stopped") == published(folder / "whole")


def test_a_folder_that_is_being_written_is_refused(study):
    import fcntl

    folder = study[0] / "out"
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is writing there"):
            gwas(study)


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as local:
        yield local


def test_a_cluster_writes_the_same_bytes(study, cluster):
    gwas(study, "here", **ALL_OUTPUTS)
    with on_cluster(cluster.scheduler_address):
        gwas(study, "there", **ALL_OUTPUTS)
    assert published(study[0] / "there") == published(study[0] / "here")


def test_a_cluster_that_loses_a_worker_writes_the_same_bytes(study, cluster, monkeypatch):
    from distributed import Client

    gwas(study, "here", block_size=2)
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        processes = list(client.run(os.getpid).values())
    add_unit = ResultFiles.add_unit

    def kill_a_worker(files, parts, counts):
        if files.units_done == 10:
            os.kill(processes[0], signal.SIGKILL)
        add_unit(files, parts, counts)

    monkeypatch.setattr(ResultFiles, "add_unit", kill_a_worker)
    with on_cluster(cluster.scheduler_address):
        gwas(study, "there", block_size=2)
    assert published(study[0] / "there") == published(study[0] / "here")


def test_unordered_files_give_the_same_table(study):
    folder, bed, _ = study
    genotypes = open_genotypes(bed)
    order = np.random.default_rng(1).permutation(200)
    write_bed(
        folder / "shuffled.bed",
        genotypes.dosages(order),
        PEOPLE,
        genotypes.variants.iloc[order].assign(centimorgan=0)[
            ["chromosome", "variant_id", "centimorgan", "position", "alt", "ref"]
        ],
    )
    gwas(study, "ordered")
    gwas((folder, folder / "shuffled.bed", None), "shuffled")
    assert (folder / "shuffled/manova.tsv.gz").read_bytes() == (
        folder / "ordered/manova.tsv.gz"
    ).read_bytes()


def test_files_of_single_chromosomes_give_the_same_table(study):
    folder, bed, _ = study
    genotypes = open_genotypes(bed)
    variants = genotypes.variants
    paths = []
    for chromosome in ("10", "X", "1", "2"):
        rows = np.flatnonzero(variants["chromosome"] == chromosome)
        people = np.random.default_rng(len(paths)).permutation(300)
        paths.append(folder / f"chromosome_{chromosome}.bed")
        write_bed(
            paths[-1],
            genotypes.dosages(rows)[:, people],
            [PEOPLE[i] for i in people],
            variants.iloc[rows].assign(centimorgan=0)[
                ["chromosome", "variant_id", "centimorgan", "position", "alt", "ref"]
            ],
        )
    one = gwas(study, "one")
    several = gwas((folder, paths, None), "several")
    pd.testing.assert_frame_equal(
        read(one.tables["manova"]), read(several.tables["manova"]), rtol=1e-9
    )
    assert list(several.loci["variant_id"]) == list(one.loci["variant_id"]) == ["rs60", "rs160"]


def test_units_are_pieces_of_one_chromosome_and_cover_all(study):
    stretches = genome_stretches(open_genotypes(study[1]))
    assert [stretch.chromosome for stretch in stretches] == ["1", "2", "10", "X"]
    pieces = list(units(stretches, 16))
    assert all(len(piece.rows) <= 16 for piece in pieces)
    assert np.concatenate([piece.rows for piece in pieces]).tolist() == list(range(200))


def test_filters_leave_variants_out_and_count_them(study):
    genotypes = open_genotypes(study[1])
    known = genotypes.dosages(np.arange(200))
    chosen = VariantFilter(
        regions=[("1", 1, 5_200_000), ("2", 5_000_000, 5_999_999)],
        exclude={"rs3", "rs4", "rs199"},
        minimum_maf=0.3,
    )
    result = gwas(study, variant_filter=chosen)
    table = read(result.tables["manova"])
    inside = [*range(21), *range(50, 100)]
    left = [row for row in inside if row not in (3, 4)]
    frequency = [known[row][known[row] >= 0].mean() / 2 for row in left]
    common = [row for row, p in zip(left, frequency, strict=True) if min(p, 1 - p) >= 0.3]
    assert list(table["variant_id"]) == [f"rs{row}" for row in common]
    variants = result.summary["variants"]
    assert variants["read"] == 200
    assert variants["outside_regions"] == 200 - len(inside)
    assert variants["excluded_by_list"] == 2
    assert variants["maf"] == len(left) - len(common)
    assert variants["tested"] == len(common)
    whole = read(gwas(study, "whole").tables["manova"]).set_index("variant_id")
    assert np.allclose(
        table["neg_log10_p"], whole.loc[table["variant_id"], "neg_log10_p"], rtol=1e-9
    )


def test_ids_of_the_list_that_are_nowhere_are_counted(study):
    chosen = VariantFilter(include={"rs7", "rs8", "rs-of-another-study"})
    result = gwas(study, variant_filter=chosen)
    assert list(read(result.tables["manova"])["variant_id"]) == ["rs7", "rs8"]
    assert result.summary["variants"]["listed_never_found"] == 1
    assert result.summary["variants"]["not_in_list"] == 198


def test_x_is_tested_with_sex_as_a_covariate(study):
    folder, bed, covariates = study
    table = read(gwas(study, transform="none").tables["manova"]).set_index("variant_id")
    genotypes = open_genotypes(bed)
    latents = Embedding.read(folder / "embedding.parquet").latents
    age = covariates[["age"]].to_numpy()
    both = np.column_stack([age, MEN])
    for rows, design in (([20, 60], age), ([150, 160, 199], both)):
        expected = LatentSpace(latents, design).test(genotypes.dosages(rows), minimum_count=20)
        found = table.loc[[f"rs{row}" for row in rows], "neg_log10_p"]
        assert found.to_numpy() == pytest.approx(expected["neg_log10_p"].to_numpy(), rel=1e-9)


def test_x_without_sex_is_left_out_and_counted(study):
    result = gwas(study, sex_column=None)
    assert result.summary["variants"]["x_without_sex"] == 50
    assert result.summary["variants"]["tested"] == 150
    assert "X" not in set(read(result.tables["manova"])["chromosome"])


def test_top_writes_only_small_p_values_and_loses_no_locus(study):
    everything = gwas(study, "all", per_dimension=True)
    top = gwas(study, "top", per_dimension=True, top=0.01)
    whole, part = (read(result.tables["manova"]) for result in (everything, top))
    pd.testing.assert_frame_equal(
        part, whole[whole[CORRECTED] > 2].reset_index(drop=True), check_dtype=False
    )
    pd.testing.assert_frame_equal(top.loci, everything.loci)
    assert top.summary["lambda_gc"] == everything.summary["lambda_gc"]
    dimension = read(study[0] / "top/dimensions/latent_0.tsv.gz")
    assert 0 < len(dimension) < 20
    assert (dimension["neg_log_10_p_value"] > 2).all()


def test_the_smallest_p_is_tested_too_and_its_overlap_told(study):
    result = gwas(study, minimum_p=True, permutations=500)
    table = read(result.tables["manova"]).set_index("variant_id")
    assert table.loc["rs60", "min_p_dimension"] == "latent_0"
    assert table.loc["rs160", "min_p_dimension"] == "latent_1"
    assert table["minp_permutation_neg_log10_p"].max() == pytest.approx(np.log10(501))
    told = result.summary["minimum_p"]
    assert told["overlap_with_joint_test"]["loci"] == {"joint_only": 0, "minp_only": 0, "both": 2}
    assert 3 < told["effective_dimensions"] <= 4


def test_loco_predictions_are_subtracted_chromosome_by_chromosome(study):
    folder, bed, covariates = study
    rng = np.random.default_rng(5)
    latents = Embedding.read(folder / "embedding.parquet").latents.astype(float)
    predictions = {name: rng.normal(0, 0.5, (4, 300)) for name in ("1", "2", "10", "23")}
    for dimension in range(4):
        lines = ["FID_IID " + " ".join(f"{name}_{name}" for name in PEOPLE)]
        for chromosome, values in predictions.items():
            lines.append(f"{chromosome} " + " ".join(f"{v:.17g}" for v in values[dimension]))
        (folder / f"step1_{dimension + 1}.loco").write_text("\n".join(lines) + "\n")
    (folder / "step1_pred.list").write_text(
        "".join(f"latent_{d} {folder / f'step1_{d + 1}.loco'}\n" for d in range(4))
    )
    result = gwas(study, transform="none", loco=folder / "step1_pred.list")
    assert "relatedness" not in result.summary
    table = read(result.tables["manova"]).set_index("variant_id")
    age = covariates[["age"]].to_numpy()
    basis = np.linalg.qr(np.column_stack([np.ones(300), age]))[0]
    rest = latents - basis @ (basis.T @ latents)
    scale = np.linalg.norm(rest, axis=0) / np.sqrt(300 - 2)
    genotypes = open_genotypes(bed)
    for row, chromosome in ((10, "1"), (60, "2"), (120, "10")):
        adjusted = rest - scale * predictions[chromosome].T
        expected = LatentSpace(adjusted, age).test(genotypes.dosages([row]), minimum_count=20)
        assert table.loc[f"rs{row}", "neg_log10_p"] == pytest.approx(
            expected["neg_log10_p"][0], rel=1e-8
        )


def test_confounders_are_projected_out_and_the_table_says_how_well(study):
    result = gwas(study, project_out_columns=["sex"])
    report = pd.read_csv(study[0] / "out/nullspace.tsv", sep="\t").set_index("confounder")
    assert report.loc["sex", "before"] > 0.6 > report.loc["sex", "after"]
    assert result.summary["settings"]["dimensions"] in (2, 3)  # a dimension a pass
    assert result.summary["settings"]["projected_out"] == ["sex"]
    assert result.summary["settings"]["covariates"] == ["age"]


def test_relatives_are_told(study):
    told = gwas(study).summary["relatedness"]
    assert told["participants"] == 300
    assert told["first_degree"] is None  # 200 variants are too few to tell


def write_study(folder, dosages, variants, latents):
    bed = write_bed(folder / "odd.bed", dosages, PEOPLE, variants)
    Embedding(PEOPLE, latents).write(folder / "odd.parquet")
    return folder / "odd.parquet", bed


def test_ids_of_any_text_stay_what_they_are(tmp_path):
    rng = np.random.default_rng(7)
    dosages = np.tile(rng.binomial(2, 0.4, 300), (5, 1)).astype(np.int8)
    latents = rng.standard_normal((300, 3)) + 2 * dosages[0][:, None]
    names = ['"a', "NA", '"', "b", "nan"]
    variants = bim("1", 1_000_000 * (1 + 3 * np.arange(5))).assign(variant_id=names)
    embedding, bed = write_study(tmp_path, dosages, variants, latents)
    result = run_gwas(embedding, bed, None, tmp_path / "out")
    assert list(result.loci["variant_id"]) == names


def test_an_unfinished_run_of_other_columns_is_not_gone_on_with(study, monkeypatch):
    from regreveal.genetics import analyses

    add_unit = ResultFiles.add_unit

    def stop(files, parts, counts):
        if files.units_done == 3:
            raise KeyboardInterrupt
        add_unit(files, parts, counts)

    with monkeypatch.context() as patched:
        patched.setattr(ResultFiles, "add_unit", stop)
        patched.setattr(analyses, "TABLE_COLUMNS", analyses.TABLE_COLUMNS[:-1])
        with pytest.raises(KeyboardInterrupt):
            gwas(study, "stopped")
    with pytest.warns(UserWarning, match="started anew"):
        gwas(study, "stopped")
    gwas(study, "whole")
    assert published(study[0] / "stopped") == published(study[0] / "whole")


def test_nothing_of_an_earlier_run_stays_beside_the_new_one(study):
    gwas(study, per_dimension=True, project_out_columns=["sex"])
    gwas(study)
    gwas(study, "fresh")
    assert published(study[0] / "out") == published(study[0] / "fresh")


def test_listed_ids_count_once_however_often_they_stand_there(tmp_path):
    rng = np.random.default_rng(8)
    variants = bim(np.repeat(["1", "2"], 5), 1_000_000 * np.arange(1, 11)).assign(variant_id=".")
    dosages = rng.binomial(2, 0.4, (10, 300)).astype(np.int8)
    embedding, bed = write_study(tmp_path, dosages, variants, rng.standard_normal((300, 3)))
    chosen = VariantFilter(include={".", "absent"})
    result = run_gwas(embedding, bed, None, tmp_path / "out", variant_filter=chosen)
    assert result.summary["variants"]["listed_never_found"] == 1
    assert result.summary["variants"]["tested"] == 10


def test_haploid_and_filtered_chromosomes_ask_for_no_loco_predictions(tmp_path):
    rng = np.random.default_rng(9)
    variants = bim(["1", "2", "GL000191.1", "Y", "MT"], 1_000_000 * np.arange(1, 6))
    dosages = rng.binomial(2, 0.4, (5, 300)).astype(np.int8)
    embedding, bed = write_study(tmp_path, dosages, variants, rng.standard_normal((300, 1)))
    header = "FID_IID " + " ".join(f"{name}_{name}" for name in PEOPLE)
    rows = [f"{c} " + " ".join(map(str, rng.normal(0, 0.1, 300))) for c in (1, 2)]
    (tmp_path / "one.loco").write_text("\n".join([header, *rows]) + "\n")
    (tmp_path / "pred.list").write_text(f"latent_0 {tmp_path / 'one.loco'}\n")
    chosen = VariantFilter(regions=[("1", 1, 10**9), ("2", 1, 10**9), ("Y", 1, 10**9)])
    options = {"loco": tmp_path / "pred.list"}
    with pytest.raises(InputError, match="no predictions for chromosome GL000191.1"):
        run_gwas(embedding, bed, None, tmp_path / "all", **options)
    result = run_gwas(embedding, bed, None, tmp_path / "out", variant_filter=chosen, **options)
    told = result.summary["variants"]
    assert (told["tested"], told["haploid_chromosome"], told["outside_regions"]) == (2, 1, 2)


def test_equilibrium_on_x_is_that_of_women(tmp_path):
    rng = np.random.default_rng(10)
    dosages = rng.binomial(2, 0.4, (3, 300)).astype(np.int8)
    dosages[:, MEN] = 2 * (dosages[:, MEN] > 0)
    dosages[1, ~MEN] = 1  # every woman heterozygous
    variants = bim("X", 5_000_000 + 1_000_000 * np.arange(3))
    embedding, bed = write_study(tmp_path, dosages, variants, rng.standard_normal((300, 3)))
    sex = pd.DataFrame({"sex": np.where(MEN, "M", "F")}, index=PEOPLE)
    result = run_gwas(
        *(embedding, bed, sex, tmp_path / "out"),
        sex_column="sex",
        variant_filter=VariantFilter(hwe_p=1e-6),
    )
    assert list(read(result.tables["manova"])["variant_id"]) == ["rs0", "rs2"]
    assert result.summary["variants"]["hwe"] == 1


def test_pseudo_autosomal_variants_need_no_sex(tmp_path):
    rng = np.random.default_rng(11)
    dosages = rng.binomial(2, 0.4, (2, 300)).astype(np.int8)
    variants = bim("X", np.array([1_000_000, 5_000_000]))
    embedding, bed = write_study(tmp_path, dosages, variants, rng.standard_normal((300, 3)))
    result = run_gwas(embedding, bed, None, tmp_path / "out")
    assert list(read(result.tables["manova"])["variant_id"]) == ["rs0"]
    assert result.summary["variants"]["x_without_sex"] == 1


def test_variants_without_a_row_in_the_standard_are_counted(tmp_path):
    rng = np.random.default_rng(12)
    dosages = rng.binomial(2, 0.4, (3, 300)).astype(np.int8)
    variants = bim("1", 1_000_000 * np.arange(1, 4)).assign(alt=["A", "<DEL>", "T"])
    embedding, bed = write_study(tmp_path, dosages, variants, rng.standard_normal((300, 2)))
    result = run_gwas(embedding, bed, None, tmp_path / "out", per_dimension=True)
    assert result.summary["variants"]["no_gwas_ssf_row_alleles"] == 1
    assert len(read(tmp_path / "out/dimensions/latent_0.tsv.gz")) == 2


@pytest.mark.parametrize("names", [["a", "a"], ["../a", "b"], ["", "b"]])
def test_traits_that_cannot_name_files_are_refused(study, names):
    traits = pd.DataFrame(np.random.default_rng(13).standard_normal((300, 2)), PEOPLE, names)
    with pytest.raises(InputError, match="cannot name a file of its own"):
        run_univariate_gwas(traits, study[1], None, study[0] / "traits")


def test_a_folder_that_is_a_file_is_one_line(study):
    (study[0] / "taken").write_text("")
    with pytest.raises(InputError, match="taken: is a file; expected a folder"):
        gwas(study, "taken")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criteria": ["lambda"]}, "criterion 'lambda'"),
        ({"top": 0}, "top 0: expected a p-value"),
        ({"sex_column": "gender"}, "no column 'gender'"),
        ({"project_out_columns": ["height"]}, "no column 'height'"),
        ({"loco": "nowhere.list"}, "nowhere.list"),
        ({"build": "hg19"}, "hg19"),
    ],
)
def test_bad_options_are_one_line(study, options, message):
    with pytest.raises(InputError, match=message) as error:
        gwas(study, **options)
    assert "\n" not in str(error.value)
    assert not (study[0] / "out/gwas.json").exists()


def test_a_lead_with_few_carriers_is_looked_at_by_permutation(tmp_path):
    """Latents that are far out together in few people make small groups significant."""
    rng = np.random.default_rng(14)
    latents = np.exp(rng.standard_normal((300, 8))) @ rng.standard_normal((8, 8))
    far_out = np.argsort(np.linalg.norm(latents - latents.mean(0), axis=1))[-20:]
    dosages = rng.binomial(2, 0.4, (3, 300)).astype(np.int8)
    dosages[1] = np.isin(np.arange(300), far_out)
    latents[:, 0] += 8 * dosages[2]
    variants = bim("1", 5_000_000 * np.arange(1, 4))
    embedding, bed = write_study(tmp_path, dosages, variants, latents)
    result = run_gwas(embedding, bed, None, tmp_path / "out", threshold=1e-3)
    loci = result.loci.set_index("variant_id")
    few = loci.loc["rs1"]
    assert few["neg_log10_p_permuted"] < few["neg_log10_p_corrected"]
    assert few["permuted_standard_error"] > 0 or few["permuted_at_least"]
    assert np.isfinite(loci.loc["rs2", "neg_log10_p_permuted"]) or loci.loc["rs2", "confirmed"]
    passes = ~(loci["neg_log10_p_permuted"] <= 3)
    assert list(loci["confirmed"]) == list(passes)
    assert result.summary["loci_not_confirmed"] == (~passes).sum()
