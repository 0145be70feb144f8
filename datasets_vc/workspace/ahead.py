"""Work done by a few threads ahead of whoever takes the results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from datasets_vc.workspace.waiting import blocks_read


class Sized(Protocol):
    """A file of `size` bytes."""

    @property
    def size(self) -> int: ...


Item = TypeVar("Item")
Result = TypeVar("Result")
File = TypeVar("File", bound=Sized)

_CORES = os.cpu_count() or 1

THREADS = max(8, _CORES)
"""Where it is a disk that one waits for."""

LARGE = 1 << 20
"""Bytes from which on a file is handled piece by piece; smaller ones are held in memory whole."""

_BLOCKS_AN_ITEM = 64
_BATCH_BYTES = 1 << 20
_BATCH_FILES = 256


@contextmanager
def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int = THREADS
) -> Iterator[Iterator[Result]]:
    """Give `work(item)` for all items in their order, at most `2 * threads` items ahead.

    There are as many threads as cores until it shows that they wait for a disk. The first failure
    is raised where its result would have come. On leaving, what was not begun is dropped and what
    was begun has ended.
    """
    with closing(_results(work, items, threads)) as results:
        yield results


def _results(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Generator[Result, None, None]:
    pending: deque[Future[Result]] = deque()
    narrow, wide = ThreadPoolExecutor(min(_CORES, threads)), ThreadPoolExecutor(threads)
    with narrow, wide:
        pool = narrow
        before = blocks_read()
        try:
            for done, item in enumerate(items):
                pending.append(pool.submit(work, item))
                if pool is narrow and blocks_read() - before > _BLOCKS_AN_ITEM * (done + 1):
                    pool = wide
                if len(pending) >= 2 * (threads if pool is wide else _CORES):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def spans(sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The batches of files of these sizes (bytes), as ranges of rows; see `batches`."""
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


def batches(files: Iterable[File]) -> Iterator[list[File]]:
    """Runs of files, in their order, each worth a task of its own; a large file stands alone."""
    batch: list[File] = []
    size = 0
    for file in files:
        full = len(batch) == _BATCH_FILES or size + file.size > _BATCH_BYTES
        if batch and (full or file.size >= LARGE):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
        if file.size >= LARGE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
