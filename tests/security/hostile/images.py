"""Images and volumes that promise more than any scanner gives."""

import gzip
import struct
import zlib

import numpy as np

from .arrays import numpy_header, objects, unharmed
from .cases import case


def nifti_header(shape):
    import nibabel

    image = nibabel.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4))
    content = bytearray(image.to_bytes())
    content[42:48] = struct.pack("<3h", *shape)
    return bytes(content)


def read_reference(path, shape):
    from regreveal.registration.reference import read_reference

    return read_reference(path, shape)


@case("NIfTI reference that promises 32,767³ voxels", "promises 35,181,150,961,663 voxels")
def reference_nifti(folder):
    (folder / "a.nii").write_bytes(nifti_header((32767,) * 3))
    read_reference(folder / "a.nii", (4, 4, 4, 1))


@case("compressed NIfTI reference that promises 32,767³ voxels", "promises 35,181,150,961,663")
def reference_compressed_nifti(folder):
    (folder / "a.nii.gz").write_bytes(gzip.compress(nifti_header((32767,) * 3)))
    read_reference(folder / "a.nii.gz", (4, 4, 4, 1))


@case("NIfTI volume to be registered that promises 32,767³ voxels", "promises 35,181,150,961,663")
def ready_nifti(folder):
    read_ready(folder, "a.nii", nifti_header((32767,) * 3))


@case("MGZ volume to be registered that promises 2³⁰ voxels an axis", "not a readable volume")
def ready_mgz(folder):
    header = struct.pack(">7i", 1, *(1 << 30,) * 3, 1, 3, 0).ljust(284, b"\0")
    read_ready(folder, "a.mgz", gzip.compress(header))


def read_ready(folder, name, content):
    from regreveal.registration.pieces import Pieces
    from regreveal.registration.volume_ready import register_files

    (folder / name).write_bytes(content)
    (folder / "a.xfm").write_text(
        "MNI Transform File\nTransform_Type = Linear;\nLinear_Transform =\n"
        "1 0 0 0\n0 1 0 0\n0 0 1 0;\n"
    )
    files = {"a": folder / name}, {"a": folder / "a.xfm"}
    return register_files(*files, Pieces(folder, "brain/t1_mni"), workers=1)


@case("NumPy reference that promises 16 TB", "not a readable image")
def reference_numpy(folder):
    (folder / "a.npy").write_bytes(numpy_header((1 << 40, 4)))
    read_reference(folder / "a.npy", (4, 4, 1))


@case("NumPy reference of pickled objects that run code", "not a readable image")
def reference_pickle(folder):
    np.save(folder / "a.npy", objects(folder), allow_pickle=True)
    with unharmed(folder):
        read_reference(folder / "a.npy", (4, 4, 1))


def png_header(width, height):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


@case("PNG reference that promises 10 billion pixels", "exceeds limit of")
def reference_png(folder):
    (folder / "a.png").write_bytes(png_header(100_000, 100_000))
    read_reference(folder / "a.png", (4, 4, 1))


@case("PNG reference that promises a gigabyte of pixels", "exceeds limit of")
def reference_large_png(folder):
    (folder / "a.png").write_bytes(png_header(32_000, 32_000))
    read_reference(folder / "a.png", (4, 4, 1))


@case("PNG image that promises 2³¹ − 1 pixels an edge", "unreadable file")
def image_png(folder):
    from regreveal.ingest import png

    (folder / "a.png").write_bytes(png_header((1 << 31) - 1, (1 << 31) - 1))
    png.read(folder / "a.png")
