"""A backend that only reads: for what one may look at, and change nothing of."""

# What is refused is refused whatever it is given.
# ruff: noqa: ARG002

from __future__ import annotations

from contextlib import AbstractContextManager

from datasets_vc.backends.base import Backend, ObjectWriter, Readable
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.digest import Buffer
from datasets_vc.errors import DatasetError


class ReadOnlyBackend(Wrapper):
    """Refuses whatever would change something.

    Args:
        refusal: what is raised then.
    """

    def __init__(self, inner: Backend, refusal: DatasetError) -> None:
        super().__init__(inner)
        self.writable = False
        self._refusal = refusal

    def __reduce__(self) -> tuple[type[ReadOnlyBackend], tuple[Backend, DatasetError]]:
        return ReadOnlyBackend, (self.inner, self._refusal)

    def open_local(self, name: str) -> int | None:
        return self.inner.open_local(name)

    def put(self, name: str, *parts: Buffer) -> None:
        raise self._refusal

    def put_from(self, name: str, file: Readable) -> None:
        raise self._refusal

    def start(self, prefix: str) -> ObjectWriter:
        raise self._refusal

    def exclusive(self, name: str) -> AbstractContextManager[bool]:
        raise self._refusal

    def delete(self, name: str) -> None:
        raise self._refusal

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        raise self._refusal
