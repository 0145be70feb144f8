"""The stat cache as it lies on disk: a base, and what came after it.

A commit of a thousand files of a million would write a hundred times their bytes if it wrote all
rows anew. So there are two files: the base with all rows, and the rows that differ from it, which
names its base by checksum. Once these are many, all are written as a new base.

Each file is a header and an Arrow IPC stream, memory-mapped. They may vanish at any time: whatever
is wrong with one, or missing, costs reading files again and nothing else. A row says what a file
was when its stat data were like that, which stays true: an old base without what came after it is
no danger. Nor is a crash between the two files: rows that came after another base are left alone.
"""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64

from datasets_vc.digest import DIGEST_SIZE
from datasets_vc.durable import open_plain
from datasets_vc.format.columns import Mask, align, whole_column
from datasets_vc.memory import map_file, windows
from datasets_vc.paths import META_DIR
from datasets_vc.workspace.columns import (
    Digests,
    digest_array,
    digests_of,
    gather,
    not_hit,
    same_digests_at,
)
from datasets_vc.workspace.listing import FIELDS, Listing
from datasets_vc.workspace.selection import EVERYTHING, Selection
from datasets_vc.workspace.statcache import StatCache, believable, empty_cache, temporary_in

BASE_FILE = "stat-cache"
LATER_FILE = "stat-cache-later"

GONE = -1
"""The kind, in what came after a base, of a row of the base that does not count any more."""

_MAGIC = b"DSVSTAT2"
_CHECKSUM_SIZE = 8
_NO_BASE = bytes(_CHECKSUM_SIZE)
_HEADER_SIZE = len(_MAGIC) + 2 * _CHECKSUM_SIZE
_SCHEMA = pa.schema(
    [("path", pa.string()), *((name, pa.int64()) for name in FIELDS), ("digest", pa.binary(32))]
)

# A base of fewer rows is quickly written. More rows after it than this share would make each save,
# and each look-up, cost more than is won.
_LEAST = 4096
_SHARE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The rows of `base`, but where `later` has others; those of kind GONE say that there is none.

    `checksum` names the base; empty: it lies on no disk.
    """

    base: StatCache = field(default_factory=empty_cache)
    later: StatCache = field(default_factory=empty_cache)
    checksum: bytes = b""

    def look_up(self, listing: Listing) -> tuple[Digests, Mask]:
        """The digest of each file of `listing`, and of which of them it is known."""
        digests, known = self.base.look_up(listing)
        rows = align(self.later.files.path, listing.path)
        here = np.flatnonzero(rows >= 0)
        rows = rows[here]
        digests[rows] = self.later.digest[here]
        known[rows] = True
        for name in FIELDS:  # no listed file is of the kind GONE
            known[rows] &= getattr(listing, name)[rows] == getattr(self.later.files, name)[here]
        return digests, known

    def with_inside(self, inside: StatCache, selection: Selection) -> StatCache:
        """All rows that are to be remembered; see `save_cache`."""
        base, later = self.base, self.later
        if not selection.everything:
            kept = (later.files.kind != GONE) & ~selection.mask(later.files.path)
            inside = inside.joined(later.picked(kept))
            kept = ~selection.mask(base.files.path)
            rows = align(later.files.path, base.files.path)
            kept[rows[rows >= 0]] = False
            inside = inside.joined(base, kept)
            base.let_go()
        return inside

    def after_base(self, inside: StatCache, selection: Selection) -> StatCache:
        """What has to come after the base to say all that is to be remembered; see `save_cache`."""
        base, later = self.base, self.later
        rows = align(inside.files.path, base.files.path)
        same = rows >= 0
        if len(base):
            same &= same_digests_at(base.digest, rows, inside.digest)
            for name in FIELDS:
                base.let_go()
                same &= getattr(base.files, name)[rows] == getattr(inside.files, name)
        gone = not_hit(len(base), rows)
        gone = gone[selection.mask(base.files.path)[gone]]
        base.let_go()
        changed = inside.picked(~same).joined(_gone(gather(base.files.path, gone)))
        return changed.joined(later, ~selection.mask(later.files.path))


def load_cache(folder: Path) -> Remembered:
    """What is remembered of the workspace `folder`; nothing if there is no file that is sound."""
    meta = folder / META_DIR
    checksum, follows, base = _read(meta / BASE_FILE)
    if not checksum or follows != _NO_BASE:
        return Remembered()
    sound, follows, later = _read(meta / LATER_FILE)
    if not sound or follows != checksum:
        later = empty_cache()
    return Remembered(base, later, checksum)


def save_cache(
    folder: Path, inside: StatCache, before: Remembered, selection: Selection = EVERYTHING
) -> None:
    """Remember some rows instead of those before; a workspace that is read-only does without.

    Args:
        folder: the workspace.
        inside: rows that can be believed, see `StatCache.older_than`.
        before: what was loaded; if its base is still there, only what differs is written.
        selection: which paths `inside` speaks of; of others what was known before stays known.
    """
    meta = folder / META_DIR
    if before.checksum and len(before.base) >= _LEAST:
        later = before.after_base(inside, selection)
        if len(later) <= len(before.base) // _SHARE:
            _write(folder, LATER_FILE, before.checksum, later)
            return
    if _write(folder, BASE_FILE, _NO_BASE, before.with_inside(inside, selection)):
        with contextlib.suppress(OSError):
            (meta / LATER_FILE).unlink(missing_ok=True)


def _gone(paths: pa.StringArray) -> StatCache:
    none = np.zeros(len(paths), np.int64)
    kind = np.full(len(paths), GONE, np.int64)
    return StatCache(
        Listing(paths, kind, none, none, none, none), np.zeros((len(paths), DIGEST_SIZE), np.uint8)
    )


def _read(place: Path) -> tuple[bytes, bytes, StatCache]:
    """The checksum of a file, that of the base it came after, and its rows; empty: not sound."""
    try:
        with open_plain(place) as file:
            saved = os.fstat(file.fileno()).st_mtime_ns
            data = map_file(file)
    except OSError:
        return b"", b"", empty_cache()
    # Arrow trusts the bytes that it is given: they have to be checked before.
    start = len(_MAGIC) + _CHECKSUM_SIZE
    hasher = xxh3_64()
    for window in windows(data[start:]):
        hasher.update(window)
    checksum = hasher.digest()
    if len(data) <= _HEADER_SIZE or data[:start] != _MAGIC + checksum:
        return b"", b"", empty_cache()
    table = pa.ipc.open_stream(pa.py_buffer(data[_HEADER_SIZE:])).read_all()
    numbers = [whole_column(table, name).to_numpy() for name in FIELDS]
    listing = Listing(whole_column(table, "path"), *numbers)
    rows = believable(StatCache(listing, digests_of(whole_column(table, "digest")), data), saved)
    return checksum, bytes(data[start:_HEADER_SIZE]), rows


def _write(folder: Path, name: str, follows: bytes, cache: StatCache) -> bool:
    """Put a file in place, unless the workspace cannot be written to; returns whether it could."""
    columns = [cache.files.path, *(pa.array(getattr(cache.files, name)) for name in FIELDS)]
    table = pa.Table.from_arrays([*columns, digest_array(cache.digest)], schema=_SCHEMA)
    temporary = temporary_in(folder, name)
    try:
        temporary.parent.mkdir(exist_ok=True)
        with temporary.open("xb") as file:
            file.write(_MAGIC + bytes(_CHECKSUM_SIZE))
            body = _HashingWriter(file)
            body.write(follows)
            with pa.ipc.new_stream(body, _SCHEMA) as writer:
                writer.write_table(table)
            file.seek(len(_MAGIC))
            file.write(body.hasher.digest())
        temporary.replace(folder / META_DIR / name)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True


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
