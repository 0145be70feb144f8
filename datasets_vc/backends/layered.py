"""A backend on top of another one: what is written stays above, and below nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from datasets_vc.backends.base import Backend, ObjectInfo, Versioned
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.digest import Buffer
from datasets_vc.errors import NotFoundError

Result = TypeVar("Result")


class LayeredBackend(Wrapper):
    """Reads what lies above, else what lies below; writes above only.

    So a command can be tried on a store without touching it. What is deleted is deleted above:
    what lies below shows again.

    Args:
        upper: takes what is written.
        lower: is only read.
    """

    def __init__(self, upper: Backend, lower: Backend) -> None:
        super().__init__(upper)
        self._lower = lower

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        return self._first(lambda backend: backend.get(name, start, end))

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        yield self.get(name, start)

    def stat(self, name: str) -> ObjectInfo:
        return self._first(lambda backend: backend.stat(name))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found = {info.name: info for info in self._lower.list(prefix)}
        found |= {info.name: info for info in self.inner.list(prefix)}
        return iter(sorted(found.values()))

    def read_root(self, name: str) -> Versioned | None:
        return self.inner.read_root(name) or self._lower.read_root(name)

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        if self.inner.read_root(name) is None:
            # Nothing was changed here yet: the state to be replaced is the one below.
            self.inner.swap(name, data, None)
        else:
            self.inner.swap(name, data, expected)

    def open_local(self, name: str) -> int | None:
        return self._first(lambda backend: backend.open_local(name))

    def map(self, name: str) -> memoryview | None:
        return self._first(lambda backend: backend.map(name))

    def _first(self, act: Callable[[Backend], Result]) -> Result:
        try:
            return act(self.inner)
        except NotFoundError:
            return act(self._lower)
