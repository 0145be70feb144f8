"""The rows of the stat cache: the digest that a file had when its stat data were as they are.

A row is believed if size, times and inode are unchanged. That alone is not enough: a file that is
written again within one tick of the file system's clock keeps its time (git's "racy" files, see
https://git-scm.com/docs/racy-git). So a row is only kept if the file was, by the clock of its own
file system, older than the moment before its bytes were read: a later write leaves a newer time.

If the power is lost, a file can come back with the size and times that it had and zeros for bytes.
So of a cache from before the system was started, rows that were young when it was saved are not
believed: the system had not yet written all of them to the disk.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets_vc.digest import DIGEST_SIZE
from datasets_vc.format.columns import Mask, align, merged_order
from datasets_vc.memory import let_go
from datasets_vc.paths import META_DIR
from datasets_vc.workspace.columns import Digests, gather, joined_digests
from datasets_vc.workspace.listing import FIELDS, Listing, as_int64
from datasets_vc.workspace.locking import TEMPORARY_DIR

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_LATEST = 2**63 - 1
_ON_THE_WAY = 600 * _SECOND


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
            self.let_go()  # of a million rows each column is much of what a command may take
            known &= getattr(listing, name) == getattr(self.files, name)[rows]
        digests = self.digest[rows]
        self.let_go()
        return digests, known

    def let_go(self) -> None:
        """Give back the memory of what was read whole."""
        if self.mapped is not None:
            let_go(self.mapped)

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
        order = merged_order(self.files.path, other.files.path)
        if keep is not None:
            order = order[np.concatenate([_all(self), keep])[order]]
        paths = gather(pa.concat_arrays([self.files.path, other.files.path]), order)
        columns = [
            np.concatenate([getattr(self.files, name), getattr(other.files, name)])[order]
            for name in FIELDS
        ]
        return StatCache(Listing(paths, *columns), joined_digests(self.digest, other.digest, order))

    def older_than(self, moment: int) -> StatCache:
        """Only the rows that can be believed if their files were read after `moment`."""
        moment = as_int64(moment)
        # A time long after the moment was set, not written; who writes then sets it back.
        ahead = min(moment, _LATEST - _DAY) + _DAY
        mtime, ctime = self.files.mtime_ns, self.files.ctime_ns
        newest = np.where(mtime > ahead, ctime, np.maximum(mtime, ctime))
        # A time without a fraction may come from a clock that ticks every second, or every two.
        keep = newest < np.where(newest % _SECOND == 0, moment - 2 * _SECOND, moment)
        return self if keep.all() else self.picked(keep)


def _all(cache: StatCache) -> Mask:
    return np.ones(len(cache), np.bool_)


def empty_cache() -> StatCache:
    """The cache of which nothing is known."""
    none = np.zeros(0, np.int64)
    listing = Listing(pa.array([], pa.string()), none, none, none, none, none)
    return StatCache(listing, np.zeros((0, DIGEST_SIZE), np.uint8))


def believable(cache: StatCache, saved: int) -> StatCache:
    """Of a cache that was saved at that time, in ns, what can be believed though power was lost."""
    return cache if saved >= _booted() else cache.older_than(saved - _ON_THE_WAY)


def clock_of(folder: Path) -> int:
    """The time by the clock of the workspace's file system, in ns; 0 if nothing can be written."""
    temporary = temporary_in(folder, "clock")
    try:
        temporary.parent.mkdir(exist_ok=True)
        with temporary.open("xb") as file:
            return as_int64(os.fstat(file.fileno()).st_mtime_ns)
    except OSError:
        return 0
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_in(folder: Path, name: str) -> Path:
    """A path that nobody else uses, for a file that is to get its name later."""
    return folder / META_DIR / TEMPORARY_DIR / f"{name}-{os.urandom(8).hex()}"


def _booted() -> int:
    """When the system was started, in ns since the epoch."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    running = time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)
    return time.time_ns() - running
