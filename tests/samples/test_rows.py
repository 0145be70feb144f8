from __future__ import annotations

import csv
import io
import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.rows import csv_header, read_rows, text_of
from datasets_vc.tables.lines import csv_ranges

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)


def texts_of(data: bytes, name: str) -> list[str]:
    table = read_rows(data, name)
    assert table is not None
    header = csv_header(data) if name.endswith(".csv") else None
    return [text_of(data[row["row_start"] : row["row_end"]], header) for row in table.to_pylist()]


@given(st.lists(TEXTS, min_size=1), st.booleans(), st.booleans())
def test_rows_of_json_lines_are_found(texts: list[str], ascii_only: bool, crlf: bool) -> None:
    end = "\r\n" if crlf else "\n"
    lines = (json.dumps({"n": 1, "text": text}, ensure_ascii=ascii_only) for text in texts)
    assert texts_of((end.join(lines)).encode(), "a.jsonl") == texts


@given(
    st.lists(TEXTS, min_size=1),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_rows_of_csv_are_found(texts: list[str], end: str, quoting: Literal[0, 1]) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator=end, quoting=quoting)
    writer.writerows([["id", "text"], *([number, text] for number, text in enumerate(texts))])
    assert texts_of(file.getvalue().encode(), "a.csv") == texts


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b'{"text":"a"}\n\n  \n{"text":"b"}\n', ["a", "b"]),
        (b'\xef\xbb\xbf{"text":"a"}\n', ["a"]),
        (b'{"text":"2020-01-01"}', ["2020-01-01"]),
        (b'{"text":"' + b"x" * (3 << 20) + b'"}\n{"text":"b"}', ["x" * (3 << 20), "b"]),
    ],
)
def test_odd_json_lines(data: bytes, texts: list[str]) -> None:
    assert texts_of(data, "a.jsonl") == texts


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b'\xef\xbb\xbftext,label\n"a\nb",01\n\n"c ""q"" d",NA\r\n', ["a\nb", 'c "q" d']),
        (b"label,text\nx,no end", ["no end"]),
        (b'"text","a"\n"",1\n', [""]),
        (b'a,text\n01,"' + b"x,\n" * 500_000 + b'"\n2,b\n', ["x,\n" * 500_000, "b"]),
    ],
)
def test_odd_csv(data: bytes, texts: list[str]) -> None:
    assert texts_of(data, "a.csv") == texts


def test_fields_labels_and_splits() -> None:
    data = b'{"text":"a","label":3,"split":"dev","n":{"x":1}}\n{"text":"b","label":4}\n'
    table = read_rows(data, "a.jsonl")
    assert table is not None
    rows: list[dict[str, Any]] = table.to_pylist()
    assert [row["row"] for row in rows] == [1, 2]
    assert [row["label"] for row in rows] == ["3", "4"]
    assert [row["split"] for row in rows] == ["dev", None]
    assert [row["n"] for row in rows] == [{"x": 1}, None]
    assert "text" not in table.column_names


def test_columns_of_json_lines_may_change_their_type() -> None:
    data = b"""{"text":"a","label":1,"meta":{"x":1},"n":1}
{"text":"b","label":"x","meta":[2],"n":2}

{"text":"c"}
"""
    table = read_rows(data, "a.jsonl")
    assert table is not None
    assert table.column("label").to_pylist() == ["1", "x", None]
    assert table.column("meta").to_pylist() == ['{"x": 1}', "[2]", None]
    assert table.column("n").to_pylist() == [1, 2, None]
    assert texts_of(data, "a.jsonl") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.csv", b"a,b\n1,2\n"), ("a.jsonl", b'{"a":1}\n'), ("a.csv", b""), ("a.jsonl", b"")],
)
def test_tables_without_texts(name: str, data: bytes) -> None:
    assert read_rows(data, name) is None


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b'{"text":"a"}\n\n{"text":\n', "'a.jsonl:2' cannot be read: Expecting value"),
        ("a.jsonl", b'{"text":"a"}\n[1]\n', "'a.jsonl:2' cannot be read: it is no JSON object"),
        ("a.jsonl", b'{"text":"a","k":"\xff"}\n', "'a.jsonl:1' cannot be read: 'utf-8' codec"),
        ("a.jsonl", b'{"text":"a","k":"\\ud800"}', "'a.jsonl' cannot be read: 'utf-8' codec"),
        ("a.jsonl", b"null\n", "'a.jsonl:1' cannot be read: it is no JSON object"),
        ("a.jsonl", b'{"text":' + b"[" * 100_000, "'a.jsonl:1' cannot be read: "),
        ("a.csv", b"text,b\n1\n", "'a.csv' cannot be read: CSV parse error"),
        ("a.csv", b'text\n5" x\n6\n', "'a.csv' has 1 rows by its line ends but 2 as a table"),
        ("a.csv", b"text,text\n1,2\n", "'a.csv' has the column 'text' more than once"),
    ],
)
def test_damaged_tables_are_named(name: str, data: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_rows(data, name)


def test_a_long_header_is_read_whole() -> None:
    header = "text," + ",".join(f"column_{number}" for number in range(10_000))
    row = "hello" + "," * 10_000
    data = f"{header}\n{row}\n".encode()
    assert bytes(csv_header(data)) == header.encode()
    assert len(csv_ranges(data)[0]) == 2


@pytest.mark.parametrize("row", [b'{"text":null}', b"{}", b"3", b"{", b'{"text":"\\ud800"}'])
def test_rows_without_a_text(row: bytes) -> None:
    with pytest.raises(ValueError, match=r"no text|Expecting|surrogates"):
        text_of(row, None)
