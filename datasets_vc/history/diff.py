"""Differences of two datasets, read only where their nodes differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.digest import Digest
from datasets_vc.format.entries import Entry, rows_of
from datasets_vc.history.descent import Descent
from datasets_vc.history.manifest import NodeSource
from datasets_vc.history.moves import Below, FolderMove, folder_moves, renames
from datasets_vc.history.rows import differing


@dataclass(frozen=True, slots=True)
class Diff:
    """How a new dataset differs from an old one; pairs are (old, new), all in path order.

    A file that went from one path to another with the same bytes is `renamed`, neither added nor
    deleted. Folders that went as a whole are told in `moved`, by their old path; their files are
    in `renamed` too.
    """

    added: Sequence[Entry] = ()
    deleted: Sequence[Entry] = ()
    modified: Sequence[tuple[Entry, Entry]] = ()
    renamed: Sequence[tuple[Entry, Entry]] = ()
    moved: Sequence[FolderMove] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.deleted or self.modified or self.renamed)


def diff(source: NodeSource, old: Digest, new: Digest) -> Diff:
    """Compare two datasets of a store."""
    descent = Descent(source)
    left, right = _differing_rows(descent, old, new)
    return compare(rows_of(left), rows_of(right), below=lambda folder: descent.below(old, folder))


def differing_rows(
    source: NodeSource, old: Digest | None, new: Digest | None
) -> tuple[pa.Table, pa.Table]:
    """The entries of either dataset that the other one does not have; None is an empty one."""
    return _differing_rows(Descent(source), old, new)


def compare(old: Sequence[Entry], new: Sequence[Entry], *, below: Below | None = None) -> Diff:
    """Compare two sets of entries, each with unique paths.

    Args:
        old, new: entries of two datasets; at least all those that the other does not have.
        below: how many entries the old dataset has below a folder; without it, no folder is told
            to have moved: files that are in neither set may have stayed.
    """
    before = {entry.path: entry for entry in old}
    after = {entry.path: entry for entry in new}
    added = [entry for entry in new if entry.path not in before]
    deleted = [entry for entry in old if entry.path not in after]
    modified = [
        (before[entry.path], entry)
        for entry in new
        if entry.path in before and before[entry.path] != entry
    ]
    renamed = renames(deleted, added)
    gone = {entry.path for entry, _ in renamed}
    come = {entry.path for _, entry in renamed}
    return Diff(
        added=_by_path(entry for entry in added if entry.path not in come),
        deleted=_by_path(entry for entry in deleted if entry.path not in gone),
        modified=sorted(modified, key=lambda pair: pair[1].path),
        renamed=sorted(renamed, key=lambda pair: pair[1].path),
        moved=folder_moves(renamed, below) if below else (),
    )


def _differing_rows(
    descent: Descent, old: Digest | None, new: Digest | None
) -> tuple[pa.Table, pa.Table]:
    (leaves,) = descent.differing_leaves([(old, new)])
    return differing(*descent.rows(*leaves))


def _by_path(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.path)
