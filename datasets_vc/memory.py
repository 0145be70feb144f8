"""Memory: files mapped into it, and giving back what is not needed any more."""

from __future__ import annotations

import ctypes
import io
import mmap
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa

_HELD = 4 << 20
"""Bytes of a map that a reader keeps before it gives them back."""


def map_file(file: BinaryIO) -> memoryview:
    """The bytes of an open file, read-only; it may be closed then."""
    if not file.seek(0, 2):
        return memoryview(b"")
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def let_go(view: memoryview) -> None:
    """Give back the memory of a map that has been read whole and is needed in places only.

    It is taken again, from the page cache, where the map is looked at again.
    """
    if isinstance(view.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        view.obj.madvise(mmap.MADV_DONTNEED)


def windows(data: bytes | bytearray | memoryview, size: int = 8 << 20) -> Iterator[memoryview]:
    """The bytes of `data`, some at a time; of a map, what was looked at is given back."""
    view = memoryview(data).cast("B")
    for start in range(0, len(view), size):
        yield view[start : start + size]
        let_go(view)


class ViewFile(io.RawIOBase):
    """Bytes in memory, mapped ones for the most part, as a file to be read.

    Args:
        parts: what is in the file, end to end.
        told: is called with how many bytes were read; what is read again is not told again.
    """

    def __init__(
        self,
        *parts: bytes | bytearray | memoryview,
        told: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._parts = [memoryview(part).cast("B") for part in parts]
        self._size = sum(map(len, self._parts))
        self._told = told
        self._position = self._furthest = self._held = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = (0, self._position, self._size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        end = self._size if size is None or size < 0 else min(self._position + size, self._size)
        data = b"".join(self._between(self._position, end))
        self._position += len(data)
        self._held += len(data)
        if self._held >= _HELD:
            for part in self._parts:
                let_go(part)
            self._held = 0
        if data and self._position > self._furthest:
            self._told(self._position - self._furthest)
            self._furthest = self._position
        return data

    def _between(self, start: int, end: int) -> Iterator[memoryview]:
        for part in self._parts:
            yield part[max(0, start) : max(0, end)]
            start -= len(part)
            end -= len(part)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def give_back() -> None:
    """Give back what was freed between the steps of a long command.

    Allocators keep what columns of a million rows have taken, and the next step takes as much
    again elsewhere.
    """
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        # Other C libraries than glibc lack it, and its need.
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
