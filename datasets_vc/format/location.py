"""Where a chunk lies: the row that packs and chunk indexes share (docs/format.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import DIGEST_SIZE, Buffer, Digest
from datasets_vc.errors import IntegrityError
from datasets_vc.format.header import HEADER_SIZE

RAW = 0
ZSTD = 1
RECIPE = 2

MAX_CHUNK_SIZE = 1 << 28
"""Bytes; no chunk, node or recipe is longer, encoded or not: bounds what a lying row can cost."""

LOCATION = np.dtype(
    [
        ("checksum", "<u8"),
        ("offset", "<u8"),
        ("stored", "<u4"),
        ("raw", "<u4"),
        ("pack", "<u4"),
        ("codec", "u1"),
        ("zero", "u1", (3,)),
    ]
)
DIGEST_KEY = np.dtype(f"S{DIGEST_SIZE}")
"""Digests as numpy compares and sorts them. Items taken out would lose trailing zero bytes."""

Locations = NDArray[np.void]
DigestKeys = NDArray[np.bytes_]
Digests = Sequence[Digest] | DigestKeys
"""Digests as a few objects or, where there may be millions, as a column."""


def digest_keys(digests: Sequence[bytes] | Buffer) -> DigestKeys:
    """Digests as an array to sort and search, without copying a buffer of them end to end."""
    data = digests if isinstance(digests, bytes | bytearray | memoryview) else b"".join(digests)
    return np.frombuffer(data, DIGEST_KEY)


def as_keys(digests: Digests) -> DigestKeys:
    """Digests as a column, whatever they are in."""
    return digests if isinstance(digests, np.ndarray) else digest_keys(list(digests))


def joined(columns: Sequence[DigestKeys]) -> DigestKeys:
    """Columns of digests end to end."""
    return np.concatenate(columns) if columns else digest_keys(b"")


def unique(digests: Digests) -> DigestKeys:
    """Digests as a column, each once, in the order in which they come first."""
    keys = as_keys(digests)
    # Those that differ in their first 8 bytes differ; a quarter of the memory, and of the time.
    heads = np.sort(np.ascontiguousarray(keys).view(np.uint64)[:: DIGEST_SIZE // 8])
    if not np.any(heads[1:] == heads[:-1]):
        return keys
    _, first = np.unique(keys, return_index=True)
    return keys[np.sort(first)]


def digest_list(keys: DigestKeys) -> list[Digest]:
    """The digests of `keys`, one object each."""
    data = np.ascontiguousarray(keys).tobytes()
    return [Digest(data[at : at + DIGEST_SIZE]) for at in range(0, len(data), DIGEST_SIZE)]


def check_locations(rows: Locations, limits: NDArray[np.uint64], what: str) -> None:
    """Make sure that each row stays below its limit (bytes) and says only what format 1 knows.

    Raises:
        IntegrityError: a row does not.
    """
    if not len(rows):
        return
    ends = rows["offset"] + rows["stored"].astype(np.uint64)
    sound = (
        (rows["offset"] >= HEADER_SIZE)
        & (rows["offset"] <= ends)
        & (ends <= limits)
        & (rows["codec"] <= RECIPE)
        & (rows["raw"] <= MAX_CHUNK_SIZE)
        & (rows["stored"] <= MAX_CHUNK_SIZE)
    )
    if not sound.all() or rows["zero"].any():
        raise IntegrityError(f"{what} is malformed: row {int(np.argmin(sound))} is impossible.")
