"""Digests name content; XXH3 checks it where no attacker counts.

A digest is BLAKE3-256 (https://github.com/BLAKE3-team/BLAKE3-specs): 32 bytes in memory and in
binary formats, 64 lowercase hex digits in text. A file's digest is that of its bytes, nothing else.
"""

from __future__ import annotations

from typing import NewType

from blake3 import blake3
from xxhash import xxh3_64_intdigest

from datasets_vc.errors import InvalidInputError

Digest = NewType("Digest", bytes)
Buffer = bytes | bytearray | memoryview

ALGORITHM = "blake3"
ALGORITHM_TAG = 1
DIGEST_SIZE = 32
MIN_PREFIX = 8

Hasher = blake3


def digest_of(data: Buffer) -> Digest:
    """The digest of `data`."""
    return Digest(blake3(data).digest())


def checksum_of(data: Buffer) -> int:
    """XXH3-64 of `data`, as an unsigned integer."""
    return xxh3_64_intdigest(data)


def parse_digest(text: str) -> Digest:
    """The digest that 64 hex digits name.

    Raises:
        InvalidInputError: `text` is anything else.
    """
    if len(text) != 2 * DIGEST_SIZE or not is_hex(text):
        raise InvalidInputError(f"'{text}' is not a digest of 64 hex digits.")
    return Digest(bytes.fromhex(text))


def is_hex(text: str) -> bool:
    """Whether `text` consists of lowercase hex digits only."""
    return bool(text) and not text.strip("0123456789abcdef")
