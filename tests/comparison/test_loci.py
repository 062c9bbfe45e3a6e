import gzip

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regreveal.comparison.loci import (
    best_in_regions,
    count_recurring,
    count_shared,
    recurring_loci,
    shared_loci,
)
from regreveal.errors import InputError
from regreveal.genetics.output.bgzf import BGZF_END, bgzf
from regreveal.genetics.output.tabix import index_table

COLUMNS = ["chromosome", "position", "variant_id", "neg_log10_p_corrected"]


def locus(gene, position, p, row=0, width=1000):
    return {
        "chromosome": "1",
        "start": position - width,
        "end": position + width,
        "row": row,
        "position": position,
        "variant_id": f"lead{position}",
        "neg_log10_p_corrected": p,
        "nearest_gene": gene,
    }


def table(path, *rows):
    """Write an indexed table of chromosome, position, variant and −log10 p."""
    text = pd.DataFrame(rows, columns=COLUMNS).to_csv(sep="\t", index=False, na_rep="NA")
    path.write_bytes(bgzf(text.encode()) + BGZF_END)
    index_table(path, path.with_name(path.name + ".tbi"))
    return path


def loci(*rows):
    return pd.DataFrame(rows, columns=[*locus("", 1, 1.0)])


@pytest.fixture
def two_arms(tmp_path):
    """Make two arms: one locus in both, one of each alone, of which b knows a little of a's."""
    of_a = loci(locus("BOTH", 1_000_000, 12.0), locus("A1", 3_000_000, 10.0))
    of_b = loci(locus("BOTH", 1_000_400, 9.0), locus("B1", 9_000_000, 8.0))
    tables = {
        "a": table(
            tmp_path / "a.tsv.gz",
            ("1", 1_000_000, "lead1000000", 12.0),
            ("1", 3_000_000, "lead3000000", 10.0),
            ("1", 9_000_000, "lead9000000", 3.2),
            ("1", 9_000_000, "another", np.nan),
        ),
        "b": table(
            tmp_path / "b.tsv.gz",
            ("1", 1_000_400, "lead1000400", 9.0),
            ("1", 3_000_000, "lead3000000", 2.0),
            ("1", 3_000_900, "beside", 4.0),
            ("1", 3_001_001, "outside", 7.0),
            ("1", 9_000_000, "lead9000000", 8.0),
        ),
    }
    return {"a": of_a, "b": of_b}, tables


def test_each_locus_says_which_arms_have_it_and_what_the_other_says(two_arms):
    shared = shared_loci(*two_arms).set_index("nearest_gene")
    assert shared["found"].to_dict() == {"BOTH": "both", "A1": "a", "B1": "b"}
    # 10⁻⁴ in the other arm, beside the lead; and 10^-3.2, which is above 5 × 10⁻⁴.
    assert shared["class"].to_dict() == {
        "BOTH": "shared",
        "A1": "weaker in the other",
        "B1": "unique",
    }
    assert shared.loc["A1", ["neg_log10_p_a", "neg_log10_p_b", "other_at_lead"]].tolist() == [
        10.0, 4.0, 2.0,
    ]  # fmt: skip
    assert shared.loc["B1", "neg_log10_p_a"] == 3.2
    assert shared.loc["BOTH", ["lead_a", "lead_b"]].tolist() == ["lead1000000", "lead1000400"]
    assert np.isnan(shared.loc["BOTH", "other_at_lead"])


def test_leads_of_a_shared_locus_are_correlated_where_genotypes_are_there(two_arms):
    loci_of, tables = two_arms
    dosages = np.random.default_rng(0).binomial(2, 0.3, (3, 400)).astype(np.int8)
    loci_of["a"]["row"], loci_of["b"]["row"] = [0, 2], [1, 2]
    shared = shared_loci(loci_of, tables, lambda rows: dosages[rows]).set_index("nearest_gene")
    expected = np.corrcoef(dosages[0], dosages[1])[0, 1] ** 2
    assert shared.loc["BOTH", "r2_of_leads"] == pytest.approx(expected, abs=1e-6)
    assert shared["r2_of_leads"].isna().sum() == 2


def test_places_of_one_arm_alone_are_counted_and_tested(two_arms):
    shared = shared_loci(*two_arms)
    counts = count_shared(shared, "a", "b")
    assert counts == {
        "both": 1, "first": 1, "second": 1, "first_weaker": 1, "second_weaker": 0, "p": 1.0,
    }  # fmt: skip
    many = pd.concat([shared[shared["found"] == "b"]] * 6, ignore_index=True)
    assert count_shared(many, "a", "b")["p"] == pytest.approx(2 * 0.5**6)
    assert np.isnan(count_shared(shared[shared["found"] == "both"], "a", "b")["p"])


def test_arms_without_loci_share_none(two_arms):
    loci_of, tables = two_arms
    shared = shared_loci({name: one.iloc[:0] for name, one in loci_of.items()}, tables)
    assert len(shared) == 0
    assert {"found", "class", "neg_log10_p_a"} <= set(shared.columns)


def test_loci_recur_over_seeds(tmp_path):
    places = {
        1: [("ALL", 1_000_000), ("MOST", 5_000_000), ("ONE", 9_000_000)],
        2: [("ALL", 1_100_000), ("MOST", 5_000_000)],
        3: [("ALL", 1_000_000)],
    }
    scans = {
        seed: loci(*(locus(gene, position, 8.0 + seed) for gene, position in found))
        for seed, found in places.items()
    }
    tables = {
        seed: table(
            tmp_path / f"{seed}.tsv.gz",
            *(("1", position, "v", 8.0 + seed) for _, position in found),
        )
        for seed, found in places.items()
    }
    recurring = recurring_loci(scans, tables)
    assert recurring["nearest_gene"].tolist() == ["ALL", "MOST", "ONE"]
    assert recurring["seeds"].tolist() == [3, 2, 1]
    assert recurring["found_3"].tolist() == [True, False, False]
    assert recurring["neg_log10_p_2"].tolist()[:2] == [10.0, 10.0]
    assert np.isnan(recurring["neg_log10_p_3"][1])
    counts = count_recurring(recurring, [1, 2, 3])
    assert counts == {
        "in_any": 3, "in_all": 1, "in_most": 1, "in_fewer": 0, "in_one": 1,
        "mean": 2.0, "low": 1, "high": 3, "jaccard": pytest.approx((2 / 3 + 1 / 3 + 1 / 2) / 3),
    }  # fmt: skip


def test_seeds_that_find_nothing_have_no_jaccard(tmp_path):
    empty = loci()
    tables = {seed: table(tmp_path / f"{seed}.tsv.gz") for seed in (1, 2)}
    recurring = recurring_loci({1: empty, 2: empty}, tables)
    assert count_recurring(recurring, [1, 2])["jaccard"] is None


def test_the_best_in_a_region_is_that_of_the_whole_table(tmp_path):
    rng = np.random.default_rng(0)
    positions = np.sort(rng.choice(100_000, 500, replace=False)) + 1
    values = stats.expon(scale=1).rvs(500, random_state=1)
    path = table(
        tmp_path / "t.tsv.gz",
        *(("2", int(at), f"v{at}", p) for at, p in zip(positions, values, strict=True)),
    )
    with gzip.open(path, "rt") as stream:
        whole = pd.read_csv(stream, sep="\t")
    regions = pd.DataFrame(
        {
            "chromosome": ["2", "2", "3"],
            "start": [1, positions[7], 5],
            "end": [50_000, positions[9], 9],
        }
    )
    best = best_in_regions(path, regions)
    for row in (0, 1):
        here = whole["position"].between(regions["start"][row], regions["end"][row])
        assert best[row] == pytest.approx(whole.loc[here, "neg_log10_p_corrected"].max())
    assert np.isnan(best[2])


def test_a_table_without_index_is_an_error_of_one_line(tmp_path):
    path = table(tmp_path / "t.tsv.gz", ("1", 1, "v", 1.0))
    path.with_name("t.tsv.gz.tbi").unlink()
    regions = pd.DataFrame({"chromosome": ["1"], "start": [1], "end": [2]})
    with pytest.raises(InputError, match=r"has no index \(.tbi\) beside it"):
        best_in_regions(path, regions)
    with pytest.raises(InputError, match="no such file"):
        best_in_regions(tmp_path / "nothing.gz", regions)
