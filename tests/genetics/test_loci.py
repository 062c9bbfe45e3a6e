import gzip

import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.genetics.loci import (
    LOCUS_COLUMNS,
    add_nearest_genes,
    compare_with_truth,
    find_loci,
    read_genes,
    read_loci,
)

from .linkage import with_r2


@pytest.fixture
def genome():
    """Make four independent signals; the first has neighbours in strong and in weak LD."""
    rng = np.random.default_rng(0)
    n = 2000
    first, second, third, fourth = rng.binomial(2, 0.3, (4, n)).astype(np.int8)
    rows = [
        ("1", 1_000_000, "near", 20.0, with_r2(first, 0.8, rng)),
        ("1", 1_050_000, "lead", 30.0, first),
        ("1", 1_100_000, "weak", 10.0, with_r2(first, 0.3, rng)),
        ("1", 1_120_000, "quiet", 3.0, first),
        ("1", 1_300_000, "other", 9.0, second),
        ("1", 2_000_000, "far", 15.0, third),
        ("X", 1_050_000, "sex", 8.0, fourth),
        ("X", -9, "unplaced", 12.0, fourth),
    ]
    columns = ["chromosome", "position", "variant_id", "neg_log10_p", "dosages"]
    table = pd.DataFrame(rows, columns=columns).assign(ref="G", alt="A", alt_frequency=0.3)
    table.index = table.index * 10 + 5
    dosages = table.pop("dosages")
    return table, lambda labels: np.stack(dosages.loc[labels].to_list())


def test_signals_merge_by_ld_and_distance(genome):
    loci = find_loci(*genome)
    assert list(loci.columns) == LOCUS_COLUMNS
    assert list(loci["variant_id"]) == ["lead", "far", "sex"]
    assert list(loci["locus"]) == [1, 2, 3]
    assert list(loci.index) == [15, 55, 65]
    first = loci.iloc[0]
    assert (first["start"], first["end"]) == (1_000_000, 1_300_000)
    # "near" tags the lead; "weak" is independent of it, though not a lead; "other" is a lead that
    # lies within 250 kb.
    assert (first["n_variants"], first["n_independent"]) == (4, 3)
    assert list(loci["lead_positions"]) == ["1050000;1300000", "2000000", "1050000"]
    assert list(loci["row"]) == list(loci.index)


def significant(positions, neg_log10_p, **columns):
    """Tabulate variants of chromosome 1 as a GWAS would hand them on."""
    names = [f"rs{row}" for row in range(len(positions))]
    table = {"chromosome": "1", "position": positions, "variant_id": names, "ref": "G", "alt": "A"}
    return pd.DataFrame(
        {**table, "alt_frequency": 0.3, "neg_log10_p": np.asarray(neg_log10_p, float), **columns}
    )


def test_a_chance_correlate_across_the_chromosome_does_not_stretch_a_locus():
    rng = np.random.default_rng(5)
    lead, unrelated = rng.binomial(2, 0.3, (2, 2000)).astype(np.int8)
    dosages = np.stack([lead, unrelated, with_r2(lead, 0.16, rng)])
    assert np.corrcoef(dosages)[0, 2] ** 2 > 0.1
    table = significant([1_000_000, 100_000_000, 200_000_000], [60, 20, 10])
    loci = find_loci(table, lambda rows: dosages[rows])
    assert list(loci["start"]) == list(loci["end"]) == list(table["position"])
    planted = pd.DataFrame({"variant_id": ["p"], "chromosome": ["1"], "position": [150_000_000]})
    compared = compare_with_truth(loci, planted)
    assert compared.found.empty
    assert len(compared.false) == 3


@pytest.mark.parametrize(("apart", "count"), [(1_000_000, 1), (1_000_001, 2)])
def test_linked_variants_share_a_locus_up_to_a_megabase(apart, count):
    lead = np.random.default_rng(6).binomial(2, 0.3, 500).astype(np.int8)
    dosages = np.stack([lead, lead])
    table = significant([5, 5 + apart], [20, 10])
    assert len(find_loci(table, lambda rows: dosages[rows])) == count


def test_covariates_of_the_test_do_not_pass_for_linkage():
    rng = np.random.default_rng(7)
    ancestry = rng.integers(0, 2, 4000)
    frequency = np.where(ancestry == 1, 0.9, 0.1)
    dosages = rng.binomial(2, frequency, (2, 4000)).astype(np.int8)
    assert np.corrcoef(dosages)[0, 1] ** 2 > 0.3
    table = significant([1_000_000, 1_600_000], [20, 10])
    read = dosages.__getitem__
    assert len(find_loci(table, read)) == 1
    assert len(find_loci(table, read, covariates=ancestry[:, None].astype(float))) == 2


def test_ids_that_repeat_or_look_like_numbers_keep_loci_apart(tmp_path):
    dosages = np.random.default_rng(8).binomial(2, 0.3, (4, 500)).astype(np.int8)
    table = significant(np.arange(1, 5) * 2_000_000, [10, 20, 20, 9])
    table["variant_id"] = [".", ".", "007", "NA"]
    genes = pd.DataFrame({"chromosome": ["1"], "start": [1], "end": [9], "gene": ["NA"]})
    loci = find_loci(table, lambda rows: dosages[rows], genes)
    assert list(loci["row"]) == [0, 1, 2, 3]
    path = tmp_path / "loci.tsv"
    loci.to_csv(path, sep="\t", index=False, na_rep="NA")
    read = read_loci(path)
    assert list(read["variant_id"]) == [".", ".", "007", "NA"]
    assert list(read["nearest_gene"]) == ["NA"] * 4
    pd.testing.assert_frame_equal(
        read, loci.reset_index(drop=True), check_dtype=False, check_column_type=False
    )


def test_loci_without_rows_or_genes_are_read_back(tmp_path):
    path = tmp_path / "loci.tsv"
    table = significant([10, 2_000_000], [20, 10])
    dosages = np.random.default_rng(9).binomial(2, 0.3, (2, 500)).astype(np.int8)
    for threshold, count in ((5e-8, 2), (1e-50, 0)):
        found = find_loci(table, lambda rows: dosages[rows], threshold=threshold)
        found.to_csv(path, sep="\t", index=False, na_rep="NA")
        loci = read_loci(path)
        assert list(loci.columns) == LOCUS_COLUMNS
        assert list(loci["nearest_gene"]) == [""] * count
        assert loci["distance"].isna().all()
        assert len(compare_with_truth(loci, table).found) == count
    with pytest.raises(InputError, match="no such file"):
        read_loci(tmp_path / "nowhere.tsv")


def test_the_order_of_variants_does_not_matter(genome):
    table, read = genome
    shuffled = table.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(find_loci(table, read), find_loci(shuffled, read))


def test_regions_exactly_250_kb_apart_stay_apart():
    dosages = np.random.default_rng(1).binomial(2, 0.4, (2, 500)).astype(np.int8)
    table = pd.DataFrame(
        {
            "chromosome": "2",
            "position": [1_000, 251_000],
            "variant_id": ["a", "b"],
            "ref": "G",
            "alt": "A",
            "alt_frequency": 0.4,
            "neg_log10_p": [9.0, 10.0],
        }
    )
    assert len(find_loci(table, lambda labels: dosages[labels])) == 2
    closer = table.assign(position=[1_000, 250_999])
    assert len(find_loci(closer, lambda labels: dosages[labels])) == 1


def test_nothing_significant_gives_an_empty_table_with_its_columns(genome):
    table, read = genome
    loci = find_loci(table, read, threshold=1e-50)
    assert loci.empty
    assert list(loci.columns) == LOCUS_COLUMNS
    comparison = compare_with_truth(loci, table)
    assert len(comparison.missed) == len(table)
    assert comparison.false.empty


def test_the_nearest_gene_may_be_around_before_or_after():
    genes = pd.DataFrame(
        {
            "chromosome": ["chr1", "1", "2"],
            "start": [100, 500, 1],
            "end": [200, 900, 2],
            "gene": ["LEFT", "RIGHT", "ELSEWHERE"],
        }
    )
    loci = pd.DataFrame({"chromosome": ["1", "1", "1", "X"], "position": [150, 300, 450, 150]})
    named = add_nearest_genes(loci, genes)
    assert list(named["nearest_gene"]) == ["LEFT", "LEFT", "RIGHT", ""]
    assert list(named["distance"][:3]) == [0, 100, 50]
    assert named["distance"].isna()[3]


def test_gene_tables_without_a_column_are_refused(tmp_path):
    path = tmp_path / "genes.tsv"
    path.write_text("chromosome\tstart\tend\tsymbol\n1\t1\t2\tA\n")
    with pytest.raises(InputError, match=r"genes\.tsv: no column 'gene'"):
        read_genes(path)
    path.write_text("chromosome\tstart\tend\tgene\n1\tone\t2\tA\n")
    with pytest.raises(
        InputError, match="'start' has values that are not numbers of base pairs, such as 'one'"
    ):
        read_genes(path)
    with pytest.raises(InputError, match="no such file"):
        read_genes(tmp_path / "nowhere.tsv")


def test_a_gene_table_of_ncbi_is_read_as_it_is(tmp_path, shared_data):
    ncbi = shared_data / "genetics/gene_list/NCBI37.3.gene.loc"
    genes = read_genes(ncbi)
    lines = [line.split("\t") for line in ncbi.read_text().splitlines()]
    assert list(genes["gene"]) == [line[5] for line in lines]
    assert list(genes["start"]) == [int(line[2]) for line in lines]
    assert list(genes["end"]) == [int(line[3]) for line in lines]
    # A gene that everyone knows, by the position of one of its variants in GRCh37.
    scn5a = pd.DataFrame({"chromosome": ["3"], "position": [38_620_000]})
    assert list(add_nearest_genes(scn5a, genes)["nearest_gene"]) == ["SCN5A"]
    compressed = tmp_path / "genes.loc.gz"
    compressed.write_bytes(gzip.compress(ncbi.read_bytes()))
    pd.testing.assert_frame_equal(read_genes(compressed), genes)
    compressed.write_bytes(gzip.compress(ncbi.read_bytes())[:5000])
    with pytest.raises(InputError, match=r"genes\.loc\.gz: cannot be read as a table"):
        read_genes(compressed)


def test_genes_are_found_by_any_name_of_their_chromosome():
    genes = pd.DataFrame(
        {
            "chromosome": ["NC_000001.11", "chrX", "27", "UN_7"],
            "start": [1, 1, 1, 1],
            "end": [9, 9, 9, 9],
            "gene": ["A", "B", "C", "D"],
        }
    )
    loci = pd.DataFrame({"chromosome": ["1", "NC_000023.11", "PAR1", "25"], "position": 5})
    assert list(add_nearest_genes(loci, genes)["nearest_gene"]) == ["A", "B", "B", "B"]
    cattle = pd.DataFrame({"chromosome": ["30", "27", "23"], "position": 5})
    assert list(add_nearest_genes(cattle, genes, autosomes=29)["nearest_gene"]) == ["B", "C", ""]


def test_of_genes_as_near_the_first_is_named_and_chromosomes_may_be_numbers(tmp_path):
    path = tmp_path / "genes.tsv"
    path.write_text("gene\tchromosome\tstart\tend\nNA\tX\t100\t300\nB\tX\t200\t400\nC\t1\t1\t2\n")
    loci = pd.DataFrame({"chromosome": ["23", "chrX", "01"], "position": [250, 350, 5]})
    named = add_nearest_genes(loci, read_genes(path))
    assert list(named["nearest_gene"]) == ["NA", "B", "C"]
    assert list(named["distance"]) == [0, 0, 3]


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe", b"a\tb\n1\t2\t3\t4\n1\n1\t2\t3\t4\t5\t6\t7\n"]
)
def test_what_is_no_gene_table_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "genes.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^genes\.tsv: [^\n]*$"):
        read_genes(path)


def test_loci_are_true_by_the_distance_of_their_lead_variants():
    loci = pd.DataFrame(
        {
            "locus": [1, 2, 3],
            "chromosome": ["1", "1", "2"],
            "start": [1_000_000, 9_000_000, 1_000_000],
            "end": [3_000_000, 9_000_000, 1_000_000],
            "lead_positions": ["1100000;2900000", "9000000", "1000000"],
        }
    )
    causal = pd.DataFrame(
        {
            "variant_id": ["near", "near", "other lead", "between", "far", "elsewhere"],
            "chromosome": ["1", "1", "chr1", "1", "1", "3"],
            "position": [1_050_000, 1_050_000, 3_000_000, 2_000_000, 5_000_000, 1_000_000],
        }
    )
    comparison = compare_with_truth(loci, causal, window=100_000)
    assert list(comparison.found["variant_id"]) == ["near", "other lead"]
    assert list(comparison.found["locus"]) == [1, 1]
    assert list(comparison.missed["variant_id"]) == ["between", "far", "elsewhere"]
    assert list(comparison.true["locus"]) == [1]
    assert list(comparison.false["locus"]) == [2, 3]
    assert list(compare_with_truth(loci, causal, window=99_999).found["variant_id"]) == ["near"]
