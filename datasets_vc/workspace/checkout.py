"""Carry out a plan: files come into place whole, by renaming, whatever happens meanwhile."""

# A Path object for every file would cost more than the work itself.
# ruff: noqa: PTH103, PTH105, PTH106, PTH108, PTH112, PTH114, PTH211

from __future__ import annotations

import errno
import itertools
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from datasets_vc.digest import Buffer, Digest, Hasher
from datasets_vc.errors import DatasetError, IntegrityError, UnsavedChangesError
from datasets_vc.format.entries import SYMLINK, Entry
from datasets_vc.paths import META_DIR, parents_of
from datasets_vc.progress import SILENT, Progress
from datasets_vc.workspace.ahead import LARGE, ahead, batches
from datasets_vc.workspace.links import check_link
from datasets_vc.workspace.listing import INODE_MASK, Listing
from datasets_vc.workspace.plan import Plan, Target
from datasets_vc.workspace.reading import FileChangedError, Listed, check_same
from datasets_vc.workspace.statcache import TEMPORARY_DIR, StatCache, empty_cache

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_Stat = tuple[int, int, int, int, int]


class FileSource(Protocol):
    """Where the bytes come from, verified: a Store. Used from several threads."""

    def read_files(self, digests: Sequence[Digest]) -> list[Buffer]: ...

    def iter_file(self, digest: Digest) -> Iterator[Buffer]: ...


def apply_plan(
    folder: Path, plan: Plan, source: FileSource, *, force: bool, progress: Progress = SILENT
) -> StatCache:
    """Remove and write files as planned.

    When it fails in the middle, each file is as it was or as it will be, and running it again does
    the rest.

    Returns:
        What the written files now look like, for the stat cache.

    Raises:
        UnsavedChangesError: a file was changed since the plan was made.
        IntegrityError: the bytes of a file do not match its digest.
        DatasetError: something cannot be written.
    """
    worker = _Checkout(folder, source, force=force, progress=progress)
    progress.begin("Writing files", sum(target.size for target in plan.write), "B")
    try:
        in_the_way, others = _divided(plan)
        worker.remove(in_the_way)
        for path in plan.clear:
            worker.clear(path)
        worker.make_folders({target.entry.path.rpartition("/")[0] for target in plan.write})
        with worker.temporary_folder():
            written = worker.write(plan.write)
        # Last, so that files go only once those that take their place have come.
        worker.remove(others)
    finally:
        progress.end()
    return written


def _divided(plan: Plan) -> tuple[list[Listed], list[Listed]]:
    """The files to remove: those where a file is to be a folder, or the other way round; others."""
    paths = {target.entry.path for target in plan.write}
    folders = {folder for path in paths for folder in parents_of(path)}
    sides: tuple[list[Listed], list[Listed]] = ([], [])
    for file in plan.remove:
        free = file.path not in folders and paths.isdisjoint(parents_of(file.path))
        sides[free].append(file)
    return sides


class _Checkout:
    def __init__(
        self, folder: Path, source: FileSource, *, force: bool, progress: Progress
    ) -> None:
        self._root = str(folder)
        self._source = source
        self._force = force
        self._progress = progress
        self._temporary = f"{folder}/{META_DIR}/{TEMPORARY_DIR}/checkout-{secrets.token_hex(8)}"
        self._numbers = itertools.count()

    def remove(self, files: list[Listed]) -> None:
        """Remove files, and the folders that this leaves empty."""
        for file in files:
            self._check_unchanged(file)
            with _explained(file.path, "removed"), suppress(FileNotFoundError):
                os.unlink(f"{self._root}/{file.path}")
        emptied = {file.path.rpartition("/")[0] for file in files}
        while emptied:
            # The longest first: a folder before those above it.
            folder = max(emptied, key=len)
            emptied.remove(folder)
            if folder and self._remove_folder(folder):
                emptied.add(folder.rpartition("/")[0])

    def clear(self, path: str) -> None:
        """Remove what is at `path`, with all below."""
        place = f"{self._root}/{path}"
        with _explained(path, "removed"):
            if not os.path.lexists(place):
                return  # it went with what it held
            if not os.path.isdir(place) or os.path.islink(place):
                os.unlink(place)
            elif self._force:
                shutil.rmtree(place)
            else:
                # What it held has been removed: only empty folders are left.
                for folder, _, _ in os.walk(place, topdown=False):
                    os.rmdir(folder)

    def make_folders(self, folders: set[str]) -> None:
        for folder in sorted(folders):
            with _explained(folder, "made"):
                os.makedirs(f"{self._root}/{folder}", exist_ok=True)

    @contextmanager
    def temporary_folder(self) -> Iterator[None]:
        with _explained(self._temporary, "made"):
            os.makedirs(self._temporary)
        try:
            yield
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, targets: list[Target]) -> StatCache:
        """Write files, a few at a time; returns what they look like."""
        stats: list[_Stat] = []
        with ahead(self._write_batch, batches(targets)) as results:
            for found in results:
                stats += found
        if not targets:
            return empty_cache()
        digests = b"".join(target.entry.digest for target in targets)
        columns = np.array(stats, np.int64).T
        listing = Listing(
            pa.array([target.entry.path for target in targets], pa.string()),
            *(np.ascontiguousarray(column) for column in columns),
        )
        return StatCache(listing, np.frombuffer(digests, np.uint8).reshape(-1, 32))

    def _write_batch(self, targets: list[Target]) -> list[_Stat]:
        contents: Iterable[Iterable[Buffer]]
        if targets[0].size < LARGE:
            digests = [target.entry.digest for target in targets]
            contents = ([data] for data in self._source.read_files(digests))
        else:
            contents = (self._source.iter_file(target.entry.digest) for target in targets)
        return [
            self._write_one(target, pieces)
            for target, pieces in zip(targets, contents, strict=True)
        ]

    def _write_one(self, target: Target, pieces: Iterable[Buffer]) -> _Stat:
        entry = target.entry
        temporary = f"{self._temporary}/{next(self._numbers)}"
        place = f"{self._root}/{entry.path}"
        try:
            with _explained(entry.path, "written"):
                if entry.kind == SYMLINK:
                    self._make_link(entry, pieces, temporary)
                else:
                    self._make_file(entry, pieces, temporary)
                if target.replaces:
                    self._check_unchanged(target.replaces)
                _move(temporary, place)
                # The renaming has set the time of change.
                found = os.lstat(place)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        times = found.st_mtime_ns, found.st_ctime_ns
        return entry.kind, found.st_size, *times, found.st_ino & INODE_MASK

    def _make_file(self, entry: Entry, pieces: Iterable[Buffer], temporary: str) -> None:
        hasher = Hasher()
        handle = os.open(temporary, _FLAGS, 0o666)
        try:
            for piece in pieces:
                hasher.update(piece)
                _write_all(handle, piece)
                self._progress.advance(len(piece))
        finally:
            os.close(handle)
        _check_digest(entry, hasher.digest())

    def _make_link(self, entry: Entry, pieces: Iterable[Buffer], temporary: str) -> None:
        target = b"".join(pieces)
        _check_digest(entry, Hasher(target).digest())
        os.symlink(check_link(entry.path, target), temporary)
        self._progress.advance(len(target))

    def _check_unchanged(self, file: Listed) -> None:
        """Nobody may lose what was written after the plan was made."""
        if self._force:
            return
        try:
            check_same(file, os.lstat(f"{self._root}/{file.path}"))
        except FileNotFoundError:
            return
        except FileChangedError as error:
            raise UnsavedChangesError(
                error.message, "Save your changes, then try again."
            ) from error

    def _remove_folder(self, path: str) -> bool:
        try:
            os.rmdir(f"{self._root}/{path}")
        except OSError:
            return False  # something else is in it
        return True


def _check_digest(entry: Entry, digest: bytes) -> None:
    if digest != entry.digest:
        raise IntegrityError(
            f"The bytes of '{entry.path}' in the store do not match its digest "
            f"{entry.digest.hex()}.",
            "Run 'dsvc fsck', and fetch it anew.",
        )


def _write_all(handle: int, data: Buffer) -> None:
    rest = memoryview(data)
    while rest.nbytes:
        rest = rest[os.write(handle, rest) :]


def _move(temporary: str, place: str) -> None:
    try:
        os.replace(temporary, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Part of the workspace is another file system: the last step must be a renaming within it.
        beside = f"{place}.dsvc-{secrets.token_hex(8)}"
        try:
            shutil.copyfile(temporary, beside, follow_symlinks=False)
            os.replace(beside, place)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside)
            raise
        os.unlink(temporary)


@contextmanager
def _explained(path: str, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"'{path}' cannot be {verb}: {error.strerror or error}.",
            "Free space or mend permissions, then run it again: what is done stays done.",
        ) from error
