"""Write large files: with holes where there is nothing, and blocks shared with packs if possible.

Bytes are verified in memory; what is then copied from a pack, which never changes, are the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from datasets_vc.digest import Buffer, Digest
from datasets_vc.progress import Progress

if TYPE_CHECKING:
    from datasets_vc.store.spans import Extent

_BLOCK = 4096
_HOLE = 1 << 16


class PackSource(Protocol):
    """The store that the bytes are from, which explains these."""

    def open_pack(self, pack: Digest) -> int | None: ...


def fill(handle: int, extents: Iterable[Extent], source: PackSource, progress: Progress) -> None:
    """Write the bytes of a file.

    Args:
        handle: a descriptor of the file, which is empty.
        extents: its bytes, verified, and where they are from.
        source: gives the packs.
        progress: hears of bytes.

    Raises:
        OSError: it cannot be written.
    """
    position = 0
    for run in _runs(extents):
        size = sum(len(extent.data) for extent in run)
        if not _copied(run[0], size, handle, position, source):
            _write(handle, position, run)
        position += size
        progress.advance(size)
    os.ftruncate(handle, position)


def _runs(extents: Iterable[Extent]) -> Iterator[list[Extent]]:
    """Extents that lie end to end in one pack, together; each of the others alone."""
    run: list[Extent] = []
    end = 0
    for extent in extents:
        if run and (extent.pack is None or extent.pack != run[0].pack or extent.offset != end):
            yield run
            run = []
        run.append(extent)
        end = extent.offset + len(extent.data)
    if run:
        yield run


def _copied(first: Extent, size: int, handle: int, position: int, source: PackSource) -> bool:
    """Let the system copy a run: file systems that can share its blocks."""
    if first.pack is None or not hasattr(os, "copy_file_range"):
        return False
    pack = source.open_pack(first.pack)
    if pack is None:
        return False
    done = 0
    # Only whole blocks can be shared: what comes before the first is copied by itself.
    end = min(size, -position % _BLOCK) or size
    try:
        while done < size:
            places = first.offset + done, position + done
            count = os.copy_file_range(pack, handle, end - done, *places)
            if not count:
                return False
            done += count
            end = size if done == end else end
    except OSError:
        return False  # not here; if the disk is full, writing will say so
    finally:
        os.close(pack)
    return True


def _write(handle: int, position: int, run: Iterable[Extent]) -> None:
    for extent in run:
        if not _is_hole(extent.data):
            rest = memoryview(extent.data)
            start = position
            while len(rest):
                written = os.pwrite(handle, rest, start)
                rest, start = rest[written:], start + written
        position += len(extent.data)


def _is_hole(data: Buffer) -> bool:
    return len(data) >= _HOLE and not data[0] and not np.frombuffer(data, np.uint8).any()
