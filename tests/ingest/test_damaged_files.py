"""Whatever bytes a file has, it is kept, or dropped with a reason; it never ends an ingest."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import wfdb

from regreveal.errors import InputError
from regreveal.ingest.ecg import ingest_ecg
from regreveal.ingest.files import UnusableFileError, parsing
from regreveal.store.cohort import read_table
from regreveal.store.tensors import TensorStore

COPIES = 60
HEAD = 2000  # Half of the damage is done here, where structure is rather than samples.
TEXT = list(b"0123456789 /.-eE:()\n")


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut a file off, flip some of its bits, overwrite some of its bytes, or take some out."""
    damage = rng.integers(5)
    if damage == 0:
        return content[: rng.integers(len(content))]
    changed = bytearray(content)
    reach = len(content) if rng.integers(2) else min(HEAD, len(content))
    for at in rng.integers(reach, size=rng.choice([1, 3, 30])):
        if damage == 1:
            changed[at] ^= 1 << rng.integers(8)
        elif damage == 2:
            changed[at] = rng.integers(256)
        elif damage == 3:
            changed[at] = rng.choice(TEXT)
        else:
            del changed[at : at + rng.integers(1, 20)]
    return bytes(changed)


@pytest.fixture
def write(tmp_path, write_cardiosoft, write_wfdb, write_dicom, write_ml4h):
    """Write one valid recording into a folder, and give its files."""

    def write_files(suffix: str, folder: Path) -> list[Path]:
        folder.mkdir()
        if suffix == ".xml":
            return [write_cardiosoft(folder / "a.xml")]
        if suffix == ".dcm":
            return [write_dicom(folder / "a.dcm")]
        if suffix == ".hd5":
            return [write_ml4h(folder / "a.hd5")]
        write_wfdb(folder, "a", ["Age: 50", "Name: Surname", "Dx: 164889003"])
        peaks = np.arange(100, 4900, 10)
        wfdb.wrann("a", "ii", peaks, list("(N)") * 160, write_dir=str(folder))
        return sorted(folder.iterdir())

    return write_files


@pytest.mark.parametrize("suffix", [".xml", ".dcm", ".hd5", ".hea", ".dat", ".ii"])
def test_damaged_bytes_cost_their_own_file_only(tmp_path, write, suffix):
    rng = np.random.default_rng([ord(letter) for letter in suffix])
    files = write(suffix, tmp_path / "valid")
    folder = tmp_path / "raw"
    folder.mkdir()
    names = ["intact", *(f"damaged{number}" for number in range(COPIES))]
    for name in names:
        for file in files:
            content = file.read_bytes()
            if file.suffix == ".hea":
                content = content.replace(b"a.dat", f"{name}.dat".encode())
            if file.suffix == suffix and name != "intact":
                content = damaged(content, rng)
            (folder / name).with_suffix(file.suffix).write_bytes(content)

    store = TensorStore(tmp_path / "store")
    report = ingest_ecg([folder], store)
    assert set(report["sample_id"]) == set(names)
    kept = set(report.loc[report["outcome"] == "kept", "sample_id"])
    dropped = report[report["outcome"] == "dropped"]
    assert "intact" in kept
    assert len(kept) + len(dropped) == len(report)
    assert dropped["reason"].all()
    # Damaged annotations cost what they measure, never the signal.
    assert (dropped["reason"] == "unreadable file").any() == (suffix != ".ii")
    for secret in ("Surname", "1987", "314159", "2718", "542937600"):
        assert not dropped["detail"].str.contains(secret).any()

    assert set(store.sample_ids("ecg/rest_10s")) == kept
    assert set(read_table(store.path / "ecg_recordings.tsv").index) == kept
    assert np.isfinite(store.read("ecg/rest_10s")).all()
    if "ecg/device_median" in store.names():
        assert set(store.sample_ids("ecg/device_median")) <= kept


@pytest.mark.parametrize("suffix", [".xml", ".dcm", ".hd5", ".hea", ".dat"])
def test_a_damaged_file_alone_leaves_no_store(tmp_path, write, suffix):
    files = write(suffix, tmp_path / "valid")
    victim = next(file for file in files if file.suffix == suffix)
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2])
    store = TensorStore(tmp_path / "store")
    with pytest.raises(InputError, match="unreadable file") as caught:
        ingest_ecg([tmp_path / "valid"], store)
    assert len(str(caught.value).splitlines()) == 1
    assert not store.path.exists()


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (KeyError("Surname"), "KeyError: …"),
        (ValueError("could not convert string to float: b'O'Surname'"), None),
        (ValueError("unclosed 'Surname, Name"), "ValueError: unclosed …"),
        (OSError("born 1926-01-01 as ID-314159\nSurname"), "OSError: born … as …"),
        (struct.error("unpack requires a buffer of 4 bytes"), None),
        (zlib.error("Error -3 while decompressing data"), None),
        (NotImplementedError(), "NotImplementedError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_error_of_a_parser_becomes_a_line_that_quotes_nothing_of_the_file(error, detail):
    with pytest.raises(UnusableFileError) as caught, parsing(Path("a.dcm")):
        raise error
    assert caught.value.reason == "unreadable file"
    assert caught.value.detail.startswith(type(error).__name__)
    assert "Surname" not in caught.value.detail
    assert detail in (None, caught.value.detail)


def test_errors_that_no_parser_makes_are_not_hidden():
    with pytest.raises(KeyboardInterrupt), parsing(Path("a.dcm")):
        raise KeyboardInterrupt
    with pytest.raises(UnusableFileError, match="no waveform"), parsing(Path("a.dcm")):
        raise UnusableFileError("a.dcm", "no waveform", "another kind")
