import numpy as np
import pandas as pd
import pytest

from regreveal.directions.variables import (
    find_variants,
    phecode_variables,
    phenotype_variables,
    variant_variables,
)
from regreveal.errors import InputError

IDS = ["a", "b", "c", "d"]


class Genotypes:
    """Three variants of four people, as a reader gives them."""

    path = "toy.bed"
    variants = pd.DataFrame(
        {"variant_id": ["rs1", "rs2", "rs2"], "ref": ["A", "C", "C"], "alt": ["G", "T", "A"]}
    )

    def blocks(self, samples, size, rows):
        dosages = np.array([[0, 1, 2, -1], [0, 0, 1, 1], [2, 2, 2, 2]], np.int8)
        columns = [IDS.index(name) for name in samples]
        yield self.variants.loc[rows], dosages[rows][:, columns]


def test_variants_count_the_alternate_allele_and_name_it():
    (variable,) = variant_variables(Genotypes(), [0], ["GENE"], ["d", "c", "a"])
    assert (variable.name, variable.label, variable.unit) == ("rs1", "GENE", "G allele")
    pd.testing.assert_series_equal(variable.numbers, pd.Series([np.nan, 2.0, 0.0], ["d", "c", "a"]))


def test_variant_ids_must_be_there_once():
    assert find_variants(Genotypes(), ["rs1"]) == [0]
    with pytest.raises(InputError, match="toy.bed: 2 variants have the id 'rs2'"):
        find_variants(Genotypes(), ["rs1", "rs2"])
    with pytest.raises(InputError, match="0 variants have the id 'rs3'"):
        find_variants(Genotypes(), ["rs3"])


def test_phecodes_keep_who_is_neither_case_nor_control_out():
    status = pd.DataFrame({"401": [1, 0, np.nan, 0]}, index=IDS, dtype="float32")
    info = pd.DataFrame({"name": ["Hypertension"]}, index=["401"])
    (variable,) = phecode_variables(status, info, ["401"])
    assert (variable.label, variable.unit) == ("Hypertension", "case")
    assert variable.numbers.notna().tolist() == [True, True, False, True]
    with pytest.raises(InputError, match="no phecode '402'"):
        phecode_variables(status, info, ["402"])


def test_phenotypes_are_in_standard_deviations_and_yes_or_no_stays():
    table = pd.DataFrame(
        {"bmi": [20, 30, np.nan, np.inf], "smoking": [0, 1, 1, 0], "town": list("wxyz")}, IDS
    )
    bmi, smoking = phenotype_variables(table, ["bmi", "smoking"])
    assert (bmi.unit, smoking.unit) == ("SD", "case")
    np.testing.assert_allclose(bmi.numbers, [4, 6, np.nan, np.nan])
    assert smoking.numbers.tolist() == [0, 1, 1, 0]
    with pytest.raises(InputError, match="no column 'height'"):
        phenotype_variables(table, ["height"])
    with pytest.raises(InputError, match="'town' is not of numbers"):
        phenotype_variables(table, ["town"])
