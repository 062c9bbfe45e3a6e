"""Tables and embeddings that are damaged, or grow without end."""

import gzip
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .cases import case


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


@case("parquet whose text is none", "cannot be read as a table")
def parquet_text(folder):
    from regreveal.store.cohort import read_table

    pq.write_table(pa.table({"sample_id": ["person"]}), folder / "t.parquet", compression="none")
    content = (folder / "t.parquet").read_bytes()
    (folder / "t.parquet").write_bytes(content.replace(b"person", b"p\xff\xfeson"))
    read_table(folder / "t.parquet")


@case("parquet that inflates to 300 MB", "it unpacks to")
def parquet_bomb(folder):
    from regreveal.store.cohort import read_rows

    ids = pa.table({"sample_id": np.repeat("a" * 1000, 10_000)})
    with pq.ParquetWriter(folder / "t.parquet", ids.schema, compression="zstd") as file:
        for _ in range(30):
            file.write_table(ids)
    read_rows(folder / "t.parquet")


@case("table that inflates from 2 to 400 MB", "it unpacks to")
def table_bomb(folder):
    from regreveal.store.cohort import read_table

    lines = gzip.compress((b"a" * 1000 + b"\n") * 1000, 1)
    (folder / "t.tsv.gz").write_bytes(gzip.compress(b"sample_id\n") + 400 * lines)
    read_table(folder / "t.tsv.gz")
