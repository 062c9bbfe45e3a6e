"""BGZF blocks, read back by gzip and by htslib, and tables found by tabix."""

import gzip

import numpy as np
import pandas as pd
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.genetics.output.bgzf import BGZF_END, bgzf
from regreveal.genetics.output.tabix import index_table
from regreveal.genetics.output.table_text import header_line, tsv_lines


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=200_000), max_size=4))
def test_parts_joined_are_the_whole(parts):
    whole = b"".join(bgzf(part) for part in parts) + BGZF_END
    assert gzip.decompress(whole) == b"".join(parts)


def test_what_cannot_be_compressed_still_fits_a_block(tmp_path):
    noise = np.random.default_rng(1).bytes(300_000)
    (tmp_path / "noise.gz").write_bytes(bgzf(noise) + BGZF_END)
    with pysam.BGZFile(str(tmp_path / "noise.gz")) as file:
        assert file.read() == noise


def test_the_end_marker_is_that_of_htslib(tmp_path):
    with pysam.BGZFile(str(tmp_path / "empty.gz"), "w"):
        pass
    assert (tmp_path / "empty.gz").read_bytes() == BGZF_END


def test_a_table_joined_from_parts_can_be_looked_into(tmp_path):
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "chromosome": np.repeat(["1", "2", "X"], 20_000),
            "position": np.concatenate([np.sort(rng.integers(1, 10**8, 20_000)) for _ in "12X"]),
            "neg_log10_p": rng.exponential(0.43, 60_000),
        }
    )
    path, index = tmp_path / "table.tsv.gz", tmp_path / "elsewhere.tbi"
    parts = [
        bgzf(tsv_lines({name: part[name] for name in part}))
        for part in (table[:7], table[7:33_333], table[33_333:])
    ]
    path.write_bytes(bgzf(header_line(table.columns)) + b"".join(parts) + BGZF_END)
    assert index_table(path, index) == index
    with pysam.TabixFile(str(path), index=str(index)) as tabix:
        assert tabix.contigs == ["1", "2", "X"]
        found = [line.split("\t") for line in tabix.fetch("2", 49_999_999, 51_000_000)]
    inside = table["position"].between(50_000_000, 51_000_000) & (table["chromosome"] == "2")
    assert [int(position) for _, position, _ in found] == table.loc[inside, "position"].to_list()
    pd.testing.assert_frame_equal(
        pd.read_csv(path, sep="\t", dtype={"chromosome": str}), table, rtol=1e-11
    )


def test_unsorted_tables_get_no_index(tmp_path):
    path = tmp_path / "table.tsv.gz"
    path.write_bytes(bgzf(b"chromosome\tposition\n1\t5\n2\t1\n1\t7\n") + BGZF_END)
    with pytest.raises(InputError, match=r"table\.tsv\.gz: cannot be indexed .*by position"):
        index_table(path, tmp_path / "table.tbi")
    assert [left.name for left in tmp_path.iterdir()] == ["table.tsv.gz"]


@pytest.mark.parametrize(("position", "kind"), [(2**29, ".tbi"), (2**29 + 1, ".csi")])
def test_chromosomes_too_long_for_tabix_get_the_other_index(tmp_path, position, kind):
    path = tmp_path / "table.tsv.gz"
    text = f"chromosome\tposition\n1\t5\n1\t{position}\n2\t6\n"
    path.write_bytes(bgzf(text.encode()) + BGZF_END)
    index = index_table(path, tmp_path / "table.tsv.gz.tbi")
    assert index == tmp_path / f"table.tsv.gz{kind}"
    assert sorted(left.name for left in tmp_path.iterdir()) == [path.name, index.name]
    with pysam.TabixFile(str(path), index=str(index)) as tabix:
        assert list(tabix.fetch("1", position - 1, position)) == [f"1\t{position}"]
