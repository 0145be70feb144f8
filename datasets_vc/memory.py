"""Memory: files mapped into it, and giving back what is not needed any more."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import BinaryIO

import pyarrow as pa


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


def give_back() -> None:
    """Give back what was freed between the steps of a long command.

    Allocators keep what columns of a million rows have taken, and the next step takes as much
    again elsewhere.
    """
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        # Other C libraries than glibc lack it, and its need.
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
