"""Objects of a remote, reached through fsspec: the only module that names it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

from datasets_vc.addresses import PLAIN, Access, without_secrets
from datasets_vc.backends.base import (
    MAX_OBJECT,
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
    UnableError,
    is_absent,
    is_conflict,
    is_unable,
    opening_error,
    remote_error,
)
from datasets_vc.backends.files import Files, StreamingFiles, bounded
from datasets_vc.backends.kinds import Kind, check_understood, kind_of
from datasets_vc.backends.proxies import check_proxies
from datasets_vc.backends.sftp import RootLockedError
from datasets_vc.backends.web import WebFiles
from datasets_vc.digest import Buffer
from datasets_vc.errors import (
    ConflictError,
    DatasetError,
    InvalidInputError,
    LockedError,
    RemoteError,
)
from datasets_vc.locations import scheme_meant
from datasets_vc.memory import ViewFile

USUAL_SCHEMES = ("s3", "gs", "az", "abfs", "sftp", "https", "file")
"""The remotes that are named to somebody who asks for an unknown one."""

_NO_PROXY = frozenset({"memory", "sftp", "ssh", "file"})

# The only writer may have threads.
_ALONE = threading.Lock()


class FsspecBackend(Backend):
    """The objects below one URL.

    Each process makes its own connection, also after a fork: the one that it inherited belongs to
    an event loop that runs in the parent only.

    Args:
        url: "scheme://place/prefix", anything that fsspec knows.
        options: passed to the file system, such as `endpoint_url`; picklable.
        access: how to get there, where the URL does not say it.
        single_writer: nobody else writes there, so that a swap may compare and then write where
            the remote cannot do both as one.

    Raises:
        InvalidInputError: the scheme is unknown, its package is not installed, or it can make
            nothing of the address or of a way of access.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any] | None = None,
        *,
        access: Access = PLAIN,
        single_writer: bool = False,
    ) -> None:
        self.scheme, separator, place = url.partition("://")
        if not separator or (not place.strip("/") and self.scheme != "memory"):
            raise InvalidInputError(f"'{without_secrets(url)}' is not the URL of a remote.")
        self.url = url.rstrip("/") if place.strip("/") else url
        self.options = dict(options or {})
        self.access = access
        self.single_writer = single_writer
        self._kind = kind_of(self.scheme)
        check_understood(self._kind, self.url, access)
        self._client = _client_class(self.scheme, self._kind, self.url)
        self._root = self._path_at_client()
        self.conditional_writes = self._kind.swaps and not single_writer
        self.writable = self._kind.writable
        self.streams = self._kind.streams
        # What a parent opened stays here after a fork: dropping it would close its sockets there.
        self._opened: dict[int, Files] = {}

    def __reduce__(self) -> tuple[Callable[..., FsspecBackend], tuple[Any, ...]]:
        return _opened_again, (self.url, self.options, self.access, self.single_writer)

    def __repr__(self) -> str:
        return f"FsspecBackend({without_secrets(self.url)!r})"

    @property
    def ranges(self) -> bool:
        files = self._files()
        return not isinstance(files, WebFiles) or files.ranges

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        path = self._path(name)
        check_range(name, start, end)
        if start == end:
            self.stat(name)
            return b""
        if end is not None:
            # What a store says of its own sizes may be any number.
            end = min(end, start + MAX_OBJECT)
        with self._our_errors(name):
            data = self._files().read(path, start, end)
            if end is not None and len(data) > end - start:
                raise UnableError("the server ignores ranges of bytes")
            return data

    def put(self, name: str, *parts: Buffer) -> None:
        path = self._path(name)
        if self.streams:
            self.put_from(name, ViewFile(*parts))
            return
        with self._our_errors(name, writing=True):
            self._files().write(path, b"".join(parts))

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        path = self._path(name)
        check_range(name, start, None)
        if not self.streams:
            yield self.get(name, start)
            return
        with self._our_errors(name):
            yield from self._streaming_files().stream(path, start)

    def put_from(self, name: str, file: Readable) -> None:
        path = self._path(name)
        file.seek(0)
        if not self.streams:
            self.put(name, file.read())
            return
        with self._our_errors(name, writing=True):
            self._streaming_files().write_from(path, file)

    def stat(self, name: str) -> ObjectInfo:
        path = self._path(name)
        with self._our_errors(name):
            return self._files().info(path)._replace(name=name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        start = f"{self._root}/{check_prefix(prefix)}"
        with self._our_errors(prefix):
            found = [
                row._replace(name=row.name[len(self._root) + 1 :])
                for row in bounded(self._files().list(start))
                if row.name.startswith(start)
            ]
        # Consoles leave empty objects behind that they show as folders.
        objects = [row for row in found if row.name and not row.name.endswith("/")]
        return iter(sorted(row for row in objects if not is_temporary(row.name)))

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
        shown = f"'{without_secrets(self.url)}/{name}'"
        with self._our_errors(name, writing=True):
            try:
                if self.single_writer:
                    self._swap_alone(name, data, expected)
                else:
                    self._files().swap(path, data, expected)
            except RootLockedError as error:
                hint = "Wait until it ends, then try again."
                raise LockedError(f"{shown} is locked by another process.", hint) from error
            except Exception as error:
                if not is_conflict(error):
                    raise
                raise ConflictError(
                    f"{shown} was changed by somebody else.", "Try again."
                ) from error

    def _swap_alone(self, name: str, data: bytes, expected: object | None) -> None:
        """A swap of the only writer: as safe as the remote can do it."""
        path = self._path(name)
        with _ALONE:
            current = self.read_root(name)
            if (current.token if current else None) != expected:
                raise FileExistsError("the root is in another state")
            try:
                self._files().swap(path, data, expected)
            except Exception as error:
                if not is_unable(error):
                    raise
                self._files().write(path, data)

    def close(self) -> None:
        self._opened.pop(os.getpid(), None)

    def _path(self, name: str) -> str:
        return f"{self._root}/{check_name(name)}"

    def _files(self) -> Files:
        process = os.getpid()
        files = self._opened.get(process)
        return files if files else self._opened.setdefault(process, self._open())

    def _streaming_files(self) -> StreamingFiles:
        return cast(StreamingFiles, self._files())

    def _open(self) -> Files:
        try:
            return self._kind.files(self._connect)
        except DatasetError:
            raise
        except Exception as error:
            raise opening_error(error, self.url) from error

    def _path_at_client(self) -> str:
        """What the client library calls the place that the URL names."""
        try:
            return str(self._client._strip_protocol(self.url)).rstrip("/")
        except Exception as error:
            raise opening_error(error, self.url) from error

    def _connect(self) -> Any:
        known = _merged(
            self._client._get_kwargs_from_urls(self.url), self._kind.options(self.access)
        )
        options = _merged(known, self.options)
        if self.scheme not in _NO_PROXY:
            check_proxies()
        filesystem = self._client(skip_instance_cache=True, **options)
        filesystem.dircache.use_listings_cache = False
        return filesystem

    @contextmanager
    def _our_errors(self, name: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except DatasetError:
            raise
        except Exception as error:
            raise remote_error(error, self.url, name, writing=writing) from error


def _client_class(scheme: str, kind: Kind, url: str) -> Any:
    import fsspec

    try:
        if kind.client:
            module, _, name = kind.client.rpartition(".")
            return getattr(import_module(module), name)
        return fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise opening_error(error, url, kind.extra) from error
    except ValueError:
        meant = scheme_meant(scheme)
        guess = f"Perhaps {meant}:// was meant. " if meant else ""
        raise InvalidInputError(
            f"'{without_secrets(url)}' is of an unknown kind.",
            f"{guess}Known are, among others, {', '.join(USUAL_SCHEMES)}.",
        ) from None


def _opened_again(
    url: str, options: Mapping[str, Any], access: Access, single_writer: bool
) -> FsspecBackend:
    return FsspecBackend(url, options, access=access, single_writer=single_writer)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Options of which the second count, in each table among them too."""
    both = dict(first) | dict(second)
    for key in first.keys() & second.keys():
        if isinstance(first[key], Mapping) and isinstance(second[key], Mapping):
            both[key] = dict(first[key]) | dict(second[key])
    return both


def _is_missing_object(error: Exception) -> bool:
    return is_absent(error) and not isinstance(remote_error(error, ""), RemoteError)
