"""Files mapped into memory, and giving back the memory that looking at them has taken."""

from __future__ import annotations

import mmap
from typing import BinaryIO


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
