"""Carry out a plan: files come into place whole, by renaming, whatever happens meanwhile."""

# A Path object for every file would cost more than the work itself.
# ruff: noqa: PTH103, PTH105, PTH108, PTH211

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import IntegrityError, MissingDataError
from datasets_vc.format.columns import Rows, position
from datasets_vc.format.entries import SYMLINK
from datasets_vc.paths import META_DIR
from datasets_vc.progress import SILENT, Progress
from datasets_vc.workspace.ahead import CORES, LARGE, ahead, spans
from datasets_vc.workspace.collisions import colliding
from datasets_vc.workspace.columns import Digests, digest_at, gather, paths_at
from datasets_vc.workspace.filling import fill
from datasets_vc.workspace.fitting import longest
from datasets_vc.workspace.lasting import can_wait, make_names_last
from datasets_vc.workspace.links import MAX_TARGET, check_link
from datasets_vc.workspace.listing import FIELDS, Listing, stat_row
from datasets_vc.workspace.locking import CHECKOUT_PREFIX, TEMPORARY_DIR
from datasets_vc.workspace.plan import Plan
from datasets_vc.workspace.reading import listed_at
from datasets_vc.workspace.removing import Remover, cannot
from datasets_vc.workspace.staging import Staging
from datasets_vc.workspace.statcache import StatCache

if TYPE_CHECKING:
    from datasets_vc.store.spans import Extent

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_SEGMENT_BYTES = 4 << 30
_AT_ONCE = 1 << 16

LET_GO_BYTES = 64 << 20
"""How much is read of mapped packs and indexes before their memory is given back."""

ROW_BYTES = 1 << 18
"""What looking at a chunk, and for it in an index, counts for: the system maps all of the page
cache around it that is in one piece, often more than the chunk."""


class FileSource(Protocol):
    """Where the bytes come from, verified: a Store, which explains these. Used by many threads."""

    def reading_order(self, digests: Digests) -> Rows: ...

    def read_files(
        self, digests: Sequence[Digest], sizes: Sequence[int] | None = None
    ) -> list[Buffer]: ...

    def iter_extents(self, digest: Digest, size: int | None = None) -> Iterator[Extent]: ...

    def open_pack(self, pack: Digest) -> int | None: ...

    def let_go(self) -> None: ...


_Stat = tuple[int, int, int, int, int]
"""What a file looks like: the columns FIELDS."""


def apply_plan(
    folder: Path, plan: Plan, source: FileSource, *, force: bool, progress: Progress = SILENT
) -> StatCache:
    """Remove and write files as planned.

    When it fails in the middle, each file is as it was or as it will be, and running it again does
    the rest. So it is when the process is killed, but that folders which are new are not there
    until 4 GiB are written; and, if few files change, when the power is lost.

    Returns:
        What the written files now look like, for the stat cache.

    Raises:
        UnsavedChangesError: a file was changed since the plan was made.
        IntegrityError: the bytes of a file do not match its digest.
        DatasetError: something cannot be written.
    """
    remover = Remover(str(folder), force=force)
    writer = _Writer(folder, plan, source, remover, progress)
    new = plan.write[plan.replaces < 0]
    in_the_way = colliding(plan.listing.path, plan.remove, plan.target.path, new)
    others = np.setdiff1d(plan.remove, in_the_way, assume_unique=True)
    progress.begin("Writing files", int(plan.target.size[plan.write].sum()), "B")
    try:
        remover.remove(plan.listing, in_the_way, plan.held)
        for path in plan.clear:
            remover.clear(path)
        written = writer.write()
        # Last, so that files go only once those that take their place have come.
        remover.remove(plan.listing, others, plan.held)
        if can_wait(plan):
            make_names_last(folder, plan)
    finally:
        progress.end()
    return written


class _Writer:
    """Writes the files of a plan, in the order in which their bytes lie in packs."""

    def __init__(
        self, folder: Path, plan: Plan, source: FileSource, remover: Remover, progress: Progress
    ) -> None:
        self._root = str(folder)
        self._plan = plan
        self._source = source
        self._remover = remover
        self._progress = progress
        name = CHECKOUT_PREFIX + os.urandom(8).hex()
        self._temporary = f"{folder}/{META_DIR}/{TEMPORARY_DIR}/{name}"
        self._staging = Staging(self._root, self._temporary, longest(plan.target.path, plan.write))
        self._waits = can_wait(plan)
        self._numbers = itertools.count()
        self._read = 0  # since memory was given back; threads may miss each other's, a little

    def write(self) -> StatCache:
        """Write all files; returns what they look like."""
        plan, rows = self._plan, self._plan.write
        columns = [np.empty(len(rows), np.int64) for _ in FIELDS]
        if len(rows):
            try:
                os.makedirs(self._temporary)
            except OSError as error:
                raise cannot(self._temporary, "made", error) from error
            try:
                self._write_segments(columns)
            finally:
                shutil.rmtree(self._temporary, ignore_errors=True)
        return StatCache(Listing(gather(plan.target.path, rows), *columns), plan.digests)

    def _write_segments(self, columns: Sequence[NDArray[np.int64]]) -> None:
        target, rows = self._plan.target, self._plan.write
        order = self._source.reading_order(self._plan.digests)
        segments = np.cumsum(target.size[rows[order]]) // _SEGMENT_BYTES
        for numbers in np.split(order, np.flatnonzero(np.diff(segments)) + 1):
            try:
                self._staging.prepare(self._folders(rows[numbers]))
                self._write_segment(numbers, columns)
            finally:
                # Also after a failure: what is written is whole.
                self._staging.settle()

    def _folders(self, rows: Rows) -> set[str]:
        pieces = (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))
        paths = (path for piece in pieces for path in paths_at(self._plan.target.path, piece))
        return {path.rpartition("/")[0] for path in paths}

    def _write_segment(self, numbers: Rows, columns: Sequence[NDArray[np.int64]]) -> None:
        """Write some of the files, a few at a time."""
        sizes = self._plan.target.size[self._plan.write[numbers]].astype(np.int64)
        todo = list(spans(sizes))

        def work(span: tuple[int, int]) -> list[_Stat]:
            found = self._write_batch(numbers[slice(*span)])
            self._read += int(sizes[slice(*span)].sum()) + len(found) * ROW_BYTES
            if self._read >= LET_GO_BYTES:
                self._read = 0
                self._source.let_go()
            return found

        # Packs are read from front to back, which is served ahead: more threads only quarrel.
        with ahead(work, todo, CORES) as results:
            for span, found in zip(todo, results, strict=True):
                for column, values in zip(columns, np.array(found, np.int64).T, strict=True):
                    column[numbers[slice(*span)]] = values

    def _write_batch(self, numbers: Rows) -> list[_Stat]:
        target, rows = self._plan.target, self._plan.write[numbers]
        digests = [digest_at(target.digest, row) for row in rows.tolist()]
        sizes = target.size[rows].tolist()
        paths, kinds = paths_at(target.path, rows), target.kind[rows].tolist()
        replaced = self._plan.replaces[numbers].tolist()
        if sizes[0] < LARGE:
            contents: Iterable[Buffer | None] = self._source.read_files(digests, sizes)
        else:
            contents = itertools.repeat(None, len(digests))  # a large file is not held in memory
        columns = paths, kinds, sizes, digests, contents, replaced
        found = [self._write_one(*file) for file in zip(*columns, strict=True)]
        if sizes[0] < LARGE:
            self._progress.advance(sum(sizes))
        return found

    def _write_one(
        self, path: str, kind: int, size: int, digest: Digest, data: Buffer | None, old: int
    ) -> _Stat:
        folder, _, name = path.rpartition("/")
        staged = self._staging.place(folder)
        place = f"{staged}/{name}" if staged else f"{self._temporary}/{next(self._numbers)}"
        try:
            if kind == SYMLINK and data is not None:
                os.symlink(check_link(path, bytes(data), link_at=self._link_at), place)
                found = os.lstat(place)
            else:
                found = self._make_file(place, size, digest, data)
            if found.st_size != size:
                raise _mismatch(path)
            if not staged:
                found = self._move(path, old, place)
        except BaseException as error:
            with suppress(OSError):
                os.unlink(place)
            if isinstance(error, OSError):
                raise cannot(path, "written", error) from error
            raise
        return stat_row(kind, found)

    def _link_at(self, path: str) -> str | None:
        """What the link at a path of the version says, if there is one."""
        target = self._plan.target
        row = position(target.path, path)
        if row == len(target) or target.path[row].as_py() != path or target.kind[row] != SYMLINK:
            return None
        try:
            (data,) = self._source.read_files([digest_at(target.digest, row)])
        except MissingDataError:
            return None  # left out of this workspace, so that it is not written either
        return bytes(data[: MAX_TARGET + 1]).decode(errors="replace")

    def _make_file(
        self, place: str, size: int, digest: Digest, data: Buffer | None
    ) -> os.stat_result:
        handle = os.open(place, _FLAGS, 0o666)
        try:
            if data is None:
                extents = self._source.iter_extents(digest, size)
                fill(handle, extents, self._source, self._progress)
            else:
                while (written := os.write(handle, data)) < len(data):
                    data = memoryview(data)[written:]
            if self._waits:
                os.fsync(handle)
            return os.fstat(handle)
        finally:
            os.close(handle)

    def _move(self, path: str, old: int, temporary: str) -> os.stat_result:
        """Give a file its name, in place of the listed row `old`, if that is one."""
        if old >= 0:
            (file,) = listed_at(self._plan.listing, np.array([old]))
            self._remover.check_unchanged(file, digest_at(self._plan.held, old))
        place = f"{self._root}/{path}"
        _move(temporary, place)
        # The renaming has set the time of change.
        return os.lstat(place)


def _mismatch(path: str) -> IntegrityError:
    return IntegrityError(
        f"The bytes of '{path}' in the store do not match its digest: their number is wrong.",
        "Run 'dsvc fsck', and fetch it anew.",
    )


def _move(temporary: str, place: str) -> None:
    try:
        os.replace(temporary, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Part of the workspace is another file system: the last step must be a renaming within it.
        beside = f"{place}.dsvc-{os.urandom(8).hex()}"
        try:
            shutil.copyfile(temporary, beside, follow_symlinks=False)
            os.replace(beside, place)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise
        os.unlink(temporary)
