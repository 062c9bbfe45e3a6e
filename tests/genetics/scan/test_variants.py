"""Which variants are tested, in which order, and how those that are not are counted."""

import numpy as np
import pandas as pd
import pytest

from regreveal.genetics.genotypes import open_genotypes
from regreveal.genetics.genotypes.filters import VariantFilter
from regreveal.genetics.gwas import run_gwas
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.scan import genome_stretches, units
from regreveal.store.embedding import Embedding
from tests.genetics.conftest import write_bed
from tests.genetics.scan.study import MEN, PEOPLE, bim, gwas, read, write_study


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


def test_listed_ids_count_once_however_often_they_stand_there(tmp_path):
    rng = np.random.default_rng(8)
    variants = bim(np.repeat(["1", "2"], 5), 1_000_000 * np.arange(1, 11)).assign(variant_id=".")
    dosages = rng.binomial(2, 0.4, (10, 300)).astype(np.int8)
    embedding, bed = write_study(tmp_path, dosages, variants, rng.standard_normal((300, 3)))
    chosen = VariantFilter(include={".", "absent"})
    result = run_gwas(embedding, bed, None, tmp_path / "out", variant_filter=chosen)
    assert result.summary["variants"]["listed_never_found"] == 1
    assert result.summary["variants"]["tested"] == 10


def test_ids_of_any_text_stay_what_they_are(tmp_path):
    rng = np.random.default_rng(7)
    dosages = np.tile(rng.binomial(2, 0.4, 300), (5, 1)).astype(np.int8)
    latents = rng.standard_normal((300, 3)) + 2 * dosages[0][:, None]
    names = ['"a', "NA", '"', "b", "nan"]
    variants = bim("1", 1_000_000 * (1 + 3 * np.arange(5))).assign(variant_id=names)
    embedding, bed = write_study(tmp_path, dosages, variants, latents)
    result = run_gwas(embedding, bed, None, tmp_path / "out")
    assert list(result.loci["variant_id"]) == names


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
