"""Backends that misbehave on purpose, each in one way, around one that does not."""

from __future__ import annotations

import threading

from datasets_vc.backends.base import Backend, Versioned
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.digest import Buffer
from datasets_vc.errors import DatasetError, RemoteError


class Crash(BaseException):
    """The process dies here; no `except Exception` may bring it back to life."""


class FlippingBackend(Wrapper):
    """One bit of one object reads wrong, in every read that covers it.

    Args:
        inner: a sound backend.
        name: the damaged object.
        bit: which bit, counted from the first of the first byte.
    """

    def __init__(self, inner: Backend, name: str, bit: int = 0) -> None:
        super().__init__(inner)
        self._name = name
        self._byte, self._bit = divmod(bit, 8)

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        return self._damaged(name, start, self.inner.get(name, start, end))

    def read_root(self, name: str) -> Versioned | None:
        root = self.inner.read_root(name)
        return root and Versioned(self._damaged(name, 0, root.data), root.token)

    def map(self, name: str) -> memoryview | None:
        view = self.inner.map(name)
        return view if view is None else memoryview(self._damaged(name, 0, bytes(view)))

    def _damaged(self, name: str, start: int, data: bytes) -> bytes:
        at = self._byte - start
        if name != self._name or not 0 <= at < len(data):
            return data
        return data[:at] + bytes([data[at] ^ (1 << self._bit)]) + data[at + 1 :]


class TruncatingBackend(Wrapper):
    """One object ends too early."""

    def __init__(self, inner: Backend, name: str, size: int) -> None:
        super().__init__(inner)
        self._name = name
        self._size = size

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        data = self.inner.get(name, start, end)
        return data[: max(0, self._size - start)] if name == self._name else data

    def map(self, name: str) -> memoryview | None:
        view = self.inner.map(name)
        return view if view is None or name != self._name else view[: self._size]


class LimitedBackend(Wrapper):
    """Writes so often, and no more: by default the disk is full then.

    Args:
        inner: a sound backend.
        writes: puts and swaps that work.
        error: what the next ones raise; `Crash()` for a process that dies there.
    """

    def __init__(self, inner: Backend, writes: int, error: BaseException | None = None) -> None:
        super().__init__(inner)
        self.writes_left = writes
        self._error = error or DatasetError(
            f"Cannot write '{inner.url}': no space left on device.",
            "Free space there and run again.",
        )
        self._lock = threading.Lock()

    def put(self, name: str, *parts: Buffer) -> None:
        self._spend()
        self.inner.put(name, *parts)

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        self._spend()
        self.inner.swap(name, data, expected)

    def _spend(self) -> None:
        with self._lock:
            if not self.writes_left:
                raise self._error
            self.writes_left -= 1


class FailingBackend(Wrapper):
    """The first calls of one verb fail.

    Args:
        inner: a sound backend.
        verb: "get", "put", "stat", "list", "delete", "read_root" or "swap".
        times: how many calls fail.
        error: what they raise; a passing failure of the remote by default.
    """

    def __init__(
        self, inner: Backend, verb: str, times: int = 1, error: BaseException | None = None
    ) -> None:
        super().__init__(inner)
        self.calls = 0
        self._error = error or RemoteError("The remote stumbled.", transient=True)
        self._times = times
        self._sound = getattr(inner, verb)
        setattr(self, verb, self._stumble)

    def _stumble(self, *arguments: object) -> object:
        self.calls += 1
        if self.calls <= self._times:
            raise self._error
        return self._sound(*arguments)


class LosingAnswersBackend(Wrapper):
    """The first swaps happen, and then the connection breaks before the answer is here."""

    def __init__(self, inner: Backend, losses: int = 1) -> None:
        super().__init__(inner)
        self.losses_left = losses

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        self.inner.swap(name, data, expected)
        if self.losses_left:
            self.losses_left -= 1
            raise RemoteError("The connection broke.", transient=True)


class ForgetfulBackend(Wrapper):
    """Takes conditional writes and ignores the condition, as some S3 servers do."""

    def swap(self, name: str, data: bytes, _: object | None) -> None:
        self.inner.put(name, data)
