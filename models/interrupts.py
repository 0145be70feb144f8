"""Ctrl-C between two steps, never in the middle of one, so that a checkpoint is whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Interrupted at a point where nothing is half done."""


class Interrupts:
    """Holds an interrupt back until `check` or `waiting`; a second one is not held back."""

    def __init__(self) -> None:
        self._asked = False
        self._waiting = False

    @contextmanager
    def held(self) -> Iterator[Interrupts]:
        """Be the process's answer to interrupts, in the main thread."""
        before = signal.signal(signal.SIGINT, self._handle)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A phase that can be left at any point.

        Raises:
            Interrupted: an interrupt is held back, or comes.
        """
        self._waiting = True
        try:
            self.check()
            yield
        finally:
            self._waiting = False

    def check(self) -> None:
        """Raise Interrupted if an interrupt is held back."""
        if self._asked:
            raise Interrupted

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._waiting:
            raise Interrupted
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
