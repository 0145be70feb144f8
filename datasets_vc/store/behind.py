"""Writing and hashing an object in a thread of its own, behind whoever makes its bytes."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from datasets_vc.backends.base import ObjectWriter
from datasets_vc.digest import Buffer, Digest, Hasher

_AT_MOST = 16 << 20
"""Bytes on their way: who brings more waits for the oldest."""


class WriterBehind:
    """Hands on to an `ObjectWriter`, in order, and hashes what goes by. For one thread at a time.

    What fails is raised by a later call, at the latest by `settle`. Bytes that were handed over
    must not change any more.
    """

    def __init__(self, writer: ObjectWriter) -> None:
        self._writer = writer
        self._hasher = Hasher()
        self._thread = ThreadPoolExecutor(1)
        self._going: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0

    def write(self, data: Buffer, source: int | None = None, position: int = 0) -> None:
        """Append some bytes.

        Args:
            data: the bytes.
            source: a descriptor of the file that they were read from, if its blocks are to be
                shared; it stays open until `settle`.
            position: where in it; see `ObjectWriter.write_from`.
        """
        size = memoryview(data).nbytes
        while self._going and self._bytes + size > _AT_MOST:
            self._wait_for_oldest()
        before = self._going[-1][0] if self._going else None
        future = self._thread.submit(self._write, before, data, source, position)
        self._going.append((future, size))
        self._bytes += size

    def settle(self) -> Digest:
        """Wait until all is written; returns the digest of it."""
        while self._going:
            self._wait_for_oldest()
        return Digest(self._hasher.digest())

    def digest_with(self, data: Buffer) -> Digest:
        """What `settle` would return if some more bytes were written."""
        self.settle()
        hasher = self._hasher.copy()
        hasher.update(data)
        return Digest(hasher.digest())

    def finish(self, name: str) -> None:
        """Make an object of what was written, all of which is settled."""
        self._thread.shutdown()
        self._writer.finish(name)

    def abort(self) -> None:
        """Forget what was written; nothing happens after `finish`."""
        self._thread.shutdown(cancel_futures=True)
        self._writer.abort()

    def _write(
        self, before: Future[None] | None, data: Buffer, source: int | None, position: int
    ) -> None:
        if before is not None:
            before.result()  # nothing comes after what has failed
        if source is None:
            self._writer.write(data)
        else:
            self._writer.write_from(source, position, data)
        self._hasher.update(data)

    def _wait_for_oldest(self) -> None:
        future, size = self._going.popleft()
        self._bytes -= size
        future.result()
