"""A backend in a dictionary: as quick as tests with many stores need it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

from datasets_vc.backends.base import Backend, ObjectInfo, Versioned, is_temporary
from datasets_vc.digest import Buffer
from datasets_vc.errors import ConflictError, NotFoundError

_NUMBERS = itertools.count()


class MemoryBackend(Backend):
    """Objects in memory.

    Args:
        mappable: whether `map` gives them, as in a local folder; else they are got by requests.
    """

    def __init__(self, mappable: bool = True) -> None:
        self.url = f"test://{next(_NUMBERS)}"
        self.objects: dict[str, bytes] = {}
        self._mappable = mappable
        self._lock = threading.Lock()

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        return self._object(name)[start:end]

    def put(self, name: str, *parts: Buffer) -> None:
        self.objects[name] = b"".join(parts)

    def stat(self, name: str) -> ObjectInfo:
        return ObjectInfo(name, len(self._object(name)), 0.0)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        names = [name for name in sorted(self.objects) if name.startswith(prefix)]
        return iter([self.stat(name) for name in names if not is_temporary(name)])

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)

    def read_root(self, name: str) -> Versioned | None:
        data = self.objects.get(name)
        return None if data is None else Versioned(data, data)

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        with self._lock:
            if self.objects.get(name) != expected:
                raise ConflictError(f"{name} was changed by somebody else.")
            self.objects[name] = data

    def map(self, name: str) -> memoryview | None:
        return memoryview(self._object(name)) if self._mappable else None

    def _object(self, name: str) -> bytes:
        if name not in self.objects:
            raise NotFoundError(f"There is no '{name}' in {self.url}.")
        return self.objects[name]
