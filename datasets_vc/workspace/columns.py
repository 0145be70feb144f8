"""Columns of paths and digests: compared and gathered without an object for each file.

Importing pyarrow.compute costs 0.1 s, as much as all the rest of a status of a small tree: small
columns are handled in plain Python, and only large ones by its kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.digest import DIGEST_SIZE, Digest
from datasets_vc.format.columns import Mask, Rows, whole_column
from datasets_vc.format.entries import ENTRY_SCHEMA

Digests = NDArray[np.uint8]
"""Shape (files, 32)."""

_SMALL = 20_000
_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The columns of a table of entries."""

    path: pa.StringArray
    kind: NDArray[np.uint8]
    size: NDArray[np.uint64]
    digest: Digests

    def __len__(self) -> int:
        return len(self.path)


def entries_of(table: pa.Table) -> Entries:
    """The columns of a table of entries, without a copy where each is in one piece."""
    return Entries(
        whole_column(table, "path"),
        whole_column(table, "kind").to_numpy(),
        whole_column(table, "size").to_numpy(),
        digests_of(whole_column(table, "digest")),
    )


def table_of(
    paths: pa.StringArray, kind: NDArray[Any], size: NDArray[Any], digest: Digests
) -> pa.Table:
    """The table of entries with these columns, which are in order of path."""
    columns = [
        paths,
        pa.array(kind.astype(np.uint8, copy=False)),
        pa.array(size.astype(np.uint64, copy=False)),
        digest_array(digest),
    ]
    return pa.Table.from_arrays(columns, schema=ENTRY_SCHEMA)


def digests_of(column: pa.FixedSizeBinaryArray) -> Digests:
    """The bytes of a column of digests; a view."""
    data = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    start = column.offset * DIGEST_SIZE
    return data[start : start + len(column) * DIGEST_SIZE].reshape(-1, DIGEST_SIZE)


def digest_array(digests: Digests) -> pa.FixedSizeBinaryArray:
    """The column that holds `digests`."""
    data = pa.py_buffer(np.ascontiguousarray(digests))
    return pa.Array.from_buffers(pa.binary(DIGEST_SIZE), len(digests), [None, data])


def digest_at(digests: Digests, row: int) -> Digest:
    """One digest out of a column."""
    return Digest(digests[row].tobytes())


def same_digests(left: Digests, right: Digests) -> Mask:
    """Row by row, whether two columns are equal."""
    words = np.ascontiguousarray(left).view(np.uint64), np.ascontiguousarray(right).view(np.uint64)
    equal: Mask = np.all(words[0] == words[1], axis=1)
    return equal


def same_digests_at(left: Digests, rows: Rows, right: Digests) -> Mask:
    """Row by row, whether `left[rows]` and `right` are equal; a few rows at a time."""
    equal = np.zeros(len(rows), np.bool_)
    for start in range(0, len(rows) if len(left) else 0, _AT_ONCE):
        piece = slice(start, start + _AT_ONCE)
        equal[piece] = same_digests(left[rows[piece]], right[piece])
    return equal


def joined_digests(left: Digests, right: Digests, order: Rows) -> Digests:
    """The rows `order` of two columns that follow each other; never held twice as a whole."""
    joined = np.empty((len(order), DIGEST_SIZE), np.uint8)
    for start in range(0, len(order), _AT_ONCE):
        rows = order[start : start + _AT_ONCE]
        piece, first = joined[start : start + _AT_ONCE], rows < len(left)
        piece[first] = left[rows[first]]
        piece[~first] = right[rows[~first] - len(left)]
    return joined


def not_hit(count: int, rows: Rows) -> Rows:
    """Which of `count` rows `rows` does not name; -1 in it names none."""
    missed = np.ones(count, np.bool_)
    missed[rows[rows >= 0]] = False
    return np.flatnonzero(missed)


def paths_at(paths: pa.StringArray, rows: Rows) -> list[str]:
    """Some of the paths."""
    _, offsets, text = paths.buffers()
    if not len(rows) or text is None:
        return [""] * len(rows)
    ends = np.frombuffer(offsets, np.int32)[paths.offset :]
    data = memoryview(text)
    bounds = zip(ends[rows].tolist(), ends[rows + 1].tolist(), strict=True)
    return [str(data[start:end], "utf-8") for start, end in bounds]


def gather(paths: pa.StringArray, rows: Rows) -> pa.StringArray:
    """Some of the paths, as a column."""
    if len(rows) == len(paths) and np.array_equal(rows, np.arange(len(rows))):
        return paths
    if len(rows) > _SMALL:
        return paths.take(pa.array(rows))
    return pa.array(paths_at(paths, rows), pa.string())
