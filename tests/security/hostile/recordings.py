"""ECGs whose headers lie, lead elsewhere or unpack without end."""

import io
import struct
import zlib

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset

from .cases import case


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
    begin = deflate.compress(element) + deflate.flush(zlib.Z_FULL_FLUSH)
    # What is packed after a full flush can be repeated as it is.
    zeros = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    head = dicom_head(folder, "1.2.840.10008.1.2.1.99")
    read_ecg(folder, head + begin + 600 * zeros + deflate.flush())


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
