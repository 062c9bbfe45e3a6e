import numpy as np
import pytest

from regreveal.errors import InputError
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
    with pytest.raises(InputError, match="not a parquet file"):
        Embedding.read(path)
    (tmp_path / "hidden.tsv").write_text("id\tx\n1\t2\n")
    with pytest.raises(InputError, match="expected columns sample_id"):
        Embedding.read(tmp_path / "hidden.tsv")
