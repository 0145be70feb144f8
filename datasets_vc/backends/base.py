"""What a place that holds objects can do: the one interface between a store and where bytes lie."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

from datasets_vc.digest import Buffer
from datasets_vc.errors import IntegrityError, InvalidInputError
from datasets_vc.permissions import LOCK_SUFFIX as LOCK_SUFFIX

TEMPORARY_PREFIX = ".tmp-"

MAX_OBJECT = 4 << 30
"""Bytes of an object that is read whole without a known size: no more are ever taken."""

MAX_ROOT = 64 << 20
"""Bytes of a root: half a million branches and tags (docs/format.md, section 9)."""

MAX_LISTED = 2_000_000
"""Objects of a listing."""

_BAD_NAME = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\\\x00]")


class ObjectInfo(NamedTuple):
    """An object as a listing tells it; `modified` in seconds since the epoch, 0.0 if unknown."""

    name: str
    size: int
    modified: float


class Versioned(NamedTuple):
    """The bytes of the root and a token that names exactly this state of it, for `swap`."""

    data: bytes
    token: object


class Readable(Protocol):
    """An open file as far as `Backend.put_from` needs one."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class ObjectWriter(ABC):
    """An object on its way, written piece by piece; it has its name only once it is whole.

    Used by one thread at a time. One that is neither finished nor aborted leaves garbage at worst.
    """

    @abstractmethod
    def write(self, *parts: Buffer) -> None:
        """Append parts; they may be changed afterwards."""

    def write_from(self, source: int, position: int, data: Buffer) -> None:
        """Append what was read from a local file, by sharing its blocks where that is possible.

        Args:
            source: a descriptor of the file, open for reading.
            position: where in it `data` was; whole blocks of 4096 bytes can be shared if it differs
                from the bytes written so far by a multiple of these.
            data: what becomes part of the object, whatever the file holds by now.
        """
        del source, position
        self.write(data)

    @abstractmethod
    def written(self) -> memoryview:
        """All that was written so far, read-only, to be looked at before `finish`."""

    @abstractmethod
    def finish(self, name: str) -> None:
        """Make an object of what was written; see `Backend.put`."""

    @abstractmethod
    def abort(self) -> None:
        """Forget what was written; nothing happens after `finish`."""


class Backend(ABC):
    """Objects under "/"-separated names: written whole, read in ranges, one of them swapped.

    Safe to use from several threads, and picklable: a copy reaches the same objects.
    """

    url: str
    """Where the objects lie, in the canonical form that `open_backend` takes."""

    conditional_writes: bool = True
    """Whether `swap` is meant to be safe against other processes; `probe` looks if it is."""

    writable: bool = True
    """Whether there is any way to write there."""

    @property
    def ranges(self) -> bool:
        """Whether a part of an object costs no more than the part, as far as is known by now."""
        return True

    streams: bool = False
    """Whether `stream` and `put_from` hold a few pieces in memory instead of the whole object."""

    @property
    def stumbles(self) -> int:
        """How often a request had to be tried again so far: a sign of too many at once."""
        return 0

    @abstractmethod
    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes [start, end) of an object; fewer where it ends before.

        Raises:
            NotFoundError: there is no such object.
        """

    @abstractmethod
    def put(self, name: str, *parts: Buffer) -> None:
        """Write an object, the parts end to end: readers see all of it or nothing, and it lasts.

        An object of this name is replaced.
        """

    def get_whole(self, name: str, most: int) -> bytes:
        """The bytes of an object that cannot be long.

        Raises:
            NotFoundError: there is no such object.
            IntegrityError: it is longer than `most` bytes; no more than these are read.
        """
        data = self.get(name, 0, most + 1)
        if len(data) > most:
            raise IntegrityError(
                f"The object {name} of {self.url} has more than the {most:,} bytes that it can "
                "have."
            )
        return data

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        """The bytes of an object from `start` on, piece by piece as they come.

        Raises:
            NotFoundError: there is no such object.
        """
        yield self.get(name, start)

    def stream_to(self, name: str, end: int) -> Iterator[Buffer]:
        """As `stream`; what does not come piece by piece is asked for up to `end` only."""
        return self.stream(name) if self.streams else iter([self.get(name, 0, end)])

    def put_from(self, name: str, file: Readable) -> None:
        """Write an object as `put` does, of all that a file holds."""
        file.seek(0)
        self.put(name, file.read())

    def exclusive(self, name: str) -> AbstractContextManager[bool]:
        """Be the only one who makes an object, among the processes that ask for this.

        Gives False, at once, while another one does. Nobody is kept from writing, and the system
        lets go of it for a process that dies. Remotes know no such thing: it is always True there.
        """
        check_name(name)
        return nullcontext(True)

    def start(self, prefix: str) -> ObjectWriter:
        """Begin an object that is written piece by piece.

        Args:
            prefix: what its name will begin with: a folder with its "/", or nothing.
        """
        check_prefix(prefix)
        return _Gathering(self)

    @abstractmethod
    def stat(self, name: str) -> ObjectInfo:
        """Size and time of an object.

        Raises:
            NotFoundError: there is no such object.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose name begins with `prefix`, by name, without temporaries and locks.

        Args:
            prefix: a folder with its "/", or empty for all.
        """

    def leftovers(self, prefix: str) -> Iterator[ObjectInfo]:
        """The temporary files of writers, at work or dead, which no listing shows.

        Where objects are written whole there are none.
        """
        check_prefix(prefix)
        return iter(())

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove an object; nothing happens if there is none."""

    def check_places(self, prefixes: Iterable[str]) -> None:
        """Check that what is written below these prefixes stays where the backend's URL leads.

        Who only reads need not ask. Every write asks for its own folder anyway; this is asked
        before a change of many steps begins.

        Raises:
            UnsafeFolderError: one of them is a link, which may lead into the store of another.
        """
        for prefix in prefixes:
            check_prefix(prefix)

    @abstractmethod
    def read_root(self, name: str) -> Versioned | None:
        """The current bytes of the root and their token, read as one; None if there is none."""

    @abstractmethod
    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        """Replace the root, if it still is in the state that `expected` names.

        Args:
            expected: the token of the state to replace; None if there must be no root yet.

        Raises:
            ConflictError: the root is in another state; look whether it is your own write, whose
                answer was lost.
            LockedError: another process keeps the root locked.
            RemoteError: if `transient`, the root may or may not have been replaced.
        """

    def open_local(self, name: str) -> int | None:
        """A descriptor of the local file that is the object, for reading; None if there is none.

        The caller closes it.
        """
        check_name(name)
        return None

    def map(self, name: str) -> memoryview | None:
        """A read-only memory map of a whole object; None where objects cannot be mapped.

        Raises:
            NotFoundError: objects can be mapped, but there is none of this name.
        """
        check_name(name)
        return None

    def close(self) -> None:  # noqa: B027 - most backends hold nothing open
        """Let go of connections; the backend is not used afterwards."""


class _Gathering(ObjectWriter):
    """Keeps the pieces in memory: most backends write objects whole."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._parts: list[bytes] = []

    def write(self, *parts: Buffer) -> None:
        self._parts += map(bytes, parts)

    def written(self) -> memoryview:
        self._parts = [b"".join(self._parts)]
        return memoryview(self._parts[0])

    def finish(self, name: str) -> None:
        self._backend.put(name, *self._parts)
        self._parts = []

    def abort(self) -> None:
        self._parts = []


def check_name(name: str) -> str:
    """Return `name` if an object can have it.

    Raises:
        InvalidInputError: it is absolute, has an empty, "." or ".." part, a backslash or a NUL.
    """
    if _BAD_NAME.search(name):
        raise InvalidInputError(f"{name!a} cannot be the name of an object.")
    return name


def check_prefix(prefix: str) -> str:
    """Return `prefix` if it is empty or the name of a folder with its "/".

    Raises:
        InvalidInputError: it is anything else.
    """
    if prefix and (not prefix.endswith("/") or _BAD_NAME.search(prefix[:-1])):
        raise InvalidInputError(f"{prefix!a} cannot be listed: give a folder with its '/'.")
    return prefix


def check_range(name: str, start: int, end: int | None) -> None:
    """Refuse ranges that do not count from the beginning of the object.

    Raises:
        InvalidInputError: `start` is negative, or `end` lies before it.
    """
    if start < 0 or (end is not None and end < start):
        raise InvalidInputError(f"[{start}, {end}) is not a range of bytes of '{name}'.")


def is_temporary(name: str) -> bool:
    """Whether an object is a temporary or lock file, which no listing shows."""
    return name.endswith(LOCK_SUFFIX) or f"/{name}".rpartition("/")[2].startswith(TEMPORARY_PREFIX)
