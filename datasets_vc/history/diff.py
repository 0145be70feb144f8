"""Differences of two datasets, read only where their nodes differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.digest import Digest
from datasets_vc.format.entries import Entry, rows_of
from datasets_vc.history.descent import Descent
from datasets_vc.history.manifest import NodeSource
from datasets_vc.history.rows import differing
from datasets_vc.store import Store


@dataclass(frozen=True, slots=True)
class FolderMove:
    """All files of folder `old`, at any depth, went to the same places below folder `new`."""

    old: str
    new: str
    files: int


@dataclass(frozen=True, slots=True)
class Diff:
    """How a new dataset differs from an old one; pairs are (old, new), all in path order.

    A file that went from one path to another with the same bytes is `renamed`, neither added nor
    deleted. Folders that went as a whole are told in `moved`; their files are in `renamed` too.
    """

    added: Sequence[Entry] = ()
    deleted: Sequence[Entry] = ()
    modified: Sequence[tuple[Entry, Entry]] = ()
    renamed: Sequence[tuple[Entry, Entry]] = ()
    moved: Sequence[FolderMove] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.deleted or self.modified or self.renamed)


def diff(store: Store, old: Digest, new: Digest) -> Diff:
    """Compare two datasets of a store."""
    left, right = differing_rows(store, old, new)
    return compare(rows_of(left), rows_of(right))


def differing_rows(
    source: NodeSource, old: Digest | None, new: Digest | None
) -> tuple[pa.Table, pa.Table]:
    """The entries of either dataset that the other one does not have; None is an empty one."""
    descent = Descent(source)
    (leaves,) = descent.differing_leaves([(old, new)])
    return differing(*descent.rows(*leaves))


def compare(old: Sequence[Entry], new: Sequence[Entry]) -> Diff:
    """Compare two sets of entries, each with unique paths."""
    before = {entry.path: entry for entry in old}
    after = {entry.path: entry for entry in new}
    added = [entry for entry in new if entry.path not in before]
    deleted = [entry for entry in old if entry.path not in after]
    modified = [
        (before[entry.path], entry)
        for entry in new
        if entry.path in before and before[entry.path] != entry
    ]
    renamed = _renames(deleted, added)
    gone = {entry.path for entry, _ in renamed}
    come = {entry.path for _, entry in renamed}
    return Diff(
        added=_by_path(entry for entry in added if entry.path not in come),
        deleted=_by_path(entry for entry in deleted if entry.path not in gone),
        modified=sorted(modified, key=lambda pair: pair[1].path),
        renamed=sorted(renamed, key=lambda pair: pair[1].path),
    )


def _renames(deleted: Sequence[Entry], added: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Pairs of equal content; those that kept their file name first. Empty files tell nothing."""
    keys: tuple[Callable[[Entry], Hashable], ...] = (
        lambda entry: (entry.kind, entry.digest, entry.path.rpartition("/")[2]),
        lambda entry: (entry.kind, entry.digest),
    )
    left = [entry for entry in deleted if entry.size]
    right = [entry for entry in added if entry.size]
    pairs: list[tuple[Entry, Entry]] = []
    for key in keys:
        waiting: dict[Hashable, list[Entry]] = defaultdict(list)
        for entry in reversed(_by_path(left)):
            waiting[key(entry)].append(entry)
        unpaired = []
        for entry in _by_path(right):
            if waiting.get(key(entry)):
                pairs.append((waiting[key(entry)].pop(), entry))
            else:
                unpaired.append(entry)
        left = [entry for entries in waiting.values() for entry in entries]
        right = unpaired
    return pairs


def _by_path(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.path)
