"""Three-way merges of datasets, path by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.columns import Rows, align, merged_order, position, whole_column
from datasets_vc.format.entries import ENTRY_SCHEMA, Entry, entry_table, rows_of
from datasets_vc.history.descent import Descent
from datasets_vc.history.manifest import NodeSource
from datasets_vc.history.rows import differing, paths_at, same_content, take
from datasets_vc.paths import folders_of, inherited

BOTH_CHANGED = "both changed"
CHANGED_AND_DELETED = "changed and deleted"
BOTH_ADDED = "both added"
FILE_AND_FOLDER = "file and folder"

UNKNOWN_SIZE = 2**64 - 1
"""The size of an entry of a base that stands for what no version has: no file is so large."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One path that the two sides want differently; None where a version does not have it.

    Attributes:
        base: what both sides began with; None also where their common ancestors disagree.
        reason: "both changed", "changed and deleted", "both added", or "file and folder": one
            side has a file where the other has a folder; the file and what was changed in the
            folder are a conflict each.
    """

    path: str
    base: Entry | None
    ours: Entry | None
    theirs: Entry | None
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """What theirs brings to ours: tables of entries in path order, and what cannot be decided.

    Attributes:
        added: entries that ours lacks.
        modified: entries to be put in the place of those of ours.
        deleted: entries of ours that go.
        conflicts: in path order; until they are resolved ours stays.
    """

    added: pa.Table
    modified: pa.Table
    deleted: pa.Table
    conflicts: tuple[Conflict, ...]

    def entries(
        self, ours: pa.Table, resolved: Mapping[str, Entry | None] | None = None
    ) -> pa.Table:
        """The merged dataset: all entries of `ours`, with the changes made to them.

        Args:
            resolved: what paths in conflict are to have; None for nothing.

        Raises:
            InvalidInputError: with these resolutions a file would lie in the place of a folder.
        """
        resolved = resolved or {}
        strangers = resolved.keys() - {conflict.path for conflict in self.conflicts}
        if strangers:
            raise ValueError(f"{min(strangers)!a} is not in conflict.")
        come = _by_path(pa.concat_tables([self.added, self.modified]))
        merged = _replaced(ours, self.deleted.column("path").to_pylist(), come)
        return with_changes(merged, resolved) if resolved else merged


def merge_datasets(
    source: NodeSource,
    base: Digest | None,
    ours: Digest | None,
    theirs: Digest | None,
) -> Merge:
    """Merge two datasets that came from `base`; None is a dataset without entries.

    What one side changed is taken, and what both changed alike; the rest are conflicts. There is
    no search for renames: a file that went elsewhere was deleted here and added there. Leaves
    that are equal on both sides, or on one side and in `base`, are not read.
    """
    if ours == theirs:
        return _NOTHING
    descent = Descent(source)
    pairs = descent.differing_leaves([(base, ours), (base, theirs)])
    both = set(pairs[0][1]) & set(pairs[1][1])
    mine, other = (
        _Change(*differing(*descent.rows(old, [leaf for leaf in new if leaf not in both])))
        for old, new in pairs
    )
    return _merge_changes(mine, other)


def with_changes(entries: pa.Table, changes: Mapping[str, Entry | None]) -> pa.Table:
    """A dataset's entries with some of its paths changed; None is nothing.

    Raises:
        InvalidInputError: a file would lie in the place of a folder.
    """
    changed = edited(entries, changes)
    _check_files_and_folders(changed, [path for path, entry in changes.items() if entry])
    return changed


def edited(entries: pa.Table, changes: Mapping[str, Entry | None]) -> pa.Table:
    """Like `with_changes`, but what comes of it need not be a dataset that can be checked out."""
    come = entry_table(entry for entry in changes.values() if entry)
    return _replaced(entries, changes, come)


_NO_ENTRIES = ENTRY_SCHEMA.empty_table()
_NOTHING = Merge(_NO_ENTRIES, _NO_ENTRIES, _NO_ENTRIES, ())


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """What one side did: entries of the base that it lacks, and its own that the base lacks."""

    gone: pa.Table
    come: pa.Table


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """For each entry that came on one side, its path's rows in the tables of both sides, or -1."""

    before: Rows
    other: Rows
    other_before: Rows

    @classmethod
    def of(cls, mine: _Change, other: _Change) -> _Places:
        tables = mine.gone, other.come, other.gone
        return cls(*(_align(mine.come, table) for table in tables))

    @property
    def alone(self) -> Rows:
        """Those at paths where the other side has nothing."""
        lacking = (self.before < 0) | (self.other_before >= 0)
        return np.flatnonzero((self.other < 0) & lacking)


def _merge_changes(ours: _Change, theirs: _Change) -> Merge:
    places = _Places.of(theirs, ours)
    untouched = (places.other < 0) & (places.other_before < 0)
    found = {conflict.path: conflict for conflict in _disputed(ours, theirs, places)}
    collisions = _collisions(ours, theirs, places)
    found |= {conflict.path: conflict for conflict in collisions}
    added = np.flatnonzero(untouched & (places.before < 0))
    if collisions:
        kept = [path not in found for path in take(theirs.come, added)["path"].to_pylist()]
        added = added[np.array(kept, np.bool_)]
    return Merge(
        added=take(theirs.come, added),
        modified=take(theirs.come, np.flatnonzero(untouched & (places.before >= 0))),
        deleted=take(theirs.gone, _only_deleted_by(theirs, ours)),
        conflicts=tuple(found[path] for path in sorted(found)),
    )


def _only_deleted_by(mine: _Change, other: _Change) -> Rows:
    """The entries that one side deleted and the other left alone."""
    tables = mine.come, other.come, other.gone
    return np.flatnonzero(np.all([_align(mine.gone, table) < 0 for table in tables], axis=0))


def _disputed(ours: _Change, theirs: _Change, places: _Places) -> Iterator[Conflict]:
    """Paths that both sides changed, differently."""
    both = np.flatnonzero(places.other >= 0)
    same = np.zeros(len(places.other), np.bool_)
    same[both] = same_content(theirs.come, both, ours.come, places.other[both])
    rows = np.flatnonzero(~same & ((places.other >= 0) | (places.other_before >= 0)))
    yield from _conflicts(
        _entries(ours.gone, places.other_before[rows]),
        _entries(ours.come, places.other[rows]),
        _entries(theirs.come, rows),
    )
    in_ours = _align(theirs.gone, ours.come)
    rows = np.flatnonzero((in_ours >= 0) & (_align(theirs.gone, theirs.come) < 0))
    yield from _conflicts(
        _entries(theirs.gone, rows),
        _entries(ours.come, in_ours[rows]),
        [None] * len(rows),
    )


def _collisions(ours: _Change, theirs: _Change, places: _Places) -> list[Conflict]:
    """Paths where one side has a file and the other a folder, and those in that folder."""
    if not len(places.alone):
        return []
    sides = (ours, _Places.of(ours, theirs)), (theirs, places)
    paths = [_paths(change.come, where.alone) for change, where in sides]
    files = set(paths[0]) & folders_of(paths[1]) | set(paths[1]) & folders_of(paths[0])
    if not files:
        return []
    found = []
    known = {"": False}
    for number, (change, where) in enumerate(sides):
        inside = [
            inherited(path, known, lambda each, above: above or each in files)
            for path in paths[number]
        ]
        rows = where.alone[np.array(inside, np.bool_)]
        old = _entries(change.gone, where.before[rows])
        nothing: list[Entry | None] = [None] * len(rows)
        versions = [nothing, nothing]
        versions[number] = _entries(change.come, rows)
        found += [
            replace(conflict, reason=FILE_AND_FOLDER) for conflict in _conflicts(old, *versions)
        ]
    return found


def _conflicts(
    base: Sequence[Entry | None], ours: Sequence[Entry | None], theirs: Sequence[Entry | None]
) -> Iterator[Conflict]:
    for old, one, other in zip(base, ours, theirs, strict=True):
        entry = one or other
        assert entry is not None
        reason = BOTH_CHANGED if old else BOTH_ADDED
        if one is None or other is None:
            reason = CHANGED_AND_DELETED
        known = old if old and old.size != UNKNOWN_SIZE else None
        yield Conflict(entry.path, known, one, other, reason)


def _entries(table: pa.Table, rows: Rows) -> list[Entry | None]:
    """Some entries; None at -1."""
    found = iter(rows_of(take(table, rows[rows >= 0])))
    return [next(found) if row >= 0 else None for row in rows.tolist()]


def _align(entries: pa.Table, others: pa.Table) -> Rows:
    return align(whole_column(entries, "path"), whole_column(others, "path"))


def _paths(table: pa.Table, rows: Rows) -> list[str]:
    paths: list[str] = paths_at(table, rows).to_pylist()
    return paths


def _replaced(entries: pa.Table, gone: Iterable[str], come: pa.Table) -> pa.Table:
    """The entries without the paths `gone`, and with those that come, in path order."""
    paths, new = whole_column(entries, "path"), whole_column(come, "path")
    rows = align(pa.array(sorted({*gone, *new.to_pylist()}), pa.string()), paths)
    keep = np.ones(len(paths) + len(new), np.bool_)
    keep[rows[rows >= 0]] = False
    order = merged_order(paths, new)
    return take(pa.concat_tables([entries, come]), order[keep[order]])


def _by_path(table: pa.Table) -> pa.Table:
    paths = table.column("path").to_pylist()
    return take(table, np.array(sorted(range(len(paths)), key=paths.__getitem__), np.int64))


def _check_files_and_folders(merged: pa.Table, chosen: Iterable[str]) -> None:
    """Refuse a dataset in which one of some paths is a file, and a folder too."""
    paths = whole_column(merged, "path")

    def first_from(path: str) -> str:
        place = position(paths, path)
        return paths[place].as_py() if place < len(paths) else ""

    def file_above(path: str, above: str) -> str:
        return above or (path if first_from(path) == path else "")

    known = {"": ""}
    for path in chosen:
        above = inherited(path.rpartition("/")[0], known, file_above)
        below = first_from(path + "/")
        if not above and not below.startswith(path + "/"):
            continue
        file, other = (above, path) if above else (path, below)
        raise InvalidInputError(
            f"The merged dataset would have a file '{file}' and, below it, '{other}'.",
            "Take the same side for both.",
        )
