"""What differs between the files of a workspace and a version, reading as few files as can be.

Three columns of paths are aligned: the listing, the stat cache and the version. A file whose digest
the cache knows needs no reading, nor does one of another size. Only the rest is hashed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from datasets_vc.format.columns import Mask, Rows, align, path_order
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.format.limits import check_paths
from datasets_vc.workspace.collisions import colliding
from datasets_vc.workspace.columns import (
    Digests,
    Entries,
    entries_of,
    gather,
    joined_digests,
    not_hit,
    paths_at,
    same_digests_at,
    table_of,
)
from datasets_vc.workspace.listing import Listing, Skipped
from datasets_vc.workspace.part import WHOLE, Part
from datasets_vc.workspace.reading import hash_files
from datasets_vc.workspace.remembered import Remembered
from datasets_vc.workspace.selection import Selection


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths that differ from a version, in order of path; and what can be part of none.

    `left_out` is how many files are not there because they are outside the workspace's part;
    `bad_links` are those that a commit would refuse, and why; `unread_rules` is as in `Listing`.
    """

    added: list[str]
    modified: list[str]
    deleted: list[str]
    skipped: tuple[Skipped, ...] = ()
    left_out: int = 0
    bad_links: tuple[Skipped, ...] = ()
    unread_rules: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not (self.added or self.modified or self.deleted)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A listing beside a version.

    `rows` has for each file its row in `version`, or -1. The listing lacks the rows `missing` of
    the version, and the rows `left_out`, which the workspace's part does not have; the selection
    does not cover its rows `outside`. `digest` counts where `known` says so; both are filled in as
    files are read.
    """

    listing: Listing
    version: Entries
    rows: Rows
    missing: Rows
    left_out: Rows
    outside: Rows
    digest: Digests
    known: Mask

    @property
    def alike(self) -> Mask:
        """Which files may equal their row of the version, as far as one sees without reading."""
        if not len(self.version):
            return np.zeros(len(self.listing), np.bool_)
        listing, version, rows = self.listing, self.version, self.rows
        # A row of -1 takes the last one's values, which then mean nothing.
        same_size = listing.size.astype(np.uint64) == version.size[rows]
        alike: Mask = (rows >= 0) & (listing.kind == version.kind[rows]) & same_size
        return alike

    @property
    def equal(self) -> Mask:
        """Which files are known to equal their row of the version."""
        return (
            self.alike & self.known & same_digests_at(self.version.digest, self.rows, self.digest)
        )

    def learn(self, rows: Rows, digests: Digests, known: Mask | bool) -> None:
        """Fill in what reading the files at `rows` has shown."""
        self.digest[rows] = digests
        self.known[rows] = known

    def without_version(self) -> Comparison:
        """What is known of the listing alone: of a million files the version is as large again."""
        none = np.zeros(0, np.int64)
        empty = entries_of(ENTRY_SCHEMA.empty_table())
        return replace(self, version=empty, rows=none, missing=none, left_out=none, outside=none)

    def changes(self) -> Changes:
        """What differs; a file that may be alike but is not known is taken as modified."""
        added = self.rows < 0
        modified = ~added & ~self.equal
        return Changes(
            paths_at(self.listing.path, np.flatnonzero(added)),
            paths_at(self.listing.path, np.flatnonzero(modified)),
            paths_at(self.version.path, self.missing),
            self.listing.skipped,
            len(self.left_out),
            unread_rules=self.listing.unread_rules,
        )

    def entries(self) -> pa.Table:
        """The version that the workspace makes, once all digests are known.

        What was left out, and what the selection does not cover, is as in the version beside.
        """
        listing, version = self.listing, self.version
        kept = np.sort(np.concatenate([self.left_out, self.outside]))
        if not len(kept):
            return table_of(listing.path, listing.kind, listing.size, self.digest)
        paths = pa.concat_arrays([listing.path, gather(version.path, kept)])
        order = path_order(paths)
        paths = gather(paths, order)
        kind = np.concatenate([listing.kind.astype(np.uint8), version.kind[kept]])[order]
        size = np.concatenate([listing.size.astype(np.uint64), version.size[kept]])[order]
        digest = joined_digests(self.digest, version.digest[kept], order)
        return table_of(paths, kind, size, digest)

    def differing(self) -> tuple[pa.Table, pa.Table]:
        """The entries of the version and of the listing that the other lacks, all digests known."""
        rows = np.flatnonzero(~self.equal)
        listing, version = self.listing, self.version
        left = np.sort(np.concatenate([self.rows[rows][self.rows[rows] >= 0], self.missing]))
        old = table_of(
            gather(version.path, left), version.kind[left], version.size[left], version.digest[left]
        )
        return old, table_of(
            gather(listing.path, rows), listing.kind[rows], listing.size[rows], self.digest[rows]
        )


def compare(
    listing: Listing,
    cache: Remembered,
    version: pa.Table,
    selection: Selection,
    part: Part = WHOLE,
) -> Comparison:
    """Set the listing of a selection beside a version, without reading a file.

    Args:
        part: what the workspace is to have of the version; what else is absent is as it is there.

    Raises:
        InvalidInputError: the version has a path that is too long; see `check_paths`.
    """
    entries = entries_of(version)
    check_paths(entries.path)
    rows = align(listing.path, entries.path)
    missing = not_hit(len(entries), rows)
    outside = np.zeros(0, np.int64)
    if not selection.everything:
        covered = selection.mask(entries.path)
        missing = missing[covered[missing]]
        outside = np.flatnonzero(~covered)
    left_out = _left_out(listing, entries, rows, missing, part)
    missing = missing[~np.isin(missing, left_out, assume_unique=True)]
    digest, known = cache.look_up(listing)
    return Comparison(listing, entries, rows, missing, left_out, outside, digest, known)


def _left_out(listing: Listing, version: Entries, rows: Rows, missing: Rows, part: Part) -> Rows:
    """Those of the missing rows that are outside the part, and whose places nothing has taken."""
    if part.whole:
        return missing[:0]
    candidates = missing[~part.mask(gather(version.path, missing))]
    displaced = colliding(version.path, candidates, listing.path, np.flatnonzero(rows < 0))
    return np.setdiff1d(candidates, displaced, assume_unique=True)


def settle(
    root: str, comparison: Comparison, wanted: Mask | None = None, *, strict: bool = False
) -> bool:
    """Read the files that one has to read to tell whether they equal the version.

    Args:
        root: the workspace.
        comparison: learns their digests.
        wanted: the files to read instead, if their digests are not known.
        strict: a file that changes while it is read is an error; else it stays unknown.

    Returns:
        Whether anything was read.

    Raises:
        UnreadableFileError: a file cannot be read.
    """
    unsure = (comparison.alike if wanted is None else wanted) & ~comparison.known
    rows = np.flatnonzero(unsure)
    comparison.learn(rows, *hash_files(root, comparison.listing, rows, strict=strict))
    return bool(len(rows))
