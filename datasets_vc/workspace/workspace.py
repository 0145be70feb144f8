"""A workspace: a folder of ordinary files whose versions lie in a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets_vc.config import Head, read_config, read_head, set_only, write_head
from datasets_vc.errors import AlreadyExistsError, DatasetError
from datasets_vc.format.columns import align, whole_column
from datasets_vc.history.rows import differing
from datasets_vc.memory import give_back
from datasets_vc.paths import META_DIR
from datasets_vc.progress import SILENT, Progress
from datasets_vc.workspace.beginning import begin, lay_out
from datasets_vc.workspace.change import CheckedOut, Order, Ready, Versions, change_files
from datasets_vc.workspace.checkout import FileSource
from datasets_vc.workspace.consume import Consumed, consumable, consume
from datasets_vc.workspace.ingest import FileSink, Ingested, bad_links, ingest
from datasets_vc.workspace.listing import Listing, check_encoding
from datasets_vc.workspace.locking import locked
from datasets_vc.workspace.part import Part
from datasets_vc.workspace.remembered import load_cache
from datasets_vc.workspace.scan import Scan
from datasets_vc.workspace.selection import Selection, few_paths
from datasets_vc.workspace.statcache import clock_of
from datasets_vc.workspace.status import Changes, Comparison, compare, settle
from datasets_vc.workspace.tracked import NOTHING_TRACKED, Tracked
from datasets_vc.workspace.walk import walk

_MANY = 100_000
"""Files whose listing leaves memory worth giving back."""


class Workspace:
    """The files of the folder that holds `.dsvc/`. A version is a table of entries.

    Paths given to a method narrow it to them and what lies below; none means everything. The stat
    cache is looked after by every method that reads or writes files. `refusal`: raised by writes.

    Raises:
        InvalidInputError: this process reads the names of files in another encoding than UTF-8.
    """

    def __init__(self, folder: Path, refusal: DatasetError | None = None) -> None:
        check_encoding()
        self.folder = folder
        self._refusal = refusal

    @classmethod
    def create(cls, folder: Path, branch: str) -> Workspace:
        """Make `folder`, which need not exist, a workspace on a branch that has no commit yet.

        Raises:
            AlreadyExistsError: it is one.
            InvalidInputError: see `Workspace`.
            DatasetError: it cannot be written to.
        """
        check_encoding()
        if (folder / META_DIR).exists():
            raise AlreadyExistsError(
                f"'{folder}' is a dataset repository already.",
                "`dsvc status` shows where it stands.",
            )
        begin(folder)
        lay_out(folder)
        write_head(folder, Head(branch, None))
        return cls(folder)

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes, and other threads, from changing the workspace; see `locked`."""
        return locked(self.folder, self._refusal)

    @property
    def head(self) -> Head:
        """Where the workspace stands; see `read_head`."""
        return read_head(self.folder)

    @property
    def remotes(self) -> Collection[str]:
        """The names of its remotes."""
        return read_config(self.folder).remotes.keys()

    def set_head(self, head: Head) -> None:
        write_head(self.folder, head)

    @property
    def part(self) -> Part:
        """What the workspace has of its version.

        Raises:
            InvalidInputError: `only` in `config.toml` says nonsense.
        """
        return Part(read_config(self.folder).only)

    def scan(self, paths: Sequence[str] = (), tracked: Tracked = NOTHING_TRACKED) -> Scan:
        """List the files, and load what is remembered of them.

        Args:
            tracked: which files count even if they are ignored.

        Raises:
            InvalidInputError: a path is none, an ignore rule is malformed.
            UnreadableFileError: a folder cannot be read.
        """
        selection = Selection(paths)
        # Nothing is written into the workspace of somebody else, for the time neither.
        moment = 0 if self._refusal else clock_of(self.folder)
        listing = walk(self.folder, selection, tracked=tracked)
        if len(listing) > _MANY:
            give_back()
        cache = load_cache(self.folder)
        return Scan(self.folder, selection, listing, cache, moment, not self._refusal)

    def status(self, version: pa.Table, paths: Sequence[str] = ()) -> Changes:
        """What differs from `version`; reads only files that may be alike and are not remembered.

        Raises:
            NotFoundError: neither the workspace nor the version has one of the paths.
            UnreadableFileError: a file or folder cannot be read.
            InvalidInputError: see `scan`.
        """
        found, comparison = self._compare(version, paths)
        if settle(str(self.folder), comparison):
            found.save(self.folder, found.known(comparison))
        return replace(comparison.changes(), bad_links=bad_links(str(self.folder), comparison))

    def entries(self, version: pa.Table, paths: Sequence[str] = ()) -> pa.Table:
        """The version that a commit on top of `version` would make; stores nothing.

        Raises:
            UnreadableFileError: a file cannot be read, or changes while it is.
            NotFoundError, InvalidInputError: see `status`.
        """
        return self._fully_compared(version, paths).entries()

    def differing(
        self, version: pa.Table, head: pa.Table | None = None
    ) -> tuple[pa.Table, pa.Table]:
        """The entries of `version`, and those of the workspace, that the other does not have.

        Args:
            head: the version that the workspace stands on, if that is another: what the workspace
                has no part in is as it is there.

        Raises:
            UnreadableFileError, InvalidInputError: see `entries`.
        """
        if head is None or self.part.whole:
            tracked = None if head is None else Tracked.of(head)
            return self._fully_compared(version, tracked=tracked).differing()
        return differing(version.to_batches(), self.entries(head).to_batches())

    def ingest(
        self,
        version: pa.Table,
        sink: FileSink,
        paths: Sequence[str] = (),
        *,
        tracked: Tracked | None = None,
        progress: Progress = SILENT,
    ) -> Ingested:
        """Store what differs from `version`, and make the version that has it.

        The digests are remembered even if nobody records that version: they say what the files
        are, not where their bytes lie.

        Args:
            tracked: which files count even if they are ignored, if not those of `version`.

        Raises:
            UnreadableFileError: a file cannot be read, or changes while it is.
            InvalidInputError: see `scan`; or a symbolic link leaves the workspace.
            NotFoundError: see `status`.
        """
        found, comparison = self._compare(version, paths, tracked)
        result = ingest(str(self.folder), comparison, sink, progress)
        found.save(self.folder, found.known(comparison))
        return result

    def checkout(
        self,
        versions: Versions,
        source: FileSource,
        names: Callable[[], pa.StringArray],
        paths: Sequence[str] = (),
        *,
        part: Part | None = None,
        force: bool = False,
        progress: Progress = SILENT,
        ready: Ready = lambda _: None,
        begin: Callable[[], None] = lambda: None,
    ) -> CheckedOut:
        """Bring the files of another version in place of those that are here.

        See `plan_checkout`.

        Args:
            versions: reads the version that the workspace stands on, of which only those entries
                count that the other lacks or has otherwise if there are `paths` or `force`; and
                the version to bring, the target.
            source: the store that has the target's files.
            names: all paths of the target.
            paths: only these, be they outside the part.
            part: what to have of the target from now on; the caller notes it afterwards. By default
                the same as now, and outside it what is present.
            force: give up uncommitted changes; untracked files go only where they are in the way.
            progress: hears of bytes.
            ready, begin: see `Order`.

        Raises:
            UnsavedChangesError: uncommitted work is in the way; nothing was changed.
            NotFoundError: neither version has one of the paths.
            InvalidInputError: a path or link of the target cannot be written here.
            IntegrityError, MissingDataError: from the store.
            DatasetError: a file cannot be written; running it again does the rest.
        """
        order = Order(
            versions=versions,
            scan=lambda *versions: self.scan(paths, Tracked.of(*versions)),
            part=self.part,
            wanted=lambda entries, listing: self.wanted(entries, paths, part, listing),
            source=source,
            names=names,
            clock=lambda: clock_of(self.folder),
            force=force,
            progress=progress,
            ready=ready,
            begin=begin,
        )
        return change_files(self.folder, order)

    def switch(
        self,
        versions: Versions,
        source: FileSource,
        names: Callable[[], pa.StringArray],
        *,
        progress: Progress = SILENT,
        ready: Ready = lambda _: None,
        begin: Callable[[], None] = lambda: None,
    ) -> CheckedOut:
        """Go from one version to another, of which only the entries that differ are given.

        The same as `checkout` without paths, a part or force, in memory for what differs.

        Args:
            versions: reads the entries of each that the other does not have.
            names: all paths of the new version.
        """
        order = Order(
            versions=versions,
            scan=lambda *versions: self.scan(few_paths(*versions), Tracked.of(*versions)),
            part=self.part,
            wanted=lambda entries, listing: self.wanted(entries, (), None, listing),
            source=source,
            names=names,
            clock=lambda: clock_of(self.folder),
            progress=progress,
            ready=ready,
            begin=begin,
        )
        return change_files(self.folder, order)

    def wanted(
        self,
        target: pa.Table,
        paths: Sequence[str] = (),
        part: Part | None = None,
        listing: Listing | None = None,
    ) -> pa.Table:
        """The entries of `target` that a checkout makes sure of; see `checkout`.

        Args:
            listing: all files of the workspace, if they have been listed.
        """
        chosen = part or self.part
        if chosen.whole:
            return target
        selection = Selection(paths)
        here = whole_column(target, "path")
        if not selection.everything:
            wanted = selection.mask(here, above=False)
        else:
            wanted = chosen.mask(here)
            if part is None:
                present = self.scan((), Tracked(here)).listing if listing is None else listing
                wanted |= align(here, present.path) >= 0
        return target if wanted.all() else target.filter(pa.array(wanted)).combine_chunks()

    def left_out(self, paths: Iterable[str]) -> set[str]:
        """Those of some paths that are outside the part and absent: they count as unchanged."""
        part = self.part
        return {
            path for path in paths if not part.has(path) and not os.path.lexists(self.folder / path)
        }

    def consume(
        self,
        version: pa.Table,
        source: FileSource,
        paths: Sequence[str] = (),
        *,
        progress: Progress = SILENT,
    ) -> Consumed:
        """Remove the files that are as in `version`, and make them no part of the workspace.

        Each goes only after the store has given its bytes back. Cut short, the rest is there.

        Args:
            version: a commit's, which nothing can take back any more.

        Raises:
            IntegrityError: the store has damaged bytes.
            UnreadableFileError, DatasetError: a file cannot be read, or removed.
        """
        found = self.scan(paths, Tracked.of(version))
        comparison = compare(found.listing, found.cache, version, found.selection)
        settle(str(self.folder), comparison)
        rows = consumable(comparison)
        if not len(rows):
            return Consumed()
        # Before anything goes, so that nothing is missed.
        set_only(self.folder, self.part.without(paths).patterns)
        gone = rows[consume(str(self.folder), comparison, rows, source, progress)]
        found.save(self.folder, found.known(comparison, gone))
        return Consumed(len(gone), int(found.listing.size[gone].sum()), len(rows) - len(gone))

    def _compare(
        self, version: pa.Table, paths: Sequence[str], tracked: Tracked | None = None
    ) -> tuple[Scan, Comparison]:
        found = self.scan(paths, tracked or Tracked.of(version))
        found.check_matched(found.listing.path, whole_column(version, "path"))
        return found, compare(found.listing, found.cache, version, found.selection, self.part)

    def _fully_compared(
        self, version: pa.Table, paths: Sequence[str] = (), tracked: Tracked | None = None
    ) -> Comparison:
        """A comparison in which the digest of every file is known."""
        found, comparison = self._compare(version, paths, tracked)
        everything = np.ones(len(found.listing), np.bool_)
        if settle(str(self.folder), comparison, everything, strict=True):
            found.save(self.folder, found.known(comparison))
        return comparison
