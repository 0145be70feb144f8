"""Work done by a few threads ahead of whoever takes the results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from datasets_vc.workspace.waiting import Disk

Item = TypeVar("Item")
Result = TypeVar("Result")

CORES = os.cpu_count() or 1

THREADS = max(8, CORES)
"""Where it is a disk that one waits for."""

LARGE = 1 << 20
"""Bytes from which on a file is handled piece by piece; smaller ones are held in memory whole."""

_BATCH_BYTES = 1 << 20
_BYTES_A_THREAD = 1 << 13
_BATCH_FILES = 256


@contextmanager
def ahead(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int = THREADS,
    disk: Disk | None = None,
    busy: int = CORES,
) -> Iterator[Iterator[Result]]:
    """Give `work(item)` for all items in their order, at most `2 * threads` items ahead.

    The first failure is raised where its result would have come. On leaving, what was not begun is
    dropped and what was begun has ended.

    Args:
        threads: how many there are once it shows that they wait for a disk.
        disk: tells the work, too, whether that is so.
        busy: how many there are until then.
    """
    with closing(_results(work, items, threads, disk or Disk(), min(busy, threads))) as results:
        yield results


def _results(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, disk: Disk, busy: int
) -> Generator[Result, None, None]:
    pending: deque[Future[Result]] = deque()
    narrow, wide = ThreadPoolExecutor(busy), ThreadPoolExecutor(threads)
    with narrow, wide:
        try:
            for begun, item in enumerate(items, 1):
                pending.append((wide if disk.waits else narrow).submit(work, item))
                if len(pending) >= 2 * (threads if disk.look(begun) else busy):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def busy_threads(sizes: NDArray[np.int64]) -> int:
    """How many threads files of these sizes (bytes) are worth that are in memory.

    All that is done for a file but reading, hashing and compressing its bytes needs Python's lock:
    with small files two threads take longer than one, and eight twice as long.
    """
    mean = int(sizes.mean()) if len(sizes) else 0
    return max(1, min(CORES, mean // _BYTES_A_THREAD))


def spans(sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of files of these sizes (bytes), as ranges of rows, each worth a task of its own.

    A large file stands alone.
    """
    ends = np.cumsum(sizes)
    large = [*np.flatnonzero(sizes >= LARGE).tolist(), len(sizes)]
    start = 0
    for row in large:
        while start < row:
            before = ends[start - 1] if start else 0
            full = int(np.searchsorted(ends, before + _BATCH_BYTES, side="right"))
            stop = min(max(full, start + 1), start + _BATCH_FILES, row)
            yield start, stop
            start = stop
        if row < len(sizes):
            yield row, row + 1
            start = row + 1
