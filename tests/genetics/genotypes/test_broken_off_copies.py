"""A copy of a genotype file that broke off, wherever, is refused in one line that names it."""

import numpy as np
import pytest

from regreveal.errors import InputError
from regreveal.genetics.genotypes import open_genotypes

from .test_formats_agree import bed, bgen, phased_bgen, vcf

SITES = [("1", 1000 * (row + 1), f"rs{row}", "G", "A") for row in range(40)]
SAMPLES = [f"person{number}" for number in range(30)]
DOSAGES = np.random.default_rng(2).integers(-1, 3, (len(SITES), len(SAMPLES)))
WRITERS = {
    "g.bed": bed,
    "g.bgen": bgen,
    "indexed.bgen": phased_bgen,
    "g.vcf.gz": vcf,
    "g.vcf": vcf,
    "g.bcf": vcf,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_copy_that_broke_off_is_one_line(tmp_path, name):
    path = WRITERS[name](tmp_path / name, DOSAGES, SAMPLES, SITES)
    content = path.read_bytes()
    read_whole(path)
    for share in (0, 0.02, 0.5, 0.9, 0.999):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError) as error:
            read_whole(path)
        assert name in str(error.value)
        assert "\n" not in str(error.value)


def read_whole(path):
    genotypes = open_genotypes(path)
    genotypes.variant_rows(0, genotypes.variant_count)
    genotypes.dosages(np.arange(genotypes.variant_count))
