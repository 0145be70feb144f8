"""Rows of entries, compared as columns: an object is made for each that differs, not for all.

Importing pyarrow.compute costs 0.1 s, a quarter of the start of a command: small columns are
handled in plain Python, and only large ones by its kernels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.digest import DIGEST_SIZE
from datasets_vc.format.entries import ENTRY_SCHEMA

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Spans = tuple[Rows, Rows]
"""Where each span of rows starts, and how many it has."""

_SMALL = 50_000
_FEW = 16


def differing(
    left: Sequence[pa.RecordBatch], right: Sequence[pa.RecordBatch]
) -> tuple[pa.Table, pa.Table]:
    """The entries of either side that the other does not have.

    Args:
        left: all entries of one side, in path order; cut anywhere, best where nodes end.
        right: all of the other side.
    """
    sides = (pa.Table.from_batches(side, schema=ENTRY_SCHEMA) for side in (left, right))
    here, there = (side.combine_chunks() for side in sides)
    spans = _without_equal_runs(here, _ends(left, right), there, _ends(right, left))
    (some, paths), (others, places) = _rows_in(here, spans[0]), _rows_in(there, spans[1])
    place = align(paths, places)
    common = np.flatnonzero(place >= 0)
    common = common[same_content(here, some[common], there, others[place[common]])]
    return take(here, np.delete(some, common)), take(there, np.delete(others, place[common]))


def align(paths: pa.Array, places: pa.Array) -> Rows:
    """For each of `paths` its row in `places`, -1 where it is not there; both are in order."""
    if paths.equals(places):
        return np.arange(len(paths))
    if min(len(paths), len(places)) > _SMALL:
        import pyarrow.compute as pc

        return np.asarray(pc.fill_null(pc.index_in(paths, value_set=places), -1), np.int64)
    if len(paths) <= len(places):
        return find(paths.to_pylist(), places.to_pylist())
    rows = find(places.to_pylist(), paths.to_pylist())
    found = np.full(len(paths), -1, np.int64)
    found[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    return found


def find(paths: Sequence[str], places: Sequence[str]) -> Rows:
    """For each of some paths its row among `places`, which are in order; -1: it is not there."""
    if _FEW * len(paths) > len(places):
        known = {path: row for row, path in enumerate(places)}
        return np.array([known.get(path, -1) for path in paths], np.int64)
    end = len(places)
    rows = ((bisect_left(places, path), path) for path in paths)
    found = [row if row < end and places[row] == path else -1 for row, path in rows]
    return np.array(found, np.int64)


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
    columns = (whole(table, name) for name in ENTRY_SCHEMA.names)
    picked = [[column[row].as_py() for row in rows.tolist()] for column in columns]
    return pa.table(picked, schema=ENTRY_SCHEMA)


def paths_at(table: pa.Table, rows: Rows) -> pa.Array:
    """The paths of some rows."""
    paths = whole(table, "path")
    if np.array_equal(rows, np.arange(len(paths))):
        return paths
    if len(rows) > _SMALL:
        return paths.take(pa.array(rows))
    return pa.array([paths[row].as_py() for row in rows.tolist()], pa.string())


def whole(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    pieces = table.column(name).chunks
    if len(pieces) == 1:
        return pieces[0]
    return pa.concat_arrays(pieces) if pieces else pa.array([], table.schema.field(name).type)


def _numbers(table: pa.Table) -> list[NDArray[np.generic]]:
    """The columns that are not text, each of one number a row."""
    digests = whole(table, "digest")
    words = np.frombuffer(digests.buffers()[1] or b"", np.uint64).reshape(-1, DIGEST_SIZE // 8)
    words = words[digests.offset : digests.offset + len(digests)]
    return [whole(table, "kind").to_numpy(), whole(table, "size").to_numpy(), *words.T]


def _ends(batches: Sequence[pa.RecordBatch], others: Sequence[pa.RecordBatch]) -> Rows:
    """After how many rows come the paths that end a batch on either side; the last row at last.

    Where a node ends depends on its last path alone, so that most stretches between such paths
    are a node and what has become of it.
    """
    lasts, common = _lasts(batches), set(_lasts(others))
    counts = accumulate(batch.num_rows for batch in batches)
    ends = [count for count, last in zip(counts, lasts, strict=True) if last in common]
    return np.array([*ends, sum(batch.num_rows for batch in batches)], np.int64)


def _lasts(batches: Sequence[pa.RecordBatch]) -> list[str | None]:
    return [batch.column(0)[-1].as_py() if batch.num_rows else None for batch in batches]


def _rows_in(table: pa.Table, spans: Spans) -> tuple[Rows, pa.Array]:
    """The rows in some spans, and their paths."""
    column = whole(table, "path")
    paths = [column.slice(start, count) for start, count in zip(*spans, strict=True)]
    return _ranges(*spans), pa.concat_arrays(paths)


def _without_equal_runs(
    here: pa.Table, ends: Rows, there: pa.Table, other_ends: Rows
) -> tuple[Spans, Spans]:
    """What is left of either side without the rows that both begin, or end, a stretch with."""
    starts, other_starts = (np.append(0, side[:-1]) for side in (ends, other_ends))
    shorter = np.minimum(ends - starts, other_ends - other_starts)
    heads = _equal_run(here, starts, there, other_starts, shorter, step=1)
    tails = _equal_run(here, ends - 1, there, other_ends - 1, shorter - heads, step=-1)
    return (
        (starts + heads, ends - starts - heads - tails),
        (other_starts + heads, other_ends - other_starts - heads - tails),
    )


def _equal_run(
    here: pa.Table, starts: Rows, there: pa.Table, others: Rows, most: Rows, step: int
) -> Rows:
    """How many rows from `starts` and `others` on are equal, at most `most`, going by `step`."""
    firsts = np.cumsum(most) - most
    offsets = step * _ranges(np.zeros_like(most), most)
    rows = np.repeat(starts, most) + offsets, np.repeat(others, most) + offsets
    differ = np.append(np.flatnonzero(~same_content(here, rows[0], there, rows[1])), len(offsets))
    runs: Rows = np.minimum(differ[np.searchsorted(differ, firsts)] - firsts, most)
    paths = whole(here, "path"), whole(there, "path")
    for number in np.flatnonzero(runs).tolist():
        run = int(runs[number])
        back = run - 1 if step < 0 else 0
        one = paths[0].slice(int(starts[number]) - back, run)
        if not one.equals(paths[1].slice(int(others[number]) - back, run)):
            runs[number] = 0  # equal contents under other paths: to be looked at one by one
    return runs


def _ranges(starts: Rows, counts: Rows) -> Rows:
    """The numbers from each start on, as many as its count."""
    firsts = np.cumsum(counts) - counts
    numbers: Rows = np.repeat(starts - firsts, counts) + np.arange(counts.sum())
    return numbers
