"""Three-way merge of tables by row and by field.

Rows are told apart by their key, whatever their place:

- changed, added or deleted on one side: so it is in the merged table;
- changed on both sides: each field on its own; a field changed differently is a conflict;
- added on both sides: each field on its own, with no value to start from;
- deleted on one side, changed on the other: a conflict of the whole row.

Columns are fields of every row. One that a side has added is in the merged table. One that a side
has dropped is not, unless some row has a value in it nevertheless: one that the other side added,
or, at a conflict, changed.

Rows and columns stand in ours' order; those that only theirs has come after what they come after in
theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.tables.reading import read_table
from datasets_vc.tables.table import (
    Cells,
    KeyedTable,
    Mask,
    Merge,
    Rows,
    check_alike,
    column_of,
    differs,
    fields_at,
    inverse,
    nothing,
    rows_in,
)

Side = Literal["ours", "theirs"]

_ROWS_AT_ONCE = 1 << 17


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that both sides changed differently; None is no value.

    The column "" is the whole row, deleted on one side and changed on the other: the values are
    then the rows as they are written, None where deleted.
    """

    key: str
    column: str
    base: str | None
    ours: str | None
    theirs: str | None


@dataclass(frozen=True, slots=True)
class MergedTable:
    """The merged table's bytes; at conflicts they have the preferred side's values."""

    data: bytes
    conflicts: tuple[FieldConflict, ...] = ()
    """In the order of their keys and columns."""


def merge_tables(
    path: str,
    key: str,
    base: bytes | None,
    ours: bytes,
    theirs: bytes,
    prefer: Side = "ours",
) -> MergedTable | None:
    """Merge what two sides made of the table at `path`, whose rows are told apart by `key`.

    Args:
        base: what both sides started from; None if both added the table.
        prefer: whose values stand where both changed the same field.

    Returns:
        None if one of the three cannot be read as a table with that key: the file as a whole is
        then what conflicts.
    """
    if theirs in (base, ours):
        return MergedTable(ours)
    if ours == base:
        return MergedTable(theirs)
    try:
        merger = _Merger(
            None if base is None else read_table(path, key, base),
            read_table(path, key, ours),
            read_table(path, key, theirs),
            prefer,
        )
        return merger.merged()
    except (InvalidInputError, RecursionError, pa.ArrowException):
        return None


class _Merger:
    """One merge: finds the rows that need a look, and decides for each of their fields."""

    def __init__(
        self, base: KeyedTable | None, ours: KeyedTable, theirs: KeyedTable, prefer: Side
    ) -> None:
        self._base, self._ours, self._theirs = base, ours, theirs
        self._prefers_theirs = prefer == "theirs"
        self._conflicts: list[FieldConflict] = []
        check_alike([table for table in (base, ours, theirs) if table is not None])
        # The rows of base that those of ours and of theirs were, and of each other that they are.
        self._our_origin, self._their_origin = (
            np.full(len(table), -1) if base is None else rows_in(base, table.keys)
            for table in (ours, theirs)
        )
        self._in_ours = rows_in(ours, theirs.keys)
        self._in_theirs = inverse(self._in_ours, len(ours))

    def merged(self) -> MergedTable:
        rows, others = self._rows()
        whole, take = self._choose(rows, others)
        names = _joined(self._ours.columns, self._theirs.columns)
        merge = Merge(names, rows, others, whole, take)
        data = self._ours.assemble(self._theirs, replace(merge, columns=self._columns(merge)))
        conflicts = sorted(self._conflicts, key=lambda found: (found.key, found.column))
        return MergedTable(data, tuple(conflicts))

    def _rows(self) -> tuple[Rows, Rows]:
        """The merged rows in order: those of ours and of theirs that each is, or -1."""
        staying = self._staying(self._ours, self._our_origin, self._in_theirs)
        coming = self._staying(self._theirs, self._their_origin, self._in_ours)
        mine, new = np.flatnonzero(staying), np.flatnonzero(coming & (self._in_ours < 0))
        # A new row comes after the nearest row before it in theirs that ours has, too.
        shared = np.flatnonzero(self._in_ours >= 0)
        before = np.searchsorted(shared, new)
        anchor = np.append(-1, self._in_ours[shared])[before]
        order = np.lexsort(
            (np.append(np.full(len(mine), -1), new), np.append(mine, anchor)),
        )
        rows = np.append(mine, np.full(len(new), -1))[order]
        return rows, np.append(self._in_theirs[mine], new)[order]

    def _staying(self, table: KeyedTable, origin: Rows, elsewhere: Rows) -> Mask:
        """The rows of one side that are in the merged table.

        Not those that the other side deleted, if they are as they were.
        """
        staying = np.ones(len(table), np.bool_)
        deleted = np.flatnonzero((elsewhere < 0) & (origin >= 0))
        if self._base is None or not len(deleted):
            return staying
        changed = _changed(self._base, origin[deleted], table, deleted)
        is_ours = table is self._ours
        staying[deleted] = changed & (is_ours != self._prefers_theirs)
        rows = deleted[changed]
        keys, versions = table.keys.take(rows).to_pylist(), table.written(rows)
        for key, was, now in zip(keys, self._base.written(origin[rows]), versions, strict=True):
            sides = (now, None) if is_ours else (None, now)
            self._conflicts.append(FieldConflict(key, "", was, *sides))
        return staying

    def _choose(self, rows: Rows, others: Rows) -> tuple[Mask, dict[str, Mask]]:
        """Which merged rows are theirs as a whole, and for which a column's cell is theirs'."""
        whole = np.zeros(len(rows), np.bool_)
        both = np.flatnonzero((rows >= 0) & (others >= 0))
        both = both[~self._ours.same_as(rows[both], self._theirs, others[both])]
        origin = self._our_origin[rows[both]]
        if self._base is not None:
            known = np.flatnonzero(origin >= 0)
            here, there = np.zeros((2, len(both)), np.bool_)
            here[known] = self._base.same_as(origin[known], self._ours, rows[both[known]])
            there[known] = self._base.same_as(origin[known], self._theirs, others[both[known]])
            whole[both[here]] = True
            both, origin = both[~here & ~there], origin[~here & ~there]
        take: dict[str, Mask] = {}
        for first in range(0, len(both), _ROWS_AT_ONCE):
            batch = slice(first, first + _ROWS_AT_ONCE)
            places = both[batch]
            taken = self._choose_fields(rows[places], others[places], origin[batch])
            for column, mask in taken:
                take.setdefault(column, np.zeros(len(rows), np.bool_))[places[mask]] = True
        return whole, take

    def _choose_fields(self, rows: Rows, others: Rows, origin: Rows) -> Iterator[tuple[str, Mask]]:
        """For rows of both sides the columns in which some cells are theirs', and which."""
        mine, yours = self._ours.fields(rows), self._theirs.fields(others)
        was = None if self._base is None else fields_at(self._base, origin)
        keys = self._ours.keys.take(rows)
        for column in dict.fromkeys((*mine.column_names, *yours.column_names)):
            here, there = column_of(mine, column), column_of(yours, column)
            before = nothing(len(rows)) if was is None else column_of(was, column)
            unlike, changed = differs(here, there), differs(before, here)
            conflict = unlike & changed & differs(before, there)
            self._note(column, keys, (before, here, there), conflict)
            taken = unlike & (~changed | conflict if self._prefers_theirs else ~changed)
            if taken.any():
                yield column, taken

    def _note(self, column: str, keys: Cells, cells: Sequence[Cells], conflict: Mask) -> None:
        places = np.flatnonzero(conflict)
        if not len(places):
            return
        columns = (array.take(places).to_pylist() for array in (keys, *cells))
        for key, *values in zip(*columns, strict=True):
            self._conflicts.append(FieldConflict(key, column, *self._ours.texts(*values)))

    def _columns(self, merge: Merge) -> tuple[str, ...]:
        """The columns without those that a side has dropped and no merged row has a value in."""
        base = set() if self._base is None else set(self._base.columns)
        doubtful = base & (set(self._ours.columns) ^ set(self._theirs.columns))
        here, there = merge.ours >= 0, merge.theirs >= 0
        for column in doubtful & set(merge.columns):
            by_them = merge.from_theirs(column)
            if _has_value(self._ours, column, merge.ours[here & ~by_them]) or _has_value(
                self._theirs, column, merge.theirs[there & by_them]
            ):
                doubtful.discard(column)
        return tuple(column for column in merge.columns if column not in doubtful)


def _changed(base: KeyedTable, was: Rows, table: KeyedTable, rows: Rows) -> Mask:
    """Whether rows are not as they were in base."""
    changed: Mask = ~base.same_as(was, table, rows)
    suspects = np.flatnonzero(changed)
    before, after = base.fields(was[suspects]), table.fields(rows[suspects])
    unlike = np.zeros(len(suspects), np.bool_)
    for column in {*before.column_names, *after.column_names}:
        unlike |= differs(column_of(before, column), column_of(after, column))
    changed[suspects] = unlike
    return changed


def _has_value(table: KeyedTable, column: str, rows: Rows) -> bool:
    """Whether one of some rows has a value in a column."""
    if column not in table.columns:
        return False
    batches = (rows[first : first + _ROWS_AT_ONCE] for first in range(0, len(rows), _ROWS_AT_ONCE))
    return any(len(column_of(table.fields(batch), column).drop_null()) for batch in batches)


def _joined(ours: Sequence[str], theirs: Sequence[str]) -> tuple[str, ...]:
    """Names of both, ours in their order, theirs' own after what they come after there."""
    found = list(ours)
    at = 0
    for name in theirs:
        if name in ours:
            at = found.index(name) + 1
        else:
            found.insert(at, name)
            at += 1
    return tuple(found)
