"""Columns of paths in order: searched and aligned without an object for each file.

Importing pyarrow.compute costs 0.1 s, a quarter of the start of a command: small columns are
handled in plain Python, and only large ones by its kernels.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_SMALL = 20_000
_FEW_AMONG = 64
_AT_ONCE = 1 << 16


def whole_column(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece; no copy if it is."""
    pieces = table.column(name).chunks
    if len(pieces) == 1:
        return pieces[0]
    return pa.concat_arrays(pieces) if pieces else pa.array([], table.schema.field(name).type)


def position(paths: pa.StringArray, path: str) -> int:
    """The first row of `paths`, which are in order, that does not come before `path`."""
    return bisect_left(range(len(paths)), path, key=lambda row: paths[row].as_py())


def row_of(path: str, paths: pa.StringArray) -> int:
    """The row of `path` in `paths`, which are in order; -1 if it is not there."""
    row = position(paths, path)
    return row if row < len(paths) and paths[row].as_py() == path else -1


def rows_below(paths: pa.StringArray, folder: str) -> tuple[int, int]:
    """From where, and up to where, `paths`, which are in order, lie below a folder."""
    # "0" is the character after "/".
    return position(paths, folder + "/"), position(paths, folder + "0")


def align(paths: pa.StringArray, others: pa.StringArray) -> Rows:
    """For each of `paths` its row in `others`, -1 where it is not there.

    Both are in order of path and repeat none.
    """
    if paths.equals(others):
        return np.arange(len(paths))
    if max(len(paths), len(others)) <= _SMALL:
        rows = {path: row for row, path in enumerate(others.to_pylist())}
        return np.array([rows.get(path, -1) for path in paths.to_pylist()], np.int64)
    if len(paths) * _FEW_AMONG <= len(others):
        return np.array([row_of(path, others) for path in paths.to_pylist()], np.int64)
    if len(others) * _FEW_AMONG <= len(paths):
        places = align(others, paths)
        found = np.full(len(paths), -1, np.int64)
        found[places[places >= 0]] = np.flatnonzero(places >= 0)
        return found
    # A few at a time: a table of all paths would take several times their memory.
    pieces = [paths.slice(start, _AT_ONCE) for start in range(0, len(paths), _AT_ONCE)]
    return np.concatenate([_align_piece(piece, others) for piece in pieces])


def path_order(paths: pa.StringArray) -> Rows:
    """The rows of `paths` in order of path."""
    if len(paths) > _SMALL:
        import pyarrow.compute as pc

        return np.asarray(pc.array_sort_indices(paths), np.int64)
    texts = paths.to_pylist()
    return np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)


def merged_order(paths: pa.StringArray, others: pa.StringArray) -> Rows:
    """The rows of two columns that follow each other, in order of path; each is in order."""
    count, more = len(paths), len(others)
    if more * _FEW_AMONG <= count:
        places = [position(paths, path) for path in others.to_pylist()]
        return np.insert(np.arange(count), places, np.arange(count, count + more))
    if count * _FEW_AMONG <= more:
        order = merged_order(others, paths)
        return np.where(order < more, order + count, order - more)
    return path_order(pa.concat_arrays([paths, others]))


def _align_piece(paths: pa.StringArray, others: pa.StringArray) -> Rows:
    import pyarrow.compute as pc

    first, last = (position(others, paths[row].as_py()) for row in (0, -1))
    there = others.slice(first, last + 1 - first)
    if paths.equals(there):
        return np.arange(first, last + 1)
    found = np.asarray(pc.fill_null(pc.index_in(paths, value_set=there), -1), np.int64)
    return np.where(found < 0, found, found + first)
