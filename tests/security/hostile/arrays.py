"""Arrays, of saved registrations and of runs, that hold objects or promise too much."""

import contextlib
import hashlib
import io
import json
import os
import struct
import zipfile

import numpy as np

from .cases import case


def numpy_header(shape, kind="<f4"):
    text = str({"descr": kind, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def read_registration(folder, content):
    from regreveal.registration import QRSAlignment

    (folder / "arrays.npz").write_bytes(content)
    description = {
        "class": "QRSAlignment",
        "parameters": {},
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "registration.json").write_text(json.dumps(description))
    return QRSAlignment.load(folder)


def claiming(size, content):
    """Let a zip say that its member unpacks to a size: the directory at its end is believed."""
    at = content.rindex(b"PK\x01\x02") + 24
    return content[:at] + struct.pack("<I", size) + content[at + 4 :]


class Code:
    """Leaves a folder when it is unpickled."""

    def __init__(self, folder):
        self.trace = str(folder / "trace")

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def objects(folder):
    return np.array([[Code(folder)]])


@contextlib.contextmanager
def unharmed(folder):
    """Raise RuntimeError where a reader ran what a file holds."""
    try:
        yield
    finally:
        if (folder / "trace").exists():
            raise RuntimeError("the file's code was run")


@case("registration with pickled objects that run code", "arrays.npz: cannot be read")
def registration_pickle(folder):
    buffer = io.BytesIO()
    np.savez(buffer, a=objects(folder))
    with unharmed(folder):
        read_registration(folder, buffer.getvalue())


@case("registration whose arrays promise 64 GB", "arrays.npz: cannot be read")
def registration_promise(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.npy", numpy_header((1 << 34,)))
    read_registration(folder, buffer.getvalue())


@case("registration whose arrays inflate beyond 2 GB", "unpacks to more than 2 GB")
def registration_bomb(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", numpy_header((1 << 34,)))
    read_registration(folder, claiming(0xFFFFFFF0, buffer.getvalue()))


def read_run(folder, content):
    from regreveal.report.folder.reading import reading_arrays

    (folder / "examples.npz").write_bytes(content)
    with reading_arrays(folder / "examples.npz") as arrays:
        return dict(arrays)


@case("run whose examples promise 64 GB", "examples.npz: cannot be read")
def run_promise(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("inputs.npy", numpy_header((1 << 34,)))
    read_run(folder, buffer.getvalue())


@case("run whose examples are pickled objects that run code", "examples.npz: cannot be read")
def run_pickle(folder):
    buffer = io.BytesIO()
    np.savez(buffer, inputs=objects(folder))
    with unharmed(folder):
        read_run(folder, buffer.getvalue())


@case("run whose examples inflate to 4 GB", "it unpacks to 4,096 MB")
def run_bomb(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("inputs.npy", numpy_header((1 << 30,)))
    read_run(folder, claiming(0xFFFFFFF0, buffer.getvalue()))
