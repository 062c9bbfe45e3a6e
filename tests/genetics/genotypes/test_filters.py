import gzip
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.genetics.genotypes.filters import (
    VariantFilter,
    parse_region,
    read_regions,
    read_variant_list,
)


def variants(*rows):
    return pd.DataFrame(rows, columns=["chromosome", "position", "variant_id"])


def by_genotypes(limits, counts, participants=None, **more):
    n_ref, n_het, n_hom = np.array(counts).T
    n = n_ref + n_het + n_hom
    with np.errstate(invalid="ignore"):
        frequency = (n_het + 2 * n_hom) / (2 * n)
    participants = n.max() if participants is None else participants
    chosen = VariantFilter(**limits)
    return list(chosen.by_genotypes(n_ref, n_het, n_hom, frequency, participants, **more))


# Regions and lists


def test_both_ends_of_a_region_belong_to_it():
    rows = variants(*(("6", position, "v") for position in (999, 1000, 2500, 3000, 3001)))
    kept = VariantFilter(regions=[parse_region("chr6:1,000-3,000")]).by_place(rows)
    assert (kept == "").tolist() == [False, True, True, True, False]


def test_a_whole_chromosome_has_unplaced_variants_too_and_goes_by_any_name():
    rows = variants(("chrX", 0, "a"), ("23", 7, "b"), ("x", 10**9, "c"), ("2", 7, "d"))
    kept = VariantFilter(regions=[parse_region("X")]).by_place(rows)
    assert (kept == "").tolist() == [True, True, True, False]


def test_regions_may_lie_within_others():
    rows = variants(("1", 50, "v"), ("1", 90, "v"), ("1", 101, "v"))
    nested = [("1", 20, 30), ("1", 10, 100), ("1", 60, 70)]
    assert (VariantFilter(regions=nested).by_place(rows) == "").tolist() == [True, True, False]


@settings(max_examples=100, deadline=None)
@given(
    regions=st.lists(
        st.tuples(st.sampled_from("12"), st.integers(0, 40), st.integers(0, 30)),
        min_size=1,
        max_size=6,
    ),
    places=st.lists(st.tuples(st.sampled_from("123"), st.integers(-2, 80)), max_size=30),
)
def test_any_regions_keep_what_lies_in_one_of_them(regions, places):
    regions = [(name, start, start + length) for name, start, length in regions]
    rows = variants(*((name, position, "v") for name, position in places))
    expected = [
        any(own == name and start <= position <= end for own, start, end in regions)
        for name, position in places
    ]
    assert (VariantFilter(regions=regions).by_place(rows) == "").tolist() == expected


@pytest.mark.parametrize(
    "text", ["", "6:1000", "6:a-b", "6:5-", "6:-5-9", "1-22", "6:1-2-3", "6 7"]
)
def test_malformed_regions_are_refused(text):
    with pytest.raises(InputError, match="expected a chromosome, such as 17, or a part of one"):
        parse_region(text)


def test_regions_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="region '6:9-8' ends before it starts"):
        parse_region("6:9-8")
    with pytest.raises(InputError, match="region 6:9-8 ends before it starts"):
        VariantFilter(regions=[("6", 9, 8)])
    with pytest.raises(InputError, match="chromosome '60'"):
        VariantFilter(regions=[parse_region("60")])
    with pytest.raises(InputError, match="regions: an empty list"):
        VariantFilter(regions=[])


def test_bed_files_count_from_zero_without_the_end(tmp_path):
    path = tmp_path / "regions.bed"
    path.write_text("track name=mine\n# note\nchr6\t999\t3000\tMHC\n\n8 0 1\n")
    assert read_regions(path) == [("chr6", 1000, 3000), ("8", 1, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr6\t5\n", "line 1: expected chromosome, start and end"),
        ("chr6\t1\t2\nchr6\t-3\t9\n", "line 2: expected chromosome, start and end"),
        ("chr6\t5\t5\n", "line 1: start 5 is not below end 5"),
        ("# nothing\n", "no regions in it"),
    ],
)
def test_malformed_bed_files_are_refused(tmp_path, text, message):
    path = tmp_path / "regions.bed"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"regions\.bed: {message}") as error:
        read_regions(path)
    assert "\n" not in str(error.value)


def test_variant_lists_are_the_first_column(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("#ID\tP\nrs1\t0.1\n\nrs2 x\nrs1\n")
    packed = tmp_path / "ids.txt.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_variant_list(path) == read_variant_list(packed) == {"rs1", "rs2"}


def test_unusable_variant_lists_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_variant_list(tmp_path / "none.txt")
    for name, content, message in (
        ("empty.txt", b"\n", "no variant ids in it"),
        ("ids.bed", b"l\x1b\x01\xff\xfe", "not a text file"),
        ("cut.gz", gzip.compress(b"rs1\n" * 999)[:-9], "not a text file"),
        ("plain.gz", b"rs1\n", "not a text file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message) as error:
            read_variant_list(tmp_path / name)
        assert "\n" not in str(error.value)


def test_each_variant_is_left_out_for_the_first_reason_only():
    rows = variants(("1", 5, "a"), ("1", 5, "b"), ("1", 5, "c"), ("2", 5, "c"), ("1", 5, "d"))
    chosen = VariantFilter(
        regions=[parse_region("1")], include={"a", "c", "gone"}, exclude=["c", "d"]
    )
    reasons = chosen.by_place(rows)
    assert list(reasons) == [
        *("", "not_in_list", "excluded_by_list", "outside_regions", "not_in_list")
    ]


def test_ids_of_the_list_that_are_nowhere_can_be_told():
    chosen = VariantFilter(regions=[parse_region("1")], include={"a", "b", "gone"})
    met = chosen.include_met(variants(("1", 5, "a"), ("1", 6, "x")))
    met |= chosen.include_met(variants(("2", 5, "b"), ("2", 6, "a")))
    assert chosen.include - met == {"gone"}


def test_a_filter_without_limits_keeps_everything():
    assert list(VariantFilter().by_place(variants(("odd name", 0, "a")))) == [""]
    assert by_genotypes({}, [(0, 0, 0), (5, 0, 0)]) == ["", ""]


def test_filters_travel_to_other_processes():
    chosen = VariantFilter(regions=[parse_region("1")], include={"a"})
    chosen.by_place(variants(("1", 5, "a")))
    assert pickle.loads(pickle.dumps(chosen)) == chosen


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"minimum_maf": 0.6}, "minimum_maf 0.6: expected a number from 0 to 0.5"),
        ({"maximum_maf": -0.1}, "maximum_maf -0.1: expected"),
        ({"minimum_maf": 0.2, "maximum_maf": 0.1}, "minimum_maf 0.2 is above maximum_maf 0.1"),
        ({"minimum_mac": -1}, "minimum_mac -1: expected a number at least 0"),
        ({"minimum_info": 1.5}, "minimum_info 1.5: expected a number from 0 to 1"),
        ({"hwe_p": np.nan}, "hwe_p nan: expected a number from 0 to 1"),
        ({"maximum_missing": 3}, "maximum_missing 3: expected a number from 0 to 1"),
        ({"include": set()}, "include: an empty list; leave the option out"),
    ],
)
def test_limits_out_of_range_are_refused(limits, message):
    with pytest.raises(InputError, match=message):
        VariantFilter(**limits)


# Genotypes


def test_limits_are_within():
    # 20 of 2,000 alleles, either way round, are 0.01 exactly.
    counts = [(980, 20, 0), (0, 20, 980), (981, 19, 0), (979, 21, 0), (0, 21, 979)]
    assert by_genotypes({"minimum_maf": 0.01}, counts) == ["", "", "maf", "", ""]
    assert by_genotypes({"maximum_maf": 0.01}, counts) == ["", "", "", "maf", "maf"]
    assert by_genotypes({"minimum_mac": 20}, counts) == ["", "", "mac", "", ""]
    counts = [(90, 0, 0), (89, 0, 0), (0, 0, 0)]
    limits = {"maximum_missing": 0.1}
    assert by_genotypes(limits, counts, 100) == ["", "missingness", "missingness"]


def test_what_is_unknown_is_within_no_limit():
    counts = [(0, 0, 0)]
    assert by_genotypes({"minimum_maf": 0.0}, counts, 10) == ["maf"]
    assert by_genotypes({"minimum_mac": 1}, counts, 10) == ["mac"]
    assert by_genotypes({"minimum_info": 0.3}, counts, 10, info=np.array([np.nan])) == ["info"]
    assert by_genotypes({"hwe_p": 0.5}, counts, 10) == [""]


def test_genotype_reasons_follow_their_order():
    limits = {
        "maximum_missing": 0.1,
        "minimum_maf": 0.05,
        "minimum_mac": 30,
        "minimum_info": 0.8,
        "hwe_p": 1e-6,
    }
    counts = [(0, 1, 0), (99, 1, 0), (81, 18, 0), (25, 50, 25), (50, 0, 50), (25, 50, 25)]
    info = np.array([0.1, 0.1, 0.1, 0.1, 1.0, 1.0])
    assert by_genotypes(limits, counts, 100, info=info) == [
        *("missingness", "maf", "mac", "info", "hwe", "")
    ]


def test_hard_calls_pass_any_quality():
    assert by_genotypes({"minimum_info": 1.0}, [(5, 5, 5)]) == [""]


def test_on_x_equilibrium_is_that_of_women():
    # With men as homozygotes, X never looks in equilibrium.
    everyone, women = [(150, 50, 150)], (np.array([25]), np.array([50]), np.array([25]))
    assert by_genotypes({"hwe_p": 1e-6}, everyone) == ["hwe"]
    assert by_genotypes({"hwe_p": 1e-6}, everyone, hwe_counts=women) == [""]
