"""Stat caches that are made up."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from datasets_vc.workspace.listing import FIELDS, Listing
from datasets_vc.workspace.statcache import StatCache


def cache_of(paths: list[str], mtime_ns: int = 5, ctime_ns: int = 5) -> StatCache:
    count = len(paths)
    numbers = [
        np.zeros(count, np.int64),
        np.arange(count) + 100,
        np.full(count, mtime_ns),
        np.full(count, ctime_ns),
        np.arange(count) + 7,
    ]
    digests = np.arange(32 * count).astype(np.uint8).reshape(-1, 32)
    return StatCache(Listing(pa.array(paths, pa.string()), *numbers), digests)


def same(left: StatCache, right: StatCache) -> bool:
    return (
        left.files.path.equals(right.files.path)
        and all(
            np.array_equal(getattr(left.files, name), getattr(right.files, name)) for name in FIELDS
        )
        and np.array_equal(left.digest, right.digest)
    )
