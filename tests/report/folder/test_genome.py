"""What the report reads of a GWAS: all that its plots show, however long the table is."""

import gzip

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.report.folder import reading
from regreveal.report.folder.genome import read_gwas
from regreveal.store.atomic import write_json


@pytest.fixture
def folder(tmp_path):
    """Write a GWAS of 1,000 variants on three chromosomes, one of them not tested."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "chromosome": np.repeat(["2", "10", "X"], [500, 300, 200]),
            "position": rng.integers(1, 10**8, 1000),
            "variant_id": "rs",
            "neg_log10_p_corrected": rng.exponential(1, 1000),
        }
    )
    table.loc[700, "neg_log10_p_corrected"] = np.nan
    with gzip.open(tmp_path / "manova.tsv.gz", "wt") as stream:
        table.to_csv(stream, sep="\t", index=False, na_rep="NA")
    names = "chromosome variant_id position ref alt alt_frequency neg_log10_p_corrected n_variants "
    (tmp_path / "loci.tsv").write_text("\t".join((names + "nearest_gene").split()) + "\n")
    about = dict.fromkeys(("settings", "participants", "variants", "lambda_gc"))
    write_json(about, tmp_path / "gwas.json")
    return tmp_path


def test_all_variants_are_read_some_at_a_time(folder, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 64)
    given, read_csv = [], pd.read_csv

    def noted(path, **options):
        table = read_csv(path, **options)
        given.append(len(table) if isinstance(table, pd.DataFrame) else None)
        return table

    monkeypatch.setattr(pd, "read_csv", noted)
    drawn = read_gwas(folder).points.table()
    assert max(filter(None, given), default=0) < 64  # no table but of names of columns, and loci
    table = read_csv(folder / "manova.tsv.gz", sep="\t", dtype={"chromosome": str})
    shown = drawn.dropna().astype({"chromosome": str})
    columns = ["chromosome", "position", "neg_log10_p"]
    expected = table.dropna().rename(columns={"neg_log10_p_corrected": "neg_log10_p"})[columns]
    pd.testing.assert_frame_equal(
        shown.sort_values(columns, ignore_index=True),
        expected.sort_values(columns, ignore_index=True),
        check_dtype=False,
    )


def test_a_table_without_the_column_is_told(folder):
    with gzip.open(folder / "manova.tsv.gz", "wt") as stream:
        stream.write("chromosome\tposition\n1\t5\n")
    with pytest.raises(InputError, match=r"manova\.tsv\.gz: no column 'neg_log10_p_corrected'"):
        read_gwas(folder)
