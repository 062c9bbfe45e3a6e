"""Stages give on a cluster, to the last bit, what they give on this machine."""

import numpy as np
import pandas as pd
import pytest

from regreveal import cluster as clusters
from regreveal.cluster import on_cluster
from regreveal.genetics.manova import LatentSpace
from regreveal.genetics.minp import MinimumP
from regreveal.genetics.permuted import permuted_tests
from regreveal.phenome.phewas import split_half
from regreveal.phenome.phewas.cox import cox_scan
from regreveal.phenome.phewas.differences import phewas_differences
from regreveal.phenome.phewas.null import null_scans
from regreveal.phenome.phewas.scan import describe, scan
from regreveal.phenome.phewas.split_half import SplitSpace


@pytest.fixture(scope="module")
def address():
    from distributed import LocalCluster

    # Threads start sooner than processes, and what goes to them is packed all the same.
    with LocalCluster(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def people():
    """Two latent spaces of the same people, and diseases that follow them."""
    rng = np.random.default_rng(1)
    n = 600
    covariates = np.column_stack([rng.normal(60, 8, n), rng.integers(0, 2, n)])
    latents = rng.normal(size=(n, 5))
    ill = latents[:, :1] + rng.logistic(size=(n, 12)) > np.linspace(0.5, 2.5, 12)
    status = ill.astype(np.float32)
    status[covariates[:, 1] == 0, 4] = np.nan
    ids = [f"person-{row}" for row in range(n)]
    status = pd.DataFrame(status, index=ids, columns=[f"{j}" for j in range(12)])
    spaces = {
        name: SplitSpace.of(latents + rng.normal(size=latents.shape), covariates, status.index, 0)
        for name in ("native", "registered")
    }
    return spaces, status


@pytest.fixture
def sent(monkeypatch):
    """Bytes of what goes to workers, the function of each map among it."""
    packed, sizes = clusters._packed, []

    def measured(value):
        sizes.append(len(packed(value)))
        return packed(value)

    monkeypatch.setattr(clusters, "_packed", measured)
    return sizes


def test_phewas(people, address, monkeypatch):
    monkeypatch.setattr(split_half, "PHECODES", 5)  # so that there are several blocks
    spaces, status = people
    info = pd.DataFrame({"name": "a disease", "category": "simulated"}, index=status.columns)

    def results():
        tables = {name: describe(scan(s, status), status, info) for name, s in spaces.items()}
        return *tables.values(), *phewas_differences(spaces, status, tables)

    here = results()
    with on_cluster(address):
        there = results()
    assert (here[0]["reason"] == "").sum() > 8
    for one, other in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_phewas_is_the_same_on_any_number_of_cores(people, monkeypatch):
    space, status = people[0]["native"], people[1]
    tables = []
    for cores in (1, 5):
        monkeypatch.setattr(split_half, "available_cores", lambda cores=cores: cores)
        tables.append(scan(space, status))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_what_a_phewas_finds_in_nothing(people, address, sent):
    space, status = people[0]["native"], people[1]
    here = null_scans(space, status, repeats=2, seed=3)
    with on_cluster(address):
        there = null_scans(space, status, repeats=2, seed=3)
    pd.testing.assert_frame_equal(here, there, check_exact=True)
    arrays = [space.whitened, space.shared.design, space.shared.products, space.order]
    # A byte each for everybody's diseases.
    assert sent[0] < sum(array.nbytes for array in arrays) + status.size + 10_000


def test_incident_disease(people, address, sent):
    space, status = people[0]["native"], people[1].iloc[:, :3]
    years = np.random.default_rng(2).exponential(5, len(status)) + 0.1

    def results():
        return cox_scan(space, status, lambda _: years)

    here = results()
    with on_cluster(address):
        pd.testing.assert_frame_equal(here, results(), check_exact=True)
    assert len(sent) == 1 + 3  # the space goes once; then, of each disease, status and years
    assert max(sent[1:]) < 9 * len(status) + 1000


def test_permutations(address):
    rng = np.random.default_rng(4)
    latents = np.exp(0.7 * rng.standard_normal((400, 3)))
    space = LatentSpace(latents, threads=1)
    dosages = rng.binomial(2, 0.3, (20, 400)).astype(np.int8)
    few = np.zeros((3, 400), np.int8)
    few[:, :25] = 1
    few[1, :40] = 1
    few[2] = -1

    def results():
        # More draws than go into a block, so that there are several.
        null = MinimumP(space, 25_000, dosages_for_null=dosages).null
        return null, permuted_tests(space, few, minimum_count=20)

    here = results()
    assert len(np.unique(here[0])) > 24_000
    with on_cluster(address):
        there = results()
    np.testing.assert_array_equal(here[0], there[0])
    pd.testing.assert_frame_equal(here[1], there[1], check_exact=True)
    assert here[1]["neg_log10_p_permuted"].notna().tolist() == [True, True, False]
