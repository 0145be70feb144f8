"""Read files that others may write to: the bytes of the file that was listed, or an error."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, TypeVar

import numpy as np

from datasets_vc.digest import DIGEST_SIZE, Digest, Hasher, digest_of
from datasets_vc.errors import UnreadableFileError, hint_about
from datasets_vc.format.columns import Mask, Rows
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.workspace.ahead import LARGE, ahead, spans
from datasets_vc.workspace.columns import Digests, paths_at
from datasets_vc.workspace.listing import INODE_MASK, Listing, as_int64, stat_row

PIECE = 1 << 20
"""Bytes that are read at a time from large files."""

CAN_ASK = hasattr(os, "posix_fadvise")
"""Whether the system can be told of files before they are read."""

_ASKED_AT_ONCE = 64
_TRIES = 5
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TRY_AGAIN = "Wait until nothing writes to it, then try again."


KINDS = {stat.S_IFREG: FILE, stat.S_IFLNK: SYMLINK}
"""The kinds of entries, by the type of the file."""

Read = TypeVar("Read")


class FileChangedError(UnreadableFileError):
    """A file is no longer what was listed, so that no bytes can be told to be its."""


class Listed(NamedTuple):
    """One file of a listing."""

    row: int
    path: str
    kind: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def listed_at(listing: Listing, rows: Rows) -> list[Listed]:
    """Some files of a listing, one object each."""
    names = ("kind", "size", "mtime_ns", "ctime_ns", "inode")
    columns = [getattr(listing, name)[rows].tolist() for name in names]
    paths = paths_at(listing.path, rows)
    return list(map(Listed, rows.tolist(), paths, *columns))


def listed_from(path: str, kind: int, found: os.stat_result) -> Listed:
    """A file of no listing, by its stat data; its row is -1."""
    return Listed(-1, path, *stat_row(kind, found))


class OpenFile:
    """A listed file, open for reading; what is read is checked to be that file's, whole.

    Raises:
        FileChangedError: on entry, while reading or on exit: the file is not what was listed.
        UnreadableFileError: it cannot be opened or read.
    """

    __slots__ = ("_file", "_handle", "_left", "_root")

    def __init__(self, root: str, file: Listed) -> None:
        self._root = root
        self._file = file
        self._left = file.size

    def __enter__(self) -> OpenFile:
        self._handle = _open(self._root, self._file)
        try:
            self._file = _renewed(self._file, os.fstat(self._handle))
        except BaseException:
            os.close(self._handle)
            raise
        return self

    @property
    def handle(self) -> int:
        """The file's descriptor."""
        return self._handle

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        size = min(size, self._left)
        if not size:
            return b""
        try:
            data = os.read(self._handle, size)
        except OSError as error:
            raise _explain(self._file, error) from error
        if not data:
            raise _changed(self._file, "shrank")
        self._left -= len(data)
        return data

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                check_same(self._file, os.fstat(self._handle))
        finally:
            os.close(self._handle)


def read_whole(root: str, file: Listed) -> bytes:
    """All bytes of a listed file, or the target of a listed link; raises what `OpenFile` does."""
    return steadily(root, file, _read_whole)


def steadily(root: str, file: Listed, read: Callable[[str, Listed], Read]) -> Read:
    """What `read` makes of a listed file, read again if another link to it came or went meanwhile.

    That is no change of the file, but the system tells it as one.
    """
    for _ in range(_TRIES):
        try:
            return read(root, file)
        except FileChangedError as error:
            file = _now(root, file, error)
    return read(root, file)


def has_digest(root: str, file: Listed, digest: Digest) -> bool:
    """Whether the file that is now where a listed one was has these bytes, whatever its times."""
    try:
        found = os.lstat(f"{root}/{file.path}")
        kind = KINDS.get(stat.S_IFMT(found.st_mode))
        if kind != file.kind or found.st_size != file.size:
            return False
        return hash_file(root, listed_from(file.path, kind, found)) == digest
    except (OSError, UnreadableFileError):
        return False


def _read_whole(root: str, file: Listed) -> bytes:
    if file.kind == SYMLINK:
        return _read_link(root, file)
    return _read_open(root, file, _open(root, file))


def read_from_disk(root: str, files: Sequence[Listed]) -> list[bytes]:
    """All bytes of listed files below LARGE that are not in memory; raises what `OpenFile` does.

    The system hears of many before one waits for the first: a disk that has many requests to choose
    from is several times as fast, and so are few threads that wait together.
    """
    data: list[bytes] = []
    for start in range(0, len(files), _ASKED_AT_ONCE):
        some = files[start : start + _ASKED_AT_ONCE]
        handles: deque[int] = deque()
        try:
            for file in some:
                handles.append(_open(root, file))
                _ask_for(handles[-1], file.size)
            for file in some:
                try:
                    data.append(_read_open(root, file, handles.popleft()))
                except FileChangedError as error:
                    data.append(read_whole(root, _now(root, file, error)))
        finally:
            for handle in handles:
                os.close(handle)
    return data


def _ask_for(handle: int, size: int) -> None:
    if CAN_ASK:
        with suppress(OSError):  # it may be a pipe by now: reading will tell
            os.posix_fadvise(handle, 0, size, os.POSIX_FADV_WILLNEED)


def _read_open(root: str, file: Listed, handle: int) -> bytes:
    """All bytes of a listed file, by a descriptor that is closed then."""
    try:
        data = os.read(handle, file.size)
        # Its times are as they were when it was listed: nobody has written since.
        check_same(file, os.fstat(handle))
    except OSError as error:
        check_same(file, os.fstat(handle))
        raise _explain(file, error) from error
    finally:
        os.close(handle)
    if len(data) == file.size:
        return data
    # Some file systems give less at a time than one asks for.
    with OpenFile(root, file) as source:
        return b"".join(iter(lambda: source.read(PIECE), b""))


def hash_file(root: str, file: Listed) -> Digest:
    """The digest of a listed file, read piece by piece; raises what `OpenFile` does."""
    return steadily(root, file, _hash_file)


def _hash_file(root: str, file: Listed) -> Digest:
    if file.kind == SYMLINK or file.size < LARGE:
        return digest_of(_read_whole(root, file))
    hasher = Hasher()
    with OpenFile(root, file) as source:
        while piece := source.read(PIECE):
            hasher.update(piece)
    return Digest(hasher.digest())


def hash_files(
    root: str, listing: Listing, rows: Rows, *, strict: bool = False
) -> tuple[Digests, Mask]:
    """The digests of the files at `rows`, and which of them could be told.

    A file that changes while it is read has none; with `strict` that is an error.

    Raises:
        UnreadableFileError: a file cannot be read.
    """
    digests = np.zeros((len(rows), DIGEST_SIZE), np.uint8)
    known = np.zeros(len(rows), np.bool_)
    if not len(rows):
        return digests, known

    def work(span: tuple[int, int]) -> list[Digest | None]:
        files = listed_at(listing, rows[slice(*span)])
        return [_try_hash(root, file, strict) for file in files]

    with ahead(work, spans(listing.size[rows])) as results:
        for row, digest in enumerate(digest for batch in results for digest in batch):
            if digest is not None:
                digests[row] = np.frombuffer(digest, np.uint8)
                known[row] = True
    return digests, known


def check_same(file: Listed, found: os.stat_result) -> None:
    """Check stat data against those in the listing.

    Raises:
        FileChangedError: they differ.
    """
    if (
        as_int64(found.st_mtime_ns) == file.mtime_ns
        and as_int64(found.st_ctime_ns) == file.ctime_ns
        and found.st_size == file.size
        and found.st_ino & INODE_MASK == file.inode
    ):
        return
    if not found.st_nlink:
        raise _changed(file, "vanished")
    if stat.S_ISREG(found.st_mode) and found.st_size != file.size:
        raise _changed(file, "grew" if found.st_size > file.size else "shrank")
    raise _changed(file, "was changed or replaced")


def _renewed(file: Listed, found: os.stat_result) -> Listed:
    """The listed file with the time of change that it has now, if nothing else about it differs.

    Raises:
        FileChangedError: something does.
    """
    now = file._replace(ctime_ns=as_int64(found.st_ctime_ns))
    check_same(now, found)
    return now


def _now(root: str, file: Listed, error: FileChangedError) -> Listed:
    """The listed file as it is now, if only its time of change differs; else raises `error`."""
    try:
        return _renewed(file, os.lstat(f"{root}/{file.path}"))
    except (OSError, FileChangedError):
        raise error from None


def _try_hash(root: str, file: Listed, strict: bool) -> Digest | None:
    try:
        return hash_file(root, file)
    except FileChangedError:
        if strict:
            raise
        return None


def _open(root: str, file: Listed) -> int:
    try:
        return os.open(f"{root}/{file.path}", _FLAGS)
    except OSError as error:
        raise _explain(file, error) from error


def _read_link(root: str, file: Listed) -> bytes:
    path = f"{root}/{file.path}"
    try:
        target = os.readlink(os.fsencode(path))  # noqa: PTH115 - its bytes, not a Path
        check_same(file, os.lstat(path))
    except OSError as error:
        raise _explain(file, error) from error
    return target


def _explain(file: Listed, error: OSError) -> UnreadableFileError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _changed(file, "vanished")
    return UnreadableFileError(
        f"'{file.path}' cannot be read: {error.strerror or error}.",
        hint_about(error, "Mend its permissions, or ignore it in .dsvcignore."),
    )


def _changed(file: Listed, what: str) -> FileChangedError:
    return FileChangedError(f"'{file.path}' {what} while dsvc was at work on it.", _TRY_AGAIN)
