"""What differs between two versions of a table, by row and by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.tables.reading import read_table
from datasets_vc.tables.table import KeyedTable, Rows, column_of, differs, rows_in

_ROWS_AT_ONCE = 1 << 17
_COUNTED = ("label", "split")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of the row `key`, before and after; None is no value."""

    key: str
    column: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row by its key; `fields` are the columns that have a value, the key's among them."""

    key: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row whose fields differ; `label` and `split` are those that it has now."""

    key: str
    fields: tuple[FieldChange, ...]
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class RowDiff:
    """Rows added and changed are in the new table's order, removed ones in the old table's."""

    added: Sequence[Row] = ()
    removed: Sequence[Row] = ()
    changed: Sequence[RowChange] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff_tables(path: str, key: str, old: bytes | None, new: bytes | None) -> RowDiff | None:
    """Compare two versions of the table at `path` by the column `key`; None is no table at all.

    Returns:
        None if either cannot be read as a table with that key; `compare_tables` says why.
    """
    try:
        return compare_tables(path, key, old, new)
    except InvalidInputError:
        return None


def compare_tables(path: str, key: str, old: bytes | None, new: bytes | None) -> RowDiff:
    """`diff_tables`, with an error where it has no answer.

    Raises:
        InvalidInputError: see `read_table`.
    """
    try:
        before = None if old is None else read_table(path, key, old)
        after = None if new is None else read_table(path, key, new)
        return _difference(before, after)
    except (RecursionError, pa.ArrowException) as error:
        raise InvalidInputError(f"'{path}' cannot be compared by row.") from error


def _difference(before: KeyedTable | None, after: KeyedTable | None) -> RowDiff:
    if before is None or after is None:
        return RowDiff(added=_rows_of(after), removed=_rows_of(before))
    place = rows_in(before, after.keys)
    kept = np.flatnonzero(place >= 0)
    gone = np.ones(len(before), np.bool_)
    gone[place[kept]] = False
    return RowDiff(
        added=_rows_of(after, np.flatnonzero(place < 0)),
        removed=_rows_of(before, np.flatnonzero(gone)),
        changed=list(_changes(before, place[kept], after, kept)),
    )


def _rows_of(table: KeyedTable | None, rows: Rows | None = None) -> list[Row]:
    if table is None:
        return []
    rows = np.arange(len(table)) if rows is None else rows
    found = []
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        batch = rows[first : first + _ROWS_AT_ONCE]
        for key, fields in zip(
            table.keys.take(batch).to_pylist(), table.fields(batch).to_pylist(), strict=True
        ):
            texts = {
                column: text
                for column, cell in fields.items()
                if cell is not None and (text := table.texts(cell)[0]) is not None
            }
            found.append(Row(key, texts))
    return found


def _changes(before: KeyedTable, old: Rows, after: KeyedTable, new: Rows) -> Iterator[RowChange]:
    """The rows `old` that are not as the rows `new`."""
    suspects = np.flatnonzero(~before.same_as(old, after, new))
    for first in range(0, len(suspects), _ROWS_AT_ONCE):
        batch = suspects[first : first + _ROWS_AT_ONCE]
        yield from _changed(before, old[batch], after, new[batch])


def _changed(before: KeyedTable, old: Rows, after: KeyedTable, new: Rows) -> Iterator[RowChange]:
    left, right = before.fields(old), after.fields(new)
    columns = list(dict.fromkeys((*right.column_names, *left.column_names)))
    changes: dict[int, list[tuple[str, str | None, str | None]]] = {}
    for column in columns:
        one, other = column_of(left, column), column_of(right, column)
        places = np.flatnonzero(differs(one, other))
        cells = zip(one.take(places).to_pylist(), other.take(places).to_pylist(), strict=True)
        for place, pair in zip(places.tolist(), cells, strict=True):
            changes.setdefault(place, []).append((column, *pair))
    order = np.array(sorted(changes), np.int64)
    keys = after.keys.take(new[order]).to_pylist()
    labels, splits = (column_of(right, name).take(order).to_pylist() for name in _COUNTED)
    for place, key, label, split in zip(order.tolist(), keys, labels, splits, strict=True):
        fields = tuple(
            FieldChange(key, column, *after.texts(*cells)) for column, *cells in changes[place]
        )
        yield RowChange(key, fields, *(after.texts(cell)[0] for cell in (label, split)))
