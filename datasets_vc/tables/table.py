"""Tables with a key, whatever their format: what comparing and merging need of them.

Rows are numbers from 0. A cell is a text that is equal exactly where the value is; null is no
value. Whole columns are compared at a time: a table may have a million rows, of which few differ.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.errors import InvalidInputError

Rows: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Cells: TypeAlias = pa.LargeStringArray


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """The rows of a merged table, in order, and where their cells come from.

    Attributes:
        columns: of the merged table, in order.
        ours: the row of ours that each is, or -1.
        theirs: the row of theirs that each is, or -1.
        whole: rows that are theirs as they stand there, in every column.
        take: for a column the rows whose cell is theirs'; otherwise, and where a column is not
            named, it is ours' if there is a row of ours.
    """

    columns: tuple[str, ...]
    ours: Rows
    theirs: Rows
    whole: Mask
    take: Mapping[str, Mask]

    @property
    def mixed(self) -> Mask:
        """Rows of ours in which something is theirs'."""
        found = np.zeros(len(self.ours), np.bool_)
        for mask in self.take.values():
            found |= mask
        return found & ~self.whole

    def from_theirs(self, column: str) -> Mask:
        """The rows whose cell in `column` is theirs'."""
        whole: Mask = self.whole | (self.ours < 0)
        return whole | self.take[column] if column in self.take else whole


class KeyedTable(ABC):
    """A table whose rows are told apart by one column.

    Attributes:
        name: its path, for messages.
        columns: their names, in order; empty where every row has its own.
        kinds: column -> type, where columns have types.
        keys: a string for each row, none twice.
    """

    name: str
    columns: tuple[str, ...]
    kinds: Mapping[str, str] = MappingProxyType({})
    keys: Cells

    def __len__(self) -> int:
        return len(self.keys)

    @abstractmethod
    def same_as(self, rows: Rows, other: Self, others: Rows) -> Mask:
        """For each of `rows` whether it clearly is what the row of `other` is; a quick look."""

    @abstractmethod
    def fields(self, rows: Rows) -> pa.Table:
        """The cells of some rows: a column of strings for each that one of them has."""

    @abstractmethod
    def written(self, rows: Rows) -> list[str]:
        """Rows as they are written."""

    @abstractmethod
    def assemble(self, theirs: Self, merge: Merge) -> bytes:
        """The merged table, written the way this one is."""

    def texts(self, *cells: str | None) -> tuple[str | None, ...]:
        """Cells as people read them; different ones stay different."""
        return cells


def checked_keys(keys: pa.Array | pa.ChunkedArray, column: str, name: str) -> Cells:
    """Texts, if each can be the key of a row.

    Raises:
        InvalidInputError: one is empty or null, or comes twice.
    """
    import pyarrow.compute as pc

    if isinstance(keys, pa.ChunkedArray):
        keys = keys.combine_chunks()
    missing = pc.index(pc.fill_null(pc.equal(keys, ""), True), True).as_py()
    if missing >= 0:
        raise InvalidInputError(f"Row {missing + 1} of '{name}' has no {column}.")
    if len(pc.unique(keys)) == len(keys):
        return keys
    counts = pc.value_counts(keys)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))[0]["values"].as_py()
    raise InvalidInputError(f"'{name}' has more than one row with the {column} '{twice}'.")


def check_columns(columns: Sequence[str], key: str, name: str) -> tuple[str, ...]:
    """Return `columns` if they can be a keyed table's.

    Raises:
        InvalidInputError: the key is not among them, or one comes twice.
    """
    if key not in columns:
        raise InvalidInputError(f"'{name}' has no column '{key}'.")
    if len(set(columns)) < len(columns):
        raise InvalidInputError(f"'{name}' has a column more than once.")
    return tuple(columns)


def rows_in(table: KeyedTable, keys: Cells) -> Rows:
    """For each of `keys` its row in a table, or -1."""
    import pyarrow.compute as pc

    found = pc.index_in(keys, value_set=table.keys)
    return as_numpy(pc.fill_null(found, -1)).astype(np.int64)


def inverse(rows: Rows, length: int) -> Rows:
    """For each row of a table of `length` its place in `rows`, or -1."""
    found = np.full(length, -1)
    places = np.flatnonzero(rows >= 0)
    found[rows[places]] = places
    return found


def check_alike(tables: Sequence[KeyedTable]) -> None:
    """Check that columns of one name can be merged.

    Raises:
        InvalidInputError: they are of different types.
    """
    kinds: dict[str, str] = {}
    for table in tables:
        for column, kind in table.kinds.items():
            if kinds.setdefault(column, kind) != kind:
                raise InvalidInputError(
                    f"The column '{column}' of '{table.name}' is once {kinds[column]}, once {kind}."
                )


def fields_at(table: KeyedTable, rows: Rows) -> pa.Table:
    """The cells of some rows; those of row -1 are null."""
    present = rows >= 0
    found = table.fields(rows[present])
    if present.all():
        return found
    place = np.cumsum(present) - 1
    return found.take(pa.array(place, mask=~present))


def column_of(fields: pa.Table, name: str) -> Cells:
    """A column of cells; all null if there is no such column."""
    if name not in fields.column_names:
        return nothing(fields.num_rows)
    column = fields.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def nothing(length: int) -> Cells:
    """A column without values."""
    return pa.nulls(length, pa.large_string())


def differs(one: Cells, other: Cells) -> Mask:
    """Where two columns of cells are not the same; no value is the same as no value."""
    import pyarrow.compute as pc

    both = pc.fill_null(pc.equal(one, other), False)
    neither = pc.and_(pc.is_null(one), pc.is_null(other))
    return ~as_numpy(pc.or_(both, neither))


def as_numpy(array: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """An array without nulls as numpy's."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    found: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return found
