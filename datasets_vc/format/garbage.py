"""The note of a collection: what was garbage, and since when (docs/format.md, section 12)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import DIGEST_SIZE, Buffer
from datasets_vc.errors import IntegrityError
from datasets_vc.format.header import GARBAGE, HEADER_SIZE, check_header, encode_header
from datasets_vc.format.location import DigestKeys

_COUNTS = struct.Struct("<QQ")
_PREFIX = HEADER_SIZE + _COUNTS.size

Keys = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Note:
    """What has been garbage since some time, in seconds since 1970; `keys` in ascending order."""

    since: int
    keys: Keys

    def lists(self, keys: Keys) -> NDArray[np.bool_]:
        """Which of some keys the note has."""
        if not len(self.keys):
            return np.zeros(len(keys), np.bool_)
        at = np.searchsorted(self.keys, keys)
        at[at == len(self.keys)] = 0
        found: NDArray[np.bool_] = self.keys[at] == keys
        return found


def keys_of(digests: DigestKeys) -> Keys:
    """By what the note knows digests: their first 8 bytes."""
    rows = np.ascontiguousarray(digests).view(np.uint8).reshape(-1, DIGEST_SIZE)
    keys: Keys = np.ascontiguousarray(rows[:, :8]).view("<u8").reshape(-1)
    return keys


def encode_note(note: Note) -> bytes:
    keys = note.keys.astype("<u8").tobytes()
    return encode_header(GARBAGE) + _COUNTS.pack(note.since, len(note.keys)) + keys


def decode_note(data: Buffer, what: str) -> Note:
    """The note that `data` encodes.

    Raises:
        IntegrityError: the bytes are not a well-formed note.
        FormatError: they need a newer version.
    """
    check_header(data, GARBAGE, what)
    if len(data) < _PREFIX:
        raise IntegrityError(f"{what} is cut short: it has {len(data)} bytes.")
    since, count = _COUNTS.unpack_from(data, HEADER_SIZE)
    if _PREFIX + 8 * count != len(data):
        raise IntegrityError(f"{what} is malformed: its length does not fit its count.")
    keys = np.frombuffer(data, "<u8", count, _PREFIX)
    if np.any(keys[1:] < keys[:-1]):
        raise IntegrityError(f"{what} is malformed: its keys are not in order.")
    return Note(since, keys)
