"""Which chunks of a store somebody holds: a column of bits beside its index.

A million chunks take 40 MB: their digests, each once and in order, and the bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Digest
from datasets_vc.format.index import IndexTable
from datasets_vc.format.location import RECIPE, DigestKeys, digest_keys, digest_list
from datasets_vc.format.pack import METADATA
from datasets_vc.store.index import ChunkIndex

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Bits = NDArray[np.uint64]

BITS = 64

_Test = Callable[[IndexTable], NDArray[np.bool_]]


class Marks:
    """For each chunk of an index, each once, which holders reach it.

    Args:
        holders: how many of them there are.

    Attributes:
        spare: the bit of a further holder.
        digests: of all chunks, in ascending order; the others count in them.
        bits: one row a chunk.
    """

    def __init__(self, index: ChunkIndex, holders: int = 1) -> None:
        self.index = index
        self.digests = _union(index.tables)
        self.spare = 1 << holders
        self.bits: Bits = np.zeros((len(self.digests), holders // BITS + 1), np.uint64)

    def rows(self, digests: Sequence[bytes] | DigestKeys) -> Rows:
        """The row of each of some digests; -1 for what the index does not have."""
        keys = digests if isinstance(digests, np.ndarray) else digest_keys(digests)
        if not len(self.digests):
            return np.full(len(keys), -1, np.int64)
        at = np.searchsorted(self.digests, keys)
        at[at == len(self.digests)] = 0
        return np.where(self.digests[at] == keys, at, -1).astype(np.int64)

    def mark(self, rows: Rows, bits: Bits) -> None:
        """Set bits of some rows; all of them the same."""
        self.bits[rows] |= bits

    def bits_of(self, holders: int) -> Bits:
        """The bits that a number has."""
        words = self.bits.shape[1]
        return np.frombuffer(holders.to_bytes(8 * words, "little"), np.uint64)

    @property
    def held(self) -> Mask:
        """Which rows any holder reaches."""
        mask: Mask = np.logical_or.reduce(self.bits != 0, axis=1)
        return mask

    def names(self, rows: Rows) -> list[Digest]:
        return digest_list(self.digests[rows])

    def recipes(self) -> Mask:
        """Which rows are recipes."""
        return self._any_row(lambda table: table.locations["codec"] == RECIPE)

    def metadata(self) -> Mask:
        """Which rows lie in packs of metadata."""
        return self._any_row(lambda t: _in_packs(t, METADATA))

    def sizes(self) -> NDArray[np.int64]:
        """Bytes that each row takes as it is stored; of several copies those of one."""
        sizes = np.zeros(len(self.digests), np.int64)
        for table, rows in self.tables():
            sizes[rows] = table.locations["stored"]
        return sizes

    def in_packs(self, packs: Iterable[Digest]) -> Rows:
        """The rows that lie in some packs."""
        chosen = set(packs)
        found = [np.zeros(0, np.int64)]
        for table, rows in self.tables():
            here = np.array([pack.digest in chosen for pack in table.packs], np.bool_)
            if here.any():
                found.append(rows[here[table.locations["pack"]]])
        return np.concatenate(found)

    def tables(self) -> Iterator[tuple[IndexTable, Rows]]:
        """The tables of the index, and for each of their rows the row here."""
        for table in self.index.tables:
            if len(table.digests):
                yield table, self.rows(table.digests)

    def _any_row(self, test: _Test) -> Mask:
        mask = np.zeros(len(self.digests), np.bool_)
        for table, rows in self.tables():
            mask[rows[test(table)]] = True
        return mask


def _in_packs(table: IndexTable, category: int) -> Mask:
    chosen = np.array([pack.category == category for pack in table.packs], np.bool_)
    mask: Mask = chosen[table.locations["pack"]]
    return mask


def _union(tables: Sequence[IndexTable]) -> DigestKeys:
    some = [table.digests for table in tables if len(table.digests)]
    if not some:
        return digest_keys(b"")
    # One table is in order already, and may stay where it is mapped.
    return some[0] if len(some) == 1 else np.unique(np.concatenate(some))
