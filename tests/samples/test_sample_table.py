from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc import Snapshot
from datasets_vc.digest import digest_of
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import FILE, Entry, entry_table
from datasets_vc.samples import sample_table
from datasets_vc.samples.splits import hash_keys, splits_by_hash

MakeSnapshot = Callable[..., Snapshot]


class Files:
    """As much of a snapshot as sample tables need, without a store."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._data = {digest_of(data): data for data in files.values()}
        self._entries = entry_table(
            Entry(path, FILE, len(data), digest_of(data)) for path, data in files.items()
        )

    def entries(self, prefix: str = "") -> pa.Table:
        assert not prefix
        return self._entries

    def read_many(self, digests: list[bytes]) -> list[bytes]:
        return [self._data[digest] for digest in digests]


def table(files: Mapping[str, bytes], media: str = "image", **options: Any) -> Any:
    return sample_table(Files(files), media, **options)  # type: ignore[arg-type]


def test_only_visible_files_of_the_media_count(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        {
            "a/1.PNG": b"1",
            "a/2.jpeg": b"2",
            "a/.hidden.png": b"3",
            ".git/x.png": b"4",
            "a/__MACOSX/._1.png": b"5",
            "a/notes.txt": b"6",
            "a/png": b"7",
            "b/3.webp": b"8",
        },
        links={"b/4.png": b"3.webp"},
    )
    samples = sample_table(snapshot, "image")
    assert samples.table.column("path").to_pylist() == ["a/1.PNG", "a/2.jpeg", "b/3.webp"]
    assert samples.classes == ["a", "b"]
    assert samples.table.column("size").to_pylist() == [1, 1, 1]
    assert samples.table.column("digest")[0].as_py() == digest_of(b"1")


def test_files_about_a_folder_are_no_texts() -> None:
    files = {"README.txt": b"", "license.txt": b"", "a/x.txt": b"1", "b/y.txt": b"2"}
    assert table(files, "text").table.column("path").to_pylist() == ["a/x.txt", "b/y.txt"]


def test_whole_numbers_are_ordered_by_value() -> None:
    files = {f"{label}/x.png": b"" for label in (10, 9, 1, 0)}
    assert table(files).classes == ["0", "1", "9", "10"]
    assert table(files | {"01/x.png": b""}).classes == ["0", "01", "1", "10", "9"]


def test_under_selects_a_folder_or_a_file() -> None:
    files = {"d/a/1.png": b"", "d/b/2.png": b"", "da/c/3.png": b""}
    assert len(table(files, under="d").table) == 2
    assert table(files, under="d/a/1.png").table.column("path").to_pylist() == ["d/a/1.png"]


@pytest.mark.parametrize(
    ("files", "media", "under", "message"),
    [
        ({"a.png": b""}, "image", "b", "Nothing lies under 'b'"),
        (
            {"a.png": b"", "b.TXT": b"", "c": b""},
            "video",
            "",
            "no videos .*: it holds 1 x .png, 1 x .txt, 1 x no suffix",
        ),
        ({"d/a.csv": b"x\n1\n"}, "text", "d", "no texts under 'd': it holds 1 x .csv"),
        ({}, "image", "", "This dataset has no files"),
        ({"a.png": b""}, "sound", "", "'sound' is no kind of media"),
    ],
)
def test_what_is_there_instead_is_said(
    files: dict[str, bytes], media: str, under: str, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        table(files, media, under=under)


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}])
def test_fractions_have_to_make_a_whole(fractions: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="do not add up to 1"):
        table({"a.png": b""}, fractions=fractions)


def test_splits_by_hash_follow_the_fractions() -> None:
    samples = table({f"{label}/{n}.png": b"" for n in range(2000) for label in "ab"})
    counts = {row["split"]: row["count"] for row in _count(samples.table)}
    assert counts["train"] == pytest.approx(3200, rel=0.05)
    assert counts["val"] == pytest.approx(400, rel=0.2)
    assert counts["test"] == pytest.approx(400, rel=0.2)
    assert samples.splits == ["test", "train", "val"]


def test_fractions_of_ones_own() -> None:
    samples = table({f"{n}.png": b"" for n in range(100)}, fractions={"train": 0.5, "dev": 0.5})
    assert samples.splits == ["train", "val"]
    assert table({"a.png": b""}, fractions={"all": 1.0}).splits == ["all"]


NAMES = st.text("abcdefgh0123é", min_size=1, max_size=6)
PATHS = st.sets(st.tuples(st.sampled_from(["x", "y", "z"]), NAMES).map("/".join), min_size=2)


@given(PATHS, PATHS)
def test_adding_samples_moves_none_to_another_split(some: set[str], more: set[str]) -> None:
    before = _splits(table({f"{path}.png": b"" for path in some}))
    after = _splits(table({f"{path}.png": b"" for path in some | more}))
    assert before.items() <= after.items()


@given(st.lists(st.text("abc", min_size=1), min_size=1, unique=True), st.data())
def test_adding_rows_moves_none_to_another_split(texts: list[str], data: st.DataObject) -> None:
    more = data.draw(st.permutations([*texts, "x", "yy", "zzz"]))
    before, after = (
        {text: row["split"] for text, row in zip(lines, _rows_of(lines), strict=True)}
        for lines in (texts, more)
    )
    assert before.items() <= after.items()


def test_texts_in_rows_and_files_of_their_own() -> None:
    samples = table(
        {
            "t/news/1.txt": b"one",
            "t/sport/2.txt": b"two",
            "t/news/more.jsonl": b'{"text":"three"}\n{"text":"four","label":"sport"}\n',
            "t/metadata.json": b"",
            "t/about.csv": b"a,b\n1,2\n",
        },
        "text",
    )
    assert samples.convention == "label/file and rows of .jsonl"
    assert samples.ignored == 1
    columns = ("path", "row", "label")
    assert [tuple(row[name] for name in columns) for row in samples.table.to_pylist()] == [
        ("t/news/1.txt", None, "news"),
        ("t/news/more.jsonl", 1, "news"),
        ("t/news/more.jsonl", 2, "sport"),
        ("t/sport/2.txt", None, "sport"),
    ]


def test_row_files_named_like_splits() -> None:
    files = {
        "t/train.csv": b"text,label\na,x\nb,y\n",
        "t/dev.csv": b"text,label,split\nc,x,\nd,x,test\n",
    }
    samples = table(files, "text")
    assert samples.table.column("split").to_pylist() == ["val", "test", "train", "train"]
    assert samples.classes == ["x", "y"]
    assert samples.convention == "rows of .csv"


def test_the_place_of_a_key_among_the_fractions_decides() -> None:
    keys = np.array([0, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    splits = splits_by_hash(keys, {"train": 0.5, "empty": 0.0, "valid": 0.5})
    assert splits.to_pylist() == ["train", "val", "val", "val"]


def test_keys_are_the_same_everywhere() -> None:
    keys = hash_keys(pa.chunked_array([["a.png", "é.png"]]))
    assert [f"{key:016x}" for key in keys.tolist()] == ["f312fd6dc8c1eb8f", "4c659dd7a169b117"]


def test_the_table_can_be_pickled() -> None:
    samples = table({"a.png": b""})
    assert pickle.loads(pickle.dumps(samples)).table.equals(samples.table)


def _rows_of(texts: list[str]) -> list[dict[str, Any]]:
    lines = "".join(f'{{"text":"{text}"}}\n' for text in texts)
    rows: list[dict[str, Any]] = table({"a.jsonl": lines.encode()}, "text").table.to_pylist()
    return rows


def _splits(samples: Any) -> dict[str, str]:
    columns = (samples.table.column(name).to_pylist() for name in ("path", "split"))
    return dict(zip(*columns, strict=True))


def _count(rows: pa.Table) -> list[dict[str, Any]]:
    counted = rows.group_by("split").aggregate([([], "count_all")])
    return counted.rename_columns(["split", "count"]).to_pylist()


PIECES = [
    b'"', b"\n", b",", b"{", b"}", b":", b"\xff", b"\xef\xbb\xbf", b"\r", b"\\", b"\0", b"\\ud800",
    b'{"text":"a","label":1}', b'{"file_name":"b.png","k":[1]}', b"text,file_name,label", b"text",
    b"a,b.png,c", b"null", b"1e999", b"x", b"PAR1", b" ",
]  # fmt: skip


@given(
    st.sampled_from(["metadata.csv", "metadata.jsonl", "metadata.parquet", "a.csv", "a.jsonl"]),
    st.lists(st.sampled_from(PIECES)).map(b"".join),
)
def test_whatever_a_table_holds_errors_are_told(name: str, data: bytes) -> None:
    for media in ("image", "text"):
        try:
            samples = table({name: data, "b.png": b"", "c.txt": b""}, media)
        except InvalidInputError:
            continue
        assert samples.table.to_pylist()
