"""What workers do in the tests of clusters: apart from these, since each worker imports it."""

import os
import time
from pathlib import Path

from regreveal.cluster import Loaded, cluster_address
from regreveal.compute import available_cores
from regreveal.errors import InputError


class Doubler:
    """Doubles, and tells which process did; `trouble` comes with a 3."""

    def __init__(self, trouble=None):
        self.trouble = trouble

    def __call__(self, x):
        if x == 3 and self.trouble is not None:
            self.trouble()
        return 2 * x, os.getpid()


def refuse():
    raise InputError("three is not allowed")


def out_of_time():
    raise TimeoutError("the work's own")


class DieOnce:
    def __init__(self, marker: Path):
        self.marker = marker

    def __call__(self):
        if not self.marker.exists():
            self.marker.touch()
            os._exit(1)


def die(_: int) -> None:
    os._exit(1)


def wait_for_another(folder: Path, x: int) -> tuple[int, bool]:
    """Item 0 takes until another process has done one; gives also whether one has."""
    (folder / f"{x}-by-{os.getpid()}").touch()
    for _ in range(1000):
        done_by = {path.name.partition("-by-")[2] for path in folder.iterdir()}
        if x or len(done_by) > 1:
            break
        time.sleep(0.02)
    return x, len(done_by) > 1


def two_texts(one: Path, other: Path) -> str:
    return one.read_text() + other.read_text()


def loads(log: Path) -> str:
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return "network"


def use(loaded: Loaded, x: int) -> tuple[str, int]:
    return loaded.value(), x


def cores(_: int) -> tuple[int, int]:
    """Those that RegReveal takes itself to have, and OpenCV."""
    import cv2

    return available_cores(), cv2.getNumThreads()


def write_address(path: Path) -> None:
    path.write_text(str(cluster_address()))
