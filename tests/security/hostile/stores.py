"""Stores of tensors that reach out of their files, or promise what is not in them."""

import zlib

import h5py
import numpy as np

from .cases import case


def read_store(folder, make):
    from regreveal.store.tensors import TensorStore

    shard = folder / "store/group/name/part-00000.h5"
    shard.parent.mkdir(parents=True)
    (folder / "raw").write_bytes(bytes(range(24)))
    with h5py.File(folder / "other.h5", "w") as file:
        file["tensor"] = np.ones((2, 3), "f4")
    with h5py.File(shard, "w") as file:
        make(file, folder)
        if "tensor" not in file:
            file["tensor"] = np.ones((2, 3), "f4")
        if "sample_id" not in file:
            file["sample_id"] = np.array([b"a", b"b"])
    return TensorStore(folder / "store").read("group/name")


@case("shard with external storage", "has its values in other files")
def store_external_storage(folder):
    elsewhere = [(str(folder / "raw"), 0, 24)]
    read_store(folder, lambda f, _: f.create_dataset("tensor", (2, 3), "f4", external=elsewhere))


@case("shard with an external link", "'tensor' is a link")
def store_external_link(folder):
    link = h5py.ExternalLink(str(folder / "other.h5"), "/tensor")
    read_store(folder, lambda f, _: f.__setitem__("tensor", link))


@case("shard whose ids are a soft link", "'sample_id' is a link")
def store_soft_link(folder):
    read_store(folder, lambda f, _: f.__setitem__("sample_id", h5py.SoftLink("/tensor")))


@case("shard with a virtual dataset", "has its values in other files")
def store_virtual_dataset(folder):
    def make(file, folder):
        layout = h5py.VirtualLayout((2, 3), "f4")
        layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "tensor", (2, 3))
        file.create_virtual_dataset("tensor", layout)

    read_store(folder, make)


@case("shard of object references", "tensors are object")
def store_object_references(folder):
    def make(file, _):
        references = file.create_dataset("tensor", (2, 3), dtype=h5py.ref_dtype)
        references[:] = file["/"].ref

    read_store(folder, make)


@case("shard that promises 64 GB in one piece", "promises 65,536.0 MB; 0.0 are there")
def store_promise(folder):
    read_store(folder, lambda f, _: f.create_dataset("tensor", (2, 1 << 33), "f4"))


@case("shard that promises 8 TB in pieces", "promises 8,388,608.0 MB; 0.0 are there")
def store_promise_in_pieces(folder):
    shape, piece = (2, 1 << 40), (1, 1 << 20)
    read_store(folder, lambda f, _: f.create_dataset("tensor", shape, "f4", chunks=piece))


@case("shard that inflates from 0.5 to 512 MB", "promises 512.0 MB")
def store_bomb(folder):
    def make(file, _):
        piece = 1 << 22
        options = {"chunks": (1, piece), "compression": "gzip"}
        tensor = file.create_dataset("tensor", (2, 1 << 26), "f4", **options)
        zeros = zlib.compress(bytes(4 * piece))
        for row in range(2):
            for start in range(0, 1 << 26, piece):
                tensor.id.write_direct_chunk((row, start), zeros)

    read_store(folder, make)


@case("shard with a piece far larger than its tensors", "promises 3,072.0 MB")
def store_large_piece(folder):
    options = {"chunks": (3, 1 << 28), "maxshape": (None, None), "compression": "gzip"}
    read_store(folder, lambda f, _: f.create_dataset("tensor", (2, 3), "f4", **options))


@case("shard of 64 billion ids", "'sample_id' promises 524,288.0 MB")
def store_ids_without_end(folder):
    shape, piece = (1 << 36,), (1 << 20,)
    read_store(folder, lambda f, _: f.create_dataset("sample_id", shape, "S8", chunks=piece))


@case("shard with more ids than tensors, to read beyond its end", "2 tensors; sample ids are")
def store_more_ids_than_tensors(folder):
    read_store(folder, lambda f, _: f.__setitem__("sample_id", np.array([b"a", b"b", b"c"])))


@case("shard whose ids are no text", "can't decode byte")
def store_ids_of_bytes(folder):
    read_store(folder, lambda f, _: f.__setitem__("sample_id", np.array([b"\xff", b"b"])))


@case("shard whose id commands the terminal", "sample id '?[2J?]0;owned?' is also in")
def store_ids_with_escapes(folder):
    ids = np.array([b"\x1b[2J\x1b]0;owned\x07"] * 2)
    read_store(folder, lambda f, _: f.__setitem__("sample_id", ids))
