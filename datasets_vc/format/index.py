"""Chunk index objects: digest -> where it lies (docs/format.md, section 7)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets_vc.digest import DIGEST_SIZE, Buffer, Digest
from datasets_vc.errors import IntegrityError
from datasets_vc.format.header import HEADER_SIZE, INDEX, check_header, encode_header
from datasets_vc.format.location import (
    LOCATION,
    DigestKeys,
    Locations,
    check_locations,
    digest_keys,
)
from datasets_vc.format.pack import DATA, METADATA

INDEX_ROW_SIZE = DIGEST_SIZE + LOCATION.itemsize
"""Bytes that a chunk takes in an index object."""

_COUNTS = struct.Struct("<IIQ")
_PREFIX = HEADER_SIZE + _COUNTS.size
_PACK = struct.Struct("<32sQB7s")


@dataclass(frozen=True, slots=True)
class PackInfo:
    """A pack as an index lists it; `size` in bytes."""

    digest: Digest
    size: int
    category: int


@dataclass(frozen=True, slots=True)
class IndexTable:
    """Rows sorted by digest; `locations["pack"]` counts in `packs`."""

    packs: tuple[PackInfo, ...]
    digests: DigestKeys
    locations: Locations


def encode_index(table: IndexTable) -> bytes:
    return b"".join(index_parts(table))


def index_parts(table: IndexTable) -> tuple[Buffer, ...]:
    """What `encode_index` gives, as parts that share the memory of large columns."""
    packs = b"".join(
        _PACK.pack(pack.digest, pack.size, pack.category, bytes(7)) for pack in table.packs
    )
    return (
        encode_header(INDEX),
        _COUNTS.pack(len(table.packs), len(table.digests), 0),
        packs,
        np.ascontiguousarray(table.digests).view(np.uint8).data,
        np.ascontiguousarray(table.locations).view(np.uint8).data,
    )


def decode_index(data: Buffer, what: str) -> IndexTable:
    """The table that `data` encodes, sharing its memory.

    Raises:
        IntegrityError: the bytes are not a well-formed index.
        FormatError: they need a newer version.
    """
    check_header(data, INDEX, what)
    if len(data) < _PREFIX:
        raise IntegrityError(f"{what} is cut short: it has {len(data)} bytes.")
    pack_count, count, zero = _COUNTS.unpack_from(data, HEADER_SIZE)
    at_digests = _PREFIX + pack_count * _PACK.size
    at_locations = at_digests + count * DIGEST_SIZE
    if zero or at_locations + count * LOCATION.itemsize != len(data):
        raise IntegrityError(f"{what} is malformed: its length does not fit its counts.")
    view = memoryview(data)
    rows = list(_PACK.iter_unpack(view[_PREFIX:at_digests]))
    if any(category not in (DATA, METADATA) or any(zeros) for *_, category, zeros in rows):
        raise IntegrityError(f"{what} is malformed: it lists an impossible pack.")
    packs = tuple(PackInfo(Digest(digest), size, category) for digest, size, category, _ in rows)
    digests = digest_keys(view[at_digests:at_locations])
    locations: Locations = np.frombuffer(data, LOCATION, count, at_locations)
    _check(packs, digests, locations, what)
    return IndexTable(packs, digests, locations)


def _check(packs: Sequence[PackInfo], digests: DigestKeys, locations: Locations, what: str) -> None:
    if not len(digests):
        return
    if np.any(digests[1:] <= digests[:-1]):
        raise IntegrityError(f"{what} is malformed: its digests are not in order.")
    if locations["pack"].max() >= len(packs):
        raise IntegrityError(f"{what} is malformed: it names a pack that it does not list.")
    sizes = np.array([pack.size for pack in packs], np.uint64)
    check_locations(locations, sizes[locations["pack"]], what)
