"""Three-way merges of datasets, path by path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import ENTRY_SCHEMA, Entry, entry_table, rows_of
from datasets_vc.history.diff import differing_rows
from datasets_vc.history.manifest import dataset_digest
from datasets_vc.paths import parents_of
from datasets_vc.store import Store

BOTH_CHANGED = "both changed"
CHANGED_AND_DELETED = "changed and deleted"
BOTH_ADDED = "both added"
FILE_AND_FOLDER = "file and folder"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One path that the two sides want differently; None where a version does not have it.

    Attributes:
        base: what both sides began with; None also where several common ancestors disagree.
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
        """The merged dataset: `ours`, all entries of that side, with the changes made to it.

        Args:
            resolved: what paths are to have instead; None for nothing.

        Raises:
            InvalidInputError: with these resolutions a file would lie in the place of a folder.
        """
        rows = {row.path: row for row in rows_of(ours)}
        for row in rows_of(self.deleted):
            del rows[row.path]
        rows |= {row.path: row for table in (self.added, self.modified) for row in rows_of(table)}
        for path, entry in (resolved or {}).items():
            rows.pop(path, None)
            if entry is not None:
                rows[path] = entry
        for path in rows:
            for folder in parents_of(path):
                if folder in rows:
                    raise InvalidInputError(
                        f"The merged dataset would have both a file '{folder}' and '{path}' below "
                        "it.",
                        "Take both from the same side.",
                    )
        return entry_table(rows.values())


def merge_datasets(store: Store, base: Digest | None, ours: Digest, theirs: Digest) -> Merge:
    """Merge two datasets that came from `base`; None: from an empty one.

    Nodes of `ours` and `theirs` that `base` has too are not read. What one side changed is taken,
    and what both changed alike; the rest are conflicts. There is no search for renames: a file
    that went elsewhere was deleted here and added there.
    """
    del base
    raise NotImplementedError
