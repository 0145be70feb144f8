"""Recipes: the chunks that a larger file is made of (docs/format.md, section 5)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets_vc.digest import DIGEST_SIZE, Buffer, Digest
from datasets_vc.errors import IntegrityError
from datasets_vc.format.header import (
    HEADER_SIZE,
    RECIPE,
    aligned,
    check_header,
    encode_header,
    padding,
)

_COUNTS = struct.Struct("<IIQ")
_PREFIX = HEADER_SIZE + _COUNTS.size


@dataclass(frozen=True, slots=True)
class Recipe:
    """`digests` and `lengths` (bytes) of a file's chunks, in the order of the file."""

    digests: tuple[Digest, ...]
    lengths: tuple[int, ...]

    @property
    def size(self) -> int:
        return sum(self.lengths)


def encode_recipe(recipe: Recipe) -> bytes:
    lengths = np.asarray(recipe.lengths, "<u4").tobytes()
    counts = _COUNTS.pack(len(recipe.digests), 0, recipe.size)
    digests = b"".join(recipe.digests)
    return b"".join((encode_header(RECIPE), counts, lengths, padding(len(lengths)), digests))


def decode_recipe(data: Buffer, what: str) -> Recipe:
    """The recipe that `data` encodes.

    Raises:
        IntegrityError: the bytes are not a well-formed recipe.
        FormatError: they need a newer version.
    """
    check_header(data, RECIPE, what)
    if len(data) < _PREFIX:
        raise IntegrityError(f"{what} is cut short: it has {len(data)} bytes.")
    count, zero, size = _COUNTS.unpack_from(data, HEADER_SIZE)
    start = _PREFIX + aligned(4 * count)
    if count < 2 or zero or start + DIGEST_SIZE * count != len(data):
        raise IntegrityError(f"{what} is malformed: its length does not fit its counts.")
    lengths: Sequence[int] = np.frombuffer(data, "<u4", count, _PREFIX).tolist()
    if sum(lengths) != size or any(data[_PREFIX + 4 * count : start]):
        raise IntegrityError(f"{what} is malformed: the chunks do not add up to the file.")
    tail = bytes(memoryview(data)[start:])
    digests = tuple(Digest(tail[at : at + DIGEST_SIZE]) for at in range(0, len(tail), DIGEST_SIZE))
    return Recipe(digests, tuple(lengths))
