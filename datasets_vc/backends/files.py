"""What a kind of remote has to know: the objects of a place, by their full path."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from datasets_vc.backends.base import (
    MAX_LISTED,
    TEMPORARY_PREFIX,
    ObjectInfo,
    Readable,
    Versioned,
)
from datasets_vc.backends.failures import UnableError
from datasets_vc.digest import Buffer

_MODIFIED_KEYS = ("mtime", "LastModified", "last_modified", "updated", "created")
_SWAP_LOCK = threading.Lock()


class Files(Protocol):
    """The objects of a file system, by their full path. Errors are the client library's."""

    def read(self, path: str, start: int, end: int | None) -> bytes: ...
    def write(self, path: str, data: bytes) -> None: ...
    def info(self, path: str) -> ObjectInfo: ...
    def list(self, prefix: str) -> Iterator[ObjectInfo]: ...
    def delete(self, path: str) -> None: ...
    def read_root(self, path: str) -> Versioned: ...
    def swap(self, path: str, data: bytes, expected: object | None) -> None: ...


class StreamingFiles(Files, Protocol):
    """Those that need not hold an object in memory to move it."""

    def stream(self, path: str, start: int) -> Iterator[Buffer]: ...
    def write_from(self, path: str, file: Readable) -> None: ...


def pages() -> Iterator[int]:
    """The numbers of the pages of a listing.

    Raises:
        UnableError: there are more than any store needs, if each shows a thing.
    """
    yield from range(MAX_LISTED)
    raise UnableError("its listing does not end")


def bounded(rows: Iterable[ObjectInfo]) -> Iterator[ObjectInfo]:
    """The rows of a listing, as many as there can be.

    Raises:
        UnableError: there are more.
    """
    for number, row in enumerate(rows):
        if number == MAX_LISTED:
            raise UnableError(f"its listing has more than {MAX_LISTED:,} objects")
        yield row


class PlainFiles:
    """The verbs that every fsspec file system has.

    A swap compares and then writes: safe between the threads of this process, and no further.

    Args:
        filesystem: an `fsspec.AbstractFileSystem`.
        whole_writes: a write there is all or nothing; else a temporary file is written and renamed.
    """

    def __init__(self, filesystem: Any, *, whole_writes: bool) -> None:
        self._filesystem = filesystem
        self._whole_writes = whole_writes

    def read(self, path: str, start: int, end: int | None) -> bytes:
        if (start, end) == (0, None):
            return bytes(self._filesystem.cat_file(path))
        return bytes(self._filesystem.cat_file(path, start=start, end=end))

    def write(self, path: str, data: bytes) -> None:
        if self._whole_writes:
            self._filesystem.pipe_file(path, data)
            return
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        self._filesystem.makedirs(folder, exist_ok=True)
        try:
            self._filesystem.pipe_file(temporary, data)
            self._filesystem.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                self._filesystem.rm_file(temporary)
            raise

    def info(self, path: str) -> ObjectInfo:
        found = self._filesystem.info(path)
        if found["type"] != "file":
            raise FileNotFoundError(path)
        return _object_info(found)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._filesystem.invalidate_cache()
        rows = self._filesystem.find(prefix.rstrip("/"), detail=True)
        return iter([_object_info(row) for row in rows.values()])

    def delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._filesystem.rm_file(path)

    def read_root(self, path: str) -> Versioned:
        data = self.read(path, 0, None)
        return Versioned(data, data)

    def swap(self, path: str, data: bytes, expected: object | None) -> None:
        with _SWAP_LOCK:
            compare_and_write(self, path, data, expected)


def compare_and_write(files: Files, path: str, data: bytes, expected: object | None) -> None:
    """A swap for where nobody else writes.

    Raises:
        FileExistsError: the root is in another state.
    """
    try:
        current: object | None = files.read_root(path).token
    except FileNotFoundError:
        current = None
    if current != expected:
        raise FileExistsError("the object is in another state")
    files.write(path, data)


def _object_info(found: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(found["name"], found["size"], _modified(found))


def _modified(found: Mapping[str, Any]) -> float:
    """The time in a listing, which every file system writes in its own way."""
    value = next((found[key] for key in _MODIFIED_KEYS if found.get(key)), 0.0)
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, (int, float)) else 0.0
