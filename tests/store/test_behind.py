from __future__ import annotations

import threading

import pytest

from datasets_vc.backends.base import ObjectWriter
from datasets_vc.digest import Buffer, digest_of
from datasets_vc.store import behind
from datasets_vc.store.behind import WriterBehind


class Written(ObjectWriter):
    """Keeps what is written; the part `bad` fails, and `gate` holds all up until it opens."""

    def __init__(self, bad: bytes = b"") -> None:
        self.parts: list[bytes] = []
        self.shared: list[tuple[int, int]] = []
        self.end = ""
        self.gate = threading.Event()
        self.gate.set()
        self._bad = bad

    def write(self, *parts: Buffer) -> None:
        self.gate.wait()
        for part in parts:
            if self._bad and bytes(part) == self._bad:
                raise OSError(28, "No space left on device")
            self.parts.append(bytes(part))

    def write_from(self, source: int, position: int, data: Buffer) -> None:
        self.shared.append((source, position))
        self.write(data)

    def written(self) -> memoryview:
        return memoryview(b"".join(self.parts))

    def finish(self, name: str) -> None:
        self.end = name

    def abort(self) -> None:
        self.end = "aborted"


def test_all_is_written_in_order_and_hashed() -> None:
    written = Written()
    writer = WriterBehind(written)
    parts = [b"%d" % number for number in range(500)]
    for part in parts:
        writer.write(part)
    assert writer.settle() == digest_of(b"".join(parts))
    assert written.parts == parts
    writer.finish("packs/1")
    assert written.end == "packs/1"


def test_where_bytes_are_from_is_handed_on() -> None:
    written = Written()
    writer = WriterBehind(written)
    writer.write(b"one")
    writer.write(b"two", source=7, position=4096)
    writer.settle()
    assert written.shared == [(7, 4096)]
    writer.abort()


def test_after_a_failure_nothing_is_written_any_more() -> None:
    written = Written(bad=b"2")
    written.gate.clear()
    writer = WriterBehind(written)
    for part in (b"1", b"2", b"3"):
        writer.write(part)
    written.gate.set()
    with pytest.raises(OSError, match="No space left"):
        writer.settle()
    writer.abort()
    assert written.parts == [b"1"]
    assert written.end == "aborted"


def test_a_failure_stops_who_writes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "_AT_MOST", 10)
    writer = WriterBehind(Written(bad=b"bad"))
    parts = [b"bad", *[b"12345"] * 10]
    with pytest.raises(OSError, match="No space left"):
        list(map(writer.write, parts))
    writer.abort()


def test_who_is_far_ahead_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "_AT_MOST", 10)
    written = Written()
    writer = WriterBehind(written)
    ahead: list[int] = []
    for number in range(1, 101):
        writer.write(b"12345")
        ahead.append(number - len(written.parts))
    writer.settle()
    assert max(ahead) <= 2
    writer.abort()


def test_what_is_dropped_leaves_no_thread() -> None:
    before = threading.active_count()
    written = Written()
    writer = WriterBehind(written)
    writer.write(b"some")
    writer.abort()
    assert threading.active_count() == before
    assert written.end == "aborted"
