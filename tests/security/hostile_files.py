"""Hostile files, each made small and read by what RegReveal reads such files with.

Run as a script, `python hostile_files.py FOLDER`, it tries all of them in one process that may not
have more memory than an honest file needs, and writes what each got to FOLDER/outcomes.json. With
`--table` it prints them as a table of the documentation.
"""

import gzip
import hashlib
import io
import json
import resource
import struct
import sys
import time
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydicom.dataset import Dataset, FileMetaDataset

from regreveal.errors import InputError

MEMORY = 1 << 30  # Bytes beyond what the process has when it begins.
CASES = {}


def case(description, message):
    """Keep a function that writes a hostile file to a folder and reads it."""

    def keep(function):
        CASES[function.__name__.replace("_", " ")] = (description, message, function)
        return function

    return keep


# TensorStores


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


# Tables


def read_embedding(folder, metadata):
    from regreveal.store.embedding import Embedding

    table = pa.table({"sample_id": ["a"], "latent_0": [1.0]})
    pq.write_table(table.replace_schema_metadata(metadata), folder / "e.parquet")
    return Embedding.read(folder / "e.parquet")


@case("parquet with metadata that are no JSON", "its metadata are no embedding's")
def parquet_metadata(folder):
    from regreveal.store.embedding import METADATA_KEY

    read_embedding(folder, {METADATA_KEY: b"{x"})


@case("parquet with metadata nested 200,000 deep", "its metadata are no embedding's")
def parquet_deep_metadata(folder):
    from regreveal.store.embedding import METADATA_KEY

    read_embedding(folder, {METADATA_KEY: b"[" * 200_000})


@case("parquet whose pandas metadata lack what pandas needs", "cannot be read as a table")
def parquet_pandas_metadata(folder):
    read_embedding(folder, {b"pandas": b"{}"})


@case("parquet that claims a footer of 2 GB", "cannot be read as a table")
def parquet_footer(folder):
    from regreveal.store.cohort import read_table

    pq.write_table(pa.table({"sample_id": ["a"]}), folder / "t.parquet")
    content = (folder / "t.parquet").read_bytes()[:-8]
    (folder / "t.parquet").write_bytes(content + struct.pack("<I", (1 << 31) - 1) + b"PAR1")
    read_table(folder / "t.parquet")


# ECGs


def dicom_head(folder, syntax="1.2.840.10008.1.2.1"):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.save_as(folder / "head", enforce_file_format=True)
    content = (folder / "head").read_bytes()
    return content[: 144 + struct.unpack("<I", content[140:144])[0]]


def read_ecg(folder, content):
    from regreveal.ingest import dicom

    (folder / "a.dcm").write_bytes(content)
    return dicom.read(folder / "a.dcm")


@case("DICOM ECG that inflates from 0.6 to 600 MB", "a deflated file that unpacks without end")
def dicom_ecg_bomb(folder):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    element = struct.pack("<HH2sHI", 0x5400, 0x1010, b"OW", 0, 600 << 20)
    packed = [deflate.compress(element), *(deflate.compress(bytes(1 << 20)) for _ in range(600))]
    head = dicom_head(folder, "1.2.840.10008.1.2.1.99")
    read_ecg(folder, head + b"".join(packed) + deflate.flush())


@case("DICOM ECG with an element of 4 GB that is not there", "no waveform")
def dicom_ecg_length(folder):
    element = struct.pack("<HH2sHI", 0x5400, 0x1010, b"OW", 0, 0xFFFFFFF0)
    read_ecg(folder, dicom_head(folder) + element + b"x" * 10)


@case("DICOM ECG with sequences 20,000 deep", "RecursionError")
def dicom_ecg_sequences(folder):
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence = struct.pack("<HH2sHI", 0x5400, 0x0100, b"SQ", 0, 0xFFFFFFFF)
    read_ecg(folder, dicom_head(folder) + 20_000 * (sequence + item))


@case("DICOM ECG of 65,535 channels of 4 billion samples", "cannot reshape")
def dicom_ecg_samples(folder):
    group = Dataset()
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = 65535, (1 << 32) - 1
    group.SamplingFrequency, group.WaveformBitsAllocated = 500, 16
    group.WaveformSampleInterpretation, group.WaveformData = "SS", bytes(100)
    group.ChannelDefinitionSequence = [Dataset() for _ in range(12)]
    dataset = Dataset()
    dataset.WaveformSequence = [group]
    buffer = io.BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    read_ecg(folder, dicom_head(folder) + buffer.getvalue())


def read_wfdb(folder, line="r.dat 16 1000/mV 16 0 0 0 0 I", record="r 12 500 5000"):
    from regreveal.ingest import wfdb

    np.zeros(60_000, "<i2").tofile(folder / "r.dat")
    np.zeros(60_000, "<i2").tofile(folder.parent / "outside.dat")
    (folder / "r.hea").write_text("\n".join([record, *[line] * 12, ""]))
    return wfdb.read(folder / "r.hea")


@case("WFDB header that names a file outside its folder", "names a signal file by a path")
def wfdb_path(folder):
    read_wfdb(folder, "../outside.dat 16 1000/mV 16 0 0 0 0 I")


@case("WFDB header that names a file by its whole path", "names a signal file by a path")
def wfdb_absolute_path(folder):
    read_wfdb(folder, f"{folder.parent / 'outside.dat'} 16 1000/mV 16 0 0 0 0 I")


@case("WFDB header that names an address on the network", "names a signal file by a path")
def wfdb_address(folder):
    read_wfdb(folder, "simplecache::http://127.0.0.1:9/r.dat 16 1000/mV 16 0 0 0 0 I")


@case("WFDB header of 2 billion signals", "the header counts 2147483648 signals and describes 12")
def wfdb_signals(folder):
    read_wfdb(folder, record="r 2147483648 500 5000")


@case("WFDB header of a billion samples a frame", "a sample format that WFDB does not have")
def wfdb_samples_per_frame(folder):
    read_wfdb(folder, "r.dat 16x1000000000 1000/mV 16 0 0 0 0 I")


@case("WFDB header with a skew of a billion samples", "a sample format that WFDB does not have")
def wfdb_skew(folder):
    read_wfdb(folder, "r.dat 16:1000000000 1000/mV 16 0 0 0 0 I")


@case("WFDB header of 4 quintillion samples", "unreadable file")
def wfdb_length(folder):
    read_wfdb(folder, record=f"r 12 500 {1 << 62}")


def read_xml(folder, text):
    from regreveal.ingest import cardiosoft

    (folder / "a.xml").write_text(f"<CardiologyXML>{text}</CardiologyXML>")
    return cardiosoft.read(folder / "a.xml")


@case("XML with elements 100,000 deep", "no element StripData")
def xml_depth(folder):
    read_xml(folder, "<a>" * 100_000 + "</a>" * 100_000)


@case("XML that includes /etc/passwd (XInclude)", "no element StripData")
def xml_include(folder):
    read_xml(folder, '<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>')


@case("XML with a number of 5,000 digits", "leads of 1 samples; expected")
def xml_digits(folder):
    read_xml(
        folder,
        '<StripData><Resolution units="uVperLsb">5</Resolution><SampleRate>500</SampleRate>'
        f"<ChannelSampleCountTotal>{'9' * 5000}</ChannelSampleCountTotal>"
        '<WaveformData lead="I">1</WaveformData></StripData>',
    )


@case("XML of more than 64 MB", "larger than any recording")
def xml_size(folder):
    with (folder / "a.xml").open("wb") as file:
        file.write(b"<CardiologyXML>")
        file.truncate(1 << 32)  # A file with a hole: it takes no room.
    from regreveal.ingest import cardiosoft

    cardiosoft.read(folder / "a.xml")


# Images and arrays


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
    from regreveal.registration.volume_ready import register_files
    from regreveal.store.tensors import TensorStore

    (folder / name).write_bytes(content)
    (folder / "a.xfm").write_text(
        "MNI Transform File\nTransform_Type = Linear;\nLinear_Transform =\n"
        "1 0 0 0\n0 1 0 0\n0 0 1 0;\n"
    )
    files = {"a": folder / name}, {"a": folder / "a.xfm"}
    return register_files(*files, TensorStore(folder / "store"), workers=1)


def numpy_header(shape, kind="<f4"):
    text = str({"descr": kind, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@case("NumPy reference that promises 16 TB", "not a readable image")
def reference_numpy(folder):
    (folder / "a.npy").write_bytes(numpy_header((1 << 40, 4)))
    read_reference(folder / "a.npy", (4, 4, 1))


@case("NumPy reference of pickled objects", "not a readable image")
def reference_pickle(folder):
    np.save(folder / "a.npy", np.array([[{}]]), allow_pickle=True)
    read_reference(folder / "a.npy", (4, 4, 1))


def png_header(width, height):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


@case("PNG reference that promises 10 billion pixels", "not a readable image")
def reference_png(folder):
    (folder / "a.png").write_bytes(png_header(100_000, 100_000))
    read_reference(folder / "a.png", (4, 4, 1))


@case("PNG reference that promises a gigabyte of pixels", "not a readable image")
def reference_large_png(folder):
    (folder / "a.png").write_bytes(png_header(32_000, 32_000))
    read_reference(folder / "a.png", (4, 4, 1))


@case("PNG image that promises 2³¹ − 1 pixels an edge", "unreadable file")
def image_png(folder):
    from regreveal.ingest import png

    (folder / "a.png").write_bytes(png_header((1 << 31) - 1, (1 << 31) - 1))
    png.read(folder / "a.png")


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


@case("registration with pickled objects", "arrays.npz: cannot be read")
def registration_pickle(folder):
    buffer = io.BytesIO()
    np.savez(buffer, a=np.array([{}]))
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
    # Sizes of the directory at the end are what is believed of a member.
    content = bytearray(buffer.getvalue())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    read_registration(folder, bytes(content))


# Descriptions


@case("experiment file nested 100,000 deep", "not valid TOML")
def toml_depth(folder):
    from regreveal.experiment.experiment_file import parse_experiment

    parse_experiment("a=" + "[" * 100_000, folder / "a.toml")


@case("recipe beside a model that names data", "names data of its own")
def recipe_data(folder):
    read_recipe(folder, '[data]\nfolder = "/etc"\n[arms.a]\ntensor_map = "ecg.rest_10s"\n')


@case("recipe beside a model that names an image", "names data of its own")
def recipe_reference(folder):
    read_recipe(
        folder,
        "[data.simulate]\nparticipants = 100\n"
        '[arms.a]\ntensor_map = "dxa.dxa_2"\n[arms.a.registration]\ninput = "dxa.dxa_2"\n'
        'method = "Homography"\nreference = "/etc/passwd"\n',
    )


@case("recipe beside a model that names a package", "names a package of its own")
def recipe_package(folder):
    read_recipe(
        folder,
        '[data.simulate]\nparticipants = 100\n[arms.a]\ntensor_map = "ecg.rest_10s"\n',
        'tensormaps = "antigravity"\n',
    )


def read_recipe(folder, tables, keys=""):
    from regreveal.experiment.experiment_file import load_experiment

    (folder / "model.json").write_text("{}")
    (folder / "recipe.toml").write_text(f'title = "t"\n{keys}{tables}')
    return load_experiment(folder / "recipe.toml")


# Genotypes


def read_genotypes(path):
    from regreveal.genetics.genotypes import open_genotypes

    genotypes = open_genotypes(path)
    return genotypes.dosages([0]), genotypes.variants


@case("BGEN that counts 2³¹ variants", "bytes can hold")
def bgen_variants(folder):
    read_bgen(folder, variants=1 << 31)


@case("BGEN that counts 2³² − 1 samples", "1 participants, but the .bgen beside it has 4294967295")
def bgen_samples(folder):
    read_bgen(folder, samples=(1 << 32) - 1)


@case(
    "BGEN that counts 2³² − 1 of both, without ids",
    "1 participants, but the .bgen beside it has 4294967295",
)
def bgen_both(folder):
    read_bgen(folder, (1 << 32) - 1, (1 << 32) - 1)


def read_bgen(folder, variants=1, samples=1):
    header = struct.pack("<IIII4sI", 20, 20, variants, samples, b"bgen", 1 | 2 << 2)
    (folder / "g.bgen").write_bytes(header + bytes(64))
    (folder / "g.sample").write_text("ID_1 ID_2 missing\n0 0 0\na a 0\n")
    return read_genotypes(folder / "g.bgen")


@case("BGEN index whose table is a view without end", "is not one that bgenix makes")
def bgen_index(folder):
    import sqlite3

    with sqlite3.connect(folder / "g.bgen.bgi") as connection:
        connection.execute("CREATE TABLE Metadata (file_size, first_1000_bytes)")
        connection.execute(
            "CREATE VIEW Variant AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS file_start_position, 1 AS size_in_bytes, 2 AS number_of_alleles FROM n"
        )
    read_bgen(folder)


@case("PGEN that counts 2³¹ − 3 variants and 2³¹ − 2 samples", "cut short")
def pgen_counts(folder):
    read_pgen(folder, 0x10, (1 << 31) - 3, (1 << 31) - 2)


@case("PGEN of fixed width that counts as many", "cut short")
def pgen_fixed_width(folder):
    read_pgen(folder, 0x02, (1 << 31) - 3, (1 << 31) - 2)


def read_pgen(folder, mode, variants, samples):
    header = b"\x6c\x1b" + struct.pack("<BIIB", mode, variants, samples, 0)
    (folder / "g.pgen").write_bytes(header + bytes(64))
    (folder / "g.psam").write_text("#IID\na\n")
    (folder / "g.pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n1\t1\trs1\tA\tG\n")
    return read_genotypes(folder / "g.pgen")


@case("BED with a .bim of positions beyond any number", "position")
def bed_positions(folder):
    (folder / "g.bed").write_bytes(b"\x6c\x1b\x01\x00")
    (folder / "g.fam").write_text("a a 0 0 0 -9\n")
    (folder / "g.bim").write_text(f"1 rs1 0 {'9' * 30} A G\n")
    read_genotypes(folder / "g.bed")


@case("BCF whose header claims 4 GB", "g.bcf")
def bcf_header(folder):
    import pysam

    with pysam.BGZFile(str(folder / "g.bcf"), "wb") as file:
        file.write(b"BCF\2\2" + struct.pack("<I", 0xFFFFFFF0) + b"##fileformat=VCFv4.2\n")
    read_genotypes(folder / "g.bcf")


@case("VCF with a sample id that commands the terminal", "g.vcf")
def vcf_escapes(folder):
    ids = "\x1b[2Ja\t\x1b[2Ja"
    (folder / "g.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=1>\n"
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
        f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{ids}\n"
        "1\t1\trs1\tA\tG\t.\t.\t.\tGT\t0/1\t0/0\n"
    )
    read_genotypes(folder / "g.vcf")


def outcome(function, folder):
    """What a hostile file got: the kind of error, its message, seconds."""
    folder.mkdir(parents=True)
    start = time.monotonic()
    try:
        function(folder)
    except InputError as error:
        kind, message = "InputError", str(error)
    # Whatever else it is, the test wants to know.
    except BaseException as error:
        kind, message = type(error).__name__, str(error)
    else:
        kind, message = "read", ""
    return kind, message.replace(str(folder), ""), time.monotonic() - start


def limit_memory():
    """Let this process have little more memory than it has."""
    import pydicom  # noqa: F401

    import regreveal.genetics.genotypes
    import regreveal.ingest.dicom
    import regreveal.registration  # noqa: F401

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main():
    """Try all, or those named, in the folder given."""
    limit_memory()
    folder = Path(sys.argv[1])
    outcomes = {
        name: outcome(function, folder / name.replace(" ", "-"))
        for name, (_, _, function) in CASES.items()
    }
    (folder / "outcomes.json").write_text(json.dumps(outcomes))
    if "--table" in sys.argv:
        for name, (kind, message, _) in outcomes.items():
            print(f"| {CASES[name][0]} | {message if kind == 'InputError' else kind} |")


if __name__ == "__main__":
    main()
