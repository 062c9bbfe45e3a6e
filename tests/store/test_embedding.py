import numpy as np
import pandas as pd
import pytest

from regreveal.errors import InputError
from regreveal.store.cohort import write_table
from regreveal.store.embedding import Embedding


@pytest.fixture
def embedding() -> Embedding:
    latents = np.random.default_rng(0).normal(size=(5, 12))
    return Embedding(list("abcde"), latents, {"trained_on": ["x", "y"], "tensor_map": "ecg.median"})


def test_an_embedding_comes_back_as_written(tmp_path, embedding):
    embedding.write(tmp_path / "embedding.parquet")
    back = Embedding.read(tmp_path / "embedding.parquet")
    assert back.sample_ids == embedding.sample_ids
    assert back.metadata == embedding.metadata
    np.testing.assert_array_equal(back.latents, embedding.latents)


def test_latents_are_selected_in_the_order_asked(embedding):
    np.testing.assert_array_equal(embedding.select(["d", "a"]), embedding.latents[[3, 0]])


def test_the_hidden_table_of_ml4h_reads_as_an_embedding(tmp_path):
    path = tmp_path / "hidden_ecg.tsv"
    path.write_text("sample_id\tlatent_0\tlatent_1\n1000012\t0.5\t-1\n1000027\t2\t3.25\n")
    embedding = Embedding.read(path)
    assert embedding.sample_ids == ["1000012", "1000027"]
    np.testing.assert_array_equal(embedding.latents, [[0.5, -1], [2, 3.25]])


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".parquet"])
def test_latents_are_ordered_by_their_number_in_any_format(tmp_path, suffix):
    columns = [f"latent_{j}" for j in (10, 2, 0, 1, *range(3, 10))]
    table = pd.DataFrame({name: [float(name[7:])] for name in columns}, index=["a"])
    write_table(table.rename_axis("sample_id"), tmp_path / f"e{suffix}")
    np.testing.assert_array_equal(Embedding.read(tmp_path / f"e{suffix}").latents, [range(11)])


def test_those_a_model_has_seen_are_told_from_the_others(embedding):
    assert embedding.unseen_ids() == list("abcde")
    embedding.metadata |= {"trained_on": ["b", "x"], "validated_on": ["d"]}
    assert embedding.unseen_ids() == ["a", "c", "e"]


def test_an_unknown_participant_is_named(embedding):
    with pytest.raises(InputError, match="1 of 2 participants .* 'z'"):
        embedding.select(["a", "z"])


def test_an_id_given_twice_is_an_error():
    with pytest.raises(InputError, match="'a' is given twice"):
        Embedding(["a", "a"], np.zeros((2, 3)))


def test_latents_that_do_not_match_their_ids_are_an_error():
    with pytest.raises(InputError, match="shape"):
        Embedding(["a"], np.zeros((2, 3)))


def test_files_that_are_no_embedding_are_named(tmp_path):
    path = tmp_path / "embedding.parquet"
    with pytest.raises(InputError, match="no such file"):
        Embedding.read(path)
    path.write_text("nothing of the kind")
    with pytest.raises(InputError, match=r"embedding\.parquet: cannot be read as a table"):
        Embedding.read(path)


UNUSABLE = {
    "id\tx\n1\t2\n": "no column 'sample_id'",
    "sample_id\tx\n1\t2\n": "1 participants, 0 latent columns; expected columns sample_id",
    "sample_id\tlatent_0\n": "0 participants, 1 latent columns",
    "sample_id\tlatent_0\tlatent_mean\n1\t2\t3\n": "column 'latent_mean'; expected latent_0",
    "sample_id\tlatent_0\tlatent_00\n1\t2\t3\n": "column 'latent_00'; expected latent_0",
    "sample_id\tlatent_0\tlatent_1\n1\t2\tred\n": "column 'latent_1' is not of numbers",
    "sample_id\tlatent_0\n1\t2\n2\t\n": "'latent_0' has no finite number for 1 of 2",
    "sample_id\tlatent_0\n1\t2\n1\t3\n": "'1' stands in more than one row",
}


@pytest.mark.parametrize("as_parquet", [False, True])
@pytest.mark.parametrize(("content", "message"), UNUSABLE.items())
def test_tables_that_are_no_embedding_are_named_with_the_column(
    tmp_path, content, message, as_parquet
):
    path = tmp_path / "hidden.tsv"
    path.write_text(content)
    if as_parquet:
        table = pd.read_csv(path, sep="\t", dtype={"sample_id": str})
        path = tmp_path / "hidden.parquet"
        table.to_parquet(path)
    with pytest.raises(InputError, match=rf"{path.name}: .*{message}"):
        Embedding.read(path)


def test_an_empty_table_is_named(tmp_path):
    (tmp_path / "hidden.tsv").touch()
    with pytest.raises(InputError, match=r"hidden\.tsv: cannot be read as a table"):
        Embedding.read(tmp_path / "hidden.tsv")
