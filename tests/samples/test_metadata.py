from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets_vc import Snapshot
from datasets_vc.errors import InvalidInputError
from datasets_vc.samples import SampleTable, sample_table

MakeSnapshot = Callable[..., Snapshot]

ROWS = [
    {"file_name": "b.png", "label": "cat", "split": "train", "caption": "a, b"},
    {"file_name": "sub/a.png", "label": "dog", "split": "validation", "caption": "ü"},
]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    lines = [",".join(rows[0])]
    lines += [",".join(f'"{value}"' for value in row.values()) for row in rows]
    return "\n".join(lines).encode()


def as_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    if "label" in table.column_names:
        index = table.column_names.index("label")
        table = table.set_column(index, "label", table.column("label").dictionary_encode())
    pq.write_table(table, file)
    return file.getvalue()


def rows_of(samples: SampleTable, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in samples.table.to_pylist()]


@pytest.mark.parametrize(
    ("name", "encode"),
    [("metadata.csv", as_csv), ("metadata.jsonl", as_jsonl), ("Metadata.PARQUET", as_parquet)],
)
def test_metadata_names_the_samples(
    make_snapshot: MakeSnapshot, name: str, encode: Callable[[list[dict[str, Any]]], bytes]
) -> None:
    snapshot = make_snapshot(
        {
            f"pets/{name}": encode(ROWS),
            "pets/b.png": b"1",
            "pets/sub/a.png": b"2",
            "pets/c.png": b"",
        }
    )
    samples = sample_table(snapshot, "image")
    assert samples.convention == name
    assert samples.classes == ["cat", "dog"]
    assert samples.ignored == 1
    assert rows_of(samples, "path", "label", "split", "caption") == [
        ("pets/b.png", "cat", "train", "a, b"),
        ("pets/sub/a.png", "dog", "val", "ü"),
    ]


def test_several_metadata_files(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {
            "train/metadata.csv": b"file_name,label\n1.png,x\n",
            "test/metadata.jsonl": b'{"file_name":"1.png","label":7,"score":0.5}\n',
            "train/1.png": b"1",
            "test/1.png": b"2",
        }
    )
    samples = sample_table(snapshot, "image")
    assert rows_of(samples, "path", "label", "split", "score") == [
        ("test/1.png", "7", "test", 0.5),
        ("train/1.png", "x", "train", None),
    ]


def test_labels_keep_their_spelling(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {"metadata.csv": b"file_name,label\na.png,01\nb.png,NA\nc.png,\n"}
        | {f"{name}.png": b"" for name in "abc"}
    )
    assert rows_of(sample_table(snapshot, "image"), "label") == [("01",), ("NA",), (None,)]


def test_a_sample_may_come_twice(make_snapshot: MakeSnapshot) -> None:
    data = b"file_name,caption\na.png,one\na.png,two\n"
    samples = sample_table(make_snapshot({"metadata.csv": data, "a.png": b""}), "image")
    assert rows_of(samples, "caption") == [("one",), ("two",)]


def test_paths_as_tools_write_them(make_snapshot: MakeSnapshot) -> None:
    data = b"file_name\n./a.png\nsub\\b.png\n"
    samples = sample_table(
        make_snapshot({"metadata.csv": data, "a.png": b"", "sub/b.png": b""}), "image"
    )
    assert rows_of(samples, "path") == [("a.png",), ("sub/b.png",)]


def test_columns_that_every_sample_has_are_kept_under_another_name(
    make_snapshot: MakeSnapshot,
) -> None:
    snapshot = make_snapshot({"metadata.csv": b"file_name,size\na.png,big\n", "a.png": b"123"})
    assert rows_of(sample_table(snapshot, "image"), "size", "size_") == [(3, "big")]


def test_rows_for_other_media_are_those_of_other_tables(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {
            "metadata.csv": b"file_name,label\na.png,x\nb.mp4,y\n",
            "a.png": b"",
            "b.mp4": b"",
            "t/z/c.txt": b"",
        }
    )
    assert rows_of(sample_table(snapshot, "image"), "path") == [("a.png",)]
    assert rows_of(sample_table(snapshot, "video"), "path") == [("b.mp4",)]
    assert sample_table(snapshot, "text").convention == "file"


def test_metadata_above_the_folder_that_is_looked_at(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {
            "d/metadata.csv": b"file_name,label\ntrain/a.png,x\ntest/b.png,y\n",
            "d/train/a.png": b"",
            "d/test/b.png": b"",
        }
    )
    samples = sample_table(snapshot, "image", under="d/train/")
    assert rows_of(samples, "path", "label", "split") == [("d/train/a.png", "x", "train")]


def test_a_table_without_file_names_is_no_metadata(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"metadata.csv": b"a,b\n1,2\n", "x/a.png": b"", "y/b.png": b""})
    assert sample_table(snapshot, "image").convention == "label/file"


def test_metadata_elsewhere_is_not_asked(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {"other/metadata.csv": b"file_name\ngone.png\n", "d/x/a.png": b"", "d/y/b.png": b""}
    )
    assert sample_table(snapshot, "image", under="d").convention == "label/file"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"file_name\na.png\ngone.png\n", r"Row 2 of 'd/metadata.csv' .* not in .* 'd/gone.png'"),
        (b"file_name,label\na.png,x\n,y\n", r"Row 2 of 'd/metadata.csv' has no file_name"),
        (b"file_name\n../a.png\n", r"Row 1 .* outside of its folder: '../a.png'"),
        (b"file_name\n/a.png\n", r"Row 1 .* outside of its folder"),
        (b"file_name,label\na.png\n", r"'d/metadata.csv' cannot be read: .*Expected 2 columns"),
        (b"", r"'d/metadata.csv' cannot be read: Empty CSV file"),
        (b"file_name,x,x\na.png,1,2\n", r"'d/metadata.csv' has the column 'x' more than once"),
        (b"file_name\n\xff.png\n", r"'d/metadata.csv' cannot be read: .*UTF8"),
    ],
)
def test_what_is_wrong_is_named(make_snapshot: MakeSnapshot, data: bytes, message: str) -> None:
    snapshot = make_snapshot({"d/metadata.csv": data, "d/a.png": b""})
    with pytest.raises(InvalidInputError, match=message):
        sample_table(snapshot, "image")


@pytest.mark.parametrize("data", [b'{"file_name": "a.png"\n', b"[1]\n", b"\x89PNG"])
def test_broken_json_lines_are_named(make_snapshot: MakeSnapshot, data: bytes) -> None:
    snapshot = make_snapshot({"metadata.jsonl": data, "a.png": b""})
    with pytest.raises(InvalidInputError, match=r"'metadata.jsonl:1' cannot be read: "):
        sample_table(snapshot, "image")


def test_a_broken_parquet_file_is_named(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"metadata.parquet": b"PAR1", "a.png": b""})
    with pytest.raises(InvalidInputError, match=r"'metadata.parquet' cannot be read: "):
        sample_table(snapshot, "image")


def test_metadata_files_that_disagree_on_a_type_are_refused(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {
            "a/metadata.csv": b"file_name,n\n1.png,1\n",
            "b/metadata.csv": b"file_name,n\n1.png,x\n",
            "a/1.png": b"",
            "b/1.png": b"",
        }
    )
    with pytest.raises(InvalidInputError, match=r"disagree on a column: .*\bn\b"):
        sample_table(snapshot, "image")


def test_metadata_of_other_media_does_no_harm(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {"clips/metadata.csv": b"file_name\ngone.mp4\n", "clips/a.mp4": b"", "pets/b.png": b""}
    )
    assert sample_table(snapshot, "image").convention == "file"


def test_two_metadata_files_for_one_sample_are_refused(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {
            "metadata.csv": b"file_name\na.png\n",
            "metadata.jsonl": b'{"file_name":"a.png"}\n',
            "a.png": b"",
        }
    )
    with pytest.raises(InvalidInputError, match=r"'a.png' is named by two metadata files"):
        sample_table(snapshot, "image")


def test_labels_that_are_no_text_are_refused(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {"metadata.jsonl": b'{"file_name":"a.png","label":{"x":1}}\n', "a.png": b""}
    )
    with pytest.raises(InvalidInputError, match=r"The column 'label' of 'metadata.jsonl' holds"):
        sample_table(snapshot, "image")
