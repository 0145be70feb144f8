"""Tables of entries: the columns that every room exchanges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.digest import DIGEST_SIZE, Digest

FILE = 0
SYMLINK = 1

ENTRY_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("kind", pa.uint8(), nullable=False),
        pa.field("size", pa.uint64(), nullable=False),
        pa.field("digest", pa.binary(DIGEST_SIZE), nullable=False),
    ]
)
"""A table of entries has these columns and is sorted by path, byte by byte, without repeats."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a dataset; `size` in bytes."""

    path: str
    kind: int
    size: int
    digest: Digest


def entry_table(entries: Iterable[Entry]) -> pa.Table:
    """The table of `entries`, sorted by path."""
    # Code point order of str is byte order of UTF-8.
    rows = sorted(entries, key=lambda entry: entry.path)
    columns = [
        [row.path for row in rows],
        [row.kind for row in rows],
        [row.size for row in rows],
        [row.digest for row in rows],
    ]
    return pa.table(columns, schema=ENTRY_SCHEMA)


def rows_of(table: pa.Table) -> list[Entry]:
    """The entries of a table, one object each: not for whole datasets."""
    return [
        Entry(path, kind, size, Digest(digest))
        for path, kind, size, digest in zip(
            *(table.column(name).to_pylist() for name in ENTRY_SCHEMA.names), strict=True
        )
    ]
