"""Packs: many chunks in one immutable object (docs/format.md, section 6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from datasets_vc.digest import DIGEST_SIZE, Buffer, Digest, digest_of
from datasets_vc.errors import IntegrityError
from datasets_vc.format.header import HEADER_SIZE, PACK, check_header, encode_header
from datasets_vc.format.location import (
    LOCATION,
    DigestKeys,
    Locations,
    check_locations,
    digest_keys,
)

DATA = 0
METADATA = 1

TARGET_SIZE = 64 << 20
"""Bytes after which a pack is closed."""

ALIGNMENT = 4096
"""Bytes: blocks of this size are what file systems share between files."""

ROW_SIZE = DIGEST_SIZE + LOCATION.itemsize
TAIL_SIZE = 64

_TAIL = struct.Struct("<QIB3s32s16s")


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the footer of a pack begins, and what it must be."""

    footer: int
    rows: int
    category: int
    footer_digest: Digest


@dataclass(frozen=True, slots=True)
class PackContents:
    """What a pack holds: `digests[i]` lies at `locations[i]`."""

    category: int
    digests: DigestKeys
    locations: Locations


def encode_footer(digests: bytes, locations: Locations, category: int, offset: int) -> bytes:
    """What follows the payloads of a pack, which end at `offset` bytes."""
    rows = digests + locations.tobytes()
    header = encode_header(PACK)
    tail = _TAIL.pack(offset, len(locations), category, bytes(3), digest_of(rows), header)
    return rows + tail


def decode_tail(tail: Buffer, pack_size: int, what: str) -> Tail:
    """Read the last TAIL_SIZE bytes of a pack of `pack_size` bytes.

    Raises:
        IntegrityError: they are not the tail of such a pack.
        FormatError: they need a newer version.
    """
    if len(tail) != TAIL_SIZE:
        raise IntegrityError(f"{what} is cut short: it has {pack_size} bytes.")
    offset, rows, category, zero, footer_digest, header = _TAIL.unpack(tail)
    check_header(header, PACK, what)
    if (
        category not in (DATA, METADATA)
        or any(zero)
        or offset < HEADER_SIZE
        or offset + rows * ROW_SIZE + TAIL_SIZE != pack_size
    ):
        raise IntegrityError(f"{what} is malformed: its length does not fit its tail.")
    return Tail(offset, rows, category, Digest(footer_digest))


def decode_footer(footer: Buffer, tail: Tail, what: str) -> PackContents:
    """Read the rows that lie between the payloads and the tail.

    Raises:
        IntegrityError: they do not match the tail or cannot be true.
    """
    if len(footer) != tail.rows * ROW_SIZE or digest_of(footer) != tail.footer_digest:
        raise IntegrityError(f"{what} is damaged: its footer does not match its digest.")
    split = tail.rows * DIGEST_SIZE
    digests = digest_keys(memoryview(footer)[:split])
    locations: Locations = np.frombuffer(footer, LOCATION, tail.rows, split)
    check_locations(locations, np.full(tail.rows, tail.footer, np.uint64), what)
    ends = locations["offset"] + locations["stored"]
    if np.any(locations["offset"][1:] < ends[:-1]) or locations["pack"].any():
        raise IntegrityError(f"{what} is malformed: its chunks overlap.")
    return PackContents(tail.category, digests, locations)


def decode_pack(data: Buffer, what: str) -> PackContents:
    """Read the footer of a whole pack in memory.

    Raises:
        IntegrityError: it is not a well-formed pack.
        FormatError: it needs a newer version.
    """
    check_header(data, PACK, what)
    view = memoryview(data)
    tail = decode_tail(view[-TAIL_SIZE:], len(view), what)
    return decode_footer(view[tail.footer : len(view) - TAIL_SIZE], tail, what)
