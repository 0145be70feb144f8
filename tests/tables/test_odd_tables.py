"""Tables as they come: what cannot be merged by row, and what stays as it was written."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet
import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.tables import (
    FieldChange,
    FieldConflict,
    MergedTable,
    RowDiff,
    compare_tables,
    diff_tables,
    merge_tables,
)

KEY = "file_name"
CSV = b"file_name,label\na,cat\nb,dog\n"
JSON = b'{"file_name": "a", "label": 1}\n{"file_name": "b", "label": 2}\n'


def parquet(**columns: object) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


NAMES = ["a", "b"]
PARQUET = parquet(file_name=NAMES, label=[1, 2])


@pytest.mark.parametrize(
    ("suffix", "data", "message"),
    [
        ("csv", b"", "has no header"),
        ("csv", b"name,label\na,cat\n", "has no column 'file_name'"),
        ("csv", b"file_name,x,x\na,1,2\n", "has a column more than once"),
        ("csv", b"file_name,label\na,1\na,2\n", "more than one row with the file_name 'a'"),
        ("csv", b"file_name,label\na,1\n,2\n", "Row 2 of 'metadata.csv' has no file_name"),
        ("csv", b"file_name,label\na\n", "cannot be read"),
        ("csv", b"file_name,label\na,1,2\n", "cannot be read"),
        ("csv", b"file_name,label\na,\xff\n", "is not UTF-8"),
        ("csv", b"file_name,l\xff\na,1\n", "is not UTF-8"),
        ("csv", b'file_name,label\na,5" disk\n', "has a quote inside of a cell"),
        ("csv", b'file_name,label\na,"x" y\n', "has a quote inside of a cell"),
        ("csv", b'file_name,label\na,"x\n', "has a quote inside of a cell"),
        ("csv", b'file_name,label\na,x"\nb,y"\n', "has a quote inside of a cell"),
        ("csv", b"file_name,label\ra,1\rb,2\r", "or a lone carriage return"),
        ("csv", b"file_name,label\na,1\r", "or a lone carriage return"),
        ("jsonl", b'{"file_name": "a"}\nnull\n', "'metadata.jsonl:2' is no JSON object"),
        ("jsonl", b'{"file_name": "a"}\n{"file_name":\n', "'metadata.jsonl:2' is no JSON"),
        ("jsonl", b'{"file_name": "a"} {"file_name": "b"}\n', "is no JSON object"),
        ("jsonl", b'{"file_name": "a", x}\n', "'metadata.jsonl:1' cannot be read"),
        ("jsonl", b'{"label": "a"}\n', "Row 1 of 'metadata.jsonl' has no file_name"),
        ("jsonl", b'{"file_name": ""}\n', "Row 1 of 'metadata.jsonl' has no file_name"),
        ("jsonl", b'{"file_name": 1.5}\n', "Row 1 of 'metadata.jsonl' has no file_name"),
        ("jsonl", b'{"file_name": true}\n', "Row 1 of 'metadata.jsonl' has no file_name"),
        ("jsonl", b'{"file_name": 1}\n{"file_name": "1"}\n', "more than one row with"),
        ("jsonl", b'{"file_name": "\\ud800"}\n', "A file_name of 'metadata.jsonl' is no text"),
        ("jsonl", b'{"file_name": "a", "x": "\xff"}\n', "is not UTF-8"),
        ("jsonl", b'{"file_name": "a", "x": 1, "x": 2}\n', "has a column more than once"),
        ("jsonl", b'{"file_name": "a", "x": [], "x": 2}\n', "columns that cannot be told apart"),
        ("jsonl", b'{"file_name": "a", "x": ' + b"[" * 100_000, "cannot be read"),
        ("parquet", b"PAR1", "cannot be read"),
        ("parquet", parquet(label=[1]), "has no column 'file_name'"),
        ("parquet", parquet(file_name=["a", "a"]), "more than one row with"),
        ("parquet", parquet(file_name=["a", None]), "Row 2 of 'metadata.parquet' has no file_name"),
        ("parquet", parquet(file_name=[1.5]), "The column 'file_name' of .* holds double"),
    ],
)
def test_what_cannot_be_told_by_row(suffix: str, data: bytes, message: str) -> None:
    name = f"metadata.{suffix}"
    good = {"csv": CSV, "jsonl": JSON, "parquet": PARQUET}[suffix]
    other = {
        "csv": CSV + b"c,fox\n",
        "jsonl": JSON + b'{"file_name": "c"}\n',
        "parquet": parquet(file_name=["c"], label=[1]),
    }[suffix]

    with pytest.raises(InvalidInputError, match=message):
        compare_tables(name, KEY, None, data)
    assert diff_tables(name, KEY, data, good) is None
    for base, ours, theirs in ((data, good, other), (good, data, other), (good, other, data)):
        # In what nobody looks at, columns that come twice are no harm.
        if "column" not in message or suffix != "jsonl":
            assert merge_tables(name, KEY, base, ours, theirs) is None


@pytest.mark.parametrize("name", ["labels.tsv", "metadata", "a.json"])
def test_other_formats_are_no_tables(name: str) -> None:
    assert diff_tables(name, KEY, CSV, CSV + b"c,1\n") is None
    assert merge_tables(name, KEY, CSV, CSV + b"c,1\n", CSV + b"d,1\n") is None


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        # Quotes, blank lines and a missing line end are ours', and stay.
        (
            b'"file_name",label\n"a",cat\n\nb,"wolf"',
            b"file_name,label\na,cat\nb,dog\nc,owl\n",
            b'"file_name",label\n"a",cat\n\nb,"wolf"\nc,owl',
        ),
        # Line ends are ours'.
        (
            b"file_name,label\r\na,cat\r\nb,wolf\r\n",
            b"file_name,label\na,cat\nb,dog\nc,owl",
            b"file_name,label\r\na,cat\r\nb,wolf\r\nc,owl\r\n",
        ),
        # New rows come after what they come after there; with nothing before them, first.
        (
            b"file_name,label\nx,new\na,cat\nb,dog\ny,new\n",
            b"file_name,label\np,new\na,cat\nq,new\nr,new\nb,dog\n",
            b"file_name,label\np,new\nx,new\na,cat\nq,new\nr,new\nb,dog\ny,new\n",
        ),
        # New columns of both; and in the order of ours.
        (
            b"label,note,file_name\ncat,hm,a\ndog,,b\n",
            b"file_name,size,label\na,1,cat\nb,2,fox\n",
            b"label,note,file_name,size\ncat,hm,a,1\nfox,,b,2\n",
        ),
        # A column that they dropped.
        (b"file_name,label\na,cat\nb,dog\nc,\n", b"file_name\na\nb\n", b"file_name\na\nb\nc\n"),
    ],
)
def test_csv_is_written_as_ours_is(ours: bytes, theirs: bytes, expected: bytes) -> None:
    assert merge_tables("metadata.csv", KEY, CSV, ours, theirs) == MergedTable(expected)


def test_json_is_written_as_ours_is() -> None:
    base = b'{"file_name":"a","x":1.0,"y":[1, 2],"t":"\\u00e4"}\n'
    ours = b'{"y":[1, 2],"file_name":"a","x":1.50,"t":"\\u00e4"}\n\n'
    theirs = b'{"file_name": "a", "x": 1.0, "z": {"b": 1e2}, "t": "\xc3\xa4"}\n{"file_name": 7}'

    assert merge_tables("metadata.jsonl", KEY, base, ours, theirs) == MergedTable(
        b'{"file_name":"a","x":1.50,"t":"\\u00e4","z":{"b": 1e2}}\n{"file_name": 7}\n'
    )


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        ("1", "1.0", ("1", "1.0")),
        ("0.12345678901234567", "0.123456789012345678", ...),
        ('"1"', "1", ('"1"', "1")),
        ('"x"', '"y"', ("x", "y")),
        ("null", '"null"', ("null", '"null"')),
        ('"a\\nb"', '"b"', ("a\nb", "b")),
        ("[1, 2]", "[2,1]", ("[1,2]", "[2,1]")),
        ("true", "1", ("true", "1")),
        ("1e400", "1e500", ("1e400", "1e500")),
        ("NaN", "0", ("NaN", "0")),
        ('"\\ud800"', '"\\ud801"', ('"\\ud800"', '"\\ud801"')),
    ],
)
def test_json_values_that_differ(old: str, new: str, texts: object) -> None:
    files = (f'{{"file_name":"a","x":{value}}}\n'.encode() for value in (old, new))
    found = diff_tables("metadata.jsonl", KEY, *files)

    assert found is not None
    (change,) = found.changed
    expected = (old, new) if texts is ... else texts
    assert change.fields == (FieldChange("a", "x", *expected),)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[1, 2]", "[1,2]"),
        ('"\\u00e4\\/"', '"ä/"'),
        ('{"a": "b c"}', '{"a":"b c"}'),
        ('["\\u00e4 "]', '["ä "]'),
    ],
)
def test_json_values_that_are_spelled_differently(old: str, new: str) -> None:
    files = (f'{{"file_name":"a","x":{value}}}\n'.encode() for value in (old, new))
    assert diff_tables("metadata.jsonl", KEY, *files) == RowDiff([], [], [])


def test_no_value_in_json_is_something_else_than_null() -> None:
    found = diff_tables("metadata.jsonl", KEY, b'{"file_name":"a"}', b'{"file_name":"a","x":null}')
    assert found is not None
    assert found.changed[0].fields == (FieldChange("a", "x", None, "null"),)


def test_a_row_deleted_here_and_changed_there_is_a_conflict_as_a_whole() -> None:
    ours, theirs = b"file_name,label\nb,dog\n", b"file_name,label\na,fox\nb,dog\n"
    conflict = FieldConflict("a", "", "a,cat", None, "a,fox")

    found = [
        merge_tables("metadata.csv", KEY, CSV, ours + b"c,1\n", theirs, side)
        for side in ("ours", "theirs")
    ]

    assert found == [
        MergedTable(b"file_name,label\nb,dog\nc,1\n", (conflict,)),
        MergedTable(b"file_name,label\na,fox\nb,dog\nc,1\n", (conflict,)),
    ]


def test_values_in_a_dropped_column_are_not_lost() -> None:
    ours = b"file_name\na\nb\n"
    changed, added = b"file_name,label\na,fox\nb,dog\n", CSV + b"c,owl\n"

    assert merge_tables("metadata.csv", KEY, CSV, ours, added) == MergedTable(
        b"file_name,label\na,\nb,\nc,owl\n"
    )
    conflict = (FieldConflict("a", "label", "cat", None, "fox"),)
    assert merge_tables("metadata.csv", KEY, CSV, ours, changed) == MergedTable(ours, conflict)
    assert merge_tables("metadata.csv", KEY, CSV, ours, changed, "theirs") == MergedTable(
        b"file_name,label\na,fox\nb,\n", conflict
    )


def test_parquet_keeps_types_and_what_is_said_of_them() -> None:
    def table(label: list[str], boxes: list[object], **more: object) -> bytes:
        columns = {
            "file_name": pa.array(NAMES),
            "label": pa.array(label).dictionary_encode(),
            "boxes": pa.array(boxes, pa.list_(pa.struct([("x", pa.float32())]))),
            "score": pa.array([0.1, None], pa.float32()),
            "when": pa.array([1, 2], pa.timestamp("ns", "UTC")),
            "image": pa.array([{"bytes": b"\0"}, None]),
            **more,
        }
        found = pa.table(columns).replace_schema_metadata({"about": "signs"})
        sink = io.BytesIO()
        pyarrow.parquet.write_table(found, sink, compression="zstd")
        return sink.getvalue()

    one, two = [{"x": 1.0}], [{"x": 2.0}]
    base = table(["cat", "dog"], [one, None])
    ours = table(["fox", "dog"], [one, None])
    theirs = table(["cat", "dog"], [two, []], day=pa.array([None, 3], pa.date32()))

    found = merge_tables("metadata.parquet", KEY, base, ours, theirs)

    assert found is not None
    assert found.conflicts == ()
    merged = pyarrow.parquet.ParquetFile(io.BytesIO(found.data))
    expected = table(["fox", "dog"], [two, []], day=pa.array([None, 3], pa.date32()))
    wanted = pyarrow.parquet.read_table(io.BytesIO(expected))
    assert merged.read().schema.equals(wanted.schema)
    assert merged.read().drop_columns("when").to_pylist() == wanted.drop_columns("when").to_pylist()
    assert merged.read().column("when").equals(wanted.column("when"))
    assert merged.schema_arrow.metadata[b"about"] == b"signs"
    assert merged.metadata.row_group(0).column(0).compression == "ZSTD"
    again = merge_tables("metadata.parquet", KEY, base, ours, theirs)
    assert again == found
    diff = diff_tables("metadata.parquet", KEY, base, theirs)
    assert diff is not None
    assert diff.changed[0].fields == (FieldChange("a", "boxes", '[{"x": 1.0}]', '[{"x": 2.0}]'),)


def test_parquet_columns_of_different_types_cannot_be_merged() -> None:
    ours = parquet(file_name=NAMES, label=[1, 3])
    theirs = parquet(file_name=NAMES, label=["1", "2"])

    assert merge_tables("metadata.parquet", KEY, PARQUET, ours, theirs) is None
    found = diff_tables("metadata.parquet", KEY, PARQUET, theirs)
    assert found is not None
    assert found.changed == []


def test_json_in_which_every_row_has_columns_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets_vc.tables.jsonlines._MOST_CELLS", 20)
    rows = [f'{{"file_name":"{row}","x{row}":1}}\n' for row in range(10)]
    files = "".join(rows).encode(), "".join(rows).replace("1}", "2}").encode()

    assert diff_tables("metadata.jsonl", KEY, files[0], files[0]) == RowDiff([], [], [])
    with pytest.raises(InvalidInputError, match="has too many columns"):
        compare_tables("metadata.jsonl", KEY, *files)


def test_times_are_compared_to_the_last_digit() -> None:
    def table(count: int) -> bytes:
        duration = pa.array([count], pa.duration("ns"))
        return parquet(file_name=["a"], when=pa.array([count], pa.timestamp("ns")), lasts=duration)

    found = diff_tables("metadata.parquet", KEY, table(1), table(2))

    assert found is not None
    when, lasts = found.changed[0].fields
    assert (when.old, when.new) == (
        "1970-01-01 00:00:00.000000001",
        "1970-01-01 00:00:00.000000002",
    )
    assert lasts.old != lasts.new


def test_keys_need_not_be_names() -> None:
    found = diff_tables("boxes.parquet", "id", parquet(id=[1, 2]), parquet(id=[2, 3]))
    assert found is not None
    assert [row.key for row in (*found.added, *found.removed)] == ["3", "1"]
