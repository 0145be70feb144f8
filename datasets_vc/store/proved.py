"""What a process has held against its digest, and need not again while it stays mapped."""

from __future__ import annotations

import secrets
import struct

import numpy as np

from datasets_vc.digest import checksum_of
from datasets_vc.store.index import Place

_ROWS = 1 << 20
_PLACE = struct.Struct("<QQQIB")


class ProvedChunks:
    """Remembers about a million places of chunks in 8 MiB; of more it forgets some.

    A place is one row of a table, found by its hash: a later one takes the row of an earlier one.
    The hash has a secret, so that nobody can make two places that are taken for each other.
    """

    def __init__(self) -> None:
        # Pages of zeros take no memory until they are written to.
        self._hashes = np.zeros(_ROWS, np.uint64)
        self._secret = secrets.token_bytes(16)

    def add(self, place: Place, mapping: int) -> None:
        """The chunk at a place of a mapping has been found to match its digest."""
        key = self._key(place, mapping)
        self._hashes[key % _ROWS] = key

    def has(self, place: Place, mapping: int) -> bool:
        """Whether `add` was called with these; it may have been forgotten."""
        key = self._key(place, mapping)
        return bool(self._hashes[key % _ROWS] == key)

    def _key(self, place: Place, mapping: int) -> int:
        """A number that is never 0, as an empty row is."""
        numbers = _PLACE.pack(mapping, place.offset, place.stored, place.raw, place.codec)
        return checksum_of(self._secret + place.digest + numbers) or 1
