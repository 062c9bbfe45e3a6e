"""One small biobank and one genome, which the tests of the simulation share."""

import numpy as np
import pytest

from regreveal.simulation import biobank as biobank_module
from regreveal.simulation.biobank import simulate_biobank
from regreveal.simulation.genome import draw_genome
from regreveal.simulation.traits import read_table

PARTICIPANTS, VARIANTS, SEED = 400, 2000, 7


@pytest.fixture(scope="session")
def biobank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "biobank"
    simulate_biobank(folder, PARTICIPANTS, VARIANTS, SEED, ["ecg"])
    return folder


@pytest.fixture(scope="session")
def imaged(tmp_path_factory):
    """The fewest people that there can be, in two chunks, with every modality."""
    folder = tmp_path_factory.mktemp("simulated") / "imaged"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(biobank_module, "CHUNK", 60)
        simulate_biobank(folder, 100, 300, SEED)
    return folder


@pytest.fixture(scope="session")
def planted_genes():
    genes, loci = read_table("genes.tsv"), read_table("loci.tsv")
    return genes[genes["gene"].isin(loci["gene"])]


@pytest.fixture(scope="session")
def genome(planted_genes):
    return draw_genome(1500, 3000, planted_genes, np.random.default_rng(11))
