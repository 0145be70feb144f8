"""Rows of entries, compared as columns: an object is made for each that differs, not for all.

Importing pyarrow.compute costs 0.1 s, a quarter of the start of a command: small columns are
handled in plain Python, and only large ones by its kernels.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.digest import DIGEST_SIZE
from datasets_vc.format.columns import Mask, Rows, align, whole_column
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.format.limits import check_paths

_SMALL = 50_000


def differing(
    left: Sequence[pa.RecordBatch], right: Sequence[pa.RecordBatch]
) -> tuple[pa.Table, pa.Table]:
    """The entries of either side that the other does not have.

    Args:
        left: all entries of one side, in path order; cut anywhere, best where nodes end.
        right: all of the other side.

    Raises:
        InvalidInputError: a path that differs is too long to be dealt with; see `check_paths`.
    """
    stretches = [_without_equal_ends(*pair) for pair in _stretches(left, right)]
    here, there = (
        pa.Table.from_batches(side, schema=ENTRY_SCHEMA).combine_chunks()
        for side in zip(*stretches, strict=True)
    )
    for table in (here, there):
        check_paths(whole_column(table, "path"))
    place = align(whole_column(here, "path"), whole_column(there, "path"))
    common = np.flatnonzero(place >= 0)
    common = common[same_content(here, common, there, place[common])]
    return take(here, _rest(here, common)), take(there, _rest(there, place[common]))


def same_content(left: pa.Table, some: Rows, right: pa.Table, others: Rows) -> Mask:
    """Whether rows `some` of `left` have the kind, size and digest of rows `others` of `right`."""
    same = np.ones(len(some), np.bool_)
    for one, other in zip(_numbers(left), _numbers(right), strict=True):
        same &= one[some] == other[others]
    return same


def take(table: pa.Table, rows: Rows) -> pa.Table:
    """Some rows of a table of entries, in one piece."""
    if np.array_equal(rows, np.arange(table.num_rows)):
        return table.combine_chunks()
    if len(rows) > _SMALL:
        return table.take(pa.array(rows)).combine_chunks()
    columns = (whole_column(table, name) for name in ENTRY_SCHEMA.names)
    picked = [[column[row].as_py() for row in rows.tolist()] for column in columns]
    return pa.table(picked, schema=ENTRY_SCHEMA)


def paths_at(table: pa.Table, rows: Rows) -> pa.Array:
    """The paths of some rows."""
    paths = whole_column(table, "path")
    if np.array_equal(rows, np.arange(len(paths))):
        return paths
    if len(rows) > _SMALL:
        return paths.take(pa.array(rows))
    return pa.array([paths[row].as_py() for row in rows.tolist()], pa.string())


def _rest(table: pa.Table, rows: Rows) -> Rows:
    """The rows of a table that are not among `rows`."""
    mask = np.ones(table.num_rows, np.bool_)
    mask[rows] = False
    return np.flatnonzero(mask)


def _stretches(
    left: Sequence[pa.RecordBatch], right: Sequence[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Both sides, cut after the paths that end a batch on either side.

    Where a node ends depends on its last path alone, so that most stretches are a node and what
    has become of it.
    """
    lasts = _lasts(left), _lasts(right)
    ends = set(lasts[0]) & set(lasts[1])
    return zip(_cut(left, lasts[0], ends), _cut(right, lasts[1], ends), strict=True)


def _lasts(batches: Sequence[pa.RecordBatch]) -> list[str]:
    return [batch.column(0)[-1].as_py() if batch.num_rows else "" for batch in batches]


def _cut(
    batches: Sequence[pa.RecordBatch], lasts: Sequence[str], ends: Container[str]
) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    for batch, last in zip(batches, lasts, strict=True):
        waiting.append(batch)
        if last in ends:
            yield _joined(waiting)
            waiting = []
    yield _joined(waiting)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches, schema=ENTRY_SCHEMA)
    columns = [whole_column(table, name) for name in ENTRY_SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, schema=ENTRY_SCHEMA)


def _without_equal_ends(
    left: pa.RecordBatch, right: pa.RecordBatch
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """What is left of both without the equal rows that both begin with, and end with."""
    columns = list(zip(_numbers(left), _numbers(right), strict=True))
    most = min(left.num_rows, right.num_rows)
    head = _equal_run([(one[:most], other[:most]) for one, other in columns])
    if not _same_paths(left.slice(0, head), right.slice(0, head)):
        head = 0  # equal contents under other paths: to be looked at one by one
    most -= head
    tail = _equal_run([(one[::-1][:most], other[::-1][:most]) for one, other in columns])
    rows = left.num_rows - tail, right.num_rows - tail
    if not _same_paths(left.slice(rows[0]), right.slice(rows[1])):
        rows = left.num_rows, right.num_rows
    return left.slice(head, rows[0] - head), right.slice(head, rows[1] - head)


def _equal_run(columns: Sequence[tuple[NDArray[np.generic], NDArray[np.generic]]]) -> int:
    """How many rows are equal from the first on."""
    same: Mask = np.logical_and.reduce([one == other for one, other in columns])
    return len(same) if same.all() else int(same.argmin())


def _same_paths(left: pa.RecordBatch, right: pa.RecordBatch) -> bool:
    same: bool = left.column(0).equals(right.column(0))
    return same


def _numbers(rows: pa.Table | pa.RecordBatch) -> list[NDArray[np.generic]]:
    """The columns that are not text, each of one number a row."""
    _, kind, size, digests = (
        rows.columns
        if isinstance(rows, pa.RecordBatch)
        else [whole_column(rows, name) for name in ENTRY_SCHEMA.names]
    )
    words = np.frombuffer(digests.buffers()[1] or b"", np.uint64).reshape(-1, DIGEST_SIZE // 8)
    words = words[digests.offset : digests.offset + len(digests)]
    return [kind.to_numpy(), size.to_numpy(), *words.T]
