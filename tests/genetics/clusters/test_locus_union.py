import numpy as np
import pandas as pd

from regreveal.genetics.clusters.locus_union import unite_leads


def loci(*rows):
    columns = ["row", "chromosome", "start", "end", "position", "neg_log10_p_corrected"]
    table = pd.DataFrame(rows, columns=columns)
    ids = table["chromosome"].astype(str) + ":" + table["position"].astype(str)
    return table.assign(
        variant_id=ids, ref="A", alt="G", nearest_gene=[f"G{r}" for r in table["row"]]
    )


def dosages(linked):
    """Ten unrelated variants; those of `linked` are one."""
    found = np.random.default_rng(0).binomial(2, 0.3, (10, 800)).astype(np.int8)
    found[linked[1]] = found[linked[0]]
    return lambda rows: found[rows]


def test_each_place_has_the_strongest_lead_of_all_scans():
    native = loci((0, "1", 1_000_000, 1_000_000, 1_000_000, 9.0), (4, "3", 5, 5, 5, 20.0))
    registered = loci(
        (1, "1", 1_200_000, 1_200_000, 1_200_000, 12.0),
        (2, "2", 7_000_000, 7_000_000, 7_000_000, 8.0),
        (3, "2", 7_900_000, 7_900_000, 7_900_000, 30.0),
    )
    united = unite_leads({"native": native, "registered": registered}, dosages((8, 9)))
    assert united["variant_id"].tolist() == ["1:1200000", "2:7000000", "2:7900000", "3:5"]
    assert united["found_in"].tolist() == [
        "native;registered", "registered", "registered", "native",
    ]  # fmt: skip
    assert united.loc[0, "nearest_gene"] == "G1"
    assert (united.loc[0, "start"], united.loc[0, "end"]) == (1_000_000, 1_200_000)


def test_leads_in_linkage_disequilibrium_are_one_place():
    native = loci((2, "2", 7_000_000, 7_000_000, 7_000_000, 8.0))
    registered = loci((3, "2", 7_900_000, 7_900_000, 7_900_000, 30.0))
    united = unite_leads({"native": native, "registered": registered}, dosages((2, 3)))
    assert united["variant_id"].tolist() == ["2:7900000"]


def test_scans_without_loci_give_none():
    united = unite_leads({"native": loci(), "registered": loci()}, dosages((8, 9)))
    assert united.empty
    assert {"row", "variant_id", "nearest_gene", "found_in"} <= set(united)
