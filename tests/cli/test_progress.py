from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from datasets_vc.cli.options import Options
from datasets_vc.cli.progress import TerminalProgress
from datasets_vc.cli.session import Session
from datasets_vc.progress import SILENT


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Call it in the test itself: pytest sets stderr anew after the fixtures."""
    return lambda: _terminal(monkeypatch)


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def test_bytes_have_a_rate(terminal_of) -> None:
    terminal = terminal_of()
    progress = TerminalProgress()

    progress.begin("Sending", 4096, "B")
    progress.advance(4096)
    progress.end()

    assert "Sending" in terminal.getvalue()
    assert "4.0/4.0 KiB" in terminal.getvalue()
    assert "/s" in terminal.getvalue() or "?" in terminal.getvalue()  # too quick for a rate


def test_things_are_counted(terminal_of) -> None:
    terminal = terminal_of()
    progress = TerminalProgress()

    progress.begin("Reading", 3, "files")
    progress.advance(2)
    progress.advance(1)
    progress.end()

    assert "3/3" in terminal.getvalue()
    assert "/s" not in terminal.getvalue()


def test_phases_may_nest_and_follow_each_other(terminal_of) -> None:
    terminal = terminal_of()
    progress = TerminalProgress()

    progress.begin("Outer", None, "files")
    progress.begin("Inner", 2, "files")
    progress.advance(2)
    progress.end()
    progress.advance(5)
    progress.end()
    progress.begin("Next", 1, "files")
    progress.close()
    progress.end()
    progress.advance(1)

    for label in ("Outer", "Inner", "Next"):
        assert label in terminal.getvalue()


def test_bars_are_for_terminals(terminal_of, monkeypatch) -> None:
    terminal_of()
    assert isinstance(Session(Options()).progress, TerminalProgress)
    assert Session(Options(quiet=True)).progress is SILENT

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert Session(Options()).progress is SILENT
