"""Novelty: what counts as known, and which tables of known loci are read."""

import gzip

import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.genetics.known import mark_novel, read_known_loci
from regreveal.genetics.loci import read_loci

CATALOG = """PUBMEDID\tDISEASE/TRAIT\tCHR_ID\tCHR_POS\tSNPS\tMAPPED_TRAIT
1\tQT interval\t3\t38600000\trs1\tQT interval, "corrected
2\tno position\t\t\trs2\tnothing
3\ttwo places\t6;7\t100;200\trs3; rs4\ttwo
4\tan interaction\t1 x X\t1000 x 2000\trs5 x rs6\tboth
"""


@pytest.fixture
def loci():
    return pd.DataFrame(
        {
            "locus": [1, 2, 3],
            "row": [7, 70, 700],
            "variant_id": ["rs1", "rs2", "rs3"],
            "chromosome": ["1", "1", "X"],
            "start": [1_000_000, 5_000_000, 100],
            "end": [1_200_000, 5_000_000, 100],
            "position": [1_100_000, 5_000_000, 100],
        }
    )


def _known(*rows):
    return pd.DataFrame(rows, columns=["chromosome", "start", "end", "name"])


@pytest.mark.parametrize(
    ("position", "is_known", "distance"),
    [
        (500_000, True, 500_000),
        (499_999, False, 500_001),
        (1_000_000, True, 0),
        (1_200_000, True, 0),
        (1_700_000, True, 500_000),
        (1_700_001, False, 500_001),
    ],
)
def test_known_is_what_lies_in_the_region_or_the_window_around_it(
    loci, position, is_known, distance
):
    first = mark_novel(loci, _known(("1", position, position, "A"))).iloc[0]
    assert (first["known"], first["known_distance"]) == (is_known, distance)
    assert first["known_name"] == ("A" if is_known else "")


def test_the_nearest_known_place_is_named_by_the_lead_among_those_inside(loci):
    known = _known(
        ("1", 1_010_000, 1_010_000, "edge"),
        ("chr1", 1_090_000, 1_095_000, "beside the lead"),
        ("01", 1_300_000, 1_300_000, "outside"),
        ("2", 1_100_000, 1_100_000, "elsewhere"),
    )
    assert mark_novel(loci, known)["known_name"][0] == "beside the lead"


def test_a_place_inside_the_region_comes_before_one_outside_that_is_nearer_to_the_lead(loci):
    known = _known(("1", 1_210_000, 1_210_000, "outside"), ("1", 1_010_000, 1_010_000, "inside"))
    first = mark_novel(loci.assign(position=[1_190_000, 5_000_000, 100]), known).iloc[0]
    assert (first["known_name"], first["known_distance"]) == ("inside", 0)


def test_chromosomes_are_the_same_however_they_are_written(loci):
    marked = mark_novel(loci, _known(("chr23", 50, 90, "A")))
    assert list(marked["known"]) == [False, False, True]
    assert list(marked["known_distance"].isna()) == [True, True, False]
    assert marked["known_distance"][2] == 10
    marked = mark_novel(loci, _known(("NC_000023.11", 50, 90, "A"), ("27", 1, 1, "B")))
    assert list(marked["known"]) == [False, False, True]
    marked = mark_novel(loci, _known(("chr23", 50, 90, "A"), ("30", 50, 90, "B")), autosomes=29)
    assert list(marked["known_name"]) == ["", "", "B"]


def test_marks_are_read_back_with_the_loci(loci, tmp_path):
    marked = mark_novel(loci, _known(("1", 1_000_000, 1_000_001, "007"))).assign(
        distance=pd.array([pd.NA] * 3, dtype="Int64")
    )
    marked.to_csv(tmp_path / "loci.tsv", sep="\t", index=False, na_rep="NA")
    read = read_loci(tmp_path / "loci.tsv")
    pd.testing.assert_frame_equal(read, marked, check_dtype=False)
    assert read["known"].dtype == bool


def test_no_loci_are_marked_too(loci):
    marked = mark_novel(loci[:0], _known(("1", 1, 1, "A")))
    assert {"known", "known_name", "known_distance"} <= set(marked)
    assert marked.empty


def test_a_download_of_the_gwas_catalog_is_read(tmp_path):
    path = tmp_path / "catalog.tsv"
    path.write_text(CATALOG)
    known = read_known_loci(path)
    assert list(known["chromosome"]) == ["3", "6", "7", "1", "X"]
    assert list(known["start"]) == list(known["end"]) == [38_600_000, 100, 200, 1000, 2000]
    assert list(known["name"]) == ['QT interval, "corrected', "two", "two", "both", "both"]


def test_own_tables_have_a_position_or_a_start_and_an_end(tmp_path):
    path = tmp_path / "known.csv.gz"
    path.write_bytes(gzip.compress(b'trait,chromosome,position\n"a, b",chr1,5\nc,X,6\n'))
    known = read_known_loci(path)
    assert list(known["name"]) == ["a, b", "c"]
    assert list(known["start"]) == list(known["end"]) == [5, 6]
    path = tmp_path / "known.tsv"
    path.write_text("chromosome\tstart\tend\n1\t5\t9\n")
    assert read_known_loci(path).to_dict("list") == {
        "chromosome": ["1"],
        "start": [5],
        "end": [9],
        "name": [""],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("chromosome\tpos\n1\t5\n", "no column 'position' .there are: chromosome, pos."),
        ("position\n5\n", "no column 'chromosome'"),
        ("chromosome\tstart\n1\t5\n", "no column 'end'"),
        ("chromosome\tposition\n1\tfive\n", "'position' has values .* such as 'five'"),
        ("chromosome\tposition\n1\t5.5\n", "such as '5.5'"),
        ("chromosome\tposition\n1\t\n", "'position' has values"),
        ("chromosome\tstart\tend\n1\t9\t5\n", "start 9 is after end 5"),
        ("chromosome\tposition\n", "no known locus"),
        ("CHR_ID\tCHR_POS\n\t\n", "no known locus"),
        ("CHR_ID\tCHR_POS\n1;2\t5\n", "not as many places"),
        ("", "cannot be read as a table"),
    ],
)
def test_bad_tables_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "known.tsv"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"^known\.tsv: [^\n]*{message}[^\n]*$"):
        read_known_loci(path)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_known_loci(tmp_path / "nowhere.tsv")
