"""Objects as files of a local folder: durable writes by rename, reads by memory map."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from datasets_vc.backends.base import (
    MAX_ROOT,
    TEMPORARY_PREFIX,
    Backend,
    ObjectInfo,
    ObjectWriter,
    Readable,
    Versioned,
    check_name,
    check_prefix,
    check_range,
    is_temporary,
)
from datasets_vc.backends.blocks import BLOCK, clone_range
from datasets_vc.backends.folders import NO_SUCH_FILE, fresh, is_own, scan
from datasets_vc.backends.oserrors import opened, our_errors, translated
from datasets_vc.digest import Buffer
from datasets_vc.durable import make_folders, sync_folder
from datasets_vc.errors import (
    ConflictError,
    IntegrityError,
    LockedError,
    NotFoundError,
)
from datasets_vc.memory import map_file
from datasets_vc.permissions import LOCK_SUFFIX, give, lock_file, permissions_in

LOCK_TIMEOUT = 30.0
"""Seconds that a swap waits for another one to end."""

_PIECE = 1 << 20
"""Bytes that are copied at a time."""


class LocalBackend(Backend):
    """The objects of one folder.

    What is read may lie behind links, as in a mirror that is made of them. Nothing is written or
    deleted behind a link that lies in the folder: whoever made it would say where.

    Args:
        folder: where the objects lie.
        create: make the folder if it is missing; without, a missing folder stays missing, so that
            nothing is written below the mount point of a disk that is not there.
        durable: wait until the disk has the bytes; only tests and caches do without.
        lock_timeout: seconds that `swap` waits for another one to end.
    """

    streams = True

    def __init__(
        self,
        folder: Path | str,
        *,
        create: bool = False,
        durable: bool = True,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self.folder = Path(folder).resolve()
        self.url = str(self.folder)
        self._durable = durable
        self._lock_timeout = lock_timeout
        if create:
            with our_errors("make", self.folder):
                make_folders(self.folder)

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        path = self._path(name)
        check_range(name, start, end)
        with our_errors("read", path):
            return fresh(lambda: _read(path, start, end))

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        path = self._path(name)
        check_range(name, start, None)
        with our_errors("read", path), opened(path) as file:
            file.seek(start)
            while piece := file.read(_PIECE):
                yield piece

    def put(self, name: str, *parts: Buffer) -> None:
        path = self._path(name)
        self._make_folder(path.parent)
        with our_errors("write", path):
            self._write(path, parts)

    def put_from(self, name: str, file: Readable) -> None:
        path = self._path(name)
        self._make_folder(path.parent)
        file.seek(0)
        with our_errors("write", path):
            self._write(path, iter(lambda: file.read(_PIECE), b""))

    @contextmanager
    def exclusive(self, name: str) -> Iterator[bool]:
        path = self._path(name)
        self._make_folder(path.parent)
        with self._lock_file(path, 0, remove=True) as mine:
            yield mine

    def start(self, prefix: str) -> ObjectWriter:
        folder = self.folder / check_prefix(prefix)
        self._make_folder(folder)
        return _LocalWriter(self, folder)

    def stat(self, name: str) -> ObjectInfo:
        path = self._path(name)
        with our_errors("read", path):
            status = fresh(path.stat)
            if stat.S_ISDIR(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, "a folder is no object")
        return ObjectInfo(name, status.st_size, status.st_mtime)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with our_errors("read", self.folder / prefix):
            found = fresh(lambda: list(scan(self.folder / prefix, prefix)))
            return iter(sorted(info for info in found if not is_temporary(info.name)))

    def leftovers(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with our_errors("read", self.folder / prefix):
            found = fresh(lambda: list(scan(self.folder / prefix, prefix)))
            # A lock file is nobody's leftover: the system frees the lock of a process that dies.
            return iter(sorted(info for info in found if _is_leftover(info.name)))

    def delete(self, name: str) -> None:
        path = self._path(name)
        is_own(self.folder, path.parent)
        with our_errors("delete", path), suppress(*NO_SUCH_FILE):
            path.unlink()

    def check_places(self, prefixes: Iterable[str]) -> None:
        for prefix in prefixes:
            is_own(self.folder, self.folder / check_prefix(prefix))

    def read_root(self, name: str) -> Versioned | None:
        try:
            data = self.get(name, 0, MAX_ROOT + 1)
        except NotFoundError:
            return None
        if len(data) > MAX_ROOT:
            raise IntegrityError(f"'{self._path(name)}' is too long for the root of a store.")
        return Versioned(data, data)

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        path = self._path(name)
        self._make_folder(path.parent)
        with self._locked(path):
            current = self.read_root(name)
            if (current.token if current else None) != expected:
                raise ConflictError(f"'{path}' was changed by another process.", "Try again.")
            with our_errors("write", path):
                self._write(path, (data,))

    def open_local(self, name: str) -> int | None:
        path = self._path(name)
        with our_errors("read", path):
            return fresh(lambda: os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def map(self, name: str) -> memoryview | None:
        path = self._path(name)
        with our_errors("read", path):
            return fresh(lambda: _map(path))

    def _path(self, name: str) -> Path:
        return self.folder / check_name(name)

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        with self._lock_file(path, self._lock_timeout) as mine:
            if not mine:
                raise LockedError(
                    f"'{path}' is locked by another process.",
                    "Wait until it ends, then try again.",
                )
            yield

    @contextmanager
    def _lock_file(self, path: Path, timeout: float, *, remove: bool = False) -> Iterator[bool]:
        with ExitStack() as stack:
            lock = lock_file(Path(f"{path}{LOCK_SUFFIX}"), timeout, remove=remove)
            try:
                mine = stack.enter_context(lock)
            except OSError as error:
                raise translated(error, "lock", path) from error
            yield mine

    def _make_folder(self, folder: Path) -> None:
        if is_own(self.folder, folder):
            return
        if folder == self.folder:
            raise NotFoundError(f"There is no folder '{folder}'.", "Is its disk mounted?")
        self._make_folder(folder.parent)
        with our_errors("write", folder):
            folder.mkdir(exist_ok=True)
            if permissions := permissions_in(self.folder):
                give(folder, permissions.folders)
            self._sync_folder(folder.parent)

    def _permit(self, file: IO[bytes]) -> None:
        """Let the others of a shared store use a file that was made in it."""
        if permissions := permissions_in(self.folder):
            give(file.fileno(), permissions.files)

    def _write(self, path: Path, parts: Iterable[Buffer]) -> None:
        """A crash at any instant leaves the old object, or the new one, or a temporary file."""
        temporary = path.parent / f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
        try:
            with temporary.open("xb") as file:
                self._permit(file)
                file.writelines(parts)
                self._settle(file, temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise

    def _settle(self, file: IO[bytes], temporary: Path, path: Path) -> None:
        """Give a file that is written its name, once the disk has it."""
        file.flush()
        if self._durable:
            os.fsync(file.fileno())
        written = os.fstat(file.fileno())
        # Windows cannot rename what is open.
        file.close()
        try:
            temporary.replace(path)
        except FileNotFoundError:
            # NFS asks again when an answer is lost, and then there is nothing left to rename.
            if not (path.exists() and os.path.samestat(path.stat(), written)):
                raise ConflictError(
                    f"'{path}' was removed while it was being written, by a collection without "
                    "grace.",
                    "Run the command again.",
                ) from None
        self._sync_folder(path.parent)

    def _sync_folder(self, folder: Path) -> None:
        if self._durable:
            sync_folder(folder)


class _LocalWriter(ObjectWriter):
    """Writes to a temporary file of the folder that the object will be in."""

    def __init__(self, backend: LocalBackend, folder: Path) -> None:
        self._backend = backend
        self._temporary = folder / f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
        with our_errors("write", self._temporary):
            self._file = self._temporary.open("x+b", buffering=0)
            backend._permit(self._file)

    def write(self, *parts: Buffer) -> None:
        with our_errors("write", self._temporary):
            for part in parts:
                rest = memoryview(part).cast("B")
                while rest.nbytes:
                    rest = rest[self._file.write(rest) :]

    def write_from(self, source: int, position: int, data: Buffer) -> None:
        view = memoryview(data)
        handle = self._file.fileno()
        offset = self._file.tell()
        start = -offset % BLOCK
        end = start + max(0, len(view) - start) // BLOCK * BLOCK
        if end == start or (offset - position) % BLOCK:
            self.write(view)
            return
        self.write(view[:start])
        shared = clone_range(source, position + start, handle, offset + start, end - start)
        # What was cloned is the file as it is now: it may have been written to since it was read.
        if shared and os.pread(handle, end - start, offset + start) == view[start:end]:
            self._file.seek(offset + end)
            view = view[end:]
        else:
            view = view[start:]
        self.write(view)

    def written(self) -> memoryview:
        with our_errors("read", self._temporary):
            return map_file(self._file)

    def finish(self, name: str) -> None:
        path = self._backend._path(name)
        self._backend._make_folder(path.parent)
        try:
            with our_errors("write", path):
                self._backend._settle(self._file, self._temporary, path)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        self._file.close()
        with suppress(OSError):
            self._temporary.unlink()


def _read(path: Path, start: int, end: int | None) -> bytes:
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(start)
        return file.read(max(0, min(size, size if end is None else end) - start))


def _map(path: Path) -> memoryview:
    with opened(path) as file:
        return map_file(file)


def _is_leftover(name: str) -> bool:
    return is_temporary(name) and not name.endswith(LOCK_SUFFIX)
