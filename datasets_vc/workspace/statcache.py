"""The stat cache: the digest that a file had when its stat data were as they are.

A row is believed if size, times and inode are unchanged. That alone is not enough: a file that is
written again within one tick of the file system's clock keeps its time (git's "racy" files, see
https://git-scm.com/docs/racy-git). So a row is only kept if the file was, by the clock of its own
file system, older than the moment before its bytes were read: a later write leaves a newer time.

If the power is lost, a file can come back with the size and times that it had and zeros for bytes.
So of a cache from before the system was started, rows that were young when it was saved are not
believed: the system had not yet written all of them to the disk.

The file is a header with a checksum and an Arrow IPC stream, memory-mapped. It may vanish at any
time: whatever is wrong with it, or missing, costs reading files again and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64, xxh3_64_digest

from datasets_vc.digest import DIGEST_SIZE
from datasets_vc.memory import let_go, map_file
from datasets_vc.paths import META_DIR
from datasets_vc.workspace.columns import (
    Digests,
    Mask,
    align,
    digest_array,
    digests_of,
    gather,
    joined_digests,
    path_order,
    whole_column,
)
from datasets_vc.workspace.listing import FIELDS, Listing
from datasets_vc.workspace.locking import TEMPORARY_DIR

CACHE_FILE = "stat-cache"

_MAGIC = b"DSVSTAT1"
_HEADER_SIZE = 16
_SECOND = 1_000_000_000
_ON_THE_WAY = 600 * _SECOND
_SCHEMA = pa.schema(
    [("path", pa.string()), *((name, pa.int64()) for name in FIELDS), ("digest", pa.binary(32))]
)


@dataclass(frozen=True, slots=True, eq=False)
class StatCache:
    """Files with the digests they had; the same columns as a listing, in order of path.

    `mapped` is the file that they are the columns of, if they are.
    """

    files: Listing
    digest: Digests
    mapped: memoryview | None = None

    def __len__(self) -> int:
        return len(self.files)

    def look_up(self, listing: Listing) -> tuple[Digests, Mask]:
        """The digest of each file of `listing`, and of which of them it is known."""
        if not len(self):
            return np.zeros((len(listing), DIGEST_SIZE), np.uint8), np.zeros(len(listing), np.bool_)
        rows = align(listing.path, self.files.path)
        known = rows >= 0
        # A row of -1 takes the last one's values; `known` says that they mean nothing.
        for name in FIELDS:
            known &= getattr(listing, name) == getattr(self.files, name)[rows]
        digests = self.digest[rows]
        if self.mapped is not None:
            let_go(self.mapped)
        return digests, known

    def picked(self, keep: Mask) -> StatCache:
        """Only the rows that `keep` marks."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        columns = [getattr(self.files, name)[rows] for name in FIELDS]
        return StatCache(Listing(gather(self.files.path, rows), *columns), self.digest[rows])

    def joined(self, other: StatCache, keep: Mask | None = None) -> StatCache:
        """The rows of both, or of the other only those that `keep` marks; no path is in both."""
        if not len(self) or not len(other):
            return self if len(self) else other.picked(_all(other) if keep is None else keep)
        paths = pa.concat_arrays([self.files.path, other.files.path])
        order = path_order(paths)
        if keep is not None:
            order = order[np.concatenate([_all(self), keep])[order]]
        paths = gather(paths, order)
        columns = [
            np.concatenate([getattr(self.files, name), getattr(other.files, name)])[order]
            for name in FIELDS
        ]
        return StatCache(Listing(paths, *columns), joined_digests(self.digest, other.digest, order))

    def older_than(self, moment: int) -> StatCache:
        """Only the rows that can be believed if their files were read after `moment`."""
        files = self.files
        newest = np.maximum(files.mtime_ns, files.ctime_ns)
        # A time without a fraction may come from a clock that ticks every second, or every two.
        newest = np.where(newest % _SECOND == 0, newest + 2 * _SECOND, newest)
        keep = newest < moment
        return self if keep.all() else self.picked(keep)


def _all(cache: StatCache) -> Mask:
    return np.ones(len(cache), np.bool_)


def empty_cache() -> StatCache:
    """The cache of which nothing is known."""
    none = np.zeros(0, np.int64)
    listing = Listing(pa.array([], pa.string()), none, none, none, none, none)
    return StatCache(listing, np.zeros((0, DIGEST_SIZE), np.uint8))


def load_cache(folder: Path) -> StatCache:
    """The stat cache of the workspace `folder`; empty if there is none that can be used."""
    try:
        with (folder / META_DIR / CACHE_FILE).open("rb") as file:
            saved = os.fstat(file.fileno()).st_mtime_ns
            data = map_file(file)
    except OSError:
        return empty_cache()
    # Arrow trusts the bytes that it is given: they have to be checked before.
    body = data[_HEADER_SIZE:]
    if not body or data[:_HEADER_SIZE] != _header(body):
        return empty_cache()
    table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
    numbers = [whole_column(table, name).to_numpy() for name in FIELDS]
    listing = Listing(whole_column(table, "path"), *numbers)
    cache = StatCache(listing, digests_of(whole_column(table, "digest")), data)
    return cache if saved >= _booted() else cache.older_than(saved - _ON_THE_WAY)


def save_cache(folder: Path, cache: StatCache) -> None:
    """Write the cache; a workspace that cannot be written to does without.

    Args:
        folder: the workspace.
        cache: rows that can be believed, see `StatCache.older_than`.
    """
    columns = [cache.files.path, *(pa.array(getattr(cache.files, name)) for name in FIELDS)]
    table = pa.Table.from_arrays([*columns, digest_array(cache.digest)], schema=_SCHEMA)
    temporary = _temporary(folder)
    try:
        temporary.parent.mkdir(exist_ok=True)
        with temporary.open("xb") as file:
            file.write(bytes(_HEADER_SIZE))
            body = _HashingWriter(file)
            with pa.ipc.new_stream(body, _SCHEMA) as writer:
                writer.write_table(table)
            file.seek(0)
            file.write(_MAGIC + body.hasher.digest())
        temporary.replace(folder / META_DIR / CACHE_FILE)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def clock_of(folder: Path) -> int:
    """The time by the clock of the workspace's file system, in ns; 0 if nothing can be written."""
    temporary = _temporary(folder)
    try:
        temporary.parent.mkdir(exist_ok=True)
        with temporary.open("xb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return 0
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _booted() -> int:
    """When the system was started, in ns since the epoch."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    running = time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)
    return time.time_ns() - running


class _HashingWriter(io.RawIOBase):
    """Writes on to a file, and hashes what goes by."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hasher = xxh3_64()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hasher.update(data)
        return self._file.write(data)


def _temporary(folder: Path) -> Path:
    return folder / META_DIR / TEMPORARY_DIR / f"{CACHE_FILE}-{secrets.token_hex(8)}"


def _header(body: memoryview) -> bytes:
    """What comes before the Arrow stream: a name with a version, and the stream's XXH3-64."""
    return _MAGIC + xxh3_64_digest(body)
