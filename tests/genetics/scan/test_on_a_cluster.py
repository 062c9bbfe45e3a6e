"""The scan on a cluster of this machine."""

import os
import signal

import pytest

from regreveal.cluster import on_cluster
from regreveal.genetics.output.files import ResultFiles
from tests.genetics.scan.study import ALL_OUTPUTS, gwas, published


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as local:
        yield local


def test_a_cluster_writes_the_same_bytes(study, cluster):
    gwas(study, "here", **ALL_OUTPUTS)
    with on_cluster(cluster.scheduler_address):
        gwas(study, "there", **ALL_OUTPUTS)
    assert published(study[0] / "there") == published(study[0] / "here")


def test_a_cluster_that_loses_a_worker_writes_the_same_bytes(study, cluster, monkeypatch):
    from distributed import Client

    gwas(study, "here", block_size=2)
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        processes = list(client.run(os.getpid).values())
    add_unit = ResultFiles.add_unit

    def kill_a_worker(files, parts, counts):
        if files.units_done == 10:
            os.kill(processes[0], signal.SIGKILL)
        add_unit(files, parts, counts)

    monkeypatch.setattr(ResultFiles, "add_unit", kill_a_worker)
    with on_cluster(cluster.scheduler_address):
        gwas(study, "there", block_size=2)
    assert published(study[0] / "there") == published(study[0] / "here")
