"""Which files are tables with a key."""

from __future__ import annotations

import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.tables import check_keys, declared_keys, is_table, key_of


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("metadata.csv", "file_name"),
        ("a/b/Metadata.JSONL", "file_name"),
        ("metadata.parquet", "file_name"),
        ("metadata.txt", None),
        ("metadata", None),
        ("xmetadata.csv", None),
        ("metadata.csv/labels.csv", None),
    ],
)
def test_metadata_is_by_its_name(path: str, key: str | None) -> None:
    assert key_of(path, {}) == key


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("labels/a.csv", "id"),
        ("labels/deep/a.csv", None),
        ("x/labels/a.csv", None),
        ("y/boxes.jsonl", "box"),
        ("all/deep/z.parquet", "last"),
        ("all/z.txt", None),
        ("meta/metadata.csv", "other"),
    ],
)
def test_others_are_declared_by_patterns_and_the_last_one_counts(
    path: str, key: str | None
) -> None:
    declared = {
        "labels/*.csv": "id",
        "boxes.jsonl": "box",
        "all/**": "first",
        "all/deep/": "last",
        "meta/*": "other",
    }
    assert key_of(path, declared) == key


def test_keys_travel_with_the_dataset() -> None:
    text = '[other]\nx = 1\n[tables]\n"labels/*.csv" = "image_id"\n"ü.jsonl" = "a b"\n'
    assert declared_keys(text.encode()) == {"labels/*.csv": "image_id", "ü.jsonl": "a b"}
    assert declared_keys(b"") == {}
    assert declared_keys(f"\ufeff{text}".encode()) == declared_keys(text.encode())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[tables", "'dsvc.toml' is not valid TOML"),
        (b"\xff", "'dsvc.toml' is not valid TOML"),
        (b"tables = 3", "'dsvc.toml': 'tables' must be a table, not 3"),
        (b'[tables]\n"a.csv" = 1', "The key of the tables 'a.csv' must be the name of a column"),
        (b'[tables]\n"a.csv" = ""', "must be the name of a column, not ''"),
        (b'[tables.x]\n"a.csv" = "id"', "The key of the tables 'x' must be the name of a column"),
        (b'[tables]\n"!a.csv" = "id"', "'!a.csv' is no pattern that a path can fit"),
        (b'[tables]\n"# a" = "id"', "'# a' is no pattern that a path can fit"),
        (b'[tables]\n"" = "id"', "'' is no pattern that a path can fit"),
    ],
)
def test_nonsense_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        declared_keys(text)


def test_no_keys_are_fine() -> None:
    assert check_keys({}) == {}


def test_tables_are_known_by_suffix() -> None:
    assert [is_table(path) for path in ("a.CSV", "a.jsonl", "a.parquet", "a.tsv", "csv")] == [
        True,
        True,
        True,
        False,
        True,
    ]
