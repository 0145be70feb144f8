"""What differs between two versions of a table, by row and by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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
        None if either cannot be read as a table with that key.
    """
    return None
