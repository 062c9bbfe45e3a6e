import stat
import struct
import tracemalloc
import zipfile

import pytest

from regreveal.errors import InputError
from regreveal.ingest import archive


@pytest.fixture
def write_zip(tmp_path):
    def write(*members, name="1234567_20252_2_0.zip", compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", compression) as file:
            for member, content in members:
                file.writestr(member, content)
        return path

    return write


def test_members_are_read_as_they_were_written(write_zip):
    path = write_zip(("T1/T1.nii.gz", b"brain"), ("T1/T1_brain.nii.gz", b"skull-stripped" * 99))
    assert archive.recognises(path)
    assert archive.members(path) == ["T1/T1.nii.gz", "T1/T1_brain.nii.gz"]
    assert dict(archive.read_members(path)) == {
        "T1/T1.nii.gz": b"brain",
        "T1/T1_brain.nii.gz": b"skull-stripped" * 99,
    }
    assert list(archive.read_members(path, ["T1/T1.nii.gz"])) == [("T1/T1.nii.gz", b"brain")]


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_usual_compression_is_read(write_zip, compression):
    path = write_zip(("a.dcm", b"frame" * 500), compression=compression)
    assert dict(archive.read_members(path)) == {"a.dcm": b"frame" * 500}


def test_the_manifest_and_folders_are_left_out(write_zip):
    path = write_zip(
        ("manifest.cvs", b"id,date"), ("x/Manifest.csv", b"id"), ("x/", b""), ("x/a.dcm", b"1")
    )
    assert archive.members(path) == ["x/a.dcm"]
    assert [name for name, _ in archive.read_members(path)] == ["x/a.dcm"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("../a.dcm", '".."'),
        ("T1/../../a.dcm", '".."'),
        ("T1\\..\\a.dcm", '".."'),
        ("/etc/a.dcm", "absolute"),
        ("\\a.dcm", "absolute"),
        ("C:\\a.dcm", "absolute"),
        ("C:a.dcm", "absolute"),
        ("//host/share/a.dcm", "absolute"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(write_zip, name, found):
    path = write_zip(("good.dcm", b"1"), (name, b"2"))
    for read in (archive.members, lambda path: list(archive.read_members(path, ["good.dcm"]))):
        with pytest.raises(InputError, match=f"unsafe archive: member 2 of 2 .*{found}"):
            read(path)


def test_dots_within_a_name_are_no_harm(write_zip):
    path = write_zip(("a..b/1.2..3.dcm", b"1"))
    assert archive.members(path) == ["a..b/1.2..3.dcm"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_are_refused(write_zip, kind):
    link = zipfile.ZipInfo("a.dcm")
    link.create_system, link.external_attr = 3, (kind | 0o777) << 16
    with pytest.raises(InputError, match="unsafe archive: member 1 of 1 is a link"):
        archive.members(write_zip((link, b"/etc/passwd")))


def test_a_name_given_twice_is_refused(write_zip):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = write_zip(("a.dcm", b"1"), ("a.dcm", b"2"))
    with pytest.raises(InputError, match="member 2 of 2 has the name of an earlier one"):
        archive.members(path)


def test_an_encrypted_zip_is_refused(write_zip):
    path = write_zip(("a.dcm", b"1"))
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[6] |= 1  # The flag of an encrypted member, in the member's own header and the list.
    content[directory + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="encrypted archive: .*needs a password"):
        archive.members(path)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(write_zip):
    path = write_zip(("a.dcm", bytes(80 << 20)))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(InputError, match="archive too large: .*times its size"):
        list(archive.read_members(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_small_blank_image_is_no_bomb(write_zip):
    path = write_zip(("blank.dcm", bytes(4 << 20)))
    assert [len(content) for _, content in archive.read_members(path)] == [4 << 20]


@pytest.mark.parametrize("limit", ["LARGEST_MEMBER", "LARGEST_TOTAL", "MOST_MEMBERS"])
def test_more_than_any_honest_zip_has_is_refused(write_zip, monkeypatch, limit):
    path = write_zip(("a", b"12"), ("b", b"34"), ("c", b""))
    assert archive.members(path) == ["a", "b", "c"]
    monkeypatch.setattr(archive, limit, {"LARGEST_MEMBER": 1, "LARGEST_TOTAL": 3}.get(limit, 2))
    with pytest.raises(InputError, match="archive too large"):
        archive.members(path)


def test_a_member_cannot_unpack_to_more_than_it_declares(write_zip):
    path = write_zip(("a.dcm", bytes(100_000)))
    content = path.read_bytes().replace(struct.pack("<I", 100_000), struct.pack("<I", 100))
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"_0\.zip: unreadable file: BadZipFile"):
        list(archive.read_members(path))


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_zip_is_refused_in_one_line(write_zip, kept):
    path = write_zip(*((f"{i}.dcm", bytes(range(256)) * 9) for i in range(9)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"unreadable file: BadZipFile") as caught:
        archive.members(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_member_is_refused_and_the_others_are_read(write_zip):
    path = write_zip(("a", b"first " * 40), ("b", b"second"), compression=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"second", b"secund", 1))
    assert dict(archive.read_members(path, ["a"])) == {"a": b"first " * 40}
    with pytest.raises(InputError, match="unreadable file: BadZipFile: Bad CRC"):
        dict(archive.read_members(path, ["b"]))


def test_a_member_that_is_not_there_is_a_mistake_of_the_caller(write_zip):
    with pytest.raises(KeyError, match="no member 'b'"):
        list(archive.read_members(write_zip(("a", b"1")), ["b"]))


def test_another_file_is_no_zip(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"not a zip")
    assert not archive.recognises(path)
    with pytest.raises(InputError, match=r"a\.zip: unreadable file: BadZipFile"):
        archive.members(path)
