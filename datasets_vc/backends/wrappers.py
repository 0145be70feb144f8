"""Backends around a backend: one that tries again, one that counts."""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from datasets_vc.backends.base import Backend, ObjectInfo, Readable, Versioned
from datasets_vc.digest import Buffer
from datasets_vc.errors import RemoteError

Result = TypeVar("Result")


class Wrapper(Backend):
    """Passes everything on to another backend; what is streamed goes through `get` and `put`."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.url = inner.url
        self.conditional_writes = inner.conditional_writes
        self.writable = inner.writable

    @property
    def ranges(self) -> bool:
        return self.inner.ranges

    @property
    def stumbles(self) -> int:
        return self.inner.stumbles

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        return self.inner.get(name, start, end)

    def put(self, name: str, *parts: Buffer) -> None:
        self.inner.put(name, *parts)

    def exclusive(self, name: str) -> AbstractContextManager[bool]:
        return self.inner.exclusive(name)

    def stat(self, name: str) -> ObjectInfo:
        return self.inner.stat(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self.inner.list(prefix)

    def leftovers(self, prefix: str) -> Iterator[ObjectInfo]:
        return self.inner.leftovers(prefix)

    def delete(self, name: str) -> None:
        self.inner.delete(name)

    def check_places(self, prefixes: Iterable[str]) -> None:
        self.inner.check_places(prefixes)

    def read_root(self, name: str) -> Versioned | None:
        return self.inner.read_root(name)

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        self.inner.swap(name, data, expected)

    def map(self, name: str) -> memoryview | None:
        return self.inner.map(name)

    def close(self) -> None:
        self.inner.close()


def _uniform() -> float:
    return random.random()


@dataclass(frozen=True)
class RetryPolicy:
    """How often to try, and how long to wait in between: the double each time, half of it random.

    The randomness keeps many clients that failed together from coming back together
    (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).

    Args:
        attempts: tries in all, at least 1.
        base_delay: seconds to wait at most after the first failure.
        max_delay: seconds to wait at most after any.
        sleep: waits that many seconds.
        uniform: draws from [0, 1).
    """

    attempts: int = 5
    base_delay: float = 0.5
    max_delay: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[], float] = _uniform

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures, at least 1."""
        longest = min(self.max_delay, self.base_delay * 2.0 ** (failures - 1))
        return longest * (0.5 + self.uniform() / 2)


class RetryingBackend(Wrapper):
    """Tries again what failed for a passing reason.

    A swap is tried once: after a failure nobody knows whether it happened, and only the store can
    find out by reading the root.
    """

    def __init__(self, inner: Backend, policy: RetryPolicy | None = None) -> None:
        super().__init__(inner)
        self.streams = inner.streams
        self.policy = policy or RetryPolicy()
        self._failures = 0

    @property
    def stumbles(self) -> int:
        return self._failures + self.inner.stumbles

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        return self._retry(lambda: self.inner.get(name, start, end))

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        """Goes on where a connection broke; what was handed out is not asked for again."""
        failures = 0
        while True:
            try:
                for piece in self.inner.stream(name, start):
                    yield piece
                    start += memoryview(piece).nbytes
                    failures = 0
                return
            except RemoteError as error:
                failures += 1
                if not error.transient or failures >= self.policy.attempts:
                    raise
            self._wait(failures)

    def put(self, name: str, *parts: Buffer) -> None:
        self._retry(lambda: self.inner.put(name, *parts))

    def put_from(self, name: str, file: Readable) -> None:
        self._retry(lambda: self.inner.put_from(name, file))

    def stat(self, name: str) -> ObjectInfo:
        return self._retry(lambda: self.inner.stat(name))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter(self._retry(lambda: list(self.inner.list(prefix))))

    def delete(self, name: str) -> None:
        self._retry(lambda: self.inner.delete(name))

    def read_root(self, name: str) -> Versioned | None:
        return self._retry(lambda: self.inner.read_root(name))

    def _retry(self, act: Callable[[], Result]) -> Result:
        for failures in range(1, self.policy.attempts):
            try:
                return act()
            except RemoteError as error:
                if not error.transient:
                    raise
            self._wait(failures)
        return act()

    def _wait(self, failures: int) -> None:
        self._failures += 1
        self.policy.sleep(self.policy.delay(failures))


class CountingBackend(Wrapper):
    """Counts what goes over the wire; safe between threads. A memory map costs nothing.

    A pickled copy counts from zero.

    Attributes:
        requests: calls that the inner backend got, failed ones too, and those it tried again.
        bytes_received: bytes of objects read.
        bytes_sent: bytes of objects written.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.streams = inner.streams
        self._calls = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        return self._calls + self.inner.stumbles

    def __reduce__(self) -> tuple[type[CountingBackend], tuple[Backend]]:
        return CountingBackend, (self.inner,)

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        self._count()
        data = self.inner.get(name, start, end)
        self._count(requests=0, received=len(data))
        return data

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        self._count()
        for piece in self.inner.stream(name, start):
            self._count(requests=0, received=memoryview(piece).nbytes)
            yield piece

    def put(self, name: str, *parts: Buffer) -> None:
        self._count(sent=sum(memoryview(part).nbytes for part in parts))
        self.inner.put(name, *parts)

    def put_from(self, name: str, file: Readable) -> None:
        self._count(sent=file.seek(0, io.SEEK_END))
        self.inner.put_from(name, file)

    def stat(self, name: str) -> ObjectInfo:
        self._count()
        return self.inner.stat(name)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._count()
        return self.inner.list(prefix)

    def delete(self, name: str) -> None:
        self._count()
        self.inner.delete(name)

    def read_root(self, name: str) -> Versioned | None:
        self._count()
        root = self.inner.read_root(name)
        self._count(requests=0, received=len(root.data) if root else 0)
        return root

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        self._count(sent=len(data))
        self.inner.swap(name, data, expected)

    def _count(self, requests: int = 1, received: int = 0, sent: int = 0) -> None:
        with self._lock:
            self._calls += requests
            self.bytes_received += received
            self.bytes_sent += sent
