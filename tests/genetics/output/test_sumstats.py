"""GWAS-SSF and REGENIE's layout: what the standard asks for, and what stands where."""

import hashlib
import io

import numpy as np
import pandas as pd
import pytest
import yaml

from regreveal.errors import InputError
from regreveal.genetics.output.sumstats import (
    is_below,
    regenie_header,
    regenie_rows,
    ssf_header,
    ssf_metadata,
    ssf_metadata_path,
    ssf_rows,
)
from regreveal.genetics.univariate import Effects

TRAITS = 3


@pytest.fixture
def block():
    """Make variants of all sorts with effects on three traits."""
    rows = [
        ("chr1", 10, "rs1", "A", "G"),
        ("01", 20, "1:20", "a", "GTT"),
        ("22", 30, "rs3x", "C", "T"),  # not tested
        ("X", 40, "rs4", "C", "T"),
        ("Y", 50, "rs5", "C", "T"),
        ("XY", 55, "rs55", "C", "T"),  # no place in the standard
        ("MT", 60, "rs6", "C", "T"),
        ("scaffold", 70, "rs7", "C", "T"),  # no place
        ("2", 0, "rs8", "C", "T"),  # unplaced
        ("2", 90, "rs9", "C", "<DEL>"),  # no sequence
        ("2", 95, "rs10", "*", "T"),
    ]
    variants = pd.DataFrame(
        rows, columns=["chromosome", "position", "variant_id", "ref", "alt"], index=range(100, 111)
    )
    rng = np.random.default_rng(3)
    beta = rng.standard_normal((len(rows), TRAITS))
    error = rng.uniform(0.01, 1, beta.shape)
    neg_log10_p = rng.exponential(2, beta.shape)
    beta[2] = error[2] = neg_log10_p[2] = np.nan
    frequency = rng.uniform(size=len(rows))
    return variants, frequency, np.arange(1000, 1011), Effects(beta, error, neg_log10_p)


def _ssf(text: bytes, info: bool = False) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(ssf_header(info) + text), sep="\t", na_values="#NA", dtype={"chromosome": str}
    )


def test_ssf_has_the_standards_columns_in_its_order(block):
    columns = list(_ssf(ssf_rows(*block).texts[0]).columns)
    # Table 1 of the standard: columns 0 to 7, then the encouraged ones.
    assert columns[:8] == [
        "chromosome",
        "base_pair_location",
        "effect_allele",
        "other_allele",
        "beta",
        "standard_error",
        "effect_allele_frequency",
        "neg_log_10_p_value",
    ]
    assert columns[8:] == ["variant_id", "rsid", "ref_allele", "n"]


def test_ssf_rows_are_what_fits_the_standard_and_the_rest_is_counted(block):
    result = ssf_rows(*block)
    table = _ssf(result.texts[1])
    assert list(table["chromosome"]) == ["1", "1", "23", "24", "25"]
    assert list(table["base_pair_location"]) == [10, 20, 40, 50, 60]
    assert result.left_out == {"chromosome": 2, "position": 1, "alleles": 2}
    assert list(table["effect_allele"]) == ["G", "GTT", "T", "T", "T"]
    assert list(table["other_allele"]) == ["A", "A", "C", "C", "C"]
    assert list(table["variant_id"][:2]) == ["1_10_A_G", "1_20_A_GTT"]
    assert list(table["rsid"].fillna("")) == ["rs1", "", "rs4", "rs5", "rs6"]
    assert set(table["ref_allele"]) == {"OA"}
    assert not table.drop(columns="rsid").isna().any(axis=None)


def test_each_trait_has_its_own_effects_beside_shared_columns(block):
    _, frequency, n, effects = block
    rows = [0, 1, 3, 4, 6]
    for trait, text in enumerate(ssf_rows(*block).texts):
        table = _ssf(text)
        np.testing.assert_allclose(table["beta"], effects.beta[rows, trait], rtol=1e-7)
        np.testing.assert_allclose(
            table["standard_error"], effects.standard_error[rows, trait], rtol=1e-7
        )
        np.testing.assert_allclose(
            table["neg_log_10_p_value"], effects.neg_log10_p[rows, trait], rtol=1e-7
        )
        np.testing.assert_allclose(table["effect_allele_frequency"], frequency[rows], rtol=1e-7)
        assert list(table["n"]) == list(n[rows])


def test_only_the_top_is_written_where_asked(block):
    _, _, _, effects = block
    fits = np.isin(np.arange(11), [0, 1, 3, 4, 6])
    ssf, regenie = ssf_rows(*block, top=0.01).texts, regenie_rows(*block, top=0.01)
    for trait in range(TRAITS):
        below = 10 ** -effects.neg_log10_p[:, trait] < 0.01
        assert ssf[trait].count(b"\n") == (below & fits).sum()
        assert regenie[trait].count(b"\n") == below.sum()
    assert ssf_rows(*block, top=1e-300).texts == [b""] * TRAITS


def test_top_is_strict_and_nothing_untested_is_top():
    values = np.array([2.0, np.nextafter(2, 3), np.nan, np.inf])
    assert list(is_below(values, 0.01)) == [False, True, False, True]
    assert is_below(values, None).all()


def test_imputation_quality_is_written_where_known(block):
    quality = np.linspace(0, 1, 11)
    table = _ssf(ssf_rows(*block, info=quality).texts[0], info=True)
    np.testing.assert_allclose(table["info"], quality[[0, 1, 3, 4, 6]])
    regenie = _regenie(regenie_rows(*block, info=quality)[0], info=True)
    np.testing.assert_allclose(regenie["INFO"], quality, rtol=1e-5)


def test_metadata_hold_what_the_standard_requires(tmp_path):
    table = tmp_path / "latent_0.tsv.gz"
    table.write_bytes(b"some table")
    text = ssf_metadata(table, "latent: 0", 1234, ["age"], notes="2 left out")
    read = yaml.safe_load(text)
    assert read["data_file_md5sum"] == hashlib.md5(b"some table").hexdigest()
    assert read["data_file_name"] == "latent_0.tsv.gz"
    assert read["trait_description"] == ["latent: 0"]
    assert read["author_notes"] == "2 left out"
    assert read["samples"][0]["sample_size"] == 1234
    assert read["samples"][0]["sample_ancestry_category"] == ["NR"]
    assert read["genotyping_technology"] == ["NR"]
    assert (read["genome_assembly"], read["coordinate_system"]) == ("unknown", "1-based")
    assert (read["is_harmonised"], read["is_sorted"]) == (False, True)
    assert read["adjusted_covariates"] == ["age"]
    assert ssf_metadata_path(table).name == "latent_0.tsv.gz-meta.yaml"
    assert "author_notes" not in ssf_metadata(table, "latent", 1234)
    assert ssf_metadata(table, "latent", 1234) == ssf_metadata(table, "latent", 1234)


def test_chromosomes_have_the_numbers_of_each_layout_whatever_they_are_called(block):
    names = ["NC_000001.11", "chr2", "03", "23", "NC_000024.10", "25", "26", "PAR1", "chrM"]
    variants, *rest = (
        block[0].iloc[[0] * len(names)].assign(chromosome=names),
        *(values[[0] * len(names)] for values in block[1:3]),
        Effects(*(values[[0] * len(names)] for values in block[3])),
    )
    ssf = _ssf(ssf_rows(variants, *rest).texts[0])["chromosome"]
    assert list(ssf) == ["1", "2", "3", "23", "24", "25", "25"]
    regenie = _regenie(regenie_rows(variants, *rest)[0])["CHROM"]
    assert list(regenie) == ["1", "2", "3", "23", "24", "25", "26", "25", "26"]
    # In mice 20 is X; of cattle's 29 autosomes the standard has a place for 22.
    variants["chromosome"] = ["19", "20", "21", "23", "X", "Y", "MT", "1", "2"]
    mice = ssf_rows(variants, *rest, autosomes=19).texts[0]
    assert list(_ssf(mice)["chromosome"]) == ["19", "23", "24", "25", "23", "24", "25", "1", "2"]
    mice = regenie_rows(variants, *rest, autosomes=19)[0]
    assert list(_regenie(mice)["CHROM"]) == ["19", "20", "21", "23", "20", "21", "23", "1", "2"]
    cattle = ssf_rows(variants, *rest, autosomes=29)
    assert cattle.left_out["chromosome"] == 1


def _regenie(text: bytes, info: bool = False) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(regenie_header(info) + text), sep=" ", dtype={"CHROM": str})


def test_regenie_rows_are_all_variants_with_the_alternate_allele_as_effect(block):
    variants, frequency, n, effects = block
    table = _regenie(regenie_rows(*block)[2])
    assert list(table["CHROM"]) == [
        "1",
        "1",
        "22",
        "23",
        "24",
        "25",
        "26",
        "SCAFFOLD",
        "2",
        "2",
        "2",
    ]
    assert list(table["ID"]) == list(variants["variant_id"])
    assert list(table["ALLELE0"]) == list(variants["ref"])
    assert list(table["ALLELE1"]) == list(variants["alt"])
    assert set(table["TEST"]) == {"ADD"}
    assert table["EXTRA"].isna().all()
    np.testing.assert_allclose(table["A1FREQ"], frequency, rtol=1e-5)
    np.testing.assert_allclose(table["BETA"], effects.beta[:, 2], rtol=1e-5)
    np.testing.assert_allclose(table["SE"], effects.standard_error[:, 2], rtol=1e-5)
    np.testing.assert_allclose(table["CHISQ"], (table["BETA"] / table["SE"]) ** 2, rtol=1e-4)
    np.testing.assert_allclose(table["LOG10P"], effects.neg_log10_p[:, 2], rtol=1e-5)
    assert list(table["N"]) == list(n)


def test_the_header_is_that_of_regenie(shared_data):
    with (shared_data / "genetics/regenie/test_bin_out_firth_Y1.regenie").open("rb") as file:
        assert regenie_header(info=True) == file.readline()


def test_ids_with_spaces_do_not_break_regenies_columns(block):
    variants, *rest = block
    with pytest.raises(InputError, match="column 'ID'"):
        regenie_rows(variants.replace({"variant_id": {"rs4": "rs 4"}}), *rest)


def test_a_block_without_variants_has_no_lines(block):
    variants, frequency, n, effects = block
    none = (variants[:0], frequency[:0], n[:0], Effects(*(values[:0] for values in effects)))
    assert ssf_rows(*none).texts == regenie_rows(*none) == [b""] * TRAITS
