import numpy as np
import pandas as pd

from regreveal.genetics.merging import merge_loci


def loci(*places, chromosome="1"):
    """Loci from (start, end, row, neg_log10_p); the lead is in the middle."""
    return pd.DataFrame(
        [
            {
                "chromosome": chromosome,
                "start": start,
                "end": end,
                "row": row,
                "position": (start + end) // 2,
                "neg_log10_p_corrected": p,
                "nearest_gene": f"GENE{row}",
            }
            for start, end, row, p in places
        ]
    )


def test_loci_less_than_250_kb_apart_are_one_place():
    first = loci((1_000_000, 1_100_000, 0, 9.0), (5_000_000, 5_000_000, 1, 20.0))
    second = loci((1_349_999, 1_400_000, 2, 12.0), (5_250_000, 5_250_000, 3, 8.0))
    merged = merge_loci({"a": first, "b": second})
    assert merged.loci["start"].tolist() == [1_000_000, 5_000_000, 5_250_000]
    assert merged.loci["end"].tolist() == [1_400_000, 5_000_000, 5_250_000]
    assert merged.loci["locus"].tolist() == [1, 2, 3]
    assert merged.place["a"].tolist() == [0, 1]
    assert merged.place["b"].tolist() == [0, 2]
    # The gene is that of the stronger of the two.
    assert merged.loci["nearest_gene"].tolist() == ["GENE2", "GENE1", "GENE3"]


def test_a_third_locus_joins_two():
    merged = merge_loci(
        {
            "a": loci((0, 10, 0, 9.0)),
            "b": loci((400_000, 400_010, 1, 9.0)),
            "c": loci((200_000, 200_010, 2, 9.0)),
        }
    )
    assert len(merged.loci) == 1


def test_a_long_locus_reaches_beyond_a_short_one_that_starts_later():
    merged = merge_loci(
        {
            "a": loci((0, 2_000_000, 0, 9.0)),
            "b": loci((100, 200, 1, 9.0), (2_100_000, 2_100_000, 2, 9.0)),
        }
    )
    assert len(merged.loci) == 1


def test_linked_leads_within_a_megabase_are_one_place():
    rng = np.random.default_rng(0)
    dosages = rng.binomial(2, 0.4, (4, 500)).astype(np.int8)
    dosages[1] = dosages[0]
    dosages[3] = dosages[2]
    first = loci((1_000_000, 1_000_000, 0, 9.0), (10_000_000, 10_000_000, 2, 9.0))
    second = loci((1_900_000, 1_900_000, 1, 9.0), (12_000_000, 12_000_000, 3, 9.0))
    asked = []

    def read(rows):
        asked.extend(rows)
        return dosages[rows]

    # Variants 2 and 3 are as alike, but farther apart than LD reaches.
    assert len(merge_loci({"a": first, "b": second}, read).loci) == 3
    assert len(merge_loci({"a": first, "b": second}).loci) == 4
    dosages[1] = rng.binomial(2, 0.4, 500)
    assert len(merge_loci({"a": first, "b": second}, read).loci) == 4


def test_chromosomes_are_kept_apart_and_come_in_genome_order():
    merged = merge_loci(
        {
            "a": pd.concat([loci((0, 10, 0, 9.0), chromosome=name) for name in ("10", "2")]),
            "b": loci((0, 10, 1, 9.0), chromosome="X"),
        }
    )
    assert merged.loci["chromosome"].tolist() == ["2", "10", "X"]
    assert merged.place["a"].tolist() == [1, 0]


def test_scans_without_loci_have_no_place():
    merged = merge_loci({"a": loci((0, 10, 0, 9.0)).iloc[:0], "b": loci((0, 10, 0, 9.0)).iloc[:0]})
    assert len(merged.loci) == 0
    assert merged.place["a"].tolist() == []
