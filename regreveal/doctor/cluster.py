"""A Dask cluster: whether a scheduler answers, and what its workers are."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from regreveal.cluster import connected
from regreveal.doctor.check import Check, Status
from regreveal.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

GROUP = "cluster"
# Of these a result may depend on the version, or a task may not be understood.
SAME_VERSIONS = ("python", "dask", "distributed", "cloudpickle", "numpy", "pandas")


def check_cluster(address: str) -> Iterator[Check]:
    """Look at a scheduler, its workers, and whether their versions are this process's.

    Parameters
    ----------
    address : str
        Such as "tcp://head:8786".
    """
    try:
        with connected(address) as client:
            yield from _check_workers(client, address)
    except InputError as error:
        advice = "start one with `dask scheduler`, and let firewalls pass its port"
        yield Check(GROUP, "Dask scheduler", str(error), Status.broken, advice)


def _check_workers(client: "Client", address: str) -> Iterator[Check]:
    threads = client.nthreads()
    found = f"{len(threads)} workers with {sum(threads.values())} threads"
    if not threads:
        advice = f"start workers with `dask worker {address}`"
        yield Check(GROUP, "Dask workers", found, Status.broken, advice)
        return
    yield Check(GROUP, "Dask workers", found)
    versions = client.get_versions()
    here = versions["client"]["packages"]
    different = sorted(
        name
        for name in SAME_VERSIONS
        for worker in versions["workers"].values()
        if worker["packages"].get(name) != here.get(name)
    )
    if different:
        yield Check(
            GROUP,
            "Dask versions",
            f"workers have other versions of {', '.join(dict.fromkeys(different))}",
            Status.warning,
            "start workers in the same environment, or container, as this command",
        )
