import pytest

from regreveal.errors import InputError
from regreveal.ingest.outcomes import find_files


def test_links_to_folders_are_followed_and_a_circle_ends(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.dcm").write_text("a")
    given = tmp_path / "given"
    given.mkdir()
    (given / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(given)
    assert find_files([given]) == [given / "linked" / "a.dcm"]


def test_a_file_reached_twice_comes_once(tmp_path):
    (tmp_path / "a").write_text("a")
    assert find_files([tmp_path, tmp_path / "a"]) == [tmp_path / "a"]


def test_files_of_a_folder_come_in_the_order_of_their_names(tmp_path):
    for name in ("b", "a/z", "c"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    assert find_files([tmp_path]) == [tmp_path / "a" / "z", tmp_path / "b", tmp_path / "c"]


def test_a_link_that_leads_nowhere_is_not_passed_over(tmp_path):
    (tmp_path / "a.dcm").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"a\.dcm: a link that leads nowhere"):
        find_files([tmp_path])


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    def walk(top, onerror, followlinks):
        onerror(PermissionError(13, "Permission denied", f"{top}/closed"))
        return iter(())

    monkeypatch.setattr("os.walk", walk)
    with pytest.raises(InputError, match=r"closed: cannot be read \(Permission denied\)"):
        find_files([tmp_path])
