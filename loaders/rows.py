"""Files whose rows are samples, kept while rows are read from them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from datasets_vc.digest import Buffer, Digest
from datasets_vc.samples import csv_header

if TYPE_CHECKING:
    from datasets_vc import Snapshot

CACHE_BYTES = 256 << 20


class RowFiles:
    """The files read last, up to `limit` bytes and always the last one; a cache of each process.

    Rows are read from whole files, for a store hands out whole files: from a local store they are
    mapped, or decompressed once; from a remote one they are fetched once.
    """

    def __init__(self, snapshot: Snapshot, limit: int = CACHE_BYTES) -> None:
        self._snapshot = snapshot
        self._limit = limit
        self._files: OrderedDict[Digest, Buffer] = OrderedDict()
        self._headers: dict[Digest, bytes | None] = {}

    def read(self, wanted: Mapping[Digest, str]) -> dict[Digest, Buffer]:
        """The files of the digests `wanted`, which are at these paths."""
        absent = [digest for digest in wanted if digest not in self._files]
        read = self._snapshot.read_many(absent) if absent else []
        for digest, data in zip(absent, read, strict=True):
            is_csv = wanted[digest].lower().endswith(".csv")
            self._headers[digest] = bytes(csv_header(data)) if is_csv else None
            self._files[digest] = data
        found = {digest: self._files[digest] for digest in wanted}
        for digest in wanted:
            self._files.move_to_end(digest)
        self._evict()
        return found

    def header(self, digest: Digest) -> bytes | None:
        """The header of a file that was read, if it is a CSV."""
        return self._headers[digest]

    def _evict(self) -> None:
        held = sum(len(data) for data in self._files.values())
        while held > self._limit and len(self._files) > 1:
            _, data = self._files.popitem(last=False)
            held -= len(data)
