"""Objects of a remote, reached through fsspec: the only module that names it."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Protocol

from datasets_vc.backends.base import (
    TEMPORARY_PREFIX,
    Backend,
    ObjectInfo,
    Readable,
    Versioned,
    check_name,
    check_prefix,
    check_range,
    is_temporary,
)
from datasets_vc.backends.failures import (
    is_absent,
    is_conflict,
    opening_error,
    remote_error,
    without_password,
)
from datasets_vc.backends.s3 import CLIENT_OPTIONS, S3Files
from datasets_vc.digest import Buffer
from datasets_vc.errors import ConflictError, DatasetError, InvalidInputError, RemoteError

USUAL_SCHEMES = ("s3", "gs", "az", "abfs", "sftp", "https", "memory", "file")
"""The remotes that are named to somebody who asks for an unknown one."""

_S3_SCHEMES = frozenset({"s3", "s3a"})
_WHOLE_WRITES = frozenset(
    {"memory", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "hf", "http", "https"}
)
_MODIFIED_KEYS = ("mtime", "LastModified", "last_modified", "updated", "created")
_SWAP_LOCK = threading.Lock()


class _Files(Protocol):
    """The objects of a file system, by their full path. Errors are the client library's."""

    def read(self, path: str, start: int, end: int | None) -> bytes: ...
    def write(self, path: str, *parts: Buffer) -> None: ...
    def stream(self, path: str, start: int) -> Iterator[Buffer]: ...
    def write_from(self, path: str, file: Readable) -> None: ...
    def info(self, path: str) -> ObjectInfo: ...
    def list(self, prefix: str) -> Iterator[ObjectInfo]: ...
    def delete(self, path: str) -> None: ...
    def read_root(self, path: str) -> Versioned: ...
    def swap(self, path: str, data: bytes, expected: object | None) -> None: ...


class FsspecBackend(Backend):
    """The objects below one URL.

    Each process makes its own connection, also after a fork: the one that it inherited belongs to
    an event loop that runs in the parent only.

    Args:
        url: "scheme://place/prefix", anything that fsspec knows.
        options: passed to the file system, such as `endpoint_url`; picklable.

    Raises:
        InvalidInputError: the scheme is unknown, or its package is not installed.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.scheme, separator, place = url.partition("://")
        if not separator or (not place.strip("/") and self.scheme != "memory"):
            raise InvalidInputError(f"'{url}' is not the URL of a remote.")
        self.url = url.rstrip("/") if place.strip("/") else url
        self.options = dict(options or {})
        self._client = _client_class(self.scheme, self.url)
        self._root: str = self._client._strip_protocol(self.url).rstrip("/")
        self.conditional_writes = self.scheme in _S3_SCHEMES or self.scheme == "memory"
        self.streams = self.scheme in _S3_SCHEMES
        # What a parent opened stays here after a fork: dropping it would close its sockets there.
        self._opened: dict[int, _Files] = {}

    def __reduce__(self) -> tuple[Callable[..., FsspecBackend], tuple[str, dict[str, Any]]]:
        return FsspecBackend, (self.url, self.options)

    def __repr__(self) -> str:
        return f"FsspecBackend({without_password(self.url)!r})"

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        path = self._path(name)
        check_range(name, start, end)
        if start == end:
            self.stat(name)
            return b""
        with self._our_errors(name):
            data = self._files().read(path, start, end)
            if end is not None and len(data) > end - start:
                raise NotImplementedError("the server ignores ranges of bytes")
            return data

    def put(self, name: str, *parts: Buffer) -> None:
        path = self._path(name)
        with self._our_errors(name, writing=True):
            self._files().write(path, *parts)

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        path = self._path(name)
        check_range(name, start, None)
        with self._our_errors(name):
            yield from self._files().stream(path, start)

    def put_from(self, name: str, file: Readable) -> None:
        path = self._path(name)
        file.seek(0)
        with self._our_errors(name, writing=True):
            self._files().write_from(path, file)

    def stat(self, name: str) -> ObjectInfo:
        path = self._path(name)
        with self._our_errors(name):
            return self._files().info(path)._replace(name=name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        start = f"{self._root}/{check_prefix(prefix)}"
        with self._our_errors(prefix):
            found = [
                row._replace(name=row.name[len(self._root) + 1 :])
                for row in self._files().list(start)
                if row.name.startswith(start)
            ]
        return iter(sorted(row for row in found if row.name and not is_temporary(row.name)))

    def delete(self, name: str) -> None:
        path = self._path(name)
        with self._our_errors(name):
            self._files().delete(path)

    def read_root(self, name: str) -> Versioned | None:
        path = self._path(name)
        with self._our_errors(name):
            try:
                return self._files().read_root(path)
            except Exception as error:
                if _is_missing_object(error):
                    return None
                raise

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        path = self._path(name)
        with self._our_errors(name, writing=True):
            try:
                self._files().swap(path, data, expected)
            except Exception as error:
                if not is_conflict(error):
                    raise
                raise ConflictError(
                    f"'{without_password(self.url)}/{name}' was changed by somebody else.",
                    "Try again.",
                ) from error

    def close(self) -> None:
        self._opened.pop(os.getpid(), None)

    def _path(self, name: str) -> str:
        return f"{self._root}/{check_name(name)}"

    def _files(self) -> _Files:
        process = os.getpid()
        files = self._opened.get(process)
        return files if files else self._opened.setdefault(process, self._open())

    def _open(self) -> _Files:
        options = {**self._client._get_kwargs_from_urls(self.url), **self.options}
        is_s3 = self.scheme in _S3_SCHEMES
        if is_s3:
            options["config_kwargs"] = {**CLIENT_OPTIONS, **options.get("config_kwargs", {})}
        try:
            filesystem = self._client(skip_instance_cache=True, **options)
        except Exception as error:
            raise opening_error(error, self.url) from error
        filesystem.dircache.use_listings_cache = False
        if is_s3:
            return S3Files(filesystem)
        return _PlainFiles(filesystem, whole_writes=self.scheme in _WHOLE_WRITES)

    @contextmanager
    def _our_errors(self, name: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except DatasetError:
            raise
        except Exception as error:
            raise remote_error(error, self.url, name, writing=writing) from error


class _PlainFiles:
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

    def stream(self, path: str, start: int) -> Iterator[Buffer]:
        return iter([self.read(path, start, None)])

    def write_from(self, path: str, file: Readable) -> None:
        self.write(path, file.read())

    def write(self, path: str, *parts: Buffer) -> None:
        data = b"".join(parts)
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
            try:
                current = self.read(path, 0, None)
            except FileNotFoundError:
                current = None
            if current != expected:
                raise FileExistsError("the object is in another state")
            self.write(path, data)


def _client_class(scheme: str, url: str) -> Any:
    import fsspec

    try:
        return fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise opening_error(error, url) from error
    except ValueError:
        raise InvalidInputError(
            f"'{without_password(url)}' is of an unknown kind.",
            f"Known are, among others, {', '.join(USUAL_SCHEMES)}.",
        ) from None


def _is_missing_object(error: Exception) -> bool:
    return is_absent(error) and not isinstance(remote_error(error, ""), RemoteError)


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
