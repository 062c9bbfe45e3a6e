from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regreveal.errors import InputError
from regreveal.genetics.genotypes import lines
from regreveal.genetics.genotypes.lines import LineTable

# Anything a file could hold as one field: quotes, hashes, NA and accents are nothing special.
FIELD = st.text(st.sampled_from("aZ0\"'#,;.é\u00a0"), min_size=1, max_size=4) | st.just("NA")
COLUMNS = {"name": 2, "position": 1}


def is_header(line):
    return line.startswith(b"##")


def write(path, rows, between="\t", newline="\n", end="\n", header=()):
    text = newline.join([*header, *(between.join(map(str, row)) for row in rows)]) + end
    path.write_bytes(text.encode())
    return path


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_lines_of_any_layout_are_read_by_range(tmp_path, data):
    row = st.tuples(FIELD.filter(lambda f: f[0] != "#"), st.integers(-(2**63), 2**63 - 1), FIELD)
    rows = data.draw(st.lists(row, min_size=1, max_size=20))
    path = write(
        tmp_path / "table.bim",
        rows,
        data.draw(st.sampled_from(["\t", " ", "  \t "])),
        data.draw(st.sampled_from(["\n", "\r\n"])),
        data.draw(st.sampled_from(["", "\n", "\r\n", "\n\n \n"])),
        data.draw(st.sampled_from([[], ["##one", "##two, three"]])),
    )
    # Small enough that lines and the places remembered fall anywhere between pieces.
    stride, piece = data.draw(st.integers(1, 7)), data.draw(st.integers(16, 40))
    with patch.object(lines, "STRIDE", stride), patch.object(lines, "PIECE", piece):
        table = LineTable(path, header=is_header)
        assert table.count == len(rows)
        assert table.width() == 3
        for _ in range(3):
            start = data.draw(st.integers(0, len(rows)))
            stop = data.draw(st.integers(start, len(rows)))
            found = table.columns(start, stop, COLUMNS, numbers=("position",))
            assert list(found["name"]) == [name for _, _, name in rows[start:stop]]
            assert list(found["position"]) == [number for _, number, _ in rows[start:stop]]
            assert found["position"].dtype == np.int64
            assert list(found.columns) == list(COLUMNS)
            if start < stop:
                assert list(found.index) == list(range(start, stop))


def test_lines_around_every_four_thousandth_are_where_they_belong(tmp_path):
    rows = [("1", position, f"rs{position}") for position in range(10_000)]
    table = LineTable(write(tmp_path / "table.bim", rows))
    for start in (0, 4095, 4096, 8190, 9999):
        found = table.columns(start, min(start + 5, 10_000), COLUMNS, numbers=("position",))
        assert list(found["position"]) == list(range(start, min(start + 5, 10_000)))
    whole = table.columns(0, 10_000, COLUMNS, numbers=("position",))
    assert list(whole["name"]) == [name for _, _, name in rows]


def test_changing_what_was_read_changes_nothing_for_the_next(tmp_path):
    table = LineTable(write(tmp_path / "table.bim", [("1", 5, "a"), ("1", 6, "b")]))
    first = table.columns(0, 2, COLUMNS)
    first.loc[:, "name"] = "changed"
    assert list(table.columns(0, 2, COLUMNS)["name"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t7", r"line 5 has 2 columns; expected at least 3 columns"),
        ("", r"line 5 has 0 columns"),
        ("1\tseven\trs", r"line 5: position 'seven' is not a whole number"),
        ("1\t7.5\trs", r"line 5: position '7\.5' is not a whole number"),
        ("1\tinf\trs", r"line 5: position 'inf'"),
        ("1\t9223372036854775808\trs", r"line 5: position '9223372036854775808'"),
        ("1\t7\tr\0s", "line 5 has a control character"),
        ("1\t7\tr\rs", "line 5 has a control character"),
        ("1\t7\tr\udcffs", "line 5 is not UTF-8"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_a_malformed_line_is_named(tmp_path, line, message):
    path = tmp_path / "table.bim"
    text = f"##header\n1\t1\ta\n1\t2\tb\n1\t3\tc\n{line}\n1\t5\td\n"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    table = LineTable(path, header=is_header)
    with pytest.raises(InputError, match=r"table\.bim: " + message) as error:
        table.columns(0, 5, COLUMNS, numbers=("position",))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("narrow", [[0], [0, 1], [1]])
def test_a_column_that_lines_lack_is_missed(tmp_path, narrow):
    rows = [("1", f"rs{i}", 0, 7, "A", *([] if i in narrow else ["G"])) for i in range(2)]
    table = LineTable(write(tmp_path / "table.bim", rows))
    places = {"chromosome": 0, "position": 3, "variant_id": 1, "ref": 5, "alt": 4}
    message = f"line {narrow[0] + 1} has 5 columns; expected at least 6"
    with pytest.raises(InputError, match=message):
        table.columns(0, 2, places, numbers=("position",))


@pytest.mark.parametrize("text", [b"", b"\n \n", b"##only\n##headers\n"])
def test_a_table_without_lines_is_refused(tmp_path, text):
    (tmp_path / "table.bim").write_bytes(text)
    with pytest.raises(InputError, match=r"table\.bim: the file is empty"):
        LineTable(tmp_path / "table.bim", header=is_header)


def compress(path, target):
    with pa.output_stream(str(target), compression="zstd") as packed:
        packed.write(path.read_bytes())
    return target


def test_a_compressed_table_reads_as_the_plain_one(tmp_path):
    rows = [("1", position, f"rs{position}") for position in range(5000)]
    plain = write(tmp_path / "table.pvar", rows, header=["##header"])
    packed = compress(plain, tmp_path / "table.pvar.zst")
    tables = [LineTable(path, header=is_header) for path in (plain, packed)]
    first, second = (table.columns(0, 5000, COLUMNS) for table in tables)
    assert first.equals(second)
    assert len(first) == 5000


@pytest.mark.parametrize("cut", [3, -20])
def test_a_compressed_table_cut_short_is_refused(tmp_path, cut):
    plain = write(tmp_path / "table.pvar", [("1", i, f"rs{i * i}") for i in range(500)])
    packed = compress(plain, tmp_path / "table.pvar.zst")
    packed.write_bytes(packed.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"table\.pvar\.zst: cannot be unpacked"):
        LineTable(packed)


def test_what_is_not_compressed_is_not_unpacked(tmp_path):
    path = write(tmp_path / "table.pvar.zst", [("1", 1, "rs1")])
    with pytest.raises(InputError, match="not compressed by Zstandard"):
        LineTable(path)
