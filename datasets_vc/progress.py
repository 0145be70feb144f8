"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A listener; calls may come from several threads."""

    def begin(self, label: str, total: int | None, unit: str) -> None:
        """A phase of `total` units starts: "B" for bytes or a plural noun; None if unknown."""

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""

    def end(self) -> None:
        """The phase is over."""


class _Silent:
    def begin(self, label: str, total: int | None, unit: str) -> None: ...

    def advance(self, amount: int) -> None: ...

    def end(self) -> None: ...


SILENT: Progress = _Silent()


@contextmanager
def phase(progress: Progress, label: str, total: int | None, unit: str) -> Iterator[None]:
    """A phase of some work, which ends whatever happens; see `Progress.begin`."""
    progress.begin(label, total, unit)
    try:
        yield
    finally:
        progress.end()
