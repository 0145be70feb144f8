"""Progress on the terminal: a bar with bytes, rate and time left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from datasets_vc.cli.render import shown

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class TerminalProgress:
    """A datasets_vc.progress.Progress that draws on stderr. Phases may overlap in threads.

    A phase that begins in one thread may be advanced from another; each `advance` goes to the
    phase that began last, which is the one that people wait for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: Bars | None = None
        self._phases: list[TaskID] = []

    def begin(self, label: str, total: int | None, unit: str) -> None:
        with self._lock:
            # A finished bar is frozen on the screen; the next phases get a display of their own.
            if self._bars is None:
                self._bars = _bars(in_bytes=unit == "B")
                self._bars.start()
            self._phases.append(self._bars.add_task(shown(label), total=total, unit=unit))

    def advance(self, amount: int) -> None:
        with self._lock:
            if self._bars is not None and self._phases:
                self._bars.advance(self._phases[-1], amount)

    def end(self) -> None:
        with self._lock:
            if self._bars is None:
                return
            self._phases.pop()
            if not self._phases:
                self._close()

    def close(self) -> None:
        """Take the display away, whatever is still unfinished."""
        with self._lock:
            self._phases.clear()
            self._close()

    def _close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def _bars(*, in_bytes: bool) -> Bars:
    # Rich takes 0.1 s to load, which only those wait for who see a bar.
    from rich import progress
    from rich.console import Console

    amount: list[progress.ProgressColumn] = [progress.MofNCompleteColumn()]
    if in_bytes:
        amount = [progress.DownloadColumn(binary_units=True), progress.TransferSpeedColumn()]
    return progress.Progress(
        # A label is no markup, whatever is in it.
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *amount,
        progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
    )
