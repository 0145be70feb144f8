"""Filling packs: chunks end to end, written as they come, made durable in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Buffer, Digest
from datasets_vc.format.header import PACK, encode_header
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import (
    LOCATION,
    RAW,
    DigestKeys,
    Locations,
    as_keys,
    digest_keys,
    joined,
)
from datasets_vc.format.pack import ALIGNMENT, TARGET_SIZE, encode_footer
from datasets_vc.store.behind import WriterBehind
from datasets_vc.store.growth import ready
from datasets_vc.store.index import merge_tables
from datasets_vc.store.names import PACKS, pack_name

_GAP = 8
_FACTOR = 2
_LONGEST_RUN = 1 << 18
"""Rows; merging longer ones would take memory, and saves little."""


class Encoded(NamedTuple):
    """A chunk as it is stored: `raw` is its length in bytes once decoded."""

    digest: Digest
    codec: int
    payload: Buffer
    raw: int
    checksum: int


class Origin(NamedTuple):
    """Where in a file of several chunks one lies; `source` is a descriptor of it, if it is open."""

    position: int
    source: int | None


class _OpenPack:
    """A pack that is being filled."""

    def __init__(self, backend: Backend, avoid: frozenset[Digest]) -> None:
        self._avoid = avoid
        self.size = 0
        self.digests: dict[Digest, None] = {}
        self._rows: list[Locations] = []
        self._writer = WriterBehind(backend.start(PACKS))
        self._write(encode_header(PACK))

    def append(self, chunks: Sequence[Encoded], data: Buffer, origin: Origin | None) -> None:
        """Append chunks, whose payloads end to end are `data`."""
        rows: Locations = np.zeros(len(chunks), LOCATION)
        rows["checksum"] = [chunk.checksum for chunk in chunks]
        rows["stored"] = [len(chunk.payload) for chunk in chunks]
        rows["raw"] = [chunk.raw for chunk in chunks]
        rows["codec"] = [chunk.codec for chunk in chunks]
        rows["offset"][0] = self.size
        rows["offset"][1:] = self.size + np.cumsum(rows["stored"][:-1], dtype=np.uint64)
        self._rows.append(rows)
        self.digests.update((chunk.digest, None) for chunk in chunks)
        self._write(data, origin)

    def align(self, position: int) -> None:
        """Fill up to an offset that is `position`, but for a multiple of a block.

        Chunks that follow each other in the file follow each other here: nothing is filled then.
        """
        self._write(bytes((position - self.size) % ALIGNMENT))

    def close(self, category: int) -> tuple[IndexTable, Callable[[], None]]:
        """Write the footer; returns the pack's table and what makes it durable."""
        locations = np.concatenate(self._rows)
        digests = b"".join(self.digests)
        footer = encode_footer(digests, locations, category, self.size)
        while self._writer.digest_with(footer) in self._avoid:
            self._write(bytes(_GAP))
            footer = encode_footer(digests, locations, category, self.size)
        self._write(footer)
        info = PackInfo(self._writer.settle(), self.size, category)
        unsorted = IndexTable((info,), digest_keys(digests), locations)
        finish = partial(self._writer.finish, pack_name(info.digest))
        return merge_tables([unsorted], frozenset()), finish

    def settle(self) -> None:
        """Wait until all that was appended is written."""
        self._writer.settle()

    def abort(self) -> None:
        self._writer.abort()

    def _write(self, data: Buffer, origin: Origin | None = None) -> None:
        if not len(data):
            return
        position, source = origin or (0, None)
        self._writer.write(data, source, position)
        self.size += len(data)


class _Stored:
    """The digests that closed packs hold: sorted runs, few of them however many packs there are."""

    def __init__(self) -> None:
        self._runs: list[DigestKeys] = []

    def add(self, digests: DigestKeys) -> None:
        """Add digests that are sorted."""
        runs = sorted((*self._runs, digests), key=len)
        count = ready([len(run) for run in runs], _FACTOR, _LONGEST_RUN)
        merged = [np.sort(joined(runs[:count]), kind="stable")] if count else []
        self._runs = [*merged, *runs[count:]]

    def which(self, digests: Sequence[Digest]) -> NDArray[np.bool_]:
        """Which of some digests were added."""
        keys = as_keys(digests)
        found = np.zeros(len(keys), np.bool_)
        for run in self._runs:
            at = np.searchsorted(run, keys)
            at[at == len(run)] = 0
            found |= run[at] == keys
        return found


class PackBuilder:
    """Puts chunks of one category into packs, each chunk once. For one thread at a time.

    Args:
        avoid: names that no pack may have; one that would gets a gap, and so another name.
    """

    def __init__(
        self, backend: Backend, category: int, avoid: frozenset[Digest] = frozenset()
    ) -> None:
        self._backend = backend
        self._category = category
        self._avoid = avoid
        self._open: _OpenPack | None = None
        self._tables: list[IndexTable] = []
        self._stored = _Stored()
        self._pool: ThreadPoolExecutor | None = None
        self._finishing: Future[None] | None = None

    def add(self, chunks: Sequence[Encoded], origin: Origin | None = None) -> None:
        """Append chunks, but for those that were added before.

        Args:
            chunks: in the order in which they are to lie.
            origin: of a single chunk, which then comes to lie so that whole blocks of the file can
                be whole blocks of the pack.
        """
        new = self._unknown(chunks)
        if not new:
            return
        payloads = [chunk.payload for chunk in new]
        data = payloads[0] if len(new) == 1 else b"".join(payloads)
        if self._open and self._open.size + len(data) > 2 * TARGET_SIZE - ALIGNMENT:
            self._close(self._open)
        pack = self._open = self._open or _OpenPack(self._backend, self._avoid)
        origin = origin if new[0].codec == RAW else None
        if origin:
            pack.align(origin.position)
        pack.append(new, data, origin)
        if pack.size >= TARGET_SIZE:
            self._close(pack)

    def settle(self) -> None:
        """Wait until all chunks are written: the files that they are from may be closed then."""
        if self._open:
            self._open.settle()

    def finish(self) -> Sequence[IndexTable]:
        """Write what is left; what was written is durable then."""
        if self._open:
            self._close(self._open)
        self._settle()
        self._end()
        return self._tables

    def abort(self) -> None:
        """Leave no unfinished pack behind."""
        if self._open:
            self._open.abort()
            self._open = None
        self._end()

    def _unknown(self, chunks: Sequence[Encoded]) -> list[Encoded]:
        here = self._open.digests if self._open else {}
        # A dict keeps one of several that are equal.
        new = {chunk.digest: chunk for chunk in chunks if chunk.digest not in here}
        known = self._stored.which(list(new)).tolist()
        return [chunk for chunk, there in zip(new.values(), known, strict=True) if not there]

    def _close(self, pack: _OpenPack) -> None:
        table, finish = pack.close(self._category)
        self._tables.append(table)
        self._stored.add(table.digests)
        self._open = None
        self._settle()
        self._pool = self._pool or ThreadPoolExecutor(1)
        self._finishing = self._pool.submit(finish)

    def _settle(self) -> None:
        """Wait for the pack before: at most one is on its way to the disk while the next fills."""
        if self._finishing:
            self._finishing.result()
            self._finishing = None

    def _end(self) -> None:
        if self._pool:
            self._pool.shutdown()
            self._pool = None
