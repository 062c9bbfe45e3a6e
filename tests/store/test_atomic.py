import pytest

from regreveal.errors import InputError
from regreveal.store.atomic import atomic_path, new_folder


def test_a_new_folder_is_there_whole_or_not_at_all(tmp_path):
    target = tmp_path / "below" / "results"
    with new_folder(target) as folder:
        (folder / "one.tsv").write_text("1")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["results"]
    assert (target / "one.tsv").read_text() == "1"


def test_what_ends_early_leaves_nothing(tmp_path):
    folder = new_folder(tmp_path / "results")
    (folder.__enter__() / "one.tsv").write_text("1")
    interrupted = KeyboardInterrupt()
    assert not folder.__exit__(KeyboardInterrupt, interrupted, None)
    assert not list(tmp_path.iterdir())


def test_results_are_not_put_beside_those_of_an_earlier_call(tmp_path):
    (tmp_path / "results").mkdir()
    with new_folder(tmp_path / "results") as folder:
        (folder / "one.tsv").write_text("1")
    with pytest.raises(InputError, match="holds files already"), new_folder(tmp_path / "results"):
        pass
    assert (tmp_path / "results" / "one.tsv").read_text() == "1"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_the_way_is_named(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file"), new_folder(tmp_path / place):
        pass
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("place", "told"), [("file/below", "file: is a file"), (".", "a folder")])
def test_where_no_file_can_be_is_told_in_one_line(tmp_path, place, told):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=told), atomic_path(tmp_path / place):
        pass
