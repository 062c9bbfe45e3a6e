"""Genotype files that the tests of this folder write for themselves."""

import csv

import numpy as np
import pandas as pd
import pytest

# PLINK 1: two bits a genotype, least significant first; 00 is homozygous for .bim column 5.
BED_CODE = {2: 0b00, -1: 0b01, 1: 0b10, 0: 0b11}


def write_bed(path, dosages, samples=None, variants=None):
    """Write dosages (variants, samples) of .bim column 5 as .bed, .bim and .fam; give the path."""
    dosages = np.asarray(dosages)
    count, n = dosages.shape
    codes = np.zeros((count, -(-n // 4) * 4), dtype=np.uint8)
    for dosage, code in BED_CODE.items():
        codes[:, :n][dosages == dosage] = code
    packed = codes[:, 0::4] | codes[:, 1::4] << 2 | codes[:, 2::4] << 4 | codes[:, 3::4] << 6
    path.write_bytes(b"\x6c\x1b\x01" + packed.astype(np.uint8).tobytes())
    samples = [f"person{i}" for i in range(n)] if samples is None else samples
    if variants is None:
        variants = pd.DataFrame(
            {
                "chromosome": "1",
                "variant_id": [f"rs{i}" for i in range(count)],
                "centimorgan": 0,
                "position": 1000 * np.arange(1, count + 1),
                "alt": "A",
                "ref": "G",
            }
        )
    variants.to_csv(
        path.with_suffix(".bim"), sep="\t", header=False, index=False, quoting=csv.QUOTE_NONE
    )
    fam = pd.DataFrame({"fid": 0, "iid": samples, "pat": 0, "mat": 0, "sex": 0, "phenotype": -9})
    fam.to_csv(path.with_suffix(".fam"), sep=" ", header=False, index=False)
    return path


@pytest.fixture
def bed_writer(tmp_path):
    """Write a .bed trio under the test's own folder."""

    def write(dosages, samples=None, variants=None, name="genome.bed"):
        return write_bed(tmp_path / name, dosages, samples, variants)

    return write
