"""The same data in every format reads as the same variants and dosages."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regreveal.genetics.genotypes import open_genotypes

from ..conftest import write_bed
from .bgen_writer import write_bgen
from .vcf_writer import vcf_text, write_vcf

BGEN_CALL = {0: (2, [0, 0, 255]), 1: (2, [0, 255, 0]), 2: (2, [255, 0, 0]), -1: None}
PHASED_CALL = {0: [[0, 255]] * 2, 1: [[255, 0], [0, 255]], 2: [[255, 0]] * 2, -1: None}
VCF_CALL = {0: "0/0", 1: "0|1", 2: "1/1", -1: "./."}


def by_value(dosages):
    """Dosages of any format as floats with NaN."""
    return np.where(dosages == -1, np.nan, dosages).astype(np.float32)


def bed(path, dosages, samples, sites):
    table = pd.DataFrame(sites, columns=["chromosome", "position", "variant_id", "ref", "alt"])
    table.insert(2, "centimorgan", 0)
    order = ["chromosome", "variant_id", "centimorgan", "position", "alt", "ref"]
    return write_bed(path, dosages, samples, table[order])


def bgen(path, dosages, samples, sites, phased=False):
    calls = PHASED_CALL if phased else BGEN_CALL
    content = [
        {
            "chromosome": chromosome,
            "position": position,
            "variant_id": name,
            "alleles": [alt, ref],
            "calls": [calls[d] for d in row],
            "bits": 8,
            "phased": phased,
        }
        for (chromosome, position, name, ref, alt), row in zip(sites, dosages, strict=True)
    ]
    return write_bgen(path, content, samples, index=phased)


def vcf(path, dosages, samples, sites):
    lines = [
        " ".join([c, str(p), name, ref, alt, ". . . GT", *(VCF_CALL[d] for d in row)])
        for (c, p, name, ref, alt), row in zip(sites, dosages, strict=True)
    ]
    return write_vcf(path, vcf_text(samples, lines))


def phased_bgen(path, dosages, samples, sites):
    return bgen(path, dosages, samples, sites, phased=True)


WRITERS = {
    "a.bed": bed,
    "a.bgen": bgen,
    "b.bgen": phased_bgen,
    "a.vcf": vcf,
    "a.vcf.gz": vcf,
    "a.bcf": vcf,
}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    dosages=hnp.arrays(
        np.int8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-1, 2)
    ),
    data=st.data(),
)
def test_any_rows_of_any_people_read_alike(tmp_path, dosages, data):
    count, n = dosages.shape
    samples = [f"person{i}" for i in range(n)]
    draws = data.draw
    chromosome, alternate = st.sampled_from("12X"), st.sampled_from(["C", "GT"])
    sites = [
        (draws(chromosome), place + 1, f"rs{place}", "A", draws(alternate))
        for place in range(count)
    ]
    rows = np.array(draws(st.lists(st.integers(0, count - 1), min_size=1, max_size=6)))
    chosen = draws(st.permutations(range(n)))[: draws(st.integers(1, n))]
    people = [samples[i] for i in chosen]
    for name, write in WRITERS.items():
        genotypes = open_genotypes(write(tmp_path / name, dosages, samples, sites))
        assert [tuple(row) for row in genotypes.variants.to_numpy()] == sites, name
        found = by_value(genotypes.dosages(rows, people))
        wanted = by_value(dosages[rows][:, chosen])
        np.testing.assert_array_equal(found, wanted, err_msg=name)
        memory = np.full((len(rows) + 2, len(people)), 77, genotypes.dtype)
        for _ in range(2):
            again = genotypes.dosages(rows, people, out=memory)
            assert np.shares_memory(again, memory)
            np.testing.assert_array_equal(by_value(again), wanted, err_msg=name)
        assert (memory[len(rows) :] == 77).all()
        blocks = list(genotypes.blocks(people, size=2))
        np.testing.assert_array_equal(
            by_value(np.concatenate([part for _, part in blocks])), by_value(dosages[:, chosen])
        )


@pytest.mark.parametrize("suffix", [".bgen", ".pgen"])
def test_the_regenie_example_reads_alike(shared_data, suffix):
    folder = shared_data / "genetics/regenie"
    reference = open_genotypes(folder / "example.bed")
    genotypes = open_genotypes(folder / f"example{suffix}")
    pd.testing.assert_frame_equal(genotypes.variants, reference.variants)
    people = reference.samples
    if suffix == ".bgen":
        # It names participants by family and individual id, joined.
        people = [f"{sample}_{sample}" for sample in people]
    assert genotypes.samples == people
    rows = np.arange(reference.variant_count)
    np.testing.assert_array_equal(
        by_value(genotypes.dosages(rows)), by_value(reference.dosages(rows))
    )
    memory = np.empty((len(rows), 45), genotypes.dtype)
    for step in (-7, 3, 1):
        found = genotypes.dosages(rows[::step], people[400:3:-9], out=memory)
        assert np.shares_memory(found, memory)
        wanted = by_value(reference.dosages(rows[::step], reference.samples[400:3:-9]))
        np.testing.assert_array_equal(by_value(found), wanted)
        fresh = genotypes.dosages(rows[::step], people[400:3:-9])
        np.testing.assert_array_equal(by_value(fresh), wanted)


def test_the_regenie_example_reads_alike_with_and_without_its_index(shared_data, tmp_path):
    path = shared_data / "genetics/regenie/example.bgen"
    copy = tmp_path / "example.bgen"
    copy.write_bytes(path.read_bytes())
    indexed, plain = open_genotypes(path), open_genotypes(copy)
    pd.testing.assert_frame_equal(indexed.variants, plain.variants)
    pd.testing.assert_frame_equal(indexed.variant_rows(17, 120), plain.variants.iloc[17:120])
    rows = np.arange(0, indexed.variant_count, 13)
    np.testing.assert_array_equal(indexed.dosages(rows), plain.dosages(rows))
